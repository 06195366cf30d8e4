// Package wire is the WebSocket of the live interface as bytes, and nothing else: no connection, no goroutine, no clock.
//
// The way of the data: [Upgrade] judges a request's headers and gives what the answer must say. What a client sends then
// goes through its [Decoder], which gives whole messages; [DecodeClient] reads those as a [ClientMessage], in JSON or in
// CBOR. What the server says is made by the Append functions: a message first, then its frame ([AppendFrame]). An event
// that many subscriptions get is encoded and compressed once, as an [EventBody].
//
// The messages are described in docs/live.md and, for programs, in asyncapi.yaml ([AsyncAPI]).
package wire
