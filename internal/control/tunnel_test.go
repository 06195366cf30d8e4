package control

import (
	"slices"
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
)

func tunnel() event.Endpoint {
	return event.Endpoint{URL: "tunnel:laptop", Kind: event.KindTunnel, Order: event.OrderStrict, Envelope: event.EnvelopeOriginal, Signing: SigningNone, Forever: true}
}

// An endpoint of the kind tunnel names a tunnel, and nothing that could be dialled; others never do.
func TestCheckTunnel(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	made, err := p.CreateEndpoint(t.Context(), p.tenant, tunnel(), event.Secrets{})
	if err != nil || made.URL != "tunnel:laptop" {
		t.Fatalf("%+v, %v", made, err)
	}
	for _, url := range []string{"", "tunnel:", "tunnel:A", "tunnel://10.0.0.1/", "tunnel:a/b", "tunnel:a?b", "http://10.0.0.1/", "https://example.com/"} {
		e := tunnel()
		e.URL = url
		if got := fieldsOf(t, p.CheckEndpoint(e, event.Secrets{})); !slices.Equal(got, []string{"url"}) {
			t.Errorf("%q: fields %q", url, got)
		}
	}
	e := tunnel()
	e.Forever, e.Payload, e.Batch.Max = false, event.PayloadThin, 2
	if got := fieldsOf(t, p.CheckEndpoint(e, event.Secrets{})); !slices.Equal(got, []string{"payload", "forever", "batch"}) {
		t.Errorf("fields %q", got)
	}
	other := tunnel()
	other.ID, other.URL = made.ID, "tunnel:other"
	if _, err := p.UpdateEndpoint(t.Context(), p.tenant, other, nil, 0); !slices.Equal(fieldsOf(t, err), []string{"url"}) {
		t.Errorf("%v", err)
	}
	webhook := tunnel()
	webhook.ID, webhook.Kind, webhook.URL = made.ID, event.KindWebhook, "https://example.com/"
	if _, err := p.UpdateEndpoint(t.Context(), p.tenant, webhook, nil, 0); !slices.Equal(fieldsOf(t, err), []string{"kind"}) {
		t.Errorf("%v", err)
	}
}

func TestCheckOriginal(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	e := event.Endpoint{URL: "https://example.com/", Envelope: event.EnvelopeOriginal}
	if err := p.CheckEndpoint(e, event.Secrets{}); err != nil {
		t.Error(err)
	}
	e.Payload, e.Batch.Max, e.Format = event.PayloadThin, 2, event.FormatXML
	if got := fieldsOf(t, p.CheckEndpoint(e, event.Secrets{})); !slices.Equal(got, []string{"format", "payload", "batch"}) {
		t.Errorf("fields %q", got)
	}
}
