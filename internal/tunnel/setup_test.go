package tunnel

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/tunnel/pipe"
)

func TestSetupSource(t *testing.T) {
	on := newStage(t)
	spec := Spec{Name: "hooks", Kind: KindSource, Source: "github", Types: []string{"github.*"}, Filter: `data.a == 1 || data.b == 2`, Answer: true}
	made := on.setup(spec)
	if made.URL != "https://hooks.example.com/in/acme/github" || made.Endpoint == 0 || made.Secret != "" || made.Connections != 0 {
		t.Errorf("%+v", made)
	}
	e := on.keep.endpoints[0]
	if e.URL != "tunnel:hooks" || e.Kind != event.KindTunnel || e.Order != event.OrderStrict || !e.Forever || e.Envelope != event.EnvelopeOriginal || e.Signing != "none" ||
		e.Filter != `source == "/sources/github" && (data.a == 1 || data.b == 2)` || len(e.Retries) == 0 || e.Types[0] != "github.*" {
		t.Errorf("%+v", e)
	}
	writes := on.keep.writes
	if again := on.setup(spec); again.Endpoint != made.Endpoint || on.keep.writes != writes {
		t.Errorf("the second time something changed: %+v, %d writes", again, on.keep.writes-writes)
	}
	spec.Filter, spec.Types, spec.Answer, spec.Order = "", nil, false, event.OrderKey
	if again := on.setup(spec); again.Endpoint != made.Endpoint {
		t.Errorf("%+v", again)
	}
	e = on.keep.endpoints[0]
	if e.Filter != `source == "/sources/github"` || e.Types != nil || e.Order != event.OrderKey || e.Metadata[noteAnswer] != "false" {
		t.Errorf("%+v", e)
	}
	if got := specOf(&e); got.Filter != "" || got.Source != "github" || got.Kind != KindSource || got.Answer {
		t.Errorf("%+v", got)
	}
}

func TestSetupEndpoint(t *testing.T) {
	on := newStage(t)
	made := on.setup(Spec{Name: "shop", Kind: KindEndpoint, Types: []string{"order.*"}, Filter: "true"})
	if made.Secret != "whsec_example" || made.URL != "" || made.Endpoint == 0 {
		t.Errorf("%+v", made)
	}
	e := on.keep.endpoints[0]
	if e.Envelope != "" || e.Signing != "" || e.Filter != "true" || !e.Forever {
		t.Errorf("%+v", e)
	}
	if list, err := on.hub.List(t.Context(), on.tenant); err != nil || len(list) != 1 || list[0].Secret != "" || list[0].Filter != "true" || list[0].Kind != KindEndpoint {
		t.Errorf("%+v %v", list, err)
	}
}

func TestSetupBin(t *testing.T) {
	on := newStage(t)
	made := on.setup(Spec{Name: "box", Kind: KindBin, Answer: true})
	if made.Bin == "" || made.URL != "https://hooks.example.com/b/"+made.Bin || on.keep.bins[0].Tunnel != "box" {
		t.Errorf("%+v", made)
	}
	writes := on.keep.writes
	if again := on.setup(Spec{Name: "box", Kind: KindBin, Answer: true}); again.Bin != made.Bin || on.keep.writes != writes {
		t.Errorf("%+v", again)
	}
	on.connect("box", func(http.ResponseWriter, *http.Request) {})
	if !on.hub.Waits(on.tenant.ID, "box") {
		t.Error("its callers do not wait")
	}
	// A change counts at once, also while somebody is connected.
	if again := on.setup(Spec{Name: "box", Kind: KindBin}); again.Bin != made.Bin || on.keep.writes != writes+1 || on.hub.Waits(on.tenant.ID, "box") {
		t.Errorf("%+v", again)
	}
}

// A bin that was deleted while somebody is connected is made anew, for those who are.
func TestSetupDeletedBin(t *testing.T) {
	on := newStage(t)
	made := on.setup(Spec{Name: "box", Kind: KindBin})
	on.connect("box", func(http.ResponseWriter, *http.Request) {})
	if err := on.keep.Delete(t.Context(), made.Bin, 0); err != nil {
		t.Fatal(err)
	}
	if again := on.setup(Spec{Name: "box", Kind: KindBin, Answer: true}); again.Bin == made.Bin || again.Bin == "" || again.Connections != 1 || !on.hub.Waits(on.tenant.ID, "box") {
		t.Errorf("%+v", again)
	}
	on.hub.BinDeleted(on.tenant.ID, on.keep.bins[0].ID)
	on.next("box", false)
}

