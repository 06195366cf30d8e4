package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// TestRealClients lets the npm clients of server-sent events and WebSockets listen through a proxy that cuts, delays and
// halves, while the server is killed and started again, and compares the versions that they saw with the log: each once,
// in order.
func TestRealClients(t *testing.T) {
	const events = 4000
	seed := setting(t, "E2E_SEED", uint64(time.Now().UnixNano()))
	t.Logf("E2E_SEED=%d", seed)
	s := newServer(t)
	s.start()
	s.makeTenant()
	var listeners []*listener
	var proxies []*faultProxy
	for i, kind := range []string{"eventsource", "ws", "ws-deflate"} {
		p := newFaultProxy(t, s.addr, seed+uint64(i))
		proxies = append(proxies, p)
		path := "/v1/tenants/" + tenant + "/socket"
		url := "ws://" + p.addr() + path
		if kind == "eventsource" {
			url = "http://" + p.addr() + "/v1/tenants/" + tenant + "/stream"
		}
		listeners = append(listeners, startListener(t, "listen.mjs", kind, url, events))
	}
	publishThroughKills(t, s, events, 3)
	for _, p := range proxies {
		p.relent()
	}
	for i, l := range listeners {
		l.check(events)
		if proxies[i].faults() == 0 {
			t.Errorf("%s: no connection was cut, which proves nothing", l.kind)
		}
	}
}

// publishThroughKills publishes a number of events from several publishers that repeat what was not acknowledged, and
// kills the server some times meanwhile.
func publishThroughKills(t *testing.T, s *server, events, kills int) {
	t.Helper()
	const publishers = 4
	list := payloads(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	next := 0
	reached := make(chan struct{}, kills)
	take := func() int {
		mu.Lock()
		defer mu.Unlock()
		n := next
		next++
		if n > 0 && n%(events/(kills+1)) == 0 && n < events {
			select {
			case reached <- struct{}{}:
			default:
			}
		}
		return n
	}
	for range publishers {
		wg.Go(func() {
			for n := take(); n < events; n = take() {
				p := list[n%len(list)]
				e := client.Event{ID: "e-" + strconv.Itoa(n), Type: p.kind, Subject: "n/" + strconv.Itoa(n), Data: p.data}
				for {
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					_, err := s.client.Publish(ctx, tenant, e)
					cancel()
					if err == nil {
						break
					}
					if problem, ok := errors.AsType[*client.Problem](err); ok && problem.Status < 500 || t.Context().Err() != nil {
						t.Errorf("publish: %v", err)
						return
					}
					pause(t.Context(), 20*time.Millisecond)
				}
			}
		})
	}
	published := make(chan struct{})
	go func() {
		wg.Wait()
		close(published)
	}()
	for range kills {
		select {
		case <-reached:
			s.kill()
			s.start()
		case <-published: // too early: they have failed
		}
	}
	<-published
	if t.Failed() {
		t.FailNow()
	}
}

// listener is a client in a process of its own.
type listener struct {
	t      testing.TB
	kind   string
	lines  *bufio.Scanner
	errors bytes.Buffer
	cmd    *exec.Cmd
}

// startListener starts a script of test/js that listens by a kind of client.
func startListener(t *testing.T, script, kind, url string, until int) *listener {
	t.Helper()
	l := &listener{t: t, kind: kind}
	l.cmd = exec.CommandContext(t.Context(), "node", script, kind, url, rootKey, strconv.Itoa(until))
	l.cmd.Dir, l.cmd.SysProcAttr, l.cmd.Stderr = "js", orphanless(), &l.errors
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	l.lines = bufio.NewScanner(out)
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = l.cmd.Process.Kill()
		_ = l.cmd.Wait()
	})
	return l
}

// check reads what the listener saw: the versions from 1 to until, each once, in order.
func (l *listener) check(until int) {
	l.t.Helper()
	overdue := time.AfterFunc(patience, func() { _ = l.cmd.Process.Kill() }) // when it sees nothing more
	defer overdue.Stop()
	for want := 1; want <= until; want++ {
		overdue.Reset(patience)
		if !l.lines.Scan() {
			l.t.Fatalf("%s ended before version %d: %v\n%s", l.kind, want, l.lines.Err(), &l.errors)
		}
		if got := l.lines.Text(); got != strconv.Itoa(want) {
			l.t.Fatalf("%s saw version %s where %d was next", l.kind, got, want)
		}
	}
}
