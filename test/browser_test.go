package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// script is a program of test/js, in Node.js.
func script(t testing.TB, name string, args ...string) (cmd *exec.Cmd, errOut *bytes.Buffer) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), "node", append([]string{name}, args...)...)
	errOut = &bytes.Buffer{}
	cmd.Dir, cmd.SysProcAttr, cmd.Stderr, cmd.Env = "js", orphanless(), errOut, clean()
	return cmd, errOut
}

// TestDemoPage visits the page of "posthorn demo live" with Chromium: every way's delay, a restart of the server, a chat by
// each transport and with another browser. The pictures that it takes are in test/js/out.
func TestDemoPage(t *testing.T) {
	demo := exec.CommandContext(t.Context(), program, "demo", "live", "--listen", freeAddress(t), "--rate", "2")
	demo.SysProcAttr, demo.Env = orphanless(), clean()
	demo.Cancel = func() error { return demo.Process.Signal(syscall.SIGTERM) }
	log := &tail{}
	demo.Stdout, demo.Stderr = log, log
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the demo wrote:\n%s", log)
		}
	})
	base := "http://" + demo.Args[4]
	waitUntil(t, "the page is served", func() bool { return status(t, base+"/demo/") == http.StatusOK })
	browser, errOut := script(t, "demo-page.mjs", base+"/demo/", "out")
	if err := browser.Run(); err != nil {
		t.Errorf("the page is not as it should be: %v\n%s", err, errOut)
	}
	if err := demo.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := demo.Wait(); err != nil {
		t.Errorf("the demo ended with %v", err)
	}
	for _, row := range []string{"\nwebhook ", "\nWebSocket ", "\nserver-sent events ", "\nlong poll "} {
		if !strings.Contains(log.String(), row) {
			t.Errorf("the terminal has no line that begins with %q", row)
		}
	}
}

func status(t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := plain.Do(req)
	if err != nil {
		return 0
	}
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
	return res.StatusCode
}

// waitUntil waits for what has no event of its own.
func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	overdue := time.NewTimer(patience)
	defer overdue.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-overdue.C:
			t.Fatalf("waited %s in vain until %s", patience, what)
		}
	}
}

// TestBrowserListeners: the browser's own EventSource and WebSocket, in a page of the server, go on where they stopped after
// the server was killed, and miss nothing.
func TestBrowserListeners(t *testing.T) {
	s := newServer(t)
	s.start()
	s.makeTenant()
	token, err := s.client.CreateToken(t.Context(), tenant, client.TokenRequest{Allow: []string{"read"}})
	if err != nil {
		t.Fatal(err)
	}
	browser, errOut := script(t, "native-listeners.mjs", s.url(), tenant, token.Token)
	in, err := browser.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := browser.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := browser.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	next := func(v any) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the browser ended: %v\n%s", browser.Wait(), errOut)
		}
		if err := json.Unmarshal(lines.Bytes(), v); err != nil {
			t.Fatal(err)
		}
	}
	next(new(struct{}))
	var got struct {
		Source, Socket []int64
		Opened         struct{ Source, Socket int }
	}
	var want []int64
	for round := range 3 {
		if round > 0 {
			s.kill()
			s.start()
		}
		for range 20 {
			r, err := s.client.Publish(t.Context(), tenant, client.Event{Type: "order.paid", Data: json.RawMessage(`{"total":"10.00"}`)})
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, r.Version)
		}
		if _, err := fmt.Fprintln(in, want[len(want)-1]); err != nil {
			t.Fatal(err)
		}
		next(&got)
		if !slices.Equal(got.Source, want) || !slices.Equal(got.Socket, want) {
			t.Fatalf("round %d: EventSource has %v, WebSocket %v, want %v", round, got.Source, got.Socket, want)
		}
	}
	if got.Opened.Source != 3 || got.Opened.Socket != 3 {
		t.Errorf("they connected %d and %d times, want 3", got.Opened.Source, got.Opened.Socket)
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	if err := browser.Wait(); err != nil {
		t.Errorf("the browser ended with %v\n%s", err, errOut)
	}
}
