package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/client"
)

func testConsole(t *testing.T) (c *console, out, errOut *bytes.Buffer) {
	t.Helper()
	out, errOut = &bytes.Buffer{}, &bytes.Buffer{}
	c = newConsole(t.Context(), strings.NewReader(""), out, errOut)
	c.globals = &globals{Server: "http://user:" + "pass@127.0.0.1:1"}
	return c, out, errOut
}

func TestTableAligns(t *testing.T) {
	c, out, _ := testConsole(t)
	c.table([]string{"A", "LONGER", "C"}, [][]cell{
		{text("ů"), text("x"), text("1")}, {{"yyy", red}, {}, text("2\x1b[2J")},
	})
	want := "A    LONGER  C\nů    x       1\nyyy          2\\x1b[2J\n"
	if out.String() != want {
		t.Errorf("got\n%q, want\n%q", out, want)
	}
	out.Reset()
	c.colour = true
	c.table([]string{"A"}, [][]cell{{{"yyy", red}}})
	if out.String() != "\x1b[2mA\x1b[0m\n\x1b[31myyy\x1b[0m\n" {
		t.Errorf("coloured: %q", out)
	}
}

func TestCleanShowsControlCharacters(t *testing.T) {
	for in, want := range map[string]string{
		"plain ů €": "plain ů €", "a\nb": `a\nb`, "\x1b]0;x\x07": `\x1b]0;x\a`, "\u202eevil": `\u202eevil`, "\xff": `\ufffd`,
	} {
		if got := clean(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestNoColor(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	c := newConsole(t.Context(), nil, &bytes.Buffer{}, &bytes.Buffer{})
	if c.colour || c.paint(red, "x") != "x" {
		t.Error("coloured in spite of NO_COLOR")
	}
}

func TestExitStatuses(t *testing.T) {
	tests := []struct {
		err  error
		want int
		says string
	}{
		{errors.New("disk on fire"), ExitFailure, "posthorn: disk on fire\n"},
		{usagef("--x: is wrong"), ExitUsage, "posthorn: --x: is wrong\n  see posthorn --help\n"},
		{fmt.Errorf("wrapped: %w", &client.Problem{Status: 404, Title: "Not Found", Detail: "there is no such event"}), ExitNotFound, "posthorn: there is no such event\n"},
		{&client.Problem{Status: 401, Title: "Unauthorized"}, ExitRefused, "posthorn: no API key is given\n  --key or POSTHORN_KEY"},
		{&client.Problem{Status: 403, Title: "Forbidden"}, ExitRefused, "posthorn: Forbidden\n  another API key"},
		{&client.Problem{Status: 429, Title: "Too Many Requests", RetryAfter: 2 * time.Second}, ExitUnavailable, "  try again in 2s\n"},
		{&client.Problem{Status: 503, Title: "x", RequestID: "r1"}, ExitUnavailable, "under request r1\n"},
		{&client.Problem{Status: 500, Title: "x"}, ExitFailure, "posthorn: x\n"},
		{
			&client.Problem{Status: 422, Title: "x", Detail: "the request is not valid", Errors: []client.FieldError{{Field: "types[1]", Message: "is no pattern\n"}}},
			ExitInvalid, "posthorn: the request is not valid\n  types[1]: is no pattern\\n\n",
		},
		{&statusError{err: errors.New("said"), status: 1, quiet: true}, ExitFailure, ""},
	}
	for _, tt := range tests {
		c, _, errOut := testConsole(t)
		if got := c.fail(tt.err); got != tt.want || !strings.Contains(errOut.String(), tt.says) {
			t.Errorf("%v: status %d, want %d; said %q", tt.err, got, tt.want, errOut)
		}
	}
}

// TestKeyThatIsNone is what a key pasted with something else is told, without a request.
func TestKeyThatIsNone(t *testing.T) {
	for _, key := range []string{"ph_a\nph_b", "ph_a b", "ph_…"} {
		c, _, errOut := testConsole(t)
		c.globals.Key = key
		_, err := c.client()
		if got := c.fail(err); got != ExitUsage || !strings.Contains(errOut.String(), "--key: holds") || strings.Contains(errOut.String(), key) {
			t.Errorf("%q: status %d, said %q", key, got, errOut)
		}
	}
}

func TestServerThatIsNotThere(t *testing.T) {
	c, _, errOut := testConsole(t)
	cl, err := client.New("http://127.0.0.1:1", "k")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err = cl.DeleteAPIKey(ctx, "x")
	if got := c.fail(err); got != ExitUnavailable || !strings.Contains(errOut.String(), "refused") || strings.Contains(errOut.String(), "pass@") {
		t.Errorf("status %d, said %q", got, errOut)
	}
}

func TestEachEvent(t *testing.T) {
	tests := []struct {
		in, want, err string
	}{
		{`{"type":"a"}{"type":"b"}`, "a b", ""},
		{"\n {\"type\":\"a\"}\n{\"type\":\"b\"}\n", "a b", ""},
		{` [{"type":"a"}, {"type":"b"}] `, "a b", ""},
		{`[]`, "", ""},
		{" \n", "", "no events"},
		{`{"type":"a"}{"typ":"b"}`, "a", `event 2 of the file: json: unknown field "typ"`},
		{`[{"type":"a"}`, "a", "does not end"},
		{`[{"type":1}]`, "", "event 1 of the file"},
	}
	for _, tt := range tests {
		var got []string
		size := 0
		err := eachEvent(strings.NewReader(tt.in), func(e client.Event, n int) error {
			got, size = append(got, e.Type), size+n
			return nil
		})
		if strings.Join(got, " ") != tt.want || size < 10*len(got) {
			t.Errorf("%s: got %v, %d bytes", tt.in, got, size)
		}
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: error %v", tt.in, err)
		}
	}
}

func TestSetData(t *testing.T) {
	tests := []struct {
		contentType, data, want string
	}{
		{"", `{"a":1}`, `{"type":"","data":{"a":1}}`},
		{"application/vnd.x+json; v=1", `[1]`, `{"type":"","datacontenttype":"application/vnd.x+json; v=1","data":[1]}`},
		{"text/plain", "a\"b", `{"type":"","datacontenttype":"text/plain","data":"a\"b"}`},
		{"image/png", "\x89PNG", `{"type":"","datacontenttype":"image/png","data_base64":"iVBORw=="}`},
	}
	for _, tt := range tests {
		e := client.Event{DataContentType: tt.contentType}
		if err := setData(&e, []byte(tt.data)); err != nil {
			t.Fatal(err)
		}
		if got, _ := json.Marshal(e); string(got) != tt.want {
			t.Errorf("%s: got %s", tt.contentType, got)
		}
	}
	if err := setData(&client.Event{}, []byte("hello")); err == nil || !strings.Contains(err.Error(), "quotes of its own") {
		t.Errorf("text as JSON: %v", err)
	}
}

func TestTimestamp(t *testing.T) {
	for in, want := range map[string]string{
		"2026-11-21T10:00:00Z": "2026-11-21T10:00:00Z", "2026-11-21T10:00:00+02:00": "2026-11-21T08:00:00Z",
		"2026-11-21": "2026-11-21T00:00:00Z", "2026-11-21 10:00:00": "2026-11-21T10:00:00Z",
	} {
		var got timestamp
		if err := got.UnmarshalText([]byte(in)); err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
	for in, ago := range map[string]time.Duration{"2h": 2 * time.Hour, "-2h": 2 * time.Hour, "7d": 168 * time.Hour, "1d12h": 36 * time.Hour} {
		var got timestamp
		if err := got.UnmarshalText([]byte(in)); err != nil || time.Since(got.Time) < ago || time.Since(got.Time) > ago+time.Minute {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "-", "--2h", "soon", "2h-"} {
		if (&timestamp{}).UnmarshalText([]byte(in)) == nil {
			t.Errorf("%q is accepted", in)
		}
	}
}

func TestOutcome(t *testing.T) {
	next := time.Date(2026, 11, 21, 10, 0, 5, 0, time.UTC)
	c, out, _ := testConsole(t)
	c.outcome([]client.Attempt{
		{Endpoint: "ep_b", Verdict: "retry", NextAt: &next},
		{Endpoint: "ep_a", Verdict: "delivered", At: next},
		{Endpoint: "ep_a", Verdict: "retry", NextAt: &next},
		{Endpoint: "ep_c", Event: "evt", Verdict: "failed"},
		{Endpoint: "ep_d", Verdict: "retry"},
	})
	want := `Delivered to ep_a at 2026-11-21 10:00:05Z
Not delivered to ep_b yet; next try at 2026-11-21 10:00:05Z
Finally failed to ep_c; "posthorn event resend evt --endpoint ep_c" tries again
Not delivered to ep_d yet; it is tried again when the endpoint's wait ends

`
	if out.String() != want {
		t.Errorf("got\n%s", out)
	}
}

func TestEndpointOptions(t *testing.T) {
	x := endpointAddCmd{URL: "https://example.com", endpointFlags: endpointFlags{
		Basic: "u:p:q", BatchMax: 10, BatchWait: time.Second, Retries: []time.Duration{time.Second}, Timeout: time.Minute,
	}}
	want := client.Endpoint{
		URL: "https://example.com", Auth: &client.Auth{Type: "basic", Username: "u", Password: "p:q"},
		Batch: &client.Batch{Max: 10, Wait: client.Duration(time.Second)}, Retries: []client.Duration{client.Duration(time.Second)},
		Timeout: client.Duration(time.Minute),
	}
	if got, err := x.endpoint(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	x.Basic = "no-password"
	if _, err := x.endpoint(); err == nil {
		t.Error("credentials without a password are taken")
	}
}

// What is given changes, what is unset is null, and nothing else is there.
func TestEndpointPatch(t *testing.T) {
	x := patchFlags{URL: "https://example.com", Unset: []string{"filter", "headers.X-Old"}, endpointFlags: endpointFlags{
		Bearer: "t", Header: map[string]string{"X-New": "a,b"}, Types: []string{"order.*"}, Forever: true, BatchMax: 3,
	}}
	patch, err := x.patch()
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(patch)
	const want = `{"auth":{"password":null,"token":"t","type":"bearer","username":null},"batch":{"max":3},"filter":null,"forever":true,` +
		`"headers":{"X-New":"a,b","X-Old":null},"types":["order.*"],"url":"https://example.com"}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
	if patch, err := (&patchFlags{}).patch(); err != nil || len(patch) != 0 {
		t.Errorf("nothing given: %v, %v", patch, err)
	}
	if patch, err := (&patchFlags{endpointFlags: endpointFlags{Paused: true}}).patch(); err != nil || len(patch) != 1 || patch["disabled"] != true {
		t.Errorf("paused: %v, %v", patch, err)
	}
	if _, err := (&patchFlags{Unset: []string{"url"}, URL: "https://x"}).patch(); err == nil {
		t.Error("a field that is given and unset is taken")
	}
}

func TestDeliveryRows(t *testing.T) {
	for want, d := range map[string]client.Delivery{
		"":                         {State: "delivered", Matched: true, Attempts: 1, LastStatus: 200},
		"its type fits no pattern": {State: "none", Why: "types"},
		"500":                      {State: "retrying", Matched: true, Attempts: 2, LastStatus: 500},
		"timeout; waits: penalty":  {State: "retrying", Matched: true, Attempts: 2, LastError: "timeout", Waiting: "penalty"},
		"waits: paused":            {State: "waiting", Matched: true, Waiting: "paused"},
		"it was passed before, or its attempts are no longer kept": {State: "none", Matched: true},
		"expired": {State: "failed", Matched: true, LastError: "expired"},
	} {
		if got := notArrived(&d); got != want {
			t.Errorf("%+v: %q, want %q", d, got, want)
		}
	}
}

func TestShopTellsWholeStories(t *testing.T) {
	s := newShop(rand.New(rand.NewPCG(1, 2))) //nolint:gosec // a test
	steps := map[string][]string{}
	for range 500 {
		e := s.event(time.Now())
		var o order
		if err := json.Unmarshal(e.Data, &o); err != nil || "order/"+o.ID != e.Subject || len(o.Items) == 0 || o.Total == "" {
			t.Fatalf("event %+v: %v", e, err)
		}
		if e.Type == "order.shipped" && o.Tracking == "" || e.Type == "order.paid" && o.Payment == "" {
			t.Errorf("%s without its detail: %s", e.Type, e.Data)
		}
		steps[e.Subject] = append(steps[e.Subject], strings.TrimPrefix(e.Type, "order."))
	}
	for subject, list := range steps {
		if list[0] != "created" {
			t.Errorf("%s began with %s", subject, list[0])
		}
	}
}

func TestCutKeepsColours(t *testing.T) {
	for in, want := range map[string]string{
		"abcdef": "abc\x1b[0m", "abc": "abc", "\x1b[31mabcdef\x1b[0m": "\x1b[31mabc\x1b[0m", "ůůůů": "ůůů\x1b[0m",
	} {
		if got := cut(in, 3); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestDemoViewOnATerminal(t *testing.T) {
	c, out, _ := testConsole(t)
	c.terminal = true
	v := &demoView{c: c, started: time.Now(), api: "http://127.0.0.1:1", published: 1, endpoints: []*endpointFigures{{name: "healthy", delivered: 1, lane: cell{"live", green}}}}
	v.line(cyan, "→", "first")
	v.draw()
	v.line(cyan, "→", "another")
	v.draw()
	s := out.String()
	if !strings.Contains(s, "API at http://127.0.0.1:1\n") {
		t.Errorf("the block does not name the API's address: %q", s)
	}
	if strings.Count(s, "\x1b[4A\x1b[J") != 1 {
		t.Errorf("the block of 4 lines is not written over once: %q", s)
	}
	if strings.Index(s, "first") > strings.Index(s, "ENDPOINT") || strings.Index(s, "another") < strings.Index(s, "ENDPOINT") {
		t.Errorf("lines do not scroll above the block: %q", s)
	}
	v.end()
	n := out.Len()
	v.line(cyan, "→", "late")
	v.draw()
	if out.Len() != n {
		t.Error("something is written after the end")
	}
}

func TestProgressOnATerminal(t *testing.T) {
	c, _, errOut := testConsole(t)
	c.errTerminal = true
	p := c.progress()
	p.update("copying", 5, 10)
	p.update("copying", 10, 10)
	p.end()
	s := errOut.String()
	if !strings.Contains(s, " 50% copying") || !strings.Contains(s, "100% copying") || !strings.HasSuffix(s, "\r") || !utf8.ValidString(s) {
		t.Errorf("got %q", s)
	}
}

func TestFigures(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", 12345678: "12,345,678"} {
		if got := count(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	if brief(1500*time.Microsecond) != "1.5 ms" || brief(900*time.Microsecond) != "900 µs" || brief(2*time.Second) != "2.00 s" {
		t.Error("brief")
	}
	if figure(1.234, "×") != "1.23×" || figure(599.6, "MB") != "600 MB" {
		t.Error("figure")
	}
}

func TestProblemOfAProxy(t *testing.T) {
	resp := &http.Response{StatusCode: 502, Body: http.NoBody}
	var p *client.Problem
	if err := problemOf(resp); !errors.As(err, &p) || p.Status != 502 || p.Title != "Bad Gateway" {
		t.Errorf("got %v", p)
	}
}

// TestDemoHasNoJSON: the flag of every command is refused by the one that could only ignore it, before anything starts.
func TestDemoHasNoJSON(t *testing.T) {
	t.Parallel()
	var out, errOut bytes.Buffer
	status := Run(t.Context(), []string{"demo", "--json", "--for", "1s"}, strings.NewReader(""), &out, &errOut)
	if status != 2 || out.Len() > 0 || !strings.Contains(errOut.String(), "--json has no effect here") {
		t.Errorf("status %d, output %q, errors %q", status, &out, &errOut)
	}
}
