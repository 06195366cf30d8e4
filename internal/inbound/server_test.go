package inbound_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/inbound"
)

// served serves the sources by a real server with the limits of the front.
func served(t *testing.T, on *stage) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(on.h)
	server.Config.MaxHeaderBytes = 64 << 10
	server.Config.ReadTimeout = 300 * time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	return server
}

func dial(t *testing.T, server *httptest.Server) net.Conn {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// status reads the status of the answer, and whether the connection ends with it.
func status(t *testing.T, c net.Conn) (code int, last bool) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	return resp.StatusCode, resp.Close
}

// TestTooLargeUnread: who says that he sends too much is answered before he does.
func TestTooLargeUnread(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "a", Provider: "none", Inspect: event.InspectRefused}, nil, nil, small)
	c := dial(t, served(t, on))
	_, _ = fmt.Fprintf(c, "POST /in/acme/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n")
	if code, last := status(t, c); code != 413 || !last {
		t.Errorf("%d %v", code, last)
	}
	if got := on.bins["bin-acme-a"]; len(got) != 1 || got[0].refused != "too_large" || got[0].req.Body != nil {
		t.Errorf("%+v", got)
	}
}

// TestEndlessChunks: who does not say how much he sends is cut off at the limit.
func TestEndlessChunks(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "a", Provider: "none"}, nil, nil, small)
	c := dial(t, served(t, on))
	_, _ = fmt.Fprintf(c, "POST /in/acme/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	go func() {
		chunk := "400\r\n" + strings.Repeat("x", 1<<10) + "\r\n"
		for {
			if _, err := io.WriteString(c, chunk); err != nil {
				return
			}
		}
	}()
	if code, _ := status(t, c); code != 413 || len(on.events) != 0 {
		t.Errorf("%d", code)
	}
}

func TestSlowSender(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "a", Provider: "none"}, nil, nil)
	c := dial(t, served(t, on))
	_, _ = fmt.Fprintf(c, "POST /in/acme/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123")
	if code, _ := status(t, c); code != 408 || len(on.events) != 0 {
		t.Errorf("%d", code)
	}
}

func TestHeaderFlood(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "a", Provider: "none"}, nil, nil)
	c := dial(t, served(t, on))
	go func() {
		_, _ = fmt.Fprintf(c, "POST /in/acme/a HTTP/1.1\r\nHost: x\r\n")
		for range 2000 {
			if _, err := fmt.Fprintf(c, "X-Flood: %s\r\n", strings.Repeat("x", 100)); err != nil {
				return
			}
		}
		_, _ = fmt.Fprintf(c, "Content-Length: 0\r\n\r\n")
	}()
	if code, _ := status(t, c); code != 431 || len(on.events) != 0 {
		t.Errorf("%d", code)
	}
}

// TestHalfClosed: who has sent all and ends his side of the connection is not told that his event is taken unless it is.
func TestHalfClosed(t *testing.T) {
	t.Parallel()
	for _, fail := range []bool{false, true} {
		entered, gone := make(chan struct{}), make(chan struct{})
		var on *stage
		on = newStage(t, event.Source{Name: "a", Provider: "none"}, nil, nil, func(c *inbound.Config) {
			c.Publish = func(ctx context.Context, tenant *event.Tenant, e *event.Event) (event.Receipt, error) {
				close(entered)
				<-gone
				if err := ctx.Err(); err != nil || fail {
					return event.Receipt{}, context.Canceled
				}
				return on.publish(ctx, tenant, e)
			}
		})
		watched := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			go func() { <-r.Context().Done(); close(gone) }()
			on.s.Handler().ServeHTTP(w, r)
		})
		on.h = watched
		c := dial(t, served(t, on))
		_, _ = fmt.Fprintf(c, "POST /in/acme/a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
		<-entered
		if tcp, ok := c.(*net.TCPConn); !ok || tcp.CloseWrite() != nil {
			t.Fatal("not closed")
		}
		if code, _ := status(t, c); (code < 300) == fail || (len(on.events) == 1) == fail {
			t.Errorf("fails %v: answer %d, %d events", fail, code, len(on.events))
		}
	}
}

// TestSyncOutlastsTheReadLimit: a caller that waits for an endpoint is not taken for one that sends too slowly.
func TestSyncOutlastsTheReadLimit(t *testing.T) {
	t.Parallel()
	src := syncSource()
	src.SyncWait = 600 * time.Millisecond // the server's limit is 300 ms
	on := newStage(t, src, nil, nil)
	c := dial(t, served(t, on))
	_, _ = fmt.Fprintf(c, "POST /in/acme/a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
	if code, _ := status(t, c); code != 202 {
		t.Errorf("%d", code)
	}
	if on.held.Load() != 0 {
		t.Error(on.held.Load())
	}
}
