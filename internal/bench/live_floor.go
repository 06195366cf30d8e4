package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/posthornhq/posthorn/internal/sink"
)

// writeFloor is what it costs to write one message of the usual size to each of many sockets, one after the other, and
// nothing else: no protocol, no log, no matching. The messages come at a rate, as those of a topic do.
func (r *run) writeFloor(ctx context.Context, name string, listeners, rate int) (Measurement, error) {
	m := Measurement{Name: "bare writes"}
	crowd, err := startCrowd(ctx, r.Executable)
	if err != nil {
		return m, err
	}
	defer func() { crowd.watch(); crowd.stop() }()
	conns, err := r.accept(ctx, crowd, listeners)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	if err != nil {
		return m, err
	}
	if err := pause(ctx, quiet); err != nil {
		return m, err
	}
	b := newBody("order.paid", 1)
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	events := int64(r.Duration.Seconds() * float64(rate))
	begin, cpu := time.Now(), sink.ProcessCPU()
	for n := range events {
		r.Progress(name+": bare writes", n, events)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return m, ctx.Err()
		}
		b.number(uint64(n), time.Now())
		for _, c := range conns {
			if _, err := c.Write(b.bytes); err != nil {
				return m, fmt.Errorf("bare write: %w", err)
			}
		}
	}
	m.CPU = sink.ProcessCPU() - cpu
	heard, err := r.everybody(ctx, crowd, name, events, listeners)
	if err != nil {
		return m, err
	}
	m.Events, m.Deliveries, m.Took, m.Latency = events, heard.Messages, heard.Last.Sub(begin), heard.Latency
	m.derive()
	return m, nil
}

// accept takes the crowd's connections and answers their requests.
func (r *run) accept(ctx context.Context, crowd *crowdProcess, listeners int) ([]net.Conn, error) {
	if _, err := raiseFiles(0); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("bare writes: %w", err)
	}
	defer func() { _ = l.Close() }()
	told := make(chan error, 1)
	go func() {
		_, err := crowd.tell(Order{Do: "open", Kind: kindSSE, Address: l.Addr().String(), Path: "/", Count: listeners})
		if err != nil {
			_ = l.Close()
		}
		told <- err
	}()
	conns := make([]net.Conn, 0, listeners)
	for len(conns) < listeners {
		c, err := l.Accept()
		if err != nil {
			return conns, errors.Join(err, <-told)
		}
		conns = append(conns, c)
		for in, line := bufio.NewReader(c), ""; line != "\r\n"; {
			if line, err = in.ReadString('\n'); err != nil {
				return conns, errors.Join(err, <-told)
			}
		}
		if _, err := c.Write([]byte("HTTP/1.1 200 OK\r\n\r\n")); err != nil {
			return conns, errors.Join(err, <-told)
		}
	}
	return conns, <-told
}
