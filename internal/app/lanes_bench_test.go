package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

// BenchmarkEndpointsByLane lists those of 5,000 endpoints whose lanes wait, which are none: as many as one request looks at.
// Beside it are a search that finds nothing, which looks at as many without their lanes, and a page with the lanes' states.
func BenchmarkEndpointsByLane(b *testing.B) {
	a, tenant := benchApp(b)
	for i := range 5000 {
		e := event.Endpoint{ID: event.NewEndpointID(), Tenant: tenant.ID, URL: fmt.Sprintf("https://example.com/hooks/%d", i), Types: []string{"order.*", "user.created"}}
		if _, err := a.store.PutEndpoint(b.Context(), e, 0, 0); err != nil {
			b.Fatal(err)
		}
	}
	for query, want := range map[string]int{"lane=waiting": 0, "q=nothing": 0, "state=true": 100} {
		b.Run(query, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/v1/tenants/acme/endpoints?limit=100&"+query, nil)
				r.Header.Set("Authorization", "Bearer "+testRoot)
				w := httptest.NewRecorder()
				a.handler.ServeHTTP(w, r)
				var out client.Page[client.Endpoint]
				if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || len(out.Data) != want {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
	}
}
