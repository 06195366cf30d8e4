package app

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/store"
)

const patience = time.Minute

// running is a server that runs, with the tenant acme.
type running struct {
	*App
	t      *testing.T
	client *client.Client
}

func newRunning(t *testing.T, args ...string) *running {
	t.Helper()
	a, _ := newApp(t, append([]string{"--allow-targets", "127.0.0.0/8"}, args...)...)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	c, err := client.New(a.Addr(), testRoot)
	if err != nil {
		t.Fatal(err)
	}
	return &running{a, t, c}
}

// publish adds n events of a type.
func (r *running) publish(n int, e client.Event) {
	r.t.Helper()
	list := slices.Repeat([]client.Event{e}, n)
	if _, err := r.client.PublishBatch(r.t.Context(), "acme", list); err != nil {
		r.t.Fatal(err)
	}
}

// put calls the FlexiBee-compatible interface.
func (r *running) put(path string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPut, r.Addr()+"/c/acme/"+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testRoot)
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode >= 300 {
		r.t.Fatalf("%s: %d %s", path, resp.StatusCode, body)
	}
}

// arrival is what a receiver got.
type arrival struct {
	version int64
	header  http.Header
	body    string
}

// receiver takes everything.
func receiver(t *testing.T) (string, <-chan arrival) {
	t.Helper()
	got := make(chan arrival, 1000)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		version, _ := strconv.ParseInt(r.Header.Get("Posthorn-Version"), 10, 64)
		got <- arrival{version, r.Header, string(body)}
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

func next(t *testing.T, got <-chan arrival) arrival {
	t.Helper()
	select {
	case d := <-got:
		return d
	case <-time.After(patience):
		t.Fatal("nothing arrives")
		return arrival{}
	}
}

func refused(t *testing.T, err error, status int, field string) client.Problem {
	t.Helper()
	p, ok := errors.AsType[*client.Problem](err)
	if !ok || p.Status != status || field != "" && !slices.ContainsFunc(p.Errors, func(f client.FieldError) bool { return f.Field == field }) {
		t.Fatalf("got %v, want status %d of the field %q", err, status, field)
	}
	return *p
}

// TestEndpointStart: an endpoint that begins in the past gets the log from there on in its order, then what comes.
func TestEndpointStart(t *testing.T) {
	t.Parallel()
	r := newRunning(t)
	ctx := t.Context()
	r.publish(40, client.Event{Type: "order.paid"})
	url, got := receiver(t)
	made, err := r.client.CreateEndpoint(ctx, "acme", client.Endpoint{URL: url, Order: "strict", Start: 11})
	if err != nil || made.Start != 11 {
		t.Fatalf("%+v, %v", made, err)
	}
	r.publish(5, client.Event{Type: "order.paid"})
	for want := int64(11); want <= 45; want++ {
		if d := next(t, got); d.version != want {
			t.Fatalf("got version %d, want %d", d.version, want)
		}
	}

	// It stays, and cannot be changed.
	kept, err := r.client.PatchEndpoint(ctx, "acme", made.ID, map[string]any{"description": "new", "start": nil})
	if err != nil || kept.Start != 11 {
		t.Errorf("%+v, %v", kept, err)
	}
	if kept, err = r.client.UpdateEndpoint(ctx, "acme", client.Endpoint{ID: made.ID, URL: url}); err != nil || kept.Start != 11 {
		t.Errorf("%+v, %v", kept, err)
	}
	_, err = r.client.PatchEndpoint(ctx, "acme", made.ID, map[string]any{"start": 1})
	refused(t, err, 422, "start")

	// What is not on the log.
	if n, err := r.store.TrimLog(ctx, store.TrimPolicy{MaxBytes: 1, Keep: math.MaxInt64}, 5); err != nil || n != 5 {
		t.Fatalf("%d, %v", n, err)
	}
	_, err = r.client.CreateEndpoint(ctx, "acme", client.Endpoint{URL: url, Start: 5})
	if p := refused(t, err, 410, "start"); p.Code != "gone" || p.Oldest != 6 {
		t.Errorf("%+v", p)
	}
	_, err = r.client.CreateEndpoint(ctx, "acme", client.Endpoint{URL: url, Start: 47})
	refused(t, err, 422, "start")
	_, err = r.client.CreateEndpoint(ctx, "acme", client.Endpoint{URL: url, Start: -1})
	refused(t, err, 422, "start")
	for start, want := range map[int64]int64{0: 46, 46: 46, 6: 6} {
		e, err := r.client.CreateEndpoint(ctx, "acme", client.Endpoint{URL: url, Start: start, Disabled: true})
		if err != nil || e.Start != want {
			t.Errorf("start %d: %+v, %v", start, e, err)
		}
	}
}

// TestHookNatively: a hook made by the FlexiBee-compatible interface is read, changed, paused and resumed as an endpoint, and
// stays a hook.
func TestHookNatively(t *testing.T) {
	t.Parallel()
	r := newRunning(t)
	ctx := t.Context()
	url, got := receiver(t)
	r.put("changes/enable.json")
	r.put("hooks.json?url=" + url + "&format=XML&skipUrlTest=true&secKey=s&evidence=cenik&stateChange=cena&lastVersion=0")
	var list []client.Endpoint
	for e, err := range r.client.Endpoints(ctx, "acme", client.WithState()) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	if len(list) != 1 {
		t.Fatalf("%+v", list)
	}
	hook, err := r.client.Endpoint(ctx, "acme", list[0].ID)
	if err != nil || hook.Kind != "flexibee" || hook.Envelope != "flexibee" || hook.Format != "xml" || hook.Profile != "flexibee" || !hook.Forever ||
		!slices.Equal(hook.Changed, []string{"cena"}) || hook.Start != 1 || hook.Order != "strict" {
		t.Fatalf("%+v, %v", hook, err)
	}

	t.Run("changes", func(t *testing.T) {
		same, err := r.client.PatchEndpoint(ctx, "acme", hook.ID, map[string]any{})
		if err != nil || !same.Updated.Equal(hook.Updated) {
			t.Errorf("a patch of nothing: %+v, %v", same, err)
		}
		back := *hook // what was read is written back
		back.ETag, back.Description = "", "renamed"
		saved, err := r.client.UpdateEndpoint(ctx, "acme", back)
		if err != nil {
			t.Fatal(err)
		}
		back.State, back.Updated, back.ETag = nil, saved.Updated, saved.ETag
		if !reflect.DeepEqual(*saved, back) {
			t.Errorf("got %+v, want %+v", *saved, back)
		}
		for field, value := range map[string]any{
			"forever": false, "profile": nil, "order": "key", "signing": "standard", "envelope": "raw", "kind": "webhook", "format": "yaml",
		} {
			_, err := r.client.PatchEndpoint(ctx, "acme", hook.ID, map[string]any{field: value})
			if p := refused(t, err, 422, ""); !slices.ContainsFunc(p.Errors, func(f client.FieldError) bool { return strings.HasPrefix(f.Field, field) || field == "kind" }) {
				t.Errorf("%s: %+v", field, p)
			}
		}
		if paused, err := r.client.Pause(ctx, "acme", hook.ID); err != nil || paused.DisabledReason != "paused" {
			t.Errorf("%+v, %v", paused, err)
		}
		if resumed, err := r.client.Resume(ctx, "acme", hook.ID); err != nil || resumed.Disabled {
			t.Errorf("%+v, %v", resumed, err)
		}
	})

	change := client.Event{Type: "cenik.update", Subject: "cenik/2"}
	r.publish(1, change)
	if d := next(t, got); !strings.Contains(d.body, `<cenik in-version="1"`) || d.header.Get("X-FB-Hook-SecKey") != "s" {
		t.Errorf("%+v", d)
	}

	// While the changelog is off it rests, whoever asks.
	r.put("changes/disable.json")
	rests, err := r.client.PatchEndpoint(ctx, "acme", hook.ID, map[string]any{"description": "rests"})
	if err != nil || rests.DisabledReason != "changelog" {
		t.Errorf("%+v, %v", rests, err)
	}
	_, err = r.client.Resume(ctx, "acme", hook.ID)
	if p := refused(t, err, 409, ""); p.Code != "changelog_off" {
		t.Errorf("%+v", p)
	}
	_, err = r.client.PatchEndpoint(ctx, "acme", hook.ID, map[string]any{"disabled": false})
	refused(t, err, 409, "")
	r.publish(1, change)
	r.put("changes/enable.json")
	if d := next(t, got); !strings.Contains(d.body, `<cenik in-version="2"`) {
		t.Errorf("%+v", d)
	}
}

// TestEndpointForever: what hooks do, webhooks may, but for being one.
func TestEndpointForever(t *testing.T) {
	t.Parallel()
	r := newRunning(t)
	ctx := t.Context()
	url, got := receiver(t)
	made, err := r.client.CreateEndpoint(ctx, "acme", client.Endpoint{URL: url, Forever: true, Profile: "flexibee", Changed: []string{"state"}})
	if err != nil || !made.Forever || made.Profile != "flexibee" || !slices.Equal(made.Changed, []string{"state"}) {
		t.Fatalf("%+v, %v", made, err)
	}
	r.publish(1, client.Event{Type: "a", Data: []byte(`{"state":1,"changed":["other"]}`)})
	r.publish(1, client.Event{Type: "a", Data: []byte(`{"state":1,"changed":["state"]}`)})
	if d := next(t, got); d.version != 2 {
		t.Errorf("got version %d", d.version)
	}
	made, err = r.client.PatchEndpoint(ctx, "acme", made.ID, map[string]any{"forever": nil, "profile": nil, "changed": nil})
	if err != nil || made.Forever || made.Profile != "default" || len(made.Changed) > 0 {
		t.Errorf("%+v, %v", made, err)
	}
	for field, e := range map[string]client.Endpoint{
		"kind":     {URL: url, Kind: "flexibee"},
		"envelope": {URL: url, Envelope: "flexibee"},
		"format":   {URL: url, Format: "xml"},
		"changed":  {URL: url, Changed: slices.Repeat([]string{"a"}, 21)},
	} {
		_, err := r.client.CreateEndpoint(ctx, "acme", e)
		refused(t, err, 422, field)
	}
	_, err = r.client.CreateEndpoint(ctx, "acme", client.Endpoint{URL: url, Profile: "kind"})
	refused(t, err, 422, "")
}