func TestSetupRefusals(t *testing.T) {
	on := newStage(t, func(c *Config) { c.MaxTunnels = 3 })
	on.setup(Spec{Name: "hooks", Kind: KindSource, Source: "github"})
	on.setup(Spec{Name: "box", Kind: KindBin})
	for _, c := range []struct {
		field string
		spec  Spec
	}{
		{"name", Spec{Name: "A", Kind: KindBin}},
		{"name", Spec{Name: "", Kind: KindBin}},
		{"kind", Spec{Name: "a", Kind: "pigeon"}},
		{"source", Spec{Name: "a", Kind: KindSource}},
		{"source", Spec{Name: "a", Kind: KindSource, Source: `x" || true || "`}},
		{"source", Spec{Name: "a", Kind: KindSource, Source: "none"}},
		{"source", Spec{Name: "a", Kind: KindBin, Source: "github"}},
		{"types", Spec{Name: "a", Kind: KindHTTP, Types: []string{"a"}}},
		{"filter", Spec{Name: "a", Kind: KindBin, Filter: "true"}},
		{"filter", Spec{Name: "a", Kind: KindEndpoint, Filter: "wrong"}},
		{"host", Spec{Name: "a", Kind: KindBin, Host: "a"}},
		{"host", Spec{Name: "a", Kind: KindHTTP, Host: "a.b"}},
		{"host", Spec{Name: "a", Kind: KindHTTP, Host: "-a"}},
	} {
		_, err := on.hub.Setup(t.Context(), on.tenant, c.spec)
		if event.KindOf(err) != event.KindInvalid || !strings.Contains(err.Error(), c.field+": ") {
			t.Errorf("%+v: %v", c.spec, err)
		}
	}
	for _, spec := range []Spec{{Name: "hooks", Kind: KindSource, Source: "stripe"}, {Name: "hooks", Kind: KindBin}, {Name: "box", Kind: KindHTTP}} {
		if _, err := on.hub.Setup(t.Context(), on.tenant, spec); event.KindOf(err) != event.KindConflict {
			t.Errorf("%+v: %v", spec, err)
		}
	}
	// There is room for three; one of the kind http that nobody uses makes room.
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	on.setup(Spec{Name: "web2", Kind: KindHTTP})
	on.connect("web2", func(http.ResponseWriter, *http.Request) {})
	if _, err := on.hub.Setup(t.Context(), on.tenant, Spec{Name: "web3", Kind: KindHTTP}); event.KindOf(err) != event.KindConflict {
		t.Errorf("%v", err)
	}
	if err := on.hub.Delete(t.Context(), on.tenant, "hooks"); err != nil || len(on.keep.endpoints) != 0 {
		t.Errorf("%v %v", err, on.keep.endpoints)
	}
	on.setup(Spec{Name: "hooks", Kind: KindHTTP}) // the name is free for another kind
	for range 2 {
		err := on.hub.Delete(t.Context(), on.tenant, "box")
		if len(on.keep.bins) != 0 || err != nil && event.KindOf(err) != event.KindNotFound {
			t.Errorf("%v", err)
		}
	}
	if err := on.hub.Delete(t.Context(), on.tenant, "box"); event.KindOf(err) != event.KindNotFound {
		t.Errorf("%v", err)
	}
}

func TestHosts(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "one", Kind: KindHTTP, Host: "jan"})
	on.setup(Spec{Name: "two", Kind: KindHTTP, Host: "jan"}) // nobody is connected at the first
	on.connect("two", func(http.ResponseWriter, *http.Request) {})
	if _, err := on.hub.Setup(t.Context(), on.tenant, Spec{Name: "one", Kind: KindHTTP, Host: "jan"}); event.KindOf(err) != event.KindConflict {
		t.Errorf("%v", err)
	}
	if made := on.setup(Spec{Name: "two", Kind: KindHTTP, Host: "eva"}); made.HostURL != "https://eva.dev.example.com/" || made.Connections != 1 {
		t.Errorf("%+v", made)
	}
	on.setup(Spec{Name: "one", Kind: KindHTTP, Host: "jan"})
	none := newStage(t, func(c *Config) { c.Hosts = "" })
	if _, err := none.hub.Setup(t.Context(), none.tenant, Spec{Name: "a", Kind: KindHTTP, Host: "jan"}); event.KindOf(err) != event.KindInvalid {
		t.Errorf("%v", err)
	}
}

