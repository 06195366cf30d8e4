package inbound_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/inbound"
)

func small(c *inbound.Config) { c.MaxBody = 1 << 10 }

// TestOrder goes through what a request meets, one step after the other: what is wrong at two steps is refused at the first.
func TestOrder(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{
		Name: "github", Provider: "github", Allow: []string{"192.0.2.0/24"}, Inspect: event.InspectRefused,
		Map: event.SourceMap{Type: `"a." + body.kind`, Accept: `!has(body.skip)`},
	}, []string{"s3cret"}, nil, small)
	off := on.make(t, event.Source{Name: "off", Provider: "none", Disabled: true}, nil, nil)
	if off.Revision != 1 {
		t.Fatal(off)
	}
	big := strings.Repeat("x", 1<<10+1)
	signed := func(body string) []string { return []string{"X-Hub-Signature-256", githubSignature("s3cret", body)} }
	for _, tt := range []struct {
		name, target, body string
		header             []string
		remote             string
		status             int
		code               string // of the refusal
	}{
		{name: "no tenant", target: "/in/nobody/github", status: 404},
		{name: "no source", target: "/in/acme/none", status: 404},
		{name: "a source of another tenant", target: "/in/other/github", status: 404},
		{name: "no source at all", target: "/in/acme/", status: 404},
		{name: "a name that is none", target: "/in/acme/GitHub", status: 404},
		{name: "an escaped name", target: "/in/acme/%67ithub", status: 404},
		{name: "disabled", target: "/in/acme/off", status: 404},
		{name: "address before size", target: "/in/acme/github", body: big, remote: "203.0.113.1:1", status: 403, code: "address"},
		{name: "address of IPv6", target: "/in/acme/github", body: "{}", remote: "[2001:db8::1]:1", status: 403, code: "address"},
		{name: "size before signature", target: "/in/acme/github", body: big, status: 413, code: "too_large"},
		{name: "coding before signature", target: "/in/acme/github", body: "{}", header: []string{"Content-Encoding", "gzip, gzip"}, status: 415, code: "unsupported_encoding"},
		{name: "no signature", target: "/in/acme/github", body: "<", status: 401, code: "missing"},
		{name: "signature before map", target: "/in/acme/github", body: "{}", header: signed("[]"), status: 401, code: "bad_signature"},
		{name: "repeated signature", target: "/in/acme/github", body: "{}", header: append(signed("{}"), signed("{}")...), status: 401, code: "repeated"},
		{name: "map", target: "/in/acme/github", body: "{}", header: signed("{}"), status: 422, code: "map_failed"},
		{name: "a body that is not what it says", target: "/in/acme/github", body: `{"a":`, header: append(signed(`{"a":`), "Content-Type", "application/json"), status: 400, code: "malformed"},
		{name: "a type that is none", target: "/in/acme/github", body: `{"kind":"x!"}`, header: signed(`{"kind":"x!"}`), status: 422, code: "map_failed"},
		{name: "left out", target: "/in/acme/github", body: `{"skip":1}`, header: signed(`{"skip":1}`), status: 200},
		{name: "accepted", target: "/in/acme/github/more?x=1", body: `{"kind":"b"}`, header: signed(`{"kind":"b"}`), status: 200},
	} {
		before := on.state(t, "github")
		kept := len(on.bins["bin-acme-github"])
		h := on.h
		if tt.remote != "" {
			h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.RemoteAddr = tt.remote
				on.h.ServeHTTP(w, r)
			})
		}
		w := (&stage{world: on.world, s: on.s, h: h}).send(t, http.MethodPost, tt.target, tt.body, tt.header...)
		if w.Code != tt.status {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
		after := on.state(t, "github")
		refused := int64(0)
		if tt.code != "" {
			refused = 1
			if after.LastRefused.Code != tt.code || !after.LastRefused.At.Equal(start) {
				t.Errorf("%s: %+v", tt.name, after.LastRefused)
			}
			if got := on.bins["bin-acme-github"]; len(got) != kept+1 || got[kept].refused != tt.code || tt.status != 413 && tt.code != "address" && string(got[kept].req.Body) != tt.body {
				t.Errorf("%s: kept %+v", tt.name, got[kept:])
			}
		} else if len(on.bins["bin-acme-github"]) != kept {
			t.Errorf("%s: kept", tt.name)
		}
		if after.Refused != before.Refused+refused {
			t.Errorf("%s: %+v", tt.name, after)
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(w.Header().Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: %v", tt.name, w.Header())
		}
		if tt.status >= 400 && (w.Header().Get("Content-Type") != "text/plain; charset=utf-8" || w.Body.Len() > 40) {
			t.Errorf("%s: %v %s", tt.name, w.Header(), w.Body)
		}
	}
	if s := on.state(t, "github"); len(on.events) != 1 || on.events[0].Type != "a.b" || s.Dropped != 1 || s.Accepted != 1 {
		t.Errorf("%+v %+v", on.events, s)
	}
	if o := on.events[0].Origin; o.Path != "/more?x=1" || o.Body != nil {
		t.Errorf("%+v", o)
	}
	if !slices.Contains(on.seen, "github refused") || !slices.Contains(on.seen, "github dropped") || !slices.Contains(on.seen, "github accepted") {
		t.Errorf("%q", on.seen)
	}
}

