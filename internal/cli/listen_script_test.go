package cli

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/posthornhq/posthorn/client"
)

// scriptTunnel waits until a tunnel has so many listeners, or for any state when listeners is negative.
func scriptTunnel(ts *testscript.TestScript, name string, listeners int) client.Tunnel {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.New(ts.Getenv("POSTHORN_SERVER"), ts.Getenv("POSTHORN_KEY"), client.WithHTTPClient(&http.Client{Transport: transport}))
	ts.Check(err)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		list, err := c.Tunnels(ctx, ts.Getenv("POSTHORN_TENANT"))
		ts.Check(err)
		if i := slices.IndexFunc(list, func(t client.Tunnel) bool { return t.Name == name }); i >= 0 && (listeners < 0 || list[i].Connections == listeners) {
			return list[i]
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			ts.Fatalf("tunnel %s does not come to %d listeners", name, listeners)
		}
	}
}

// cmdWaitTunnel waits until a tunnel has so many listeners: waittunnel NAME N.
func cmdWaitTunnel(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	scriptTunnel(ts, args[0], n)
}

// cmdTunnelURL sets a variable to a tunnel's address: tunnelurl VAR NAME.
func cmdTunnelURL(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], scriptTunnel(ts, args[1], -1).URL)
}

// cmdPosted posts a file and checks the status: posted STATUS URL BODY.
func cmdPosted(ts *testscript.TestScript, _ bool, args []string) {
	req, err := http.NewRequest(http.MethodPost, args[1], strings.NewReader(ts.ReadFile(args[2]))) //nolint:noctx // a local receiver
	ts.Check(err)
	resp, err := transport.RoundTrip(req)
	ts.Check(err)
	_ = resp.Body.Close()
	if strconv.Itoa(resp.StatusCode) != args[0] {
		ts.Fatalf("%s answers %d, want %s", args[1], resp.StatusCode, args[0])
	}
}
