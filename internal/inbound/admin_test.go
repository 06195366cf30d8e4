package inbound_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/inbound"
	"github.com/posthornhq/posthorn/receiver"
)

func fieldsOf(err error) []string {
	e, ok := errors.AsType[*event.Error](err)
	if !ok {
		return nil
	}
	var names []string
	for _, f := range e.Fields {
		names = append(names, f.Field)
	}
	return names
}

func TestCheck(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for i := range 101 {
		many[fmt.Sprint("f", i)] = "x"
	}
	networks := slices.Repeat([]string{"192.0.2.1"}, 101)
	type change func(s *event.Source)
	for _, tt := range []struct {
		change   change
		secrets  []string
		settings map[string]string
		fields   []string
	}{
		{change: func(s *event.Source) { s.Name = "A" }, fields: []string{"name"}},
		{change: func(s *event.Source) { s.Provider = "nobody" }, fields: []string{"provider"}},
		{change: func(s *event.Source) { s.Provider = "none" }, secrets: []string{"x"}, fields: []string{"secrets"}},
		{secrets: []string{"a", " \n"}, fields: []string{"secrets[1]"}},
		{secrets: []string{strings.Repeat("x", 9<<10)}, fields: []string{"secrets[0]"}},
		{secrets: slices.Repeat([]string{"a"}, 11), fields: []string{"secrets"}},
		{change: func(s *event.Source) { s.Provider = "hmac" }, secrets: []string{"x"}, fields: []string{"settings.header"}},
		{
			change: func(s *event.Source) { s.Provider = "hmac" }, secrets: []string{"x"},
			settings: map[string]string{"header": "X-Sig", "algorithm": "md5"}, fields: []string{"settings"},
		},
		{
			change: func(s *event.Source) { s.Provider = "hmac" }, secrets: []string{"x"},
			settings: map[string]string{"header": "X-Sig", "prefix": "v=", "template": "{bod}"}, fields: []string{"settings"},
		},
		{settings: map[string]string{"what": "x", "more": "y"}, fields: []string{"settings.more", "settings.what"}},
		{change: func(s *event.Source) { s.Description = strings.Repeat("x", 2000) }, fields: []string{"description"}},
		{change: func(s *event.Source) { s.Dedupe = "time" }, fields: []string{"dedupe"}},
		{change: func(s *event.Source) { s.Dedupe, s.Map.ID = event.DedupeNone, "body.id" }, fields: []string{"dedupe"}},
		{change: func(s *event.Source) { s.Inspect = "some" }, fields: []string{"inspect"}},
		{change: func(s *event.Source) { s.Tolerance = -1 }, fields: []string{"tolerance"}},
		{change: func(s *event.Source) { s.Tolerance = 25 * time.Hour }, fields: []string{"tolerance"}},
		{change: func(s *event.Source) { s.Allow = []string{"192.0.2.0/24", "x", "1.2.3.4/33", "::/0%a"} }, fields: []string{"allow[1]", "allow[2]", "allow[3]"}},
		{change: func(s *event.Source) { s.Allow = networks }, fields: []string{"allow"}},
		{change: func(s *event.Source) { s.Answer.Status = 199 }, fields: []string{"answer.status"}},
		{change: func(s *event.Source) { s.Answer = event.Answer{Status: 204, Body: []byte("x")} }, fields: []string{"answer.body"}},
		{change: func(s *event.Source) { s.Answer.Body = make([]byte, 9<<10) }, fields: []string{"answer.body"}},
		{change: func(s *event.Source) {
			s.Answer.Headers = []event.Header{{Name: "set-cookie", Value: "a"}, {Name: "a b"}, {Name: "X", Value: "a\r\nb"}, {Name: "Content-Length", Value: "1"}}
		}, fields: []string{"answer.headers.set-cookie", "answer.headers.a b", "answer.headers.X", "answer.headers.Content-Length"}},
		{change: func(s *event.Source) { s.Sync, s.SyncWait = 77, time.Minute }, fields: []string{"sync.wait"}},
		{change: func(s *event.Source) { s.Sync = 78 }, fields: []string{"sync.endpoint"}},
		{
			change: func(s *event.Source) {
				s.Map = event.SourceMap{Type: "body.", ID: "nosuch", Data: "body", Accept: "'x'", Fields: map[string]string{"a": ""}}
			},
			fields: []string{"map.type", "map.id", "map.accept", "map.fields", "map.fields.a"},
		},
		{change: func(s *event.Source) { s.Map.Data = strings.Repeat("1+", 3000) + "1" }, fields: []string{"map.data"}},
		{change: func(s *event.Source) { s.Map.Fields = many }, fields: []string{"map.fields"}},
		{change: func(s *event.Source) { s.Metadata = map[string]string{"": "x"} }, fields: []string{"metadata"}},
	} {
		w := newWorld()
		src := event.Source{Name: "a", Provider: "github"}
		if tt.change != nil {
			tt.change(&src)
		}
		_, err := newService(t, w).Create(t.Context(), acme, src, tt.secrets, tt.settings)
		if event.KindOf(err) != event.KindInvalid || !slices.Equal(fieldsOf(err), tt.fields) {
			t.Errorf("%q: %v", tt.fields, err)
		}
		if len(w.sources) != 0 {
			t.Errorf("%q: stored", tt.fields)
		}
	}
	// What the server cannot do is refused by name.
	s := newService(t, newWorld(), func(c *inbound.Config) { c.Inspector, c.Awaiter = nil, nil })
	_, err := s.Create(t.Context(), acme, event.Source{Name: "a", Provider: "none", Inspect: event.InspectAll, Sync: 77}, nil, nil)
	if !slices.Equal(fieldsOf(err), []string{"inspect", "sync"}) {
		t.Errorf("%v", err)
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := newService(t, w, func(c *inbound.Config) { c.MaxSources = 2; c.PublicURL = "https://hooks.example.com/" })
	made, err := s.Create(t.Context(), acme, event.Source{
		Name: "a", Provider: "facebook", Sync: 77, Allow: []string{" 192.0.2.7 ", "::ffff:198.51.100.0/120", "2001:db8::1/32"},
	}, []string{"x"}, map[string]string{"verify_token": "tok"})
	if err != nil {
		t.Fatal(err)
	}
	if made.Provider != "meta" || made.Dedupe != event.DedupeID || made.SyncWait != event.DefaultSyncWait || made.Revision != 1 || made.ID == 0 || made.Bin != "" ||
		!made.Created.Equal(start) || !slices.Equal(made.Allow, []string{"192.0.2.7/32", "198.51.100.0/24", "2001:db8::/32"}) {
		t.Errorf("%+v", made)
	}
	if s.URL(acme, "a") != "https://hooks.example.com/in/acme/a" {
		t.Error(s.URL(acme, "a"))
	}
	if _, err := s.Create(t.Context(), acme, event.Source{Name: "a", Provider: "none"}, nil, nil); event.KindOf(err) != event.KindConflict {
		t.Errorf("%v", err)
	}
	if _, err := s.Create(t.Context(), acme, event.Source{Name: "b", Provider: "none", Inspect: event.InspectAll}, nil, nil); err != nil {
		t.Fatal(err)
	}
	_, err = s.Create(t.Context(), acme, event.Source{Name: "c", Provider: "none"}, nil, nil)
	if e, ok := errors.AsType[*event.Error](err); !ok || e.Code != "too_many_sources" {
		t.Errorf("%v", err)
	}
	if _, err := s.Create(t.Context(), other, event.Source{Name: "a", Provider: "none"}, nil, nil); err != nil {
		t.Errorf("%v", err)
	}
	list, err := s.Sources(t.Context(), acme, "a", 10)
	if err != nil || len(list) != 1 || list[0].Bin != "bin-acme-b" {
		t.Errorf("%+v %v", list, err)
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "meta", Provider: "meta"}, []string{"one"}, map[string]string{"verify_token": "tok"})
	hidden := func() event.SourceSecrets {
		src, err := on.s.Source(t.Context(), acme, "meta")
		if err != nil {
			t.Fatal(err)
		}
		h, err := on.s.Secrets(t.Context(), &src)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	update := func(src event.Source, secrets []string, settings map[string]string, revision int64) (event.Source, error) {
		src.Name = "meta"
		return on.s.Update(t.Context(), acme, src, secrets, settings, revision)
	}
	saved, err := update(event.Source{Provider: "meta", Description: "d", Inspect: event.InspectAll}, nil, nil, 1)
	if err != nil || saved.Revision != 2 || saved.Description != "d" || saved.Bin != "bin-acme-meta" {
		t.Errorf("%+v %v", saved, err)
	}
	if h := hidden(); len(h.Secrets) != 1 || h.Settings["verify_token"] != "tok" {
		t.Errorf("%+v", h)
	}
	if _, err := update(event.Source{Provider: "meta"}, nil, nil, 1); event.KindOf(err) != event.KindPrecondition {
		t.Errorf("%v", err)
	}
	saved, err = update(event.Source{Provider: "meta"}, []string{"two", "three"}, map[string]string{"verify_token": ""}, 0)
	if err != nil || saved.Bin != "" || !slices.Equal(on.dropped, []string{"bin-acme-meta"}) {
		t.Errorf("%+v %v %q", saved, err, on.dropped)
	}
	if h := hidden(); len(h.Secrets) != 2 || h.Secrets[0].Secret != "two" || h.Settings["verify_token"] != "tok" {
		t.Errorf("%+v", h)
	}
	// What is changed counts at once, though the source was in memory.
	if w := on.send(t, "GET", "/in/acme/meta?hub.mode=subscribe&hub.verify_token=tok&hub.challenge=1", ""); w.Code != 200 {
		t.Error(w.Code)
	}
	reads := on.reads
	if w := on.send(t, "GET", "/in/acme/meta?hub.mode=subscribe&hub.verify_token=tok&hub.challenge=1", ""); w.Code != 200 || on.reads != reads {
		t.Errorf("%d, %d reads", w.Code, on.reads-reads)
	}
	if _, err := update(event.Source{Provider: "meta", Disabled: true}, []string{}, map[string]string{"verify_token": "tok"}, 0); err != nil {
		t.Fatal(err)
	}
	if w := on.send(t, "GET", "/in/acme/meta?hub.mode=subscribe&hub.verify_token=tok&hub.challenge=1", ""); w.Code != 404 || len(hidden().Secrets) != 0 {
		t.Error(w.Code)
	}
	if err := on.s.Delete(t.Context(), acme, "meta", 1); event.KindOf(err) != event.KindPrecondition {
		t.Errorf("%v", err)
	}
	if err := on.s.Delete(t.Context(), acme, "meta", 0); err != nil {
		t.Error(err)
	}
	if _, err := update(event.Source{Provider: "none"}, nil, nil, 0); event.KindOf(err) != event.KindNotFound {
		t.Errorf("%v", err)
	}
}

func TestSecretsRotate(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "github", Provider: "github"}, []string{"one"}, nil)
	all, err := on.s.AddSecret(t.Context(), acme, "github", "two", time.Hour)
	if err != nil || len(all.Secrets) != 2 || all.Secrets[0].Secret != "two" || !all.Secrets[1].Expires.Equal(start.Add(time.Hour)) {
		t.Fatalf("%+v %v", all, err)
	}
	for i, secret := range []string{"one", "two"} {
		if w := on.github(t, secret, fmt.Sprint(i)); w.Code != 200 {
			t.Errorf("%s: %d", secret, w.Code)
		}
	}
	// The overlap ends although the source is in memory.
	on.mu.Lock()
	on.now = start.Add(time.Hour)
	on.mu.Unlock()
	if w := on.github(t, "one", "3"); w.Code != 401 {
		t.Error(w.Code)
	}
	if w := on.github(t, "two", "4"); w.Code != 200 {
		t.Error(w.Code)
	}
	if all, err = on.s.AddSecret(t.Context(), acme, "github", "three", 0); err != nil || len(all.Secrets) != 1 {
		t.Errorf("%+v %v", all, err)
	}
	for i := range 15 {
		if all, err = on.s.AddSecret(t.Context(), acme, "github", fmt.Sprint("s", i), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if len(all.Secrets) != event.MaxSourceSecrets || all.Secrets[0].Secret != "s14" {
		t.Errorf("%+v", all)
	}
	for secret, field := range map[string]string{"": "secret", " ": "secret", strings.Repeat("x", 9<<10): "secret"} {
		if _, err := on.s.AddSecret(t.Context(), acme, "github", secret, time.Hour); !slices.Equal(fieldsOf(err), []string{field}) {
			t.Errorf("%v", err)
		}
	}
	if _, err := on.s.AddSecret(t.Context(), acme, "github", "x", 31*24*time.Hour); !slices.Equal(fieldsOf(err), []string{"overlap"}) {
		t.Errorf("%v", err)
	}
	on.make(t, event.Source{Name: "open", Provider: "none"}, nil, nil)
	if _, err := on.s.AddSecret(t.Context(), acme, "open", "x", 0); !slices.Equal(fieldsOf(err), []string{"secret"}) {
		t.Errorf("%v", err)
	}
}

// TestSealed: secrets lie in the store sealed, and are of one source only.
func TestSealed(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "a", Provider: "github"}, []string{"one"}, nil)
	b := on.make(t, event.Source{Name: "b", Provider: "github"}, []string{"two"}, nil)
	a, err := on.s.Source(t.Context(), acme, "a")
	if err != nil {
		t.Fatal(err)
	}
	a.Sealed = b.Sealed
	if _, err := on.s.Secrets(t.Context(), &a); err == nil || strings.Contains(err.Error(), "two") {
		t.Errorf("%v", err)
	}
}

