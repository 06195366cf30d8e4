// Package match decides which endpoints an event is for: pure functions of an event and endpoints, and an index that
// gives the same answer for a tenant with 100,000 endpoints without looking at each. The follower asks [Index.Match]
// for the targets of an event; a lane that reads its backlog asks [Matches] for its one endpoint.
//
// An event is for an endpoint when its version is higher than the endpoint's Start, its type matches one of the
// endpoint's patterns, it carries one of the endpoint's channels, and the endpoint's filter is true. Whether the
// endpoint is disabled plays no part: its lane keeps the backlog.
//
// An endpoint of the kind flexibee also wants the event to be an [event.RecordChange]. One with Changed also wants that
// one of these members of the data changed, as far as the data say: they do by a list "changed" of names, or by an object
// "previous" with the former values of what changed. Data that say neither leave it open, and the event is for the
// endpoint: one that is sent in vain does less harm than one that is missed.
//
// # Patterns
//
// A pattern is segments separated by dots, compared with the segments of the type, case-sensitively.
//
//   - a literal segment matches itself: "order.paid" matches the type order.paid only;
//   - "*" as a segment stands for exactly one segment, whichever: "order.*" matches order.paid, neither order nor
//     order.paid.late; "*.created" matches user.created;
//   - "**" is allowed as the last segment only and stands for one or more segments: "order.**" matches order.paid and
//     order.paid.late, not order;
//   - "*" alone, like "**" alone, matches every type.
//
// Types that begin with "posthorn." are operational events. They match only patterns whose first segment is literally
// "posthorn". An endpoint without patterns gets every type but these.
//
// # Channels
//
// An endpoint without channels gets events whatever their channels. An endpoint with channels gets only events that
// carry at least one of them; events without channels are not for it.
//
// # Filters
//
// A filter is a CEL expression over the event: id, source, type, subject, key, datacontenttype (strings, "" when
// absent), time (timestamp), version (int), channels (list of strings), ext (map of extension attributes) and data.
// Data is the decoded JSON, null when there is none or it is not JSON; whole numbers that fit are int, all others
// double. The event is for the endpoint when the filter is true. When it is false, is not a boolean, fails (such as by
// reading a member that is not there) or costs more than the limit, the event is not for it.
//
// The common part of CEL – comparisons of a member or attribute with a literal, in, has, startsWith, endsWith and
// boolean operators – is evaluated by this package over the raw JSON; everything else by a CEL program, compiled when
// it is first needed and kept in a bounded cache. Tests hold the two to the same answers.
package match
