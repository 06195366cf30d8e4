package receiver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// carrier is a transport without a network.
type carrier func(*http.Request) (*http.Response, error)

func (c carrier) RoundTrip(r *http.Request) (*http.Response, error) { return c(r) }

func page(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Cache-Control": {"no-store"}, "Age": {"999999"}},
		Body: io.NopCloser(strings.NewReader(body)),
	}
}

// countedFetcher returns a fetcher and how often it asked.
func countedFetcher(status *atomic.Int32) (*fetcher, *atomic.Int32) {
	asked := new(atomic.Int32)
	return newFetcher(&http.Client{Transport: carrier(func(*http.Request) (*http.Response, error) {
		return page(int(status.Load()), fmt.Sprintf("page %d", asked.Add(1))), nil
	})}), asked
}

const somewhere = "https://keys.example/1"

func TestFetcherKeepsAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var status atomic.Int32
		status.Store(200)
		f, asked := countedFetcher(&status)
		for _, step := range []struct {
			after time.Duration
			want  string
		}{{0, "page 1"}, {0, "page 1"}, {59 * time.Minute, "page 1"}, {2 * time.Minute, "page 2"}} {
			time.Sleep(step.after) //nolint:forbidigo // The bubble's clock.
			if body, err := f.Fetch(t.Context(), somewhere); err != nil || string(body) != step.want {
				t.Errorf("after %s: %q, %v; want %q", step.after, body, err, step.want)
			}
		}
		// Read again, at most once a minute.
		for _, step := range []struct {
			after time.Duration
			want  string
		}{{0, "page 2"}, {59 * time.Second, "page 2"}, {2 * time.Second, "page 3"}, {0, "page 3"}} {
			time.Sleep(step.after) //nolint:forbidigo // The bubble's clock.
			if body, err := f.Refresh(t.Context(), somewhere); err != nil || string(body) != step.want {
				t.Errorf("again after %s: %q, %v; want %q", step.after, body, err, step.want)
			}
		}
		if body, _ := f.Fetch(t.Context(), somewhere); string(body) != "page 3" || asked.Load() != 3 {
			t.Errorf("%q after %d requests", body, asked.Load())
		}
	})
}

func TestFetcherKeepsFailuresForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var status atomic.Int32
		status.Store(503)
		f, asked := countedFetcher(&status)
		for range 3 {
			if _, err := f.Fetch(t.Context(), somewhere); err == nil {
				t.Fatal("a 503 is a page")
			}
		}
		if asked.Load() != 1 {
			t.Errorf("asked %d times", asked.Load())
		}
		status.Store(200)
		time.Sleep(31 * time.Second) //nolint:forbidigo // The bubble's clock.
		if body, err := f.Fetch(t.Context(), somewhere); err != nil || string(body) != "page 2" {
			t.Errorf("%q, %v", body, err)
		}
		// What is kept stays good while reading it again fails.
		status.Store(500)
		time.Sleep(2 * time.Minute) //nolint:forbidigo // The bubble's clock.
		if _, err := f.Refresh(t.Context(), somewhere); err == nil {
			t.Error("a 500 is a page")
		}
		if body, err := f.Fetch(t.Context(), somewhere); err != nil || string(body) != "page 2" {
			t.Errorf("%q, %v", body, err)
		}
	})
}

func TestFetcherJoinsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		release := make(chan struct{})
		f := newFetcher(&http.Client{Transport: carrier(func(r *http.Request) (*http.Response, error) {
			asked.Add(1)
			select {
			case <-release:
				return page(200, "key"), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})})
		// The first to ask goes away: the others still get their page.
		gone, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := f.Fetch(gone, somewhere); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
		})
		synctest.Wait()
		for range 50 {
			all.Go(func() {
				if body, err := f.Fetch(t.Context(), somewhere); err != nil || string(body) != "key" {
					t.Errorf("%q, %v", body, err)
				}
			})
		}
		// One of those who wait goes away too.
		short, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		all.Go(func() {
			if _, err := f.Fetch(short, somewhere); err == nil {
				t.Error("who went away got a page")
			}
		})
		synctest.Wait()
		if asked.Load() != 1 {
			t.Errorf("%d requests at once", asked.Load())
		}
		leave()
		time.Sleep(2 * time.Second) //nolint:forbidigo // The bubble's clock.
		close(release)
		all.Wait()
		// One of the two who went away, perhaps the other, and one more.
		if n := asked.Load(); n != 2 && n != 3 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestFetcherGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFetcher(&http.Client{Transport: carrier(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})})
		start := time.Now()
		if _, err := f.Fetch(t.Context(), somewhere); err == nil || time.Since(start) != fetchTimeout {
			t.Errorf("error %v after %s", err, time.Since(start))
		}
	})
}

func TestFetcherAsksFewAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var under, most atomic.Int32
		f := newFetcher(&http.Client{Transport: carrier(func(*http.Request) (*http.Response, error) {
			n := under.Add(1)
			for m := most.Load(); n > m; m = most.Load() {
				most.CompareAndSwap(m, n)
			}
			time.Sleep(time.Second) //nolint:forbidigo // The bubble's clock.
			under.Add(-1)
			return page(200, "x"), nil
		})})
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				if _, err := f.Fetch(t.Context(), fmt.Sprintf("https://keys.example/%d", i)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if most.Load() != fetchAtOnce {
			t.Errorf("%d requests at once", most.Load())
		}
	})
}