func TestTenantDeleted(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "a", Provider: "none"}, nil, nil)
	if w := on.send(t, "POST", "/in/acme/a", "{}"); w.Code != 200 {
		t.Fatal(w.Code)
	}
	on.mu.Lock()
	on.sources = map[string]event.Source{}
	on.mu.Unlock()
	on.s.TenantDeleted(acme.ID)
	if w := on.send(t, "POST", "/in/acme/a", "{}"); w.Code != 404 {
		t.Error(w.Code)
	}
}

func TestProvidersHaveWhatTheyNeed(t *testing.T) {
	t.Parallel()
	s := newService(t, newWorld())
	list := s.Providers()
	if len(list) < 70 || len(list) != len(receiver.Providers()) {
		t.Errorf("%d providers", len(list))
	}
	// Every provider can be a source without a secret: many tell theirs only once they have an address.
	for _, p := range list {
		settings := map[string]string{}
		for _, x := range p.Settings {
			if x.Required {
				settings[x.Name] = "x"
			}
		}
		_, err := s.Create(t.Context(), acme, event.Source{Name: strings.ReplaceAll(p.Name, ".", "-"), Provider: p.Name}, nil, settings)
		if err != nil && !slices.ContainsFunc(fieldsOf(err), func(f string) bool { return strings.HasPrefix(f, "settings") }) {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
}

// TestShown: what is shown of a request has no secret in it.
func TestShown(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "form", Provider: "token"}, []string{"hush"}, map[string]string{"query": "k"})
	on.make(t, event.Source{Name: "head", Provider: "token"}, []string{"hush"}, map[string]string{"header": "X-Mine"})
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("u:hush"))
	for target, header := range map[string]string{"/in/acme/form/p?a=1&k=hush&access_token=hush": "X-Other", "/in/acme/head?api_key=hush&b": "X-Mine"} {
		w := on.send(t, "POST", target, "{}", header, "hush", "Authorization", basic, "Cookie", "hush", "X-Gitlab-Token", "hush", "X-Plain", "seen")
		if w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		e := on.last(t)
		r := on.s.Shown(t.Context(), acme, &e)
		hidden := bytes.Count(r.Head, []byte("hush")) + strings.Count(r.URL, "hush") + strings.Count(r.Path, "hush") + bytes.Count(r.Head, []byte(basic))
		if header == "X-Other" {
			hidden-- // which no rule names
		}
		if hidden != 0 || r.Header("X-Plain") != "seen" || r.Header("Authorization") != "***" || string(r.Body) != "{}" || !strings.Contains(r.URL, "=***") {
			t.Errorf("%d %s %s %s", hidden, r.Head, r.URL, r.Path)
		}
		if !bytes.Contains(e.Origin.Head, []byte("hush")) {
			t.Error("the stored request was changed")
		}
		if method, path, proto := r.Line(); method != "POST" || !strings.HasPrefix(path, "/in/acme/") || proto != "HTTP/1.1" {
			t.Errorf("%s", r.Head)
		}
	}
	if r := on.s.Shown(t.Context(), acme, &event.Event{}); r != nil {
		t.Errorf("%+v", r)
	}
}