// TestConnect: what asks for a tunnel is no event, whoever sends it.
func TestConnect(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "a", Provider: "none"}, nil, nil)
	if w := on.send(t, http.MethodConnect, "/in/acme/a", "{}"); w.Code != http.StatusMethodNotAllowed || len(on.events) != 0 {
		t.Errorf("%d, %d events", w.Code, len(on.events))
	}
}

// losing is an inspector that has only the bins made since the last loss.
type losing struct {
	*world
	made int
}

func (l *losing) MakeBin(context.Context, *event.Tenant, string) (string, error) {
	l.made++
	return l.has(), nil
}

func (l *losing) has() string { return fmt.Sprint("bin-", l.made) }

func (l *losing) Capture(ctx context.Context, bin string, req event.Request, refused string) error {
	if bin != l.has() {
		return event.NotFound("bin")
	}
	return l.world.Capture(ctx, bin, req, refused)
}

// TestLostBin: a source whose bin is lost, by its file or by a hand, gets another one.
func TestLostBin(t *testing.T) {
	t.Parallel()
	l := &losing{world: newWorld()}
	on := newStage(t, event.Source{Name: "a", Provider: "none", Inspect: event.InspectAll}, nil, nil, func(c *inbound.Config) { c.Inspector = l })
	on.send(t, "POST", "/in/acme/a", "1")
	l.made++ // what there was is lost
	on.send(t, "POST", "/in/acme/a", "2")
	on.send(t, "POST", "/in/acme/a", "3")
	if src, err := on.s.Source(t.Context(), acme, "a"); err != nil || src.Bin != "bin-3" || len(l.bins["bin-1"]) != 1 || len(l.bins["bin-3"]) != 2 {
		t.Errorf("%v %+v %v", err, src, l.bins)
	}
}

func TestInspectAll(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "a", Provider: "none", Inspect: event.InspectAll}, nil, nil)
	if w := on.send(t, "PUT", "/in/acme/a?x", "hello"); w.Code != 200 {
		t.Fatal(w.Code)
	}
	if got := on.bins["bin-acme-a"]; len(got) != 1 || got[0].refused != "" || string(got[0].req.Body) != "hello" {
		t.Errorf("%+v", got)
	}
	// A bin that fails, or is gone, keeps nobody from being answered.
	on.binFail = event.NotFound("bin")
	if w := on.send(t, "PUT", "/in/acme/a", "hello"); w.Code != 200 {
		t.Error(w.Code)
	}
}

