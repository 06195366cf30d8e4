package control

import (
	"reflect"
	"slices"
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
)

// A draft is what creating or replacing an endpoint would save, with the secrets that it would have, and saves nothing.
func TestDraft(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	saved := p.create(t, func(_ *event.Endpoint, s *event.Secrets) {
		s.Headers = []event.Header{{Name: "X-Old", Value: "1"}}
	})
	kept := p.secrets(t, saved.ID)
	heard := len(p.heard.order)
	made, s, err := p.Draft(t.Context(), event.Endpoint{URL: "https://example.com/"}, event.Secrets{}, nil)
	if err != nil || made.ID != 0 || made.Envelope != event.EnvelopeStandard || len(s.Signing) != 1 || s.Signing[0].Secret == kept.Signing[0].Secret {
		t.Errorf("%+v, %d secrets, %v", made, len(s.Signing), err)
	}
	next, s, err := p.Draft(t.Context(), event.Endpoint{URL: "https://example.com/b"}, event.Secrets{Auth: &event.Credentials{Token: "t"}}, &saved)
	if err != nil || next.ID != saved.ID || next.AuthType != "bearer" || !reflect.DeepEqual(s.Signing, kept.Signing) || len(s.Headers) != 0 {
		t.Errorf("%+v, %v", next, err)
	}
	_, s, err = p.Draft(t.Context(), event.Endpoint{URL: "https://example.com/", Signing: SigningStandardV1a}, event.Secrets{}, &saved)
	if err != nil || len(s.Signing) != 2 || !fits(s.Signing[0].Secret, SigningStandardV1a) || s.Signing[1].Secret != kept.Signing[0].Secret {
		t.Errorf("another way of signing: %d secrets, %v", len(s.Signing), err)
	}
	for _, stored := range []*event.Endpoint{nil, &saved} {
		_, _, err := p.Draft(t.Context(), event.Endpoint{URL: "https://example.com/", Order: "best", Types: []string{"a..b"}}, event.Secrets{}, stored)
		if got := fieldsOf(t, err); !slices.Contains(got, "order") {
			t.Errorf("fields %q", got)
		}
	}
	if _, _, err := p.Draft(t.Context(), hook(), event.Secrets{}, &saved); !slices.Equal(fieldsOf(t, err), []string{"kind"}) {
		t.Errorf("another kind: %v", err)
	}
	if len(p.heard.order) != heard || len(p.store.endpoints) != 1 || !reflect.DeepEqual(p.secrets(t, saved.ID), kept) {
		t.Error("a draft changed something")
	}
}
