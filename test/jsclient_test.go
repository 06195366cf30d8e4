package e2e

import (
	"encoding/json"
	"testing"
	"time"
)

// TestJavaScriptClient lets the JavaScript client listen by each transport, by all with falling back, and with tokens that
// end all the time, through a proxy that cuts, delays and halves, while the server is killed and started again. Each version
// must be seen once, in order.
func TestJavaScriptClient(t *testing.T) {
	const events = 3000
	seed := setting(t, "E2E_SEED", uint64(time.Now().UnixNano()))
	t.Logf("E2E_SEED=%d", seed)
	s := newServer(t)
	s.start()
	s.makeTenant()
	var listeners []*listener
	var proxies []*faultProxy
	for i, kind := range []string{"websocket", "sse", "poll", "any", "tokens"} {
		p := newFaultProxy(t, s.addr, seed+uint64(i))
		proxies = append(proxies, p)
		listeners = append(listeners, startListener(t, "client-live.mjs", kind, "http://"+p.addr(), events))
	}
	publishThroughKills(t, s, events, 3)
	for _, p := range proxies {
		p.relent()
	}
	for i, l := range listeners {
		l.check(events)
		if err := l.cmd.Wait(); err != nil {
			t.Errorf("%s ended with %v\n%s", l.kind, err, &l.errors)
		}
		if proxies[i].faults() == 0 {
			t.Errorf("%s: no connection was cut, which proves nothing", l.kind)
		}
	}
}

// TestJavaScriptClientCalls publishes, reads, leases and settles with the JavaScript client.
func TestJavaScriptClientCalls(t *testing.T) {
	s := newServer(t)
	s.start()
	s.makeTenant()
	cmd, errOut := script(t, "client-calls.mjs", s.url(), tenant, rootKey)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errOut)
	}
	var got struct{ Published, Changed, Leased, Settled int }
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if got.Published != 4 || got.Changed != 4 || got.Leased != 3 || got.Settled != 2 {
		t.Errorf("got %+v", got)
	}
}