func compressed(t *testing.T, coding string, body []byte) string {
	t.Helper()
	var b bytes.Buffer
	var err error
	switch coding {
	case "gzip":
		z := gzip.NewWriter(&b)
		_, err = z.Write(body)
		_ = z.Close()
	case "deflate":
		z := zlib.NewWriter(&b)
		_, err = z.Write(body)
		_ = z.Close()
	case "bare deflate":
		z, _ := flate.NewWriter(&b, 9)
		_, err = z.Write(body)
		_ = z.Close()
	case "zstd":
		z, _ := zstd.NewWriter(&b)
		_, err = z.Write(body)
		_ = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCompressed(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "github", Provider: "github", Map: event.SourceMap{Subject: `body.repository.full_name`}}, []string{"s3cret"}, nil)
	for i, coding := range []string{"gzip", "deflate", "bare deflate", "zstd"} {
		raw := compressed(t, coding, []byte(push))
		_, name, ok := strings.Cut(coding, " ")
		if !ok {
			name = coding
		}
		// What is signed may be the compressed bytes or what was compressed.
		for j, signedBody := range []string{raw, push} {
			id := string(rune('a'+i)) + string(rune('a'+j))
			w := on.send(t, "POST", "/in/acme/github", raw, "Content-Encoding", name, "Content-Type", "application/json", "X-GitHub-Event", "push",
				"X-GitHub-Delivery", id, "X-Hub-Signature-256", githubSignature("s3cret", signedBody))
			if w.Code != 200 {
				t.Fatalf("%s: %d %s", coding, w.Code, w.Body)
			}
			if e := on.last(t); string(e.Data) != push || string(e.Origin.Body) != raw || e.Subject != "octo/hello" || e.ID != "github:"+id {
				t.Errorf("%s: %+v", coding, e)
			}
		}
		bad := raw[:len(raw)/2]
		if w := on.send(t, "POST", "/in/acme/github", bad, "Content-Encoding", name, "X-Hub-Signature-256", githubSignature("s3cret", bad)); w.Code != 400 {
			t.Errorf("%s cut: %d", coding, w.Code)
		}
	}
	for _, coding := range []string{"br", "compress", "gzip, zstd", "gzip,gzip", "x"} {
		w := on.send(t, "POST", "/in/acme/github", push, "Content-Encoding", coding, "X-Hub-Signature-256", githubSignature("s3cret", push))
		if w.Code != 415 || w.Header().Get("Accept-Encoding") == "" {
			t.Errorf("%s: %d %v", coding, w.Code, w.Header())
		}
	}
}

// TestBombs: what is small as it is sent and large once it is decompressed is refused, signed or not.
func TestBombs(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "github", Provider: "github"}, []string{"s3cret"}, nil)
	zeros := make([]byte, 64<<20)
	for _, coding := range []string{"gzip", "deflate", "zstd"} {
		raw := compressed(t, coding, zeros)
		if len(raw) > 200<<10 {
			t.Fatalf("%s: %d", coding, len(raw))
		}
		signed := on.send(t, "POST", "/in/acme/github", raw, "Content-Encoding", coding, "X-Hub-Signature-256", githubSignature("s3cret", raw))
		if signed.Code != 413 {
			t.Errorf("%s: %d", coding, signed.Code)
		}
		if w := on.send(t, "POST", "/in/acme/github", raw, "Content-Encoding", coding, "X-Hub-Signature-256", githubSignature("no", raw)); w.Code != 401 {
			t.Errorf("%s: %d", coding, w.Code)
		}
	}
	if len(on.events) != 0 {
		t.Error("stored")
	}
}

