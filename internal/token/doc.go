// Package token makes and checks short-lived tokens: signed statements of what a browser may do in one tenant and until
// when. The server's own are signed with a key of the tenant that is kept sealed in the store; those of another issuer
// are checked with its public keys, from a URL or a file.
//
// The way of a check: length → the algorithm that the header names decides whose it is → the key by kid → signature →
// time, issuer, audience → the tenant as it is now → an [event.APIKey] that says what the bearer may do.
package token
