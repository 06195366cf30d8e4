// Package hooksite is two other faces of the bins (package inspect), for programs made for Webhook.site and smee.io.
//
// Webhook.site's is under /token: a token is a bin, by its ID; /socket.io/ tells of new requests, and what is sent to
// /{bin} is captured as what is sent to /b/{bin} is. smee.io's is /new and /{channel}: a channel is a bin with the alias that
// the address names; who reads it gets what is in the bin as server-sent events. Nothing is kept here but connections:
// every reader follows the bin by the numbers of its requests, at its own pace, and reads the next when the last was written.
package hooksite
