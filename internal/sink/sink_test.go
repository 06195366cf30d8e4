package sink

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/posthornhq/posthorn/webhook"
)

func TestMain(m *testing.M) {
	// fasthttp keeps a goroutine for the date header, and one that sleeps for up to 10 s after a server has stopped.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

func start(t *testing.T, o Options) (*Server, *http.Client) {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := s.Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s, &http.Client{Transport: transport}
}

func post(t *testing.T, c *http.Client, url string, header http.Header, body []byte) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

func TestBehaviours(t *testing.T) {
	tests := []struct {
		name string
		b    Behaviour
		want []int
	}{
		{"healthy", Behaviour{}, []int{200, 200}},
		{"status", Behaviour{Status: 204}, []int{204, 204}},
		{"pattern", Behaviour{FailFirst: 2, FailOf: 3}, []int{500, 500, 200, 500, 500, 200}},
		{"always", Behaviour{Fail: 1, FailStatus: 503}, []int{503, 503}},
		{"for a time", Behaviour{FailFor: time.Hour}, []int{500, 500}},
	}
	s, c := start(t, Options{Behaviour: Behaviour{Status: 202, Body: "hello"}})
	for _, tt := range tests {
		path := "/" + strings.ReplaceAll(tt.name, " ", "-")
		if err := s.Set(path, tt.b); err != nil {
			t.Fatal(err)
		}
		for i, want := range tt.want {
			if got, _, _ := post(t, c, s.URL()+path, nil, nil); got != want {
				t.Errorf("%s: request %d got %d, want %d", tt.name, i, got, want)
			}
		}
	}
	if got, _, body := post(t, c, s.URL()+"/else", nil, nil); got != 202 || body != "hello" {
		t.Errorf("fallback: got %d %q", got, body)
	}
	if got := s.Counts(); got.Requests != 15 || got.Failed != 8 {
		t.Errorf("counts: %+v", got)
	}
}

func TestFailsForATime(t *testing.T) {
	b := Behaviour{FailFor: time.Second}
	if !b.fails(0, 999*time.Millisecond, 0.5) || b.fails(0, time.Second, 0.5) {
		t.Error("fails until FailFor has passed, and no longer")
	}
}

func TestRetryAfterRoundsUp(t *testing.T) {
	s, c := start(t, Options{Behaviour: Behaviour{Fail: 1, RetryAfter: 1500 * time.Millisecond}})
	if _, h, _ := post(t, c, s.URL()+"/", nil, nil); h.Get("Retry-After") != "2" {
		t.Errorf("got %q", h.Get("Retry-After"))
	}
}

func TestStopEndsDelay(t *testing.T) {
	entered := make(chan struct{})
	s, c := start(t, Options{Behaviour: Behaviour{Delay: MaxDelay}, Observe: func(Request) { close(entered) }})
	done := make(chan int, 1)
	go func() {
		req, _ := http.NewRequest(http.MethodGet, s.URL()+"/", nil) //nolint:noctx // ends with the sink
		resp, err := c.Do(req)
		if err != nil {
			done <- 0
			return
		}
		_ = resp.Body.Close()
		done <- resp.StatusCode
	}()
	<-entered
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got != 200 {
		t.Errorf("got %d", got)
	}
}

func TestStopAtOnce(t *testing.T) {
	t.Parallel()
	for range 200 {
		s, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(t.Context(), "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestVerify(t *testing.T) {
	key := webhook.NewSecret()
	signer, err := webhook.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	v, err := Verifier(key.Text())
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan Request, 2)
	s, c := start(t, Options{Verifier: v, Strict: true, Observe: func(r Request) { seen <- r }})
	body := []byte(`{"a":1}`)
	header, err := signer.Sign("evt_1", time.Now(), body)
	if err != nil {
		t.Fatal(err)
	}
	header.Set("posthorn-version", "7")
	if got, _, _ := post(t, c, s.URL()+"/x?y=1", header, body); got != 200 {
		t.Errorf("signed: got %d", got)
	}
	if r := <-seen; r.ID != "evt_1" || r.Version != "7" || r.Path != "/x?y=1" || !r.Checked || r.Invalid != nil || string(r.Body) != string(body) {
		t.Errorf("request: %+v", r)
	}
	if got, _, _ := post(t, c, s.URL()+"/x", header, []byte(`{"a":2}`)); got != 401 {
		t.Errorf("changed body: got %d", got)
	}
	if r := <-seen; r.Invalid == nil || !r.Failed {
		t.Errorf("changed body: %+v", r)
	}
	if got := s.Counts(); got.Verified != 1 || got.Invalid != 1 {
		t.Errorf("counts: %+v", got)
	}
}

func marked(numbers ...uint64) []byte {
	b := []byte("[")
	for i, n := range numbers {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(AppendMark(append(b, '{'), n, time.Now()), '}')
	}
	return append(b, ']')
}

func TestMeterOverControl(t *testing.T) {
	s, c := start(t, Options{Control: true})
	if got, _, _ := post(t, c, s.URL()+"/-/measure", nil, []byte(`{"events":4,"targets":2}`)); got != 204 {
		t.Fatalf("measure: %d", got)
	}
	for path, body := range map[string][]byte{"/m/0": marked(0, 1, 2, 3), "/m/1": marked(1), "/m/2": marked(1), "/other": marked(2)} {
		if !json.Valid(body) {
			t.Fatalf("not JSON: %s", body)
		}
		post(t, c, s.URL()+path, nil, body)
	}
	post(t, c, s.URL()+"/m/1", nil, marked(1, 9))
	post(t, c, s.URL()+"/m/1", nil, []byte(`{}`))
	resp, err := c.Get(s.URL() + "/-/state") //nolint:noctx // ends with the test
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var got State
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	// Unknown: target 2, number 9, and a body without a mark.
	if got.Arrived != 5 || got.Repeated != 1 || got.Unknown != 3 || got.Requests != 6 {
		t.Errorf("state: %+v", got)
	}
	if l := s.meter.Load().Latency(); l.Samples != 5 || l.Max < l.P50 {
		t.Errorf("latency: %+v", l)
	}
}

func TestQuantile(t *testing.T) {
	var s []uint32
	for i := range 100 {
		s = append(s, uint32(i+1))
	}
	for percent, want := range map[int]time.Duration{50: 50, 99: 99, 100: 100} {
		if got := quantile(s, percent); got != want*time.Microsecond {
			t.Errorf("quantile %d: %v", percent, got)
		}
	}
	if quantile(nil, 99) != 0 {
		t.Error("no samples")
	}
}

func TestWrongBehaviours(t *testing.T) {
	for _, b := range []Behaviour{
		{Status: 42}, {FailStatus: 600}, {Delay: -1}, {Delay: MaxDelay + 1}, {Fail: 1.1}, {FailFirst: 3, FailOf: 2}, {FailFor: -1},
	} {
		if _, err := New(Options{Behaviour: b}); err == nil {
			t.Errorf("%+v is accepted", b)
		}
	}
	if _, err := New(Options{Paths: map[string]Behaviour{"x": {}}}); err == nil {
		t.Error("a path without a slash is accepted")
	}
	if _, err := NewMeter(MaxMeterArrivals, 2); err == nil {
		t.Error("a huge meter is accepted")
	}
}
