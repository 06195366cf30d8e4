package control

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

func hook() event.Endpoint {
	return event.Endpoint{
		URL: "https://example.com/", Kind: event.KindFlexiBee, Order: event.OrderStrict, Envelope: event.EnvelopeFlexiBee, Format: event.FormatXML,
		Signing: SigningNone, Profile: event.ProfileFlexiBee, Forever: true, Changed: []string{"stavUhrK"},
	}
}

// An endpoint that begins in the past is expected before it is saved, and saved with its lane.
func TestCreateEndpointAfter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ version, want int64 }{{0, 2}, {1, 2}, {2, 2}, {5, 5}, {9, 9}, {-1, -1}, {10, -1}} {
		p := newPlane(t)
		p.store.oldest, p.store.head = 3, 9
		e, err := p.CreateEndpointAfter(t.Context(), p.tenant, hook(), event.Secrets{}, tt.version)
		if tt.want < 0 {
			if got := fieldsOf(t, err); !slices.Equal(got, []string{"start"}) || len(p.heard.order) > 0 {
				t.Errorf("after %d: fields %q, heard %q", tt.version, got, p.heard.order)
			}
			continue
		}
		if err != nil || e.Start != tt.want || !slices.Equal(p.store.behind, []event.EndpointID{e.ID}) {
			t.Errorf("after %d: %+v, %v", tt.version, e, err)
		}
		if !slices.Equal(p.heard.order, []string{"expected", "behind"}) || p.heard.changed[0].Revision != 1 {
			t.Errorf("after %d: heard %q", tt.version, p.heard.order)
		}
	}
}

// An endpoint that begins with a version gets that one first; what is no longer kept is said.
func TestCreateEndpointFrom(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		version int64
		kind    event.Kind
	}{{3, 0}, {9, 0}, {10, 0}, {1, event.KindGone}, {2, event.KindGone}, {0, event.KindInvalid}, {-1, event.KindInvalid}, {11, event.KindInvalid}} {
		p := newPlane(t)
		p.store.oldest, p.store.head = 3, 9
		e, err := p.CreateEndpointFrom(t.Context(), p.tenant, event.Endpoint{URL: "https://example.com/"}, event.Secrets{}, tt.version)
		if tt.kind == 0 {
			if err != nil || e.Start != tt.version-1 || !slices.Equal(p.store.behind, []event.EndpointID{e.ID}) || !slices.Equal(p.heard.order, []string{"expected", "behind"}) {
				t.Errorf("from %d: %+v, %v, heard %q", tt.version, e, err, p.heard.order)
			}
			continue
		}
		problem, ok := errors.AsType[*event.Error](err)
		if !ok || problem.Kind != tt.kind || problem.Fields[0].Field != "start" || tt.kind == event.KindGone && problem.Oldest != 3 || len(p.heard.order) > 0 {
			t.Errorf("from %d: %v, heard %q", tt.version, err, p.heard.order)
		}
	}
}

func TestCreateEndpointAfterFails(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	failed := errors.New("no")
	p.store.before = func(call string) error {
		if call == "AddEndpointBehind" {
			return failed
		}
		return nil
	}
	if _, err := p.CreateEndpointAfter(t.Context(), p.tenant, hook(), event.Secrets{}, 0); !errors.Is(err, failed) {
		t.Error(err)
	}
	if !slices.Equal(p.heard.order, []string{"expected", "deleted"}) {
		t.Errorf("heard %q", p.heard.order)
	}
}

func TestCheckEndpointCreatesNothing(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	if err := p.CheckEndpoint(hook(), event.Secrets{}); err != nil {
		t.Error(err)
	}
	for field, change := range map[string]func(*event.Endpoint){
		"format":     func(e *event.Endpoint) { e.Format = "csv" },
		"envelope":   func(e *event.Endpoint) { e.Envelope = event.EnvelopeStandard },
		"profile":    func(e *event.Endpoint) { e.Profile = "kind" },
		"kind":       func(e *event.Endpoint) { e.Kind = "carrier pigeon" },
		"changed[0]": func(e *event.Endpoint) { e.Changed = []string{""} },
		"changed":    func(e *event.Endpoint) { e.Changed = slices.Repeat([]string{"a"}, 21) },
	} {
		e := hook()
		change(&e)
		if got := fieldsOf(t, p.CheckEndpoint(e, event.Secrets{})); !slices.Contains(got, field) {
			t.Errorf("%s: fields %q", field, got)
		}
	}
	e := hook()
	e.Kind = event.KindWebhook
	if got := fieldsOf(t, p.CheckEndpoint(e, event.Secrets{})); !slices.Equal(got, []string{"envelope", "format"}) {
		t.Errorf("a webhook in FlexiBee's envelope: fields %q", got)
	}
	if len(p.store.endpoints) > 0 || len(p.heard.order) > 0 {
		t.Error("something was made")
	}
}

