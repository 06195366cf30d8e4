package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/posthornhq/posthorn/internal/tunnel/agent"
)

func unpainted(_ paint, s string) string { return s }

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.Local)

// testView is a view of a bin's tunnel.
func testView() *listenView {
	return &listenView{
		title: "posthorn listen laptop", url: "https://hooks.example.com/b/1", target: "http://localhost:3000", inspector: "http://127.0.0.1:4040",
		paint: unpainted, status: agent.Status{Connected: true, Since: noon},
	}
}

// came is an exchange that is over.
func came(seq int64, status int) agent.Exchange {
	return agent.Exchange{
		ID: fmt.Sprintf("run-%d", seq), Seq: seq, Method: "POST", Path: fmt.Sprintf("/%d", seq), Status: status, State: agent.Done,
		Started: noon.Add(time.Duration(seq) * time.Second), Took: 12 * time.Millisecond,
	}
}

func TestListenBlock(t *testing.T) {
	v := testView()
	refused := came(2, 502)
	refused.State, refused.Error = agent.Failed, agent.ErrorRefused
	kept := came(3, 204)
	kept.Info.Kept = true
	open := agent.Exchange{ID: "run-4", Seq: 4, Method: "GET", Path: "/slow\x1b[2J\u202e", State: agent.Waiting, Started: noon.Add(4 * time.Second)}
	v.take([]agent.Exchange{came(1, 200), refused, kept, open}, 10)
	v.press(keyUp)
	v.press(keyUp)
	got := strings.Join(v.block(noon.Add(9*time.Second), 100, 40), "\n")
	rule := strings.Repeat("─", 76)
	want := strings.Join([]string{
		"posthorn listen laptop  ● connected",
		"from      https://hooks.example.com/b/1",
		"to        http://localhost:3000",
		"inspector http://127.0.0.1:4040",
		rule,
		"  12:00:01  POST    /1                                 200  12.0 ms",
		"  12:00:02  POST    /2                                 502  12.0 ms  refused",
		"▸ 12:00:03  POST    /3                                 204  12.0 ms  kept",
		`  12:00:04  GET     /slow\x1b[2J\u202e                   …   5.00 s`,
		rule,
		"↑↓ choose  r replay  o inspector  c copy the URL  ? help  q quit",
	}, "\n")
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestListenBlockFits: whatever the window's size, the block is smaller.
func TestListenBlockFits(t *testing.T) {
	for columns := 1; columns < 120; columns += 7 {
		for rows := 1; rows < 40; rows++ {
			v := testView()
			v.paint = func(p paint, s string) string { return painted(true, p, s) }
			v.help = rows%2 == 0
			v.status = agent.Status{Err: errors.New("tunnel: connect: " + strings.Repeat("no ", 100)), Retry: noon.Add(time.Minute)}
			var list []agent.Exchange
			for seq := range int64(50) {
				e := came(seq+1, 200)
				e.Path = "/" + strings.Repeat("ü", int(seq)*5)
				list = append(list, e)
			}
			v.take(list, v.room(rows))
			lines := v.block(noon, columns, rows)
			if len(lines) >= max(rows, 1) {
				t.Fatalf("%d lines in a window of %d", len(lines), rows)
			}
			for _, l := range lines {
				if n := utf8.RuneCountInString(withoutColours(l)); n >= columns && columns > 1 {
					t.Fatalf("%d characters in a window of %d: %q", n, columns, l)
				}
			}
		}
	}
}

func withoutColours(s string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "\x1b[")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		_, s, _ = strings.Cut(rest, "m")
	}
}

// TestListenScroll: what leaves the block is written once, in order, and changes no more.
func TestListenScroll(t *testing.T) {
	v := testView()
	var scrolled []int64
	note := func(list []agent.Exchange) {
		for _, e := range list {
			scrolled = append(scrolled, e.Seq)
		}
	}
	for seq := int64(1); seq <= 9; seq++ {
		note(v.take([]agent.Exchange{came(seq, 0)}, 4))
	}
	note(v.take([]agent.Exchange{came(2, 200), came(8, 500)}, 4)) // one is gone, one is not
	note(v.take(nil, 2))                                          // a smaller window
	if diff := cmp.Diff([]int64{1, 2, 3, 4, 5, 6, 7}, scrolled); diff != "" {
		t.Errorf("scrolled (-want +got):\n%s", diff)
	}
	if len(v.rows) != 2 || v.rows[0].Seq != 8 || v.rows[0].Status != 500 || v.rows[1].Seq != 9 {
		t.Errorf("left: %+v", v.rows)
	}
}

