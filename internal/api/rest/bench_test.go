package rest_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/event"
)

// door is a publisher that costs nothing.
type door struct{}

// Publish is for [rest.Publisher].
func (door) Publish(context.Context, *event.Tenant, []event.Event, string, [32]byte) ([]event.Receipt, error) {
	return []event.Receipt{{ID: "01a2004d-39b9-7c91-8035-4b5963e3c830", Version: 123456}}, nil
}

// BenchmarkPublish is the core of the publish path with a body of 700 bytes, without HTTP and without a store.
func BenchmarkPublish(b *testing.B) {
	f := newFake()
	api, _ := newAPI(b, f, func(c *rest.Config) {
		c.Publisher, c.Logger = door{}, slog.New(slog.DiscardHandler)
	})
	body := []byte(`{"type":"order.paid","subject":"order/42","data":{"text":"` + strings.Repeat("x", 640) + `"}}`)
	b.ReportAllocs()
	for b.Loop() {
		res := api.Publish(b.Context(), rest.PublishRequest{Tenant: "acme", Authorization: "Bearer publisher", ContentType: "application/json", Body: body})
		if res.Status != http.StatusAccepted {
			b.Fatal(string(res.Body))
		}
	}
}
