package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// TestWatchOverview: a broken connection is made again, what is unknown is passed over, and what no try mends ends it.
func TestWatchOverview(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/tenants/acme/overview/stream" || r.Header.Get("Accept") != "text/event-stream" || r.Header.Get("Authorization") != "Bearer k" {
			t.Errorf("%s %v", r.URL, r.Header)
		}
		switch calls.Add(1) {
		case 1:
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = fmt.Fprint(w, "event: overview\ndata: {\"events\":5}\n\n: keep-alive\n\nevent: tick\ndata: {\"events\":2,\"p50\":1.5}\n\nevent: new\ndata: {}\n\nevent: attention\ndata: {\"data\":[{\"endpoint\":\"ep_1\"}]}\n\nevent: tick\ndata: {\"ev")
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = fmt.Fprint(w, `{"status":503,"code":"busy"}`)
		case 3:
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = fmt.Fprint(w, "event: overview\ndata: {\"events\":6}\n\n")
		default:
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = fmt.Fprint(w, `{"status":401,"code":"unauthorized"}`)
		}
	}))
	defer s.Close()
	c, err := client.New(s.URL, "k")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	var last error
	for news, err := range c.WatchOverview(t.Context(), "acme") {
		switch {
		case err != nil:
			last = err
		case news.Overview != nil:
			got = append(got, fmt.Sprint("overview ", news.Overview.Events))
		case news.Tick != nil:
			got = append(got, fmt.Sprint("tick ", news.Tick.Events, " ", *news.Tick.P50))
		case news.Attention != nil:
			got = append(got, "attention "+news.Attention.Data[0].Endpoint)
		}
	}
	if want := "overview 5,tick 2 1.5,attention ep_1,overview 6"; strings.Join(got, ",") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if p, ok := errors.AsType[*client.Problem](last); !ok || p.Status != http.StatusUnauthorized || calls.Load() != 4 {
		t.Errorf("%v after %d calls", last, calls.Load())
	}
}

func TestWatchOverviewEnds(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprint(w, "event: overview\ndata: {}\n\n")
		_ = http.NewResponseController(w).Flush() // the client may be gone
		<-r.Context().Done()
	}))
	defer s.Close()
	c, err := client.New(s.URL, "k")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range c.WatchOverview(t.Context(), "") { // who wants no more is let go
		if err != nil {
			t.Error(err)
		}
		break
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, err := range c.WatchOverview(ctx, "") {
		if cancel(); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

func TestEndpointsStats(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.RequestURI() == "/v1/tenants/acme/endpoints/stats?buckets=4&endpoints=a%2Cb&window=1h" {
			_, _ = fmt.Fprint(w, `{"data":[{"endpoint":"a","window":"1h","series":[{"at":"2026-01-02T03:04:05Z","attempts":3}]}]}`)
			return
		}
		if r.URL.RequestURI() != "/v1/tenants/acme/endpoints/a/stats" {
			t.Error(r.URL)
		}
		_, _ = fmt.Fprint(w, `{"window":"24h"}`)
	}))
	defer s.Close()
	c, err := client.New(s.URL, "k")
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.EndpointsStats(t.Context(), "acme", []string{"a", "b"}, client.StatsOptions{Window: time.Hour, Buckets: 4})
	if err != nil || len(list) != 1 || list[0].Endpoint != "a" || list[0].Series[0].Attempts != 3 {
		t.Errorf("%+v, %v", list, err)
	}
	if one, err := c.EndpointStats(t.Context(), "acme", "a", client.StatsOptions{}); err != nil || one.Series != nil {
		t.Errorf("%+v, %v", one, err)
	}
}
