package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStreamGoesOnWhereItWasCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{stream: []respond{
			sse(io.ErrUnexpectedEOF, "retry: 8000\nid: 0\n\n", from(1, 3), "id: 4\ndata: {\"vers"),
			sse(io.EOF, from(4, 5)),
			problemRetry(503, "busy", "40"),
			sse(nil, from(6, 6)),
		}}
		var seen []string
		s := f.client(t).Stream("acme", Start(1), OnStatus(func(s StreamStatus) {
			seen = append(seen, fmt.Sprintf("%v %d", s.Connected, s.Next))
		}))
		got, err := take(t.Context(), s, 6)
		if !slices.Equal(got, upTo(6)) || err != nil || s.Position() != 7 {
			t.Errorf("%v, %v, position %d", got, err, s.Position())
		}
		if diff := cmp.Diff([]string{"stream 1", "stream 4", "stream 6", "stream 6"}, f.starts()); diff != "" {
			t.Error(diff)
		}
		for i, least := range []time.Duration{4 * time.Second, 4 * time.Second, 40 * time.Second} {
			if took := f.at[i+1].Sub(f.at[i]); took < least || took > 2*least {
				t.Errorf("wait %d was %v", i, took)
			}
		}
		if diff := cmp.Diff([]string{"true 1", "false 4", "true 4", "false 6", "false 6", "true 6"}, seen); diff != "" {
			t.Error(diff)
		}
		r := f.got[0]
		if r.Header.Get("Accept") != "text/event-stream" || r.Header.Get("Accept-Encoding") != "identity" || r.Header.Get("Authorization") != "Bearer key" {
			t.Errorf("%v", r.Header)
		}
	})
}

func TestStreamFindsDeadConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		alive := []any{"id: 0\n\n"}
		for range 40 { // ten minutes of keep-alives: longer than any limit of a call
			alive = append(alive, 15*time.Second, ": keep-alive\n\n")
		}
		f := &fakeServer{stream: []respond{sse(nil, append(alive, from(1, 1))...), sse(nil, from(2, 2))}}
		got, err := take(t.Context(), f.client(t).Stream("acme", Start(1)), 2)
		if !slices.Equal(got, upTo(2)) || err != nil {
			t.Fatalf("%v, %v", got, err)
		}
		if took := f.at[1].Sub(f.at[0]) - 10*time.Minute; took < 45*time.Second || took > 48*time.Second {
			t.Errorf("dead after %v of silence", took)
		}
	})
}

// What a slow caller does not read is not silence.
func TestStreamWaitsForItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{stream: []respond{sse(nil, from(1, 1), from(2, 2), from(3, 3))}}
		n := 0
		for _, err := range f.client(t).Stream("acme", Start(1)).Events(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 3 {
				break
			}
			time.Sleep(time.Hour) //nolint:forbidigo // time of the bubble
		}
		if len(f.got) != 1 {
			t.Errorf("%v", f.starts())
		}
	})
}

