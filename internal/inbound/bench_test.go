package inbound_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/inbound"
)

// BenchmarkSource is what a request to a source costs without the network and the store: beside a handler that only reads the body.
func BenchmarkSource(b *testing.B) {
	body := `{"ref":"refs/heads/main","repository":{"full_name":"octo/hello"},"pad":"` + strings.Repeat("x", 620) + `"}`
	signature := githubSignature("s3cret", body)
	request := func(r *strings.Reader) *http.Request {
		r.Reset(body)
		q := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/in/acme/github", r)
		q.Header.Set("Content-Type", "application/json")
		q.Header.Set("X-GitHub-Event", "push")
		q.Header.Set("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
		q.Header.Set("X-Hub-Signature-256", signature)
		return q
	}
	run := func(b *testing.B, h http.Handler) {
		b.Helper()
		b.ReportAllocs()
		r := strings.NewReader(body)
		for b.Loop() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, request(r))
			if w.Code != http.StatusOK {
				b.Fatal(w.Code)
			}
		}
	}
	accept := func(c *inbound.Config) {
		c.Publish = func(context.Context, *event.Tenant, *event.Event) (event.Receipt, error) {
			return event.Receipt{ID: "x", Version: 1}, nil
		}
	}
	b.Run("bare", func(b *testing.B) {
		run(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusOK)
		}))
	})
	b.Run("accept", func(b *testing.B) {
		run(b, newStage(b, event.Source{Name: "github", Provider: "none"}, nil, nil, accept).h)
	})
	b.Run("verify+accept", func(b *testing.B) {
		run(b, newStage(b, event.Source{Name: "github", Provider: "github"}, []string{"s3cret"}, nil, accept).h)
	})
	b.Run("verify+map", func(b *testing.B) {
		run(b, newStage(b, event.Source{Name: "github", Provider: "github", Map: event.SourceMap{Subject: `body.ref`, Data: `body.repository`}}, []string{"s3cret"}, nil, accept).h)
	})
}
