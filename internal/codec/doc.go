// Package codec turns bytes into events and events into bytes: what publishers send, what the API shows and what
// endpoints receive. A request's body goes through [DecodePublish] on its way in; a stored event goes through
// [AppendEvent] to readers and through [Encode] to endpoints. It holds no state and does no I/O.
//
// # Names that CloudEvents lacks
//
// An event's version, ordering key and channels have no attribute in CloudEvents 1.0. In every CloudEvents form they
// travel as extension attributes: partitionkey (the spec's partitioning extension), posthornversion (a string of
// decimal digits, since a CloudEvents integer has 32 bits) and posthornchannels (names separated by commas). On the way
// in posthornversion is read and dropped, so that one Posthorn can publish to another: the log gives the version.
//
// # Byte exactness
//
// JSON data is kept and sent as the bytes that were published, without the white space around them. Only [AppendEvent]
// replaces line breaks between tokens by spaces, because its form is one line.
package codec