// An update replaces all of the configuration, and of a hook nothing that its clients count on.
func TestUpdateHook(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	made, err := p.CreateEndpointAfter(t.Context(), p.tenant, hook(), event.Secrets{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	next := hook()
	next.ID, next.Description, next.Changed, next.Format, next.Payload = made.ID, "new", nil, event.FormatJSON, event.PayloadThin
	saved, err := p.UpdateEndpoint(t.Context(), p.tenant, next, nil, 0)
	if err != nil || saved.Description != "new" || saved.Profile != event.ProfileFlexiBee || !saved.Forever || saved.Changed != nil || saved.Start != made.Start {
		t.Errorf("%+v, %v", saved, err)
	}
	_, err = p.UpdateEndpoint(t.Context(), p.tenant, event.Endpoint{ID: made.ID, URL: made.URL, Kind: event.KindFlexiBee, Envelope: event.EnvelopeFlexiBee}, nil, 0)
	if got := fieldsOf(t, err); !slices.Equal(got, []string{"order", "signing", "profile", "forever"}) {
		t.Errorf("fields %q, %v", got, err)
	}
}

func TestUpdateForever(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	e := event.Endpoint{URL: "https://example.com/", Forever: true, Profile: event.ProfileFlexiBee, Changed: []string{"state"}}
	made, err := p.CreateEndpoint(t.Context(), p.tenant, e, event.Secrets{})
	if err != nil || !made.Forever || made.Profile != event.ProfileFlexiBee || len(made.Changed) != 1 {
		t.Fatalf("%+v, %v", made, err)
	}
	same := made
	same.Channels, same.Retries, same.Metadata = []string{}, []time.Duration{}, map[string]string{}
	if same, err = p.UpdateEndpoint(t.Context(), p.tenant, same, &event.Secrets{Headers: []event.Header{}}, 0); err != nil || same.Revision != made.Revision {
		t.Errorf("writing back what was read: %+v, %v", same, err)
	}
	made, err = p.UpdateEndpoint(t.Context(), p.tenant, event.Endpoint{ID: made.ID, URL: made.URL}, nil, 0)
	if err != nil || made.Forever || made.Profile != "" || made.Changed != nil {
		t.Errorf("%+v, %v", made, err)
	}
}

func TestKindStays(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	made, err := p.CreateEndpointAfter(t.Context(), p.tenant, hook(), event.Secrets{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.UpdateEndpoint(t.Context(), p.tenant, event.Endpoint{ID: made.ID, URL: made.URL, Signing: SigningNone}, nil, 0)
	if got := fieldsOf(t, err); !slices.Equal(got, []string{"kind"}) {
		t.Errorf("fields %q, %v", got, err)
	}
}

func TestSetChangelog(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	for _, on := range []bool{true, true, false} {
		if err := p.SetChangelog(t.Context(), p.tenant.Name, on); err != nil {
			t.Fatal(err)
		}
		tenant, err := p.Tenant(t.Context(), p.tenant.Name)
		if err != nil || tenant.Changelog != on {
			t.Errorf("%+v, %v", tenant, err)
		}
	}
	if err := p.SetChangelog(t.Context(), p.tenant.Name, true); err != nil {
		t.Fatal(err)
	}
	changed, err := p.UpdateTenant(t.Context(), event.Tenant{Name: p.tenant.Name, Description: "new"}, 0)
	if err != nil || !changed.Changelog {
		t.Errorf("an update switched it off: %+v, %v", changed, err)
	}
	if err := p.SetChangelog(t.Context(), "nobody", true); event.KindOf(err) != event.KindNotFound {
		t.Error(err)
	}
}
