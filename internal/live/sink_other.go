//go:build !unix

package live

import "net"

// newSink returns the sink for a connection.
func newSink(c net.Conn) sink { return &connSink{c: c} }