// Whoever loses a host name while away does not come back without it and unaware: it has to set its tunnel up anew.
func TestHostTakenWhileAway(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "one", Kind: KindHTTP, Host: "jan"})
	a := on.connect("one", func(http.ResponseWriter, *http.Request) {})
	a.close()
	on.next("one", false)
	on.setup(Spec{Name: "two", Kind: KindHTTP, Host: "jan"})
	if c, err := on.dial("one"); err == nil {
		_ = c.CloseNow()
		t.Error("connected, though its name is another's")
	}
}

func TestListMany(t *testing.T) {
	on := newStage(t)
	for i := range 2500 {
		e := event.Endpoint{ID: event.EndpointID(i + 1), Tenant: on.tenant.ID, URL: "https://example.com/", Kind: event.KindWebhook}
		if i == 2200 {
			e.URL, e.Kind = "tunnel:late", event.KindTunnel
		}
		on.keep.endpoints = append(on.keep.endpoints, e)
		b := event.Bin{ID: fmt.Sprintf("%08d", i), Tenant: on.tenant.ID}
		if i == 1500 {
			b.Tunnel = "box"
		}
		on.keep.bins = append(on.keep.bins, b)
	}
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	on.connect("late", func(http.ResponseWriter, *http.Request) {})
	on.connect("late", func(http.ResponseWriter, *http.Request) {})
	list, err := on.hub.List(t.Context(), on.tenant)
	var got []string
	for _, l := range list {
		got = append(got, fmt.Sprintf("%s %s %d %v", l.Name, l.Kind, l.Connections, !l.Since.IsZero()))
	}
	if want := []string{"box bin 0 false", "late endpoint 2 true", "web http 0 false"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q %v", got, err)
	}
}

func TestAnswering(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "quiet", Kind: KindSource, Source: "github"})
	first := on.setup(Spec{Name: "first", Kind: KindSource, Source: "github", Answer: true})
	second := on.setup(Spec{Name: "second", Kind: KindSource, Source: "github", Answer: true})
	is := func(source string, want event.EndpointID) {
		t.Helper()
		if got, ok := on.hub.Answering(on.tenant.ID, source); got != want || ok != (want != 0) {
			t.Errorf("%s: %v %v, want %v", source, got, ok, want)
		}
	}
	is("github", 0)
	nothing := func(http.ResponseWriter, *http.Request) {}
	on.connect("quiet", nothing)
	is("github", 0)
	a := on.connect("first", nothing)
	on.connect("second", nothing)
	is("github", first.Endpoint)
	is("stripe", 0)
	a.close()
	on.next("first", false)
	is("github", second.Endpoint)
}

