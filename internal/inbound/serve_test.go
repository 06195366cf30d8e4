package inbound_test

import (
	"net/http"
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
)

const push = `{"ref":"refs/heads/main", "repository":{"full_name":"octo/hello"},"commits":[{"id":"a1"}]}`

func TestGitHubPush(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "github", Provider: "github"}, []string{"s3cret"}, nil)
	w := on.github(t, "s3cret", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	e := on.last(t)
	if e.Type != "github.push" || e.ID != "github:72d3162e-cc78-11e3-81ab-4c9367dc0958" || e.Source != "/sources/github" ||
		e.Subject != "octo/hello" || string(e.Data) != push || e.ContentType != "" || e.Tenant != 1 {
		t.Errorf("%+v", e)
	}
	if o := e.Origin; o == nil || o.Body != nil || o.Header("x-github-event") != "push" || o.Remote != "192.0.2.1" ||
		o.URL != "https://hooks.example.com/in/acme/github" || o.Path != "" {
		t.Errorf("%+v", e.Origin)
	}
	// GitHub sends it again: the same answer, one event.
	if again := on.github(t, "s3cret", "72d3162e-cc78-11e3-81ab-4c9367dc0958"); again.Code != w.Code || again.Body.String() != w.Body.String() {
		t.Errorf("%d %s", again.Code, again.Body)
	}
	if s := on.state(t, "github"); len(on.events) != 1 || s.Accepted != 1 || s.Duplicates != 1 || !s.LastAccepted.Equal(start) {
		t.Errorf("%d events, %+v", len(on.events), s)
	}
	if w := on.github(t, "wrong", "x"); w.Code != http.StatusUnauthorized {
		t.Errorf("%d", w.Code)
	}
	if s := on.state(t, "github"); s.Refused != 1 || s.LastRefused.Code != "bad_signature" || len(on.events) != 1 {
		t.Errorf("%+v", s)
	}
}