func TestListenSelection(t *testing.T) {
	v := testView()
	if v.press(keyUp); v.current() != nil {
		t.Error("there is one without requests")
	}
	v.take([]agent.Exchange{came(1, 200), came(2, 200), came(3, 200)}, 3)
	at := func(want int64) {
		t.Helper()
		if got := v.current().Seq; got != want {
			t.Errorf("chosen %d, want %d", got, want)
		}
	}
	at(3)
	v.press(keyDown)
	at(3)
	for _, want := range []int64{3, 2, 1, 1} {
		v.press(keyUp)
		at(want)
	}
	v.take([]agent.Exchange{came(4, 200)}, 4)
	at(1) // stays
	v.press(keyDown)
	at(2)
	v.take([]agent.Exchange{came(5, 200), came(6, 200)}, 4) // 2 scrolls away
	at(6)
	v.press(keyUp)
	v.press(keyUp)
	at(5)
	v.press(keyDown)
	v.press(keyDown) // past the newest: none is chosen, so the newest is what comes
	v.take([]agent.Exchange{came(7, 200)}, 4)
	at(7)
	v.press(keyUp)
	v.press(keyUp)
	v.press(keyEscape)
	at(7)
	if got := v.press(keyReplay); got != keyReplay {
		t.Errorf("replay is %d", got)
	}
}

func TestListenConnection(t *testing.T) {
	for _, tt := range []struct {
		status agent.Status
		want   string
	}{
		{agent.Status{}, "● connecting"},
		{agent.Status{Connected: true}, "● connected"},
		{agent.Status{Err: errors.New("tunnel: connect: refused\x1b"), Retry: noon.Add(1500 * time.Millisecond)}, `● not connected: refused\x1b; trying again in 2 s`},
		{agent.Status{Err: errors.New("tunnel: the server closed the connection"), Retry: noon}, "● not connected: the server closed the connection"},
	} {
		v := testView()
		v.status = tt.status
		if got := v.connection(noon); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	v := testView()
	v.say(noon, "copied %s", "x\x1b")
	if got := v.foot(noon.Add(time.Second)); got != `copied x\x1b` {
		t.Errorf("%q", got)
	}
	if got := v.foot(noon.Add(time.Minute)); !strings.Contains(got, "q quit") {
		t.Errorf("%q", got)
	}
}

func TestKeys(t *testing.T) {
	for in, want := range map[string][]key{
		"":                  nil,
		"r":                 {keyReplay},
		"\x1b[A\x1b[B":      {keyUp, keyDown},
		"\x1bOA\x1bOB":      {keyUp, keyDown},
		"kjROC?q\x03":       {keyUp, keyDown, keyReplay, keyOpen, keyCopy, keyHelp, keyQuit, keyQuit},
		"\x1b":              {keyEscape},
		"\x1br":             {keyEscape, keyReplay},
		"\x1b[1;5A":         {keyUp},
		"\x1b[3~q":          {keyQuit},
		"\x1b[200~":         nil,
		"\x1b[":             nil,
		"\xff\xfeü\x00\x1a": nil,
		"\r":                {keyOpen},
	} {
		if diff := cmp.Diff(want, keysIn([]byte(in))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", in, diff)
		}
	}
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte("\x1b[A\x1bO\x1b["))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(keysIn(b)) > len(b) {
			t.Error("more keys than bytes")
		}
	})
}

func TestReadKeys(t *testing.T) {
	r, w := io.Pipe()
	keys := make(chan key)
	ended := make(chan struct{})
	go func() {
		readKeys(t.Context(), r, keys)
		close(ended)
	}()
	go func() { _, _ = io.WriteString(w, "r\x1b[A"); _ = w.Close() }()
	if a, b := <-keys, <-keys; a != keyReplay || b != keyUp {
		t.Errorf("read %d and %d", a, b)
	}
	<-ended
	ctx, stop := context.WithCancel(t.Context())
	stop()
	readKeys(ctx, strings.NewReader("qqqq"), make(chan key)) // ends though nobody takes them
}

