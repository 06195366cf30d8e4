package live

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/bench"
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
			_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
			_ = rc.Control(func(fd uintptr) { fds = append(fds, int(fd)) })
			b.Cleanup(func() { _ = c.Close() })
		}
	}()
	c := startCrowd(b)
	c.open(b, conns, ln.Addr().String())
	c.ask(b, bench.Order{Do: "reset"})
	used := cpu()
	rounds := 10
	for round := range rounds {
		msg := fmt.Appendf(nil, `000002a0`+"\r\n"+`id: 7`+"\n"+`data: {%s,"pad":"%0600d"}`+"\n\n\r\n", mark(round), 1)
		for _, fd := range fds {
			_, _ = syscall.Write(fd, msg)
		}
		<-time.After(300 * time.Millisecond)
	}
	used = cpu() - used
	r := c.ask(b, bench.Order{Do: "state"})
	b.ReportMetric(float64(used.Microseconds())/float64(r.Messages), "CPU-µs/message")
	b.ReportMetric(float64(r.Latency.P99.Microseconds())/1000, "p99-ms")
}
