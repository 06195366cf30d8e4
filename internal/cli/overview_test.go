package cli

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/posthornhq/posthorn/client"
)

// cmdWaitStream waits for a live connection that is not the one named, and sets a variable to its id: waitstream VAR [ID].
func cmdWaitStream(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.New(ts.Getenv("POSTHORN_SERVER"), ts.Getenv("POSTHORN_KEY"), client.WithHTTPClient(&http.Client{Transport: transport}))
	ts.Check(err)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		for s, err := range c.Streams(ctx, ts.Getenv("POSTHORN_TENANT")) {
			ts.Check(err)
			if len(args) < 2 || s.ID != args[1] {
				ts.Setenv(args[0], s.ID)
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			ts.Fatalf("nobody listens")
		}
	}
}

func numbers(list ...int64) []*int64 {
	out := make([]*int64, len(list))
	for i := range list {
		if list[i] >= 0 {
			out[i] = &list[i]
		}
	}
	return out
}

func TestSpark(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		series  []*int64
		columns int
		want    string
	}{
		{numbers(-1, 0, 1, 7), 4, " ▁▂█"},
		{numbers(0, 0, 0), 3, "▁▁▁"},
		{numbers(-1, -1, -1, 2, 4, 4), 3, " ▂█"},
		{nil, 10, ""},
	} {
		if got := spark(x.series, x.columns); got != x.want {
			t.Errorf("got %q, want %q", got, x.want)
		}
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	for want, got := range map[string]string{
		"0 s": ago(now.Add(time.Second), now), "59 s": ago(now.Add(-59*time.Second), now), "1 min": ago(now.Add(-119*time.Second), now),
		"47 h": ago(now.Add(-47*time.Hour), now), "3 d": ago(now.Add(-80*time.Hour), now),
		"0.4 ms": ms(0.42), "12 ms": ms(12.3), "1.5 s": ms(1500), "1m10s": ms(70_100), "": ageOf(0), "14 min": ageOf(client.Duration(14*time.Minute + 37963*time.Millisecond)),
		"root": callerOf(&client.Caller{Kind: "root", ID: "key_1", Name: "root"}), "apikey shop": callerOf(&client.Caller{Kind: "apikey", ID: "key_2", Name: "shop"}), "token t1": callerOf(&client.Caller{Kind: "token", ID: "t1"}),
		"99.9": number(99.94), "0.04": number(0.036), "0.0": number(0), "1,234": number(1234.5),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestOverviewScreen: what others wrote cannot reach the terminal as it is.
func TestOverviewScreen(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := newConsole(t.Context(), nil, &out, &out)
	rate, at := 0.5, time.Unix(1_800_000_000, 0)
	o := &client.Overview{
		At: at, Since: at.Add(-time.Hour), Window: client.Duration(15 * time.Minute), Figures: client.Figures{Events: 1234, Delivered: 10, Retry: 3, Gone: 1},
		SuccessRate: &rate, LatencyMS: &client.Latency{P50: 1, P95: 20, P99: 3000}, DeliveryMS: &client.Latency{P50: 2, P99: 4},
		Endpoints: 6, Lanes: client.Lanes{Live: 1, Backlog: 1, Waiting: 3, Idle: 1, Reasons: map[string]int{"penalty": 2, "gone": 1}},
		OldestBacklog: &client.OldestEvent{At: at.Add(-5 * time.Minute), Endpoint: "ep_1", URL: "https://a/\x1b[2J"},
		Attention:     []client.Attention{{Tenant: "acme", Endpoint: "ep_1", URL: "https://a/\x1b]0;", Reason: "gone", LastStatus: 410}, {Endpoint: "ep_2", Reason: "penalty", LastError: "time\rout"}},
	}
	text := strings.Join(c.overviewLines(o, ""), "\n")
	for _, want := range []string{
		"the whole server", "figures of the last 15 min", "1,234", "3 to be tried again", "1 gone", "50 % of tries succeed", "p50 1.0 ms, p95 20 ms, p99 3.0 s",
		"p50 2.0 ms, p99 4.0 ms from publish to delivery", "6: 1 live, 1 idle, 1 behind, 3 waiting (1 gone, 2 penalty)", "waited for 5 min: ep_1", "acme  https://a/", "last: 410", `time\rout`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.ContainsAny(text, "\x1b\r") {
		t.Errorf("control characters: %q", text)
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, "http") {
			continue // as long as it is
		}
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	o.Attention, o.Since = nil, at.Add(-time.Minute)
	if text := strings.Join(c.overviewLines(o, "acme"), "\n"); !strings.Contains(text, "Nothing needs attention.") || !strings.Contains(text, "counted for 1 min so far") {
		t.Error(text)
	}
}