// TestPublishErrors: who sends is told to come again when it is not at fault.
func TestPublishErrors(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "a", Provider: "none"}, nil, nil)
	for _, tt := range []struct {
		err    error
		status int
		counts int64
	}{
		{&event.Error{Kind: event.KindRateLimited, Code: "rate_limited", RetryAfter: 1500 * time.Millisecond}, 429, 0},
		{&event.Error{Kind: event.KindFull, Code: "storage_full"}, 503, 0},
		{&event.Error{Kind: event.KindUnavailable, Code: "shutting_down"}, 503, 0},
		{http.ErrBodyNotAllowed, 500, 0},
		{&event.Error{Kind: event.KindTooLarge, Code: "event_too_large"}, 413, 1},
		{&event.Error{Kind: event.KindInvalid, Code: "schema_violation"}, 422, 1},
	} {
		on.fail = tt.err
		before := on.state(t, "a").Refused
		w := on.send(t, "POST", "/in/acme/a", "{}")
		if w.Code != tt.status || on.state(t, "a").Refused != before+tt.counts {
			t.Errorf("%v: %d %+v", tt.err, w.Code, on.state(t, "a"))
		}
		if (w.Code == 429 || w.Code == 503) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%v: %v", tt.err, w.Header())
		}
		if strings.Contains(w.Body.String(), "ErrBody") || strings.Contains(w.Body.String(), "http:") {
			t.Errorf("%s", w.Body)
		}
	}
	// A tenant's store that cannot be asked is not "no such source".
	on.sealed = false
	on.make(t, event.Source{Name: "b", Provider: "github"}, []string{"x"}, nil)
	if w := on.send(t, "POST", "/in/acme/b", "{}"); w.Code != 500 {
		t.Errorf("%d", w.Code)
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "a", Provider: "none", Dedupe: event.DedupeBody, Answer: event.Answer{
		Status: 202, Headers: []event.Header{{Name: "content-type", Value: "application/xml"}, {Name: "X-A", Value: "1"}}, Body: []byte("<ok/>"),
	}}, nil, nil)
	for range 2 { // a duplicate is answered as the first was
		w := on.send(t, "POST", "/in/acme/a", "{}")
		if w.Code != 202 || w.Body.String() != "<ok/>" || w.Header().Get("Content-Type") != "application/xml" || w.Header().Get("X-A") != "1" {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
	}
	if s := on.state(t, "a"); s.Accepted != 1 || s.Duplicates != 1 {
		t.Errorf("%+v", s)
	}
	// A question is answered, and is no event.
	for _, method := range []string{"HEAD", "OPTIONS"} {
		if w := on.send(t, method, "/in/acme/a", "", "Content-Type", "x"); w.Code != 202 || (w.Body.Len() == 0) != (method == "HEAD") || len(on.events) != 1 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	if s := on.state(t, "a"); s.Dropped != 2 {
		t.Errorf("%+v", s)
	}
}

func TestHandshakes(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "dropbox", Provider: "dropbox", Inspect: event.InspectAll}, []string{"s"}, nil)
	w := on.send(t, "GET", "/in/acme/dropbox?challenge=<script>alert(1)</script>", "")
	if w.Code != 200 || w.Body.String() != "<script>alert(1)</script>" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") ||
		w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if s := on.state(t, "dropbox"); s.Handshakes != 1 || s.Accepted != 0 || len(on.events) != 0 || len(on.bins["bin-acme-dropbox"]) != 1 {
		t.Errorf("%+v", s)
	}
	on.make(t, event.Source{Name: "trello", Provider: "trello"}, []string{"s"}, nil)
	if w := on.send(t, "HEAD", "/in/acme/trello", ""); w.Code != 200 || on.state(t, "trello").Handshakes != 1 {
		t.Errorf("%d", w.Code)
	}
	on.make(t, event.Source{Name: "meta", Provider: "meta"}, []string{"s"}, map[string]string{"verify_token": "tok"})
	if w := on.send(t, "GET", "/in/acme/meta?hub.mode=subscribe&hub.verify_token=tok&hub.challenge=42", ""); w.Code != 200 || w.Body.String() != "42" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := on.send(t, "GET", "/in/acme/meta?hub.mode=subscribe&hub.verify_token=no&hub.challenge=42", ""); w.Code != 403 && w.Code != 401 || strings.Contains(w.Body.String(), "42") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestLearned: what a provider hands over is kept, sealed, and only once.
func TestLearned(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "asana", Provider: "asana"}, nil, nil)
	const secret = "0123456789abcdef0123456789abcdef"
	if w := on.send(t, "POST", "/in/acme/asana", "{}", "X-Hook-Secret", secret); w.Code != 200 || w.Header().Get("X-Hook-Secret") != secret {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	src, err := on.s.Source(t.Context(), acme, "asana")
	if err != nil || !bytes.Contains(src.Sealed, []byte(secret)) || src.Revision != 2 {
		t.Errorf("%+v %v", src, err)
	}
	hidden, err := on.s.Secrets(t.Context(), &src)
	if err != nil || len(hidden.Secrets) != 1 || hidden.Secrets[0].Secret != secret {
		t.Errorf("%+v %v", hidden, err)
	}
	w := on.send(t, "POST", "/in/acme/asana", "{}", "X-Hook-Secret", "ffffffffffffffffffffffffffffffff")
	if w.Code != 403 || w.Header().Get("X-Hook-Secret") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	body := `{"events":[{"action":"added","resource":{"gid":"1","resource_type":"task"}}]}`
	if w := on.send(t, "POST", "/in/acme/asana", body, "X-Hook-Signature", strings.TrimPrefix(githubSignature(secret, body), "sha256=")); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if e := on.last(t); e.Type != "asana.task.added" || e.Subject != "1" {
		t.Errorf("%+v", e)
	}
}
