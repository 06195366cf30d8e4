package cli

import (
	"context"
	"flag"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/posthornhq/posthorn/client"
)

var update = flag.Bool("update", false, "write the golden parts of the scripts anew")

// transport keeps no connection, so that a receiver that stops is not kept waiting.
var transport = &http.Transport{DisableKeepAlives: true}

// TestMain lets scripts run this very test binary as posthorn.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"posthorn": Main})
}

// TestScripts runs testdata/script/*.txtar. go test -update writes what they compare with anew.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true, UpdateScripts: *update,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"freeport": cmdFreePort, "waitfor": cmdWaitFor, "post": cmdPost, "setmatch": cmdSetMatch,
			"waitempty": cmdWaitEmpty, "waittunnel": cmdWaitTunnel, "tunnelurl": cmdTunnelURL, "posted": cmdPosted, "waitstream": cmdWaitStream,
		},
	})
}

// cmdFreePort sets a variable to a free loopback address.
func cmdFreePort(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once
	ts.Check(err)
	ts.Setenv(args[0], l.Addr().String())
	ts.Check(l.Close())
}

// cmdWaitFor asks a URL until it answers 200, for a minute at most.
func cmdWaitFor(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, args[0], nil)
		ts.Check(err)
		if resp, err := transport.RoundTrip(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			ts.Fatalf("%s does not answer 200", args[0])
		}
	}
}

// cmdPost posts a file with the headers of another file: post URL HEADERS BODY.
func cmdPost(ts *testscript.TestScript, _ bool, args []string) {
	req, err := http.NewRequest(http.MethodPost, args[0], strings.NewReader(ts.ReadFile(args[2]))) //nolint:noctx // a local receiver
	ts.Check(err)
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			req.Header.Set(name, value)
		}
	}
	resp, err := transport.RoundTrip(req)
	ts.Check(err)
	_ = resp.Body.Close()
}

// cmdSetMatch sets a variable to the second word of the first line of a file that begins with a word:
// setmatch VAR WORD FILE.
func cmdSetMatch(ts *testscript.TestScript, _ bool, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[2])) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.Trim(fields[0], `":`) == args[1] {
			ts.Setenv(args[0], strings.Trim(fields[1], `",`))
			return
		}
	}
	ts.Fatalf("%s has no line that begins with %s", args[2], args[1])
}

// cmdWaitEmpty waits until everything on a queue is done: waitempty QUEUE.
func cmdWaitEmpty(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.New(ts.Getenv("POSTHORN_SERVER"), ts.Getenv("POSTHORN_KEY"), client.WithHTTPClient(&http.Client{Transport: transport}))
	ts.Check(err)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		q, err := c.Queue(ts.Getenv("POSTHORN_TENANT"), args[0]).Get(ctx)
		ts.Check(err)
		if q.State.Depth == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			ts.Fatalf("%s still has %d", args[0], q.State.Depth)
		}
	}
}