func TestSend(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "hooks", Kind: KindSource, Source: "github"})
	e := on.keep.endpoints[0]
	ev := &event.Event{ID: "github:1", Tenant: on.tenant.ID, Version: 7, Origin: &event.Request{URL: "https://hooks.example.com/in/acme/github/x", Remote: "192.0.2.1"}}
	req := &event.Request{Head: []byte("PUT / HTTP/1.1\r\nX-Hub-Signature: sha256=x\r\nwebhook-id: 1\r\nX-Hub-Signature: second\r\n"), Body: []byte("body"), Path: "/x?y", URL: ev.Origin.URL}
	if _, err := on.hub.Send(t.Context(), &e, ev, req, 10); event.KindOf(err) != event.KindUnavailable {
		t.Errorf("%v", err)
	}
	var seen http.Header
	on.connect("hooks", func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header
		switch r.URL.Path {
		case "/refused":
			w.Header().Set(pipe.HeaderError, "x")
			w.WriteHeader(http.StatusBadGateway)
		case "/lost":
			panic(http.ErrAbortHandler)
		default:
			w.Header().Set("X-Answer", r.Method+" "+r.RequestURI+" "+r.Host)
			w.WriteHeader(http.StatusAccepted)
			_, _ = w.Write([]byte(strings.Repeat("a", 100)))
		}
	})
	a, err := on.hub.Send(t.Context(), &e, ev, req, 10)
	if err != nil || a.Status != http.StatusAccepted || len(a.Body) != 10 {
		t.Fatalf("%+v %v", a, err)
	}
	if i := slices.IndexFunc(a.Headers, func(h event.Header) bool { return h.Name == "X-Answer" }); i < 0 || a.Headers[i].Value != "PUT /x?y hooks.example.com" {
		t.Errorf("%v", a.Headers)
	}
	if got := seen[pipe.HeaderAbout]; len(got) != 1 || got[0] != `{"kind":"source","id":"github:1","seq":7,"url":"https://hooks.example.com/in/acme/github/x","remote":"192.0.2.1","kept":true}` {
		t.Errorf("%q", got)
	}
	if got := seen["X-Hub-Signature"]; !slices.Equal(got, []string{"sha256=x", "second"}) || seen.Get("Webhook-Id") != "1" || len(seen) != 4 {
		t.Errorf("%v", seen)
	}
	for path, detail := range map[string]string{"/refused": errLocal.Error(), "/lost": ErrLost.Error()} {
		req.Path = path
		_, err := on.hub.Send(t.Context(), &e, ev, req, 10)
		if got, ok := err.(*event.Error); !ok || got.Kind == event.KindUnavailable || got.Detail != detail { //nolint:errorlint // exactly that
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestForward(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "box", Kind: KindBin, Answer: true})
	c := event.Capture{ID: "c1", Seq: 3, Request: event.Request{
		Head: []byte("POST /b/x/sub?q=1 HTTP/1.1\r\nHost: hooks.example.com\r\nContent-Length: 4\r\nX-Case: a\r\nTransfer-Encoding: chunked\r\nPosthorn-Tunnel: evil\r\nCookie: posthorn_token=t\r\n"),
		Body: []byte{0, 1, 0xff, '\n'}, Remote: "192.0.2.9", URL: "https://hooks.example.com/b/x/sub?q=1", Path: "/sub?q=1",
	}}
	a, err := on.hub.Forward(t.Context(), on.tenant.ID, "box", c, true)
	if err != nil || a.Status != 0 || a.Reason != ErrOffline.Error() {
		t.Errorf("%+v %v", a, err)
	}
	var head string
	on.connect("box", func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, 10)
		n, _ := r.Body.Read(b)
		head = fmt.Sprintf("%s %s %s %d %q %d %s", r.Method, r.RequestURI, r.Host, r.ContentLength, b[:n], len(r.Header), r.Header.Get(pipe.HeaderAbout))
		if r.URL.Path == "/wait" {
			<-r.Context().Done()
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte("made"))
	})
	a, err = on.hub.Forward(t.Context(), on.tenant.ID, "box", c, true)
	if err != nil || a.Status != http.StatusCreated || string(a.Body) != "made" {
		t.Errorf("%+v %v", a, err)
	}
	if want := `POST /sub?q=1 hooks.example.com 4 "\x00\x01\xff\n" 3 {"kind":"bin","id":"c1","seq":3,"url":"https://hooks.example.com/b/x/sub?q=1","remote":"192.0.2.9","kept":true}`; head != want {
		t.Errorf("%s\nwant %s", head, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := on.hub.Forward(ctx, on.tenant.ID, "box", c, false); err == nil {
		t.Error("no error of the context")
	}
}

// What was called may be nothing that can stand in the header Host, without which the listener refuses a request by itself.
func TestForwardFromAnyHost(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "box", Kind: KindBin})
	on.connect("box", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Host)) })
	for called, want := range map[string]string{
		"http://ex%C3%A9mple.com/b/x": on.hub.host, "http://[fe80::1%25a%20b]/b/x": on.hub.host, "http://é/": on.hub.host, "": on.hub.host, "http://a:81/": "a:81", "http://[::1]:8/": "[::1]:8",
	} {
		c := event.Capture{ID: "c1", Request: event.Request{Head: []byte("GET /b/x HTTP/1.1\r\n"), URL: called}}
		if a, err := on.hub.Forward(t.Context(), on.tenant.ID, "box", c, false); err != nil || a.Status != http.StatusOK || string(a.Body) != want {
			t.Errorf("%q: %d %q %s, %v", called, a.Status, a.Body, a.Reason, err)
		}
	}
}
