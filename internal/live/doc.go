// Package live sends the log to listeners as it grows: server-sent events, WebSockets, and waits for long polls.
//
// The way of an event: the tail reads it from the end of the partition → the tenant's feed keeps it on a short ring →
// every group (a selection that one or more listeners share) matches it once → the shards' goroutines write it to the
// connections, encoded once for all that see the same form, several events in one write when there are several.
//
// An idle connection has no goroutine and no buffer. One that lags (its socket is full, it began in the past, or it was
// away for longer than the ring reaches) is given a goroutine, its pump, that reads the log at the client's pace until
// the ring covers the rest. So a slow client costs the others nothing, and nothing is skipped: a member of a group holds
// a cursor, every version up to which was sent or not selected, and takes from the ring only while the ring reaches back
// to that cursor. What retention deleted under a lagging client ends its connection.
//
// # Writing a protocol over the connection core
//
// A [conn] is one client. Its parts:
//
//   - A [protocol] is what the kind of connection does with bytes that come in, its keep-alive and its last words.
//   - A [form] encodes events for a subscription. Forms are compared with ==: members with equal forms share the bytes.
//   - A [member] is one subscription of a connection: made by [conn.subscribe], ended by [conn.unsubscribe], resumed by [conn.ack]
//     when it has a window.
//   - [conn.queue] sends a message of the protocol in order with the events. It never blocks; who calls it sees to it, under the
//     same lock, that not more than maxOutbox waits for a client that does not read.
//   - [conn.end] ends the connection with a reason, once; the protocol's last words are sent after what is under way.
//   - [conn.work] runs a function on a goroutine that Shutdown waits for.
//
// How to make one: [Hub.connect] (limits; its error is the answer), hijack, and [conn.start] with the sink made by [takeOver] and the
// bytes of the handshake; Hub.Stream is an example. One that was not started is abandoned, by conn.abandon. protocol.received is called
// with the bytes as they come, by one goroutine at a time; nothing more is read until it returns, so it may block while it publishes.
//
// Locks: conn.mu before feed.mu; neither the tail nor a shard holds feed.mu while it takes conn.mu. protocol.keepAlive,
// protocol.last and form methods are called with conn.mu held and must not call the connection; received and
// closed are called without it.
package live