// A proxy that holds everything back until an answer ends, and is mended later.
func TestStreamFallsBackAndReturns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		head := int64(0)
		at := func() int64 { mu.Lock(); defer mu.Unlock(); return head }
		publish := func() { mu.Lock(); head++; mu.Unlock() }
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			for sleep(ctx, 700*time.Millisecond) == nil {
				publish()
			}
		}()
		live := func(r *http.Request) (*http.Response, error) { // server-sent events that work
			start, _ := strconv.ParseInt(r.URL.Query().Get("start"), 10, 64)
			pr, pw := io.Pipe()
			go func() {
				_, _ = io.WriteString(pw, fmt.Sprintf("id: %d\n\n", start-1))
				for v := start; sleep(r.Context(), 50*time.Millisecond) == nil; {
					for ; v <= at(); v++ {
						if _, err := io.WriteString(pw, from(v, v)); err != nil {
							return
						}
					}
				}
				_ = pw.CloseWithError(io.EOF)
			}()
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: pr, Request: r}, nil
		}
		f := &fakeServer{stream: []respond{sse(nil), sse(nil), live}, changes: []respond{page(at)}}
		var ways []string
		s := f.client(t).Stream("acme", Start(1), OnStatus(func(s StreamStatus) {
			if s.Connected {
				ways = append(ways, string(s.Transport))
			}
		}))
		begin := time.Now()
		got, err := take(ctx, s, 600)
		if !slices.Equal(got, upTo(600)) || err != nil {
			t.Errorf("%v, %v", got, err)
		}
		if diff := cmp.Diff([]string{"poll", "sse"}, ways); diff != "" {
			t.Error(diff)
		}
		// 600 events come in 420 s: nobody waited for the probes.
		if took := time.Since(begin); took > 421*time.Second {
			t.Errorf("took %v", took)
		}
		var probes []time.Duration
		for i, r := range f.got {
			if strings.HasSuffix(r.URL.Path, "/stream") {
				probes = append(probes, f.at[i].Sub(begin).Round(5*time.Second))
			}
		}
		if want := []time.Duration{0, 70 * time.Second, 200 * time.Second}; !slices.Equal(probes, want) {
			t.Errorf("tried at %v, want %v", probes, want)
		}
	})
}

func TestStreamFallsBackAtOnce(t *testing.T) {
	t.Parallel()
	html := answerOf(200, http.Header{"Content-Type": {"text/html"}}, "<p>Welcome to the hotel")
	silent, soon := sse(nil, "id: 0\n\n"), sse(io.EOF, "id: 0\n\n")
	for name, c := range map[string]struct {
		stream []respond
		within time.Duration
	}{
		"wrong type":             {[]respond{html}, time.Second},
		"406":                    {[]respond{problemOf(406, "not_acceptable", 0)}, time.Second},
		"501":                    {[]respond{answerOf(501, nil, "no")}, time.Second},
		"404 of a proxy":         {[]respond{answerOf(404, nil, "no such page")}, time.Second},
		"204":                    {[]respond{answerOf(204, nil, "")}, time.Second},
		"a redirect":             {[]respond{answerOf(302, http.Header{"Location": {"/login"}}, "")}, time.Second},
		"twice silent":           {[]respond{silent}, 2*45*time.Second + 5*time.Second},
		"thrice cut short":       {[]respond{soon}, 20 * time.Second},
		"502 again and again":    {[]respond{answerOf(502, nil, "bad gateway")}, 20 * time.Second},
		"garbage":                {[]respond{sse(io.EOF, "id: 1\ndata: {\n\n")}, 20 * time.Second},
		"an answer never begins": {[]respond{func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }}, 11 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &fakeServer{stream: c.stream, changes: []respond{page(func() int64 { return 5 })}}
				begin := time.Now()
				got, err := take(t.Context(), f.client(t).Stream("acme", Start(1)), 5)
				if took := time.Since(begin); !slices.Equal(got, upTo(5)) || err != nil || took > c.within {
					t.Errorf("%v, %v after %v", got, err, took)
				}
			})
		})
	}
}

func TestStreamViaOneTransport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{changes: []respond{page(func() int64 { return 5 })}}
		if got, err := take(t.Context(), f.client(t).Stream("acme", FromOldest(), Via(TransportPoll), PageSize(2)), 5); !slices.Equal(got, upTo(5)) || err != nil {
			t.Errorf("%v, %v", got, err)
		}
		if diff := cmp.Diff([]string{"changes 1", "changes 3", "changes 5"}, f.starts()); diff != "" {
			t.Error(diff)
		}
		// Server-sent events only: it keeps trying.
		f = &fakeServer{stream: []respond{sse(nil), answerOf(502, nil, ""), sse(nil, from(1, 1))}}
		if got, err := take(t.Context(), f.client(t).Stream("acme", Start(1), Via(TransportSSE)), 1); !slices.Equal(got, upTo(1)) || err != nil {
			t.Errorf("%v, %v", got, err)
		}
	})
}

func TestStreamFromWhatComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{stream: []respond{sse(io.EOF, "id: 41\n\n"), sse(nil, from(42, 43))}}
		s := f.client(t).Stream("acme")
		if s.Position() != 0 {
			t.Errorf("position %d", s.Position())
		}
		if got, err := take(t.Context(), s, 1); !slices.Equal(got, []int64{42}) || err != nil || s.Position() != 43 {
			t.Errorf("%v, %v", got, err)
		}
		if diff := cmp.Diff([]string{"stream", "stream 42"}, f.starts()); diff != "" {
			t.Error(diff)
		}
		var head int64 = 7
		f = &fakeServer{changes: []respond{page(func() int64 { head++; return head })}}
		if got, err := take(t.Context(), f.client(t).Stream("acme", Via(TransportPoll)), 2); len(got) != 2 || got[0] < 8 || err != nil {
			t.Errorf("%v, %v", got, err)
		}
		if got := f.starts()[0]; got != "changes" || f.got[0].URL.Query().Get("limit") != "1" {
			t.Errorf("asked for %s", f.got[0].URL)
		}
	})
}

func TestStreamGone(t *testing.T) {
	t.Parallel()
	gone := problemOf(410, "gone", 100)
	for _, via := range []Transport{TransportSSE, TransportPoll} {
		synctest.Test(t, func(t *testing.T) {
			pages := page(func() int64 { return 101 })
			open := func() *fakeServer {
				return &fakeServer{stream: []respond{gone, sse(nil, from(100, 101))}, changes: []respond{gone, pages}}
			}
			_, err := take(t.Context(), open().client(t).Stream("acme", Start(5), Via(via)), 1)
			if e, ok := errors.AsType[*GoneError](err); !ok || e.Start != 5 || e.Oldest != 100 || !strings.Contains(err.Error(), "versions 5 to 99 ") {
				t.Errorf("%v", err)
			}
			if p, ok := errors.AsType[*Problem](err); !ok || p.Code != "gone" {
				t.Errorf("%v", err)
			}
			var skipped *GoneError
			got, err := take(t.Context(), open().client(t).Stream("acme", Start(5), Via(via), SkipGone(func(e *GoneError) { skipped = e })), 2)
			if !slices.Equal(got, []int64{100, 101}) || err != nil || skipped == nil || skipped.Oldest != 100 {
				t.Errorf("%v, %v, skipped %v", got, err, skipped)
			}
			got, err = take(t.Context(), open().client(t).Stream("acme", FromOldest(), Via(via)), 2)
			if !slices.Equal(got, []int64{100, 101}) || err != nil {
				t.Errorf("%v, %v", got, err)
			}
			// Lost on the way, to one who began with the oldest: that is a loss.
			f := &fakeServer{stream: []respond{sse(io.EOF, from(1, 2)), gone}, changes: []respond{page(func() int64 { return 2 }), gone}}
			got, err = take(t.Context(), f.client(t).Stream("acme", FromOldest(), Via(via)), 0)
			if e, ok := errors.AsType[*GoneError](err); !ok || e.Start != 3 || len(got) != 2 {
				t.Errorf("%v, %v", got, err)
			}
			// An oldest that leads nowhere.
			f = &fakeServer{stream: []respond{problemOf(410, "gone", 5)}, changes: []respond{problemOf(410, "gone", 5)}}
			if _, err = take(t.Context(), f.client(t).Stream("acme", Start(5), Via(via), SkipGone(nil)), 0); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestStreamEnds(t *testing.T) {
	t.Parallel()
	for status, code := range map[int]string{400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 422: "invalid"} {
		for _, via := range []Transport{TransportAuto, TransportSSE, TransportPoll} {
			synctest.Test(t, func(t *testing.T) {
				refuse := problemOf(status, code, 0)
				f := &fakeServer{stream: []respond{refuse}, changes: []respond{refuse}}
				_, err := take(t.Context(), f.client(t).Stream("acme", Start(1), Via(via)), 1)
				if p, ok := errors.AsType[*Problem](err); !ok || p.Status != status || len(f.got) != 1 {
					t.Errorf("%d by %s: %v after %v", status, via, err, f.starts())
				}
			})
		}
	}
	synctest.Test(t, func(t *testing.T) { // not Posthorn at all
		f := &fakeServer{stream: []respond{answerOf(404, nil, "")}, changes: []respond{answerOf(404, nil, "")}}
		_, err := take(t.Context(), f.client(t).Stream("acme", Start(1)), 1)
		if p, ok := errors.AsType[*Problem](err); !ok || p.Code != "http_404" {
			t.Errorf("%v", err)
		}
		// A proxy that says so while the server is away, though, passes.
		f = &fakeServer{changes: []respond{page(func() int64 { return 1 }), answerOf(404, nil, ""), page(func() int64 { return 2 })}}
		if got, err := take(t.Context(), f.client(t).Stream("acme", Start(1), Via(TransportPoll)), 2); !slices.Equal(got, upTo(2)) || err != nil {
			t.Errorf("%v, %v", got, err)
		}
	})
}

func TestStreamTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{stream: []respond{sse(io.EOF, from(1, 1)), problemOf(401, "unauthorized", 0), sse(io.EOF, from(2, 2)), problemOf(401, "unauthorized", 0)}}
		n := 0
		source := func(context.Context) (string, error) {
			if n++; n == 3 {
				return "", errors.New("the issuer is away")
			}
			return "token-" + strconv.Itoa(n), nil
		}
		got, err := take(t.Context(), f.client(t, WithToken(source)).Stream("acme", Start(1)), 0)
		if p, ok := errors.AsType[*Problem](err); !ok || p.Status != 401 || !slices.Equal(got, upTo(2)) {
			t.Errorf("%v, %v", got, err)
		}
		var sent []string
		for _, r := range f.got {
			sent = append(sent, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		}
		if diff := cmp.Diff([]string{"token-1", "token-2", "token-4", "token-5", "token-6", "token-7"}, sent); diff != "" {
			t.Error(diff)
		}
	})
}

// A proxy that answers polls at once must not be asked all the time; answers that are no JSON are tried again for ever.
func TestStreamPollsAreSpaced(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer respond
		most   int
	}{
		"at once":  {answerOf(200, nil, `{"changes":[],"next":1,"head":0}`), 61},
		"a portal": {answerOf(200, nil, `<p>Welcome`), 12},
		"no one":   {func(*http.Request) (*http.Response, error) { return nil, errors.New("refused") }, 12},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			f := &fakeServer{changes: []respond{c.answer}}
			_, err := take(ctx, f.client(t).Stream("acme", Start(1), Via(TransportPoll)), 0)
			if !errors.Is(err, context.DeadlineExceeded) || len(f.got) > c.most || len(f.got) < 4 {
				t.Errorf("%s: %d polls, %v", name, len(f.got), err)
			}
		})
	}
}

func TestStreamBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{stream: []respond{func(*http.Request) (*http.Response, error) {
			return nil, &url.Error{Op: "Get", Err: errors.New("refused")}
		}}}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		_, err := take(ctx, f.client(t).Stream("acme", Start(1), Backoff(time.Second, 16*time.Second)), 0)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		for i := 1; i < len(f.at); i++ {
			most := min(time.Second<<min(i-1, 10), 16*time.Second)
			if wait := f.at[i].Sub(f.at[i-1]); wait < most/2 || wait > most {
				t.Errorf("wait %d was %v, want %v to %v", i, wait, most/2, most)
			}
		}
	})
}

func TestStreamIsUsedByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{stream: []respond{sse(nil, from(1, 9)), sse(nil, from(2, 9))}}
		s := f.client(t).Stream("acme", Start(1))
		for _, err := range s.Events(t.Context()) {
			if err != nil {
				t.Error(err)
			}
			if _, err := take(t.Context(), s, 1); !errors.Is(err, errListening) {
				t.Errorf("%v", err)
			}
			break
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for e, err := range s.Events(ctx) { // it goes on
			cancel()
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("%v", err)
				}
			} else if e.Version != 2 {
				t.Errorf("version %d", e.Version)
			}
		}
	})
}

func TestStreamOptions(t *testing.T) {
	t.Parallel()
	c := (&fakeServer{}).client(t)
	for name, o := range map[string]StreamOption{
		"a time": Since(time.Now()), "verdicts": Verdicts("x"), "a transport": Via("carrier pigeon"), "a start": Start(-1),
		"a wait": Wait(2 * time.Minute), "no wait": Wait(0), "a page": PageSize(0), "a large page": PageSize(1001), "keep-alives": KeepAlive(0), "backoff": Backoff(-1, 0),
	} {
		if _, err := take(t.Context(), c.Stream("acme", o), 1); err == nil || strings.Contains(err.Error(), "not expected") {
			t.Errorf("%s: %v", name, err)
		}
	}
	f := &fakeServer{changes: []respond{page(func() int64 { return 1 })}}
	s := f.client(t).Stream("acme", Start(1), Types("a.*", "b"), Subjects("x/1", "y/*"), Filter("true"), Wait(5*time.Second), PageSize(7), Via(TransportPoll))
	if _, err := take(t.Context(), s, 1); err != nil {
		t.Error(err)
	}
	want := url.Values{"start": {"1"}, "types": {"a.*,b"}, "subject": {"x/1,y/*"}, "filter": {"true"}, "wait": {"5s"}, "limit": {"7"}}
	if diff := cmp.Diff(want, f.got[0].URL.Query()); diff != "" {
		t.Error(diff)
	}
}

func TestChangesWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{changes: []respond{page(func() int64 { return 0 })}}
		c := f.client(t)
		c.http.Timeout = 10 * time.Second
		begin := time.Now()
		out, err := c.Changes(t.Context(), "acme", 1, Wait(time.Minute))
		if err != nil || len(out.Changes) != 0 || time.Since(begin) < time.Minute {
			t.Errorf("%v, %v after %v", out, err, time.Since(begin))
		}
		f.changes = []respond{func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }}
		begin = time.Now()
		_, err = c.Changes(t.Context(), "acme", 1, Wait(30*time.Second))
		if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || took != 40*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// BenchmarkStream is what an event costs a listener that catches up.
func BenchmarkStream(b *testing.B) {
	const n = 2000
	var in strings.Builder
	in.WriteString("id: 0\n\n")
	for v := range n {
		fmt.Fprintf(&in, "id: %d\nevent: order.paid\ndata: {\"id\":\"01a200f0-21c3-7a53-9f7c-c91d2bd42669\",\"source\":\"posthorn\",\"type\":\"order.paid\",\"subject\":\"order/42\","+
			"\"time\":\"2026-11-22T01:47:47.012345Z\",\"data\":{\"text\":\"%s\"},\"version\":%d}\n\n", v+1, strings.Repeat("x", 500), v+1)
	}
	f := roundTrip(func(r *http.Request) (*http.Response, error) {
		return answerOf(200, http.Header{"Content-Type": {"text/event-stream"}}, in.String())(r)
	})
	c, err := New("http://posthorn.test", "key", WithHTTPClient(&http.Client{Transport: f}))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if got, err := take(b.Context(), c.Stream("acme", Start(1)), n); len(got) != n || err != nil {
			b.Fatal(len(got), err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
}
