package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeServer answers requests by functions, without a network, so that it can be within a bubble of time. The last
// function answers all further requests.
type fakeServer struct {
	stream, changes []func(r *http.Request) (*http.Response, error)

	mu   sync.Mutex
	got  []*http.Request
	at   []time.Time
	left map[string]int
}

func (f *fakeServer) RoundTrip(r *http.Request) (*http.Response, error) {
	answers := f.changes
	if strings.HasSuffix(r.URL.Path, "/stream") {
		answers = f.stream
	}
	f.mu.Lock()
	f.got, f.at = append(f.got, r), append(f.at, time.Now())
	if f.left == nil {
		f.left = map[string]int{}
	}
	n := f.left[r.URL.Path]
	f.left[r.URL.Path]++
	f.mu.Unlock()
	if len(answers) == 0 {
		return nil, errors.New("not expected: " + r.URL.String())
	}
	return answers[min(n, len(answers)-1)](r)
}

// starts returns what was asked for in order, as "stream 4" or "changes 4".
func (f *fakeServer) starts() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, r := range f.got {
		all = append(all, strings.TrimSpace(r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]+" "+r.URL.Query().Get("start")))
	}
	return all
}

func (f *fakeServer) client(t *testing.T, opts ...Option) *Client {
	t.Helper()
	c, err := New("http://posthorn.test", "key", append(opts, WithHTTPClient(&http.Client{Transport: f, Timeout: time.Minute}))...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type respond = func(*http.Request) (*http.Response, error)

func answerOf(status int, header http.Header, body string) respond {
	return func(r *http.Request) (*http.Response, error) {
		if header == nil {
			header = http.Header{}
		}
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

func problemOf(status int, code string, oldest int64) respond {
	body, _ := json.Marshal(Problem{Status: status, Title: http.StatusText(status), Code: code, Oldest: oldest}) //nolint:errchkjson // plain
	return answerOf(status, nil, string(body))
}

// sse sends parts, each after its wait, and then stays silent or, with an error, ends.
func sse(end error, parts ...any) respond {
	return func(r *http.Request) (*http.Response, error) {
		pr, pw := io.Pipe()
		context.AfterFunc(r.Context(), func() { _ = pw.CloseWithError(r.Context().Err()) })
		go func() {
			for _, p := range parts {
				switch p := p.(type) {
				case time.Duration:
					if sleep(r.Context(), p) != nil {
						return
					}
				case string:
					if _, err := io.WriteString(pw, p); err != nil {
						return
					}
				}
			}
			if end != nil {
				_ = pw.CloseWithError(end)
				return
			}
			<-r.Context().Done()
		}()
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream; charset=utf-8"}}, Body: pr, Request: r}, nil
	}
}

// from is the blocks of events low to high.
func from(low, high int64) string {
	var b strings.Builder
	for v := low; v <= high; v++ {
		fmt.Fprintf(&b, "id: %d\nevent: a\ndata: {\"type\":\"a\",\"version\":%d}\n\n", v, v)
	}
	return b.String()
}

// page answers a poll as the server does for a log that ends at head: what there is, or nothing after the wait.
func page(head func() int64) respond {
	return func(r *http.Request) (*http.Response, error) {
		start, _ := strconv.ParseInt(r.URL.Query().Get("start"), 10, 64)
		start = max(start, 1)
		wait, _ := time.ParseDuration(r.URL.Query().Get("wait"))
		for end := time.Now().Add(wait); head() < start && time.Now().Before(end); {
			if err := sleep(r.Context(), 100*time.Millisecond); err != nil {
				return nil, err
			}
		}
		out := Changes{Changes: []Event{}, Next: start, Head: head()}
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		for out.Next <= out.Head && len(out.Changes) < limit {
			out.Changes = append(out.Changes, Event{Type: "a", Version: out.Next})
			out.Next++
		}
		body, _ := json.Marshal(out) //nolint:errchkjson // plain
		return answerOf(200, nil, string(body))(r)
	}
}

// take listens for n events, or until the end.
func take(ctx context.Context, s *Stream, n int) (versions []int64, err error) {
	if n == 0 {
		n = 1 << 30
	}
	for e, err := range s.Events(ctx) {
		if err != nil {
			return versions, err
		}
		if versions = append(versions, e.Version); len(versions) == n {
			break
		}
	}
	return versions, nil
}

func upTo(n int64) []int64 {
	var all []int64
	for v := int64(1); v <= n; v++ {
		all = append(all, v)
	}
	return all
}

func problemRetry(status int, code, after string) respond {
	return answerOf(status, http.Header{"Retry-After": {after}}, fmt.Sprintf(`{"title":"x","code":%q}`, code))
}
