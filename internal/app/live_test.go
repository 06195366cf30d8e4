package app

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/config"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// lived is a server that runs on a data folder, which another may go on with.
type lived struct {
	app  *App
	addr string
	stop func() error
}

func startLived(t *testing.T, folder string) *lived {
	t.Helper()
	cfg, err := config.Load([]string{"--listen", "127.0.0.1:0", "--data", folder, "--root-key", testRoot}, nil, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	a, err := New(t.Context(), cfg, Options{Log: io.Discard, OnReady: func(string, string) { close(ready) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	<-ready
	return &lived{a, a.listener.Addr().String(), stop}
}

// publish appends events with the numbers from..to in their data.
func (l *lived) publish(t *testing.T, tenant event.TenantID, from, to int) {
	t.Helper()
	for n := from; n <= to; {
		batch := make([]event.Event, min(7, to-n+1))
		for i := range batch {
			batch[i] = event.Event{Source: "/acme", Type: []string{"order.paid", "user.new"}[n%2], Data: []byte(strconv.Itoa(n))}
			n++
		}
		for i := range batch {
			batch[i].ID = strconv.Itoa(n - len(batch) + i)
		}
		if _, err := l.app.store.Append(t.Context(), time.Now(), store.AppendRequest{Tenant: tenant, Events: batch}); err != nil {
			t.Fatal(err)
		}
	}
}

// follow reads a stream from after a version until some number of events or the end of the stream; it returns the versions.
func follow(t *testing.T, addr, query string, after int64, n int) (versions []int64, err error) {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close() //nolint:errcheck // a test's
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := fmt.Fprintf(c, "GET /v1/tenants/acme/stream?%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nLast-Event-ID: %d\r\n\r\n", query, testRoot, after); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil) //nolint:bodyclose // closing it would read to its end; the connection is closed
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, errors.New(res.Status)
	}
	in, id := bufio.NewReader(res.Body), int64(0)
	for len(versions) < n {
		line, err := in.ReadString('\n')
		if err == io.EOF { //nolint:errorlint // the end of a whole answer
			return versions, nil
		}
		if err != nil {
			return versions, err
		}
		if v, ok := strings.CutPrefix(line, "id: "); ok {
			if id, err = strconv.ParseInt(strings.TrimSpace(v), 10, 64); err != nil {
				return versions, err
			}
		}
		if strings.HasPrefix(line, "data: ") {
			versions = append(versions, id)
		}
	}
	return versions, nil
}

// Listeners that come back after cuts and a restart of the server get every version once, from the real log over the real
// port.
func TestStreamsThroughRestarts(t *testing.T) {
	folder := t.TempDir()
	first := startLived(t, folder)
	if _, err := first.app.control.CreateTenant(t.Context(), event.Tenant{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	tenant, err := first.app.control.Tenant(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	const half = 300
	type part struct {
		query string
		every int64 // of the versions
	}
	parts := []part{{"", 1}, {"types=order.*", 2}, {"filter=type%3D%3D%22order.paid%22", 2}}
	seen := make([][]int64, 6)
	run := func(l *lived, upTo int) {
		var wg sync.WaitGroup
		errs := make([]error, len(seen))
		for i := range seen {
			p := parts[i%len(parts)]
			wg.Go(func() {
				want := upTo / int(p.every)
				for len(seen[i]) < want {
					after := int64(0)
					if n := len(seen[i]); n > 0 {
						after = seen[i][n-1]
					}
					got, err := follow(t, l.addr, p.query, after, min(1+i*37, want-len(seen[i])))
					if seen[i] = append(seen[i], got...); err != nil {
						errs[i] = err
						return
					}
				}
			})
		}
		l.publish(t, tenant.ID, upTo-half+1, upTo)
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	run(first, half)
	open, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", first.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close() //nolint:errcheck // a test's
	_ = open.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := fmt.Fprintf(open, "GET /v1/tenants/acme/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", testRoot); err != nil {
		t.Fatal(err)
	}
	if _, err := open.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(open); err != nil || !bytes.HasSuffix(rest, []byte("\r\n0\r\n\r\n")) {
		t.Errorf("a stream does not end in order: %q %v", rest, err)
	}
	run(startLived(t, folder), 2*half)
	for i, got := range seen {
		every := parts[i%len(parts)].every
		for k, v := range got {
			if v != int64(k+1)*every {
				t.Fatalf("listener %d: event number %d is version %d", i, k, v)
			}
		}
	}
}

// An idle stream of HTTP/1.1 has no goroutine.
func TestIdleStreamsHaveNoGoroutine(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Log("other systems read each connection with a goroutine")
		return
	}
	l := startLived(t, t.TempDir())
	if _, err := l.app.control.CreateTenant(t.Context(), event.Tenant{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	const n = 100
	for range n {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:errcheck // a test's
		if _, err := fmt.Fprintf(c, "GET /v1/tenants/acme/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", testRoot); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.After(10 * time.Second); runtime.NumGoroutine() > before+n/4; {
		select {
		case <-deadline:
			t.Fatalf("%d goroutines more", runtime.NumGoroutine()-before)
		case <-time.After(time.Millisecond):
		}
	}
}