func TestFetcherIsBounded(t *testing.T) {
	f := newFetcher(&http.Client{Transport: carrier(func(r *http.Request) (*http.Response, error) {
		switch {
		case strings.Contains(r.URL.Path, "missing"):
			return page(404, ""), nil
		case strings.Contains(r.URL.Path, "large"):
			return page(200, strings.Repeat("x", fetchLimit)), nil
		}
		return page(200, "small"), nil
	})})
	get := func(url string, good bool) {
		t.Helper()
		if _, err := f.Fetch(t.Context(), url); (err == nil) != good {
			t.Fatalf("%s: %v", url, err)
		}
	}
	get(somewhere, true)
	// Addresses that are made up push out no key.
	for i := range 3 * fetchFailures {
		get(fmt.Sprintf("https://keys.example/missing/%d", i), false)
	}
	if len(f.failed) > fetchFailures {
		t.Errorf("%d failures are kept", len(f.failed))
	}
	if _, ok := f.kept[somewhere]; !ok {
		t.Error("failures pushed a key out")
	}
	for i := range fetchEntries + 10 {
		get(fmt.Sprintf("https://keys.example/small/%d", i), true)
		get(somewhere, true) // In use: it stays.
	}
	if len(f.kept) != fetchEntries || f.order.Len() != fetchEntries {
		t.Errorf("%d answers are kept", len(f.kept))
	}
	if _, ok := f.kept[somewhere]; !ok {
		t.Error("the key that is in use was dropped")
	}
	for i := range 20 {
		get(fmt.Sprintf("https://keys.example/large/%d", i), true)
	}
	if f.size > fetchBytes {
		t.Errorf("%d bytes are kept", f.size)
	}
	if len(f.running) != 0 || len(f.slots) != 0 {
		t.Errorf("%d requests and %d places are left over", len(f.running), len(f.slots))
	}
}

func TestFetcherOverTLS(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/key":
			_, _ = w.Write([]byte("key"))
		case "/moved":
			http.Redirect(w, r, other.URL+"/key", http.StatusFound)
		case "/here":
			http.Redirect(w, r, "/key", http.StatusMovedPermanently)
		case "/full":
			_, _ = w.Write(bytes.Repeat([]byte("x"), fetchLimit))
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/cut":
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("x"))
		}
	}))
	defer server.Close()
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	f := newFetcher(server.Client())
	if body, err := f.Fetch(t.Context(), server.URL+"/key"); err != nil || string(body) != "key" {
		t.Errorf("%q, %v", body, err)
	}
	if body, err := f.Fetch(t.Context(), server.URL+"/full"); err != nil || len(body) != fetchLimit {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	for _, path := range []string{"/moved", "/here", "/endless", "/none", "/cut"} {
		if _, err := f.Fetch(t.Context(), server.URL+path); err == nil {
			t.Errorf("%s was taken", path)
		}
	}
	if elsewhere.Load() != 0 {
		t.Error("a redirect was followed")
	}
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("key")) }))
	defer plain.Close()
	for _, url := range []string{plain.URL, "file:///etc/passwd", "", "://"} {
		if _, err := f.Fetch(t.Context(), url); err == nil {
			t.Errorf("%q was asked", url)
		}
	}
	// The fetcher of everybody trusts the system's roots only, and no proxy.
	t.Setenv("HTTPS_PROXY", server.URL)
	if _, err := newFetcher(&http.Client{Transport: fetchTransport()}).Fetch(t.Context(), server.URL+"/key"); err == nil {
		t.Error("a certificate that nobody issued was trusted")
	}
	if fetchTransport().Proxy != nil {
		t.Error("a proxy is asked")
	}
}

func TestCheckFetchURL(t *testing.T) {
	own := onlyHosts("keys.example")
	for _, address := range foreignAddresses("keys.example", "/key.pem") {
		if u, err := checkFetchURL(address, own); err == nil {
			t.Errorf("%q is asked as %s", address, u)
		} else if !errors.Is(err, ErrSignature) {
			t.Errorf("%q: %v", address, err)
		}
	}
	for address, want := range map[string]string{
		"https://keys.example/key.pem": "https://keys.example/key.pem", "https://KEYS.example:443/a%20b?c=d": "https://keys.example/a%20b?c=d",
		"HTTPS://keys.example/": "https://keys.example/",
	} {
		if u, err := checkFetchURL(address, own); err != nil || u.String() != want {
			t.Errorf("%q is asked as %v, %v", address, u, err)
		}
	}
	// A fetcher of the caller's own gets no more to see.
	asked := &pages{}
	if _, err := fetchFrom(t.Context(), asked, "https://keys.example@evil.example/", own); err == nil || len(asked.askedFor()) != 0 {
		t.Errorf("asked for %q, %v", asked.askedFor(), err)
	}
	long := &pages{at: map[string]string{somewhere: strings.Repeat("x", fetchLimit+1)}}
	if _, err := fetchFrom(t.Context(), long, somewhere, own); !errors.Is(err, ErrFetch) {
		t.Errorf("error %v", err)
	}
	if DefaultFetcher() != DefaultFetcher() {
		t.Error("everybody has a fetcher and a cache of their own")
	}
}

func FuzzCheckFetchURL(f *testing.F) {
	for _, address := range foreignAddresses("keys.example", "/key.pem") {
		f.Add(address)
	}
	f.Fuzz(func(t *testing.T, address string) {
		u, err := checkFetchURL(address, onlyHosts("keys.example"))
		if err != nil {
			return
		}
		// What is asked, read by anybody, is at the host.
		r, err := http.NewRequest(http.MethodGet, u.String(), http.NoBody) //nolint:noctx // It is never sent.
		if err != nil || r.URL.Scheme != "https" || r.URL.Host != "keys.example" || r.URL.User != nil {
			t.Errorf("%q is asked as %q: %v", address, u, err)
		}
	})
}
