// Package agent is the listener's end of a tunnel: it brings what arrives at a server to a program on this computer.
//
// An [Agent] dials the server (one WebSocket, yamux through it) and takes a stream for each request. The request goes to the
// local target as it came, while a [Recorder] keeps a bounded copy of it and of its answer; the answer goes back through the
// stream. When the connection breaks it dials again. [Agent.Inspector] serves what was recorded to a browser on the same
// computer, and repeats it.
package agent
