package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/config"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// BenchmarkStats asks for the figures of 50 endpoints in 24 parts of a day, on a log with 500,000 attempts, their answers as
// long as a web server's are: spread evenly, and nearly all of one endpoint.
func BenchmarkStats(b *testing.B) {
	for name, of := range map[string]func(i int) int{
		"even":     func(i int) int { return i * 7919 % 50 },
		"one busy": func(i int) int { return min(i*7919%1000, 49) },
	} {
		b.Run(name, func(b *testing.B) { benchStats(b, of) })
	}
}

// benchApp is a server with one tenant, acme, which ends with the benchmark.
func benchApp(b *testing.B) (*App, event.Tenant) {
	b.Helper()
	cfg, err := config.Load([]string{"--listen", "127.0.0.1:0", "--data", b.TempDir(), "--root-key", testRoot}, nil, os.ReadFile)
	if err != nil {
		b.Fatal(err)
	}
	a, err := New(b.Context(), cfg, Options{Log: io.Discard})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { a.close() })
	tenant, err := a.store.PutTenant(b.Context(), event.Tenant{Name: "acme"}, 0)
	if err != nil {
		b.Fatal(err)
	}
	return a, tenant
}

func benchStats(b *testing.B, of func(i int) int) {
	a, tenant := benchApp(b)
	ids := make([]event.EndpointID, 50)
	texts := make([]string, len(ids))
	for i := range ids {
		ids[i] = event.NewEndpointID()
		texts[i] = ids[i].String()
		if _, err := a.store.PutEndpoint(b.Context(), event.Endpoint{ID: ids[i], Tenant: tenant.ID, URL: "https://example.com/"}, 0, 0); err != nil {
			b.Fatal(err)
		}
	}
	leases, err := a.store.Acquire(b.Context(), "bench", time.Now(), time.Minute)
	if err != nil {
		b.Fatal(err)
	}
	answer := []event.Header{
		{Name: "content-type", Value: "application/json; charset=utf-8"},
		{Name: "content-length", Value: "65"},
		{Name: "date", Value: "Sun, 22 Nov 2026 11:00:00 GMT"},
		{Name: "server", Value: "nginx/1.27.3"},
		{Name: "vary", Value: "accept-encoding"},
		{Name: "x-request-id", Value: "018f0000-0000-7000-8000-000000000000"},
		{Name: "strict-transport-security", Value: "max-age=63072000; includeSubDomains"},
	}
	const n, batch = 500_000, 4000
	now := time.Now()
	for i := 0; i < n; i += batch {
		r := store.Record{Lease: leases[0], Attempts: make([]event.Attempt, batch)}
		for k := range r.Attempts {
			r.Attempts[k] = event.Attempt{
				Tenant: tenant.ID, Endpoint: ids[of(i+k)], Versions: []int64{int64(i + k + 1)}, EventID: fmt.Sprintf("018f0000-0000-7000-8000-%012d", i+k), Number: 1,
				At: now.Add(-24 * time.Hour * time.Duration(n-i-k) / n), Duration: 3 * time.Millisecond, Status: 200, Verdict: event.VerdictDelivered,
				Headers: answer, Body: []byte(`{"status":"accepted","id":"018f0000-0000-7000-8000-000000000000"}`),
			}
		}
		if err := a.store.SaveRecord(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
	i, parts := 0, 0
	for b.Loop() {
		i++ // another window each time: the same is kept for seconds
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, fmt.Sprintf("/v1/tenants/acme/endpoints/stats?buckets=24&window=%dms&endpoints=%s", 86_400_000-i, strings.Join(texts, ",")), nil)
		r.Header.Set("Authorization", "Bearer "+testRoot)
		w := httptest.NewRecorder()
		a.handler.ServeHTTP(w, r)
		var out client.StatsList
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || len(out.Data) != len(ids) {
			b.Fatal(w.Code, w.Body)
		}
		parts = 0
		for _, s := range out.Data {
			for _, x := range s.Series {
				if x.Attempts > 0 {
					parts++
				}
			}
		}
	}
	b.ReportMetric(float64(parts), "parts-with-attempts")
}
