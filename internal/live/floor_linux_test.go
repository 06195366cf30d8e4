package live

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"
)

// BenchmarkFloor measures what the system alone needs to write an event to each of many connections.
func BenchmarkFloor(b *testing.B) {
	conns := number("LIVE_CONNS", 1000)
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test's
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = ln.Close() })
	var fds []int
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			rc, _ := c.(*net.TCPConn).SyscallConn() //nolint:errcheck // it is
			_, _ = c.Write([]byte("hi"))
			_ = rc.Control(func(fd uintptr) { fds = append(fds, int(fd)) })
			b.Cleanup(func() { _ = c.Close() })
		}
	}()
	c := startCrowd(b)
	c.ask(b, crowdOrder{Open: conns, Address: ln.Addr().String(), Path: "/"})
	c.ask(b, crowdOrder{})
	used := cpu()
	rounds := 10
	for range rounds {
		msg := fmt.Appendf(nil, `000002a0`+"\r\n"+`id: 7`+"\n"+`data: {"t":%d,"pad":"%0600d"}`+"\n\n\r\n", time.Now().UnixNano(), 1)
		for _, fd := range fds {
			_, _ = syscall.Write(fd, msg)
		}
		<-time.After(300 * time.Millisecond)
	}
	used = cpu() - used
	r := c.ask(b, crowdOrder{})
	b.ReportMetric(float64(used.Microseconds())/float64(r.Messages), "CPU-µs/message")
	b.ReportMetric(float64(r.P99.Microseconds())/1000, "p99-ms")
}
