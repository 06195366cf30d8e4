// Package cli is the command line: it reads arguments, calls the server's API through the Go SDK or starts the server,
// and writes what comes back for people on a terminal, or as JSON.
//
// [Main] parses the arguments into one command, runs it with a console, and turns its error into one message that says
// what to do and an exit status (see [ExitOK] and the others).
package cli
