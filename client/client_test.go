package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// script answers requests from a list, without a network.
type script struct {
	answers []answer
	got     []*http.Request
	bodies  []string
	times   []time.Time
}

type answer struct {
	status int
	header string // "Name: value"
	body   string
	err    error
}

// RoundTrip is for [http.RoundTripper].
func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.got, s.bodies, s.times = append(s.got, r), append(s.bodies, string(body)), append(s.times, time.Now())
	a := s.answers[min(len(s.got), len(s.answers))-1]
	if a.err != nil {
		return nil, a.err
	}
	header := http.Header{}
	if name, value, ok := strings.Cut(a.header, ": "); ok {
		header.Set(name, value)
	}
	return &http.Response{StatusCode: a.status, Header: header, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

func newClient(t *testing.T, s *script) *client.Client {
	t.Helper()
	c, err := client.New("http://posthorn.test/base/", "key", client.WithHTTPClient(&http.Client{Transport: s}), client.WithUserAgent("test"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const busy = `{"type":"x","title":"Busy","status":503,"code":"unavailable"}`

func TestRetries(t *testing.T) {
	t.Parallel()
	publish := func(opts ...client.CallOption) func(context.Context, *client.Client) error {
		return func(ctx context.Context, c *client.Client) error {
			_, err := c.Publish(ctx, "t", client.Event{Type: "a", Version: 9}, opts...)
			return err
		}
	}
	read := func(ctx context.Context, c *client.Client) error {
		_, err := c.Tenant(ctx, "t")
		return err
	}
	ok := answer{status: 200, body: `{"id":"x","version":1}`}
	for _, c := range []struct {
		name    string
		call    func(context.Context, *client.Client) error
		answers []answer
		tries   int
		least   time.Duration
		status  int // of the problem in the end, 0 for success
	}{
		{"a read", read, []answer{{503, "Retry-After: 3", busy, nil}, {429, "", busy, nil}, ok}, 3, 3 * time.Second, 0},
		{"a read, always busy", read, []answer{{503, "", busy, nil}}, 4, time.Second, 503},
		{"a long wait", read, []answer{{503, "Retry-After: 3600", busy, nil}}, 1, 0, 503},
		{"a broken connection", read, []answer{{err: errors.New("reset")}, ok}, 2, 0, 0},
		{"no other status", read, []answer{{500, "", "", nil}}, 1, 0, 500},
		{"a write", publish(), []answer{{503, "", busy, nil}}, 1, 0, 503},
		{"a repeatable write", publish(client.IdempotencyKey("k")), []answer{{503, "", busy, nil}, ok}, 2, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: c.answers}
				err := c.call(t.Context(), newClient(t, s))
				if len(s.got) != c.tries {
					t.Fatalf("%d tries, want %d: %v", len(s.got), c.tries, err)
				}
				if took := s.times[len(s.times)-1].Sub(s.times[0]); took < c.least {
					t.Errorf("took %v, want at least %v", took, c.least)
				}
				p, isProblem := errors.AsType[*client.Problem](err)
				if c.status == 0 && err != nil || c.status != 0 && (!isProblem || p.Status != c.status) {
					t.Errorf("%v", err)
				}
				if len(s.bodies) == 2 && s.bodies[0] != s.bodies[1] {
					t.Errorf("the second try sent %q, the first %q", s.bodies[1], s.bodies[0])
				}
			})
		})
	}
}

func TestWaitEndsWithContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		s := &script{answers: []answer{{503, "Retry-After: 20", busy, nil}}}
		begin := time.Now()
		if _, err := newClient(t, s).Tenant(ctx, "t"); err == nil || time.Since(begin) > 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

func TestRequest(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{{200, `ETag: "7"`, `{"name":"a b"}`, nil}}}
	c := newClient(t, s)
	got, err := c.Tenant(t.Context(), "a/b")
	if err != nil || got.ETag != `"7"` || got.Name != "a b" {
		t.Fatalf("%+v %v", got, err)
	}
	r := s.got[0]
	if r.URL.String() != "http://posthorn.test/base/v1/tenants/a%2Fb" || r.Header.Get("Authorization") != "Bearer key" || r.Header.Get("User-Agent") != "test" {
		t.Errorf("%s %v", r.URL, r.Header)
	}
	if _, err := c.UpdateTenant(t.Context(), *got); err != nil {
		t.Fatal(err)
	}
	if r := s.got[1]; r.Method != http.MethodPut || r.Header.Get("If-Match") != `"7"` {
		t.Errorf("%s %v", r.Method, r.Header)
	}
	if _, err := c.Publish(t.Context(), "t", client.Event{Type: "a", Version: 9}); err != nil {
		t.Fatal(err)
	}
	if s.bodies[2] != `{"type":"a"}` {
		t.Errorf("published %s", s.bodies[2])
	}
}

// TestDotsAreNames: an id of dots stays a name and does not shorten the path.
func TestDotsAreNames(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{{200, "", `{"name":"x"}`, nil}}}
	if _, err := newClient(t, s).Tenant(t.Context(), ".."); err != nil {
		t.Fatal(err)
	}
	if got := s.got[0].URL.String(); got != "http://posthorn.test/base/v1/tenants/%2E%2E" {
		t.Error(got)
	}
}

func TestProblemOfAProxy(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{{502, "X-Request-Id: abc", "<html>", nil}}}
	_, err := newClient(t, s).Tenant(t.Context(), "t")
	p, ok := errors.AsType[*client.Problem](err)
	if !ok || p.Status != 502 || p.Code != "http_502" || p.RequestID != "abc" || p.Error() != "Bad Gateway" {
		t.Errorf("%+v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "posthorn", "ftp://a", "http://", "http://u:p@a", "http://a?b=c", "http://a#b", "http://a b"} {
		if _, err := client.New(url, ""); err == nil {
			t.Errorf("%q is taken", url)
		}
	}
}

func TestListStops(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{{200, "", `{"data":[{"name":"a"},{"name":"b"}],"next":"c1"}`, nil}, {404, "", "", nil}}}
	c := newClient(t, s)
	var names []string
	var failed error
	for tenant, err := range c.Tenants(t.Context(), client.PageSize(2)) {
		if failed = err; err == nil {
			names = append(names, tenant.Name)
		}
	}
	if strings.Join(names, "") != "ab" || failed == nil || len(s.got) != 2 || s.got[1].URL.RawQuery != "cursor=c1&limit=2" {
		t.Errorf("%v %v %d", names, failed, len(s.got))
	}
	for _, err := range c.Tenants(t.Context()) { // stops early
		if err == nil {
			t.Error("no error of an empty script")
		}
		break
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0s": 0, "5s": 5 * time.Second, "5m": 5 * time.Minute, "24h": 24 * time.Hour, "1h30m": 90 * time.Minute, "1h0m5s": time.Hour + 5*time.Second,
		"1.5s": 1500 * time.Millisecond, "10m": 10 * time.Minute, "10s": 10 * time.Second,
	} {
		var d client.Duration
		if err := json.Unmarshal([]byte(`"`+text+`"`), &d); err != nil || time.Duration(d) != want {
			t.Errorf("%s: %v %v", text, d, err)
		}
		if d.String() != text {
			t.Errorf("%s is written as %s", text, d)
		}
	}
	for _, bad := range []string{`"5"`, `"-1s"`, `5`, `""`, `"9999999h"`} {
		var d client.Duration
		if json.Unmarshal([]byte(bad), &d) == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
