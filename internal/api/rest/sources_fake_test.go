package rest_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// fakeSources are the sources of a fake.
type fakeSources struct {
	f      *fake
	byName map[string]event.Source
	hidden map[event.SourceID]event.SourceSecrets
	states map[event.SourceID]event.SourceState
	given  []event.Source
}

// reset is called with the fake's lock held.
func (q *fakeSources) reset(f *fake) {
	*q = fakeSources{f: f, byName: map[string]event.Source{}, hidden: map[event.SourceID]event.SourceSecrets{}, states: map[event.SourceID]event.SourceState{}}
	q.byName["github"] = event.Source{
		ID: 1, Tenant: 1, Name: "github", Provider: "meta", Dedupe: event.DedupeID, Inspect: event.InspectRefused, Bin: "6f1c1e0e-5d7c-4d6e-8a55-0d7a3ff1f9a0",
		Map: event.SourceMap{Type: `"a.b"`}, Answer: event.Answer{Status: 202, Headers: []event.Header{{Name: "X-A", Value: "b"}}, Body: []byte("ok")},
		Sync: 77, SyncWait: 5 * time.Second, Allow: []string{"192.0.2.0/24"}, Created: start, Updated: start, Revision: 3,
	}
	q.hidden[1] = event.SourceSecrets{
		Secrets: []event.SigningSecret{
			{Secret: "a secret of some length"},
			{Secret: "short", Expires: start.Add(time.Hour)},
		},
		Settings: map[string]string{"verify_token": "hush", "page": "12"},
	}
	q.states[1] = event.SourceState{Accepted: 7, Refused: 1, LastAccepted: start, LastRefused: event.SourceRefusal{At: start, Code: "bad_signature", Detail: "no secret matches"}}
}

func (q *fakeSources) Create(_ context.Context, t *event.Tenant, s event.Source, secrets []string, settings map[string]string) (event.Source, error) {
	defer q.f.lock()()
	if q.f.fail != nil {
		return s, q.f.fail
	}
	s.ID, s.Tenant, s.Created, s.Updated, s.Revision = 2, t.ID, start, start, 1
	q.byName[s.Name] = s
	q.given = append(q.given, s)
	q.keep(s.ID, secrets, settings)
	return s, nil
}

func (q *fakeSources) keep(id event.SourceID, secrets []string, settings map[string]string) {
	hidden := q.hidden[id]
	if secrets != nil {
		hidden.Secrets = nil
		for _, x := range secrets {
			hidden.Secrets = append(hidden.Secrets, event.SigningSecret{Secret: x})
		}
	}
	if settings != nil {
		merged := maps.Clone(settings)
		for name, value := range merged {
			if value == "" {
				merged[name] = hidden.Settings[name]
			}
		}
		hidden.Settings = merged
	}
	q.hidden[id] = hidden
}

func (q *fakeSources) Source(_ context.Context, _ *event.Tenant, name string) (event.Source, error) {
	defer q.f.lock()()
	s, ok := q.byName[name]
	if q.f.fail != nil {
		return s, q.f.fail
	}
	if !ok {
		return s, event.NotFound("source")
	}
	return s, nil
}

func (q *fakeSources) Sources(_ context.Context, _ *event.Tenant, after string, limit int) ([]event.Source, error) {
	defer q.f.lock()()
	var list []event.Source
	for name, s := range q.byName {
		if name > after {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b event.Source) int { return strings.Compare(a.Name, b.Name) })
	return list[:min(limit, len(list))], q.f.fail
}

func (q *fakeSources) Update(_ context.Context, _ *event.Tenant, s event.Source, secrets []string, settings map[string]string, revision int64) (event.Source, error) {
	defer q.f.lock()()
	stored := q.byName[s.Name]
	if err := q.f.precondition(revision, stored.Revision); err != nil {
		return s, err
	}
	s.ID, s.Bin, s.Created, s.Updated, s.Revision = stored.ID, stored.Bin, stored.Created, start.Add(time.Hour), stored.Revision+1
	q.byName[s.Name] = s
	q.keep(s.ID, secrets, settings)
	return s, nil
}

func (q *fakeSources) Delete(_ context.Context, _ *event.Tenant, name string, revision int64) error {
	defer q.f.lock()()
	s, ok := q.byName[name]
	if q.f.fail == nil && !ok {
		return event.NotFound("source")
	}
	if err := q.f.precondition(revision, s.Revision); err != nil {
		return err
	}
	delete(q.byName, name)
	return nil
}

func (q *fakeSources) Secrets(_ context.Context, s *event.Source) (event.SourceSecrets, error) {
	defer q.f.lock()()
	return q.hidden[s.ID], q.f.fail
}

func (q *fakeSources) AddSecret(_ context.Context, _ *event.Tenant, name, secret string, overlap time.Duration) (event.SourceSecrets, error) {
	defer q.f.lock()()
	s, ok := q.byName[name]
	if q.f.fail == nil && !ok {
		return event.SourceSecrets{}, event.NotFound("source")
	}
	hidden := q.hidden[s.ID]
	hidden.Secrets = []event.SigningSecret{{Secret: secret}, {Secret: hidden.Secrets[0].Secret, Expires: start.Add(overlap)}}
	q.hidden[s.ID] = hidden
	return hidden, q.f.fail
}

func (q *fakeSources) State(id event.SourceID) event.SourceState {
	defer q.f.lock()()
	return q.states[id]
}

func (*fakeSources) URL(t *event.Tenant, source string) string {
	return "https://hooks.example.com/in/" + t.Name + "/" + source
}

func (*fakeSources) Providers() []event.Provider {
	return []event.Provider{{Name: "meta", Title: "Meta", Aliases: []string{"facebook"}, Secret: "the app secret", Event: "type from object", Settings: []event.ProviderSetting{
		{Name: "verify_token", Doc: "What is typed in", Secret: true}, {Name: "page", Doc: "A page"},
	}}}
}

func (*fakeSources) Shown(_ context.Context, _ *event.Tenant, e *event.Event) *event.Request {
	shown := *e.Origin
	shown.Body = e.Data
	return &shown
}