func TestTarget(t *testing.T) {
	for _, tt := range []struct{ in, path, want string }{
		{"3000", "", "http://localhost:3000"},
		{":3000", "", "http://localhost:3000"},
		{"127.0.0.1:8000", "", "http://127.0.0.1:8000"},
		{"[::1]:8000", "hooks", "http://[::1]:8000/hooks"},
		{"app.local", "", "http://app.local"},
		{"https://app.local:8443/base/", "/hooks/", "https://app.local:8443/base/hooks/"},
		{"3000", "/a%2Fb", "http://localhost:3000/a%2Fb"},
		{"http://localhost:3000/x", "", "http://localhost:3000/x"},
	} {
		u, err := targetOf(tt.in, tt.path)
		if err != nil || u.String() != tt.want {
			t.Errorf("%s and %s: %v, %v, want %s", tt.in, tt.path, u, err, tt.want)
		}
	}
	for _, bad := range []string{"0", "70000", "-1", "ftp://x", "http://", "http://u:p@h", "http://h?x", "h:99999", "h:0", "http://h/#x", "a b", ""} {
		if u, err := targetOf(bad, ""); err == nil {
			t.Errorf("%q: %v", bad, u)
		}
	}
	for _, bad := range []string{"/a?b", "/a#b", "/%zz"} {
		if u, err := targetOf("3000", bad); err == nil {
			t.Errorf("path %q: %v", bad, u)
		}
	}
}

func TestTunnelName(t *testing.T) {
	for _, tt := range []struct{ computer, port, kind, source, want string }{
		{"jan", "3000", "bin", "", "jan-3000"},
		{"Jan's MacBook.local", "3000", "bin", "", "jan-s-macbook-3000"},
		{"jan", "", "http", "", "jan-http"},
		{"jan", "3000", "endpoint", "", "jan-3000-endpoint"},
		{"jan", "3000", "source", "github", "jan-3000-github"},
		{"日本", "3000", "bin", "", "listener-3000"},
		{"-x-", "1", "bin", "", "x-1"},
		{strings.Repeat("a", 100), "3000", "bin", "", strings.Repeat("a", 58) + "-3000"},
	} {
		if got := tunnelName(tt.computer, tt.port, tt.kind, tt.source); got != tt.want {
			t.Errorf("%v: %s", tt, got)
		}
	}
	if got := tunnelName(strings.Repeat("a", 100), "3000", "source", strings.Repeat("b", 63)); len(got) > 63 {
		t.Errorf("%d characters: %s", len(got), got)
	}
}

func TestOpener(t *testing.T) {
	for system, want := range map[string]string{"linux": "xdg-open x", "darwin": "open x", "windows": "rundll32 url.dll,FileProtocolHandler x"} {
		if got := strings.Join(opener(system, "x"), " "); got != want {
			t.Errorf("%s: %s", system, got)
		}
	}
}

// An event that the program refuses is tried again, which is said; in strict order, that the rest waits, too.
func TestListenRefused(t *testing.T) {
	v := testView()
	v.strict = true
	e := came(1, 422)
	e.Info.Kind = "source"
	v.take([]agent.Exchange{e}, 10)
	if got := strings.Join(v.block(noon, 200, 40), "\n"); !strings.Contains(got, "422  12.0 ms  to be tried again") || !strings.Contains(got, "the others wait for it") {
		t.Error(got)
	}
	e.Seq, e.Status = 2, 204
	v.take([]agent.Exchange{e}, 10)
	if got := strings.Join(v.block(noon, 200, 40), "\n"); strings.Contains(got, "the others wait for it") {
		t.Error(got)
	}
	for kind, change := range map[string]func(*agent.Exchange){
		"a bin":       func(e *agent.Exchange) { e.Info.Kind = "bin" },
		"http":        func(e *agent.Exchange) { e.Info.Kind = "http" },
		"a replay":    func(e *agent.Exchange) { e.ReplayOf = "run-1" },
		"not yet":     func(e *agent.Exchange) { e.State = agent.Answering },
		"was reached": func(e *agent.Exchange) { e.Status = 204 },
	} {
		other := came(3, 422)
		other.Info.Kind = "endpoint"
		change(&other)
		if refused(&other) {
			t.Errorf("%s: refused", kind)
		}
	}
}
