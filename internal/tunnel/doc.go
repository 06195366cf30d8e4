// Package tunnel carries requests to programs on other people's laptops, each over one outgoing WebSocket of theirs.
//
// The way through: a listener connects (connect.go) and its connection becomes a session (session.go), in which a yamux
// stream is opened for each HTTP/1.1 connection; a request, from a lane or a bin (deliver.go) or from a caller of the
// tunnel's own address (proxy.go), goes to one of the tunnel's sessions (do.go). What a tunnel is for is set up, and kept as
// an endpoint or a bin, by setup.go. docs/inbound.md describes all of it on the wire.
package tunnel
