// Package inbound is where other systems' webhooks arrive: sources. A request to /in/{tenant}/{source} is read within limits,
// answered when it is the provider's handshake, verified by the provider's rule (package receiver), mapped to an event and
// ingested; the caller is answered once the event is durable, as the provider expects, or with what an endpoint answered.
//
// What is refused never reaches the log: it is counted, and kept in the source's bin when the source says so.
package inbound
