package hooksite

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/inspect"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// Keys of the test servers.
const (
	keyOfOne   = "key-of-tenant-one"
	keyOfTwo   = "key-of-tenant-two"
	keyReading = "key-that-reads-one"
	keyAdmin   = "key-of-the-admin"
)

type keys map[string]event.APIKey

func (k keys) Authenticate(_ context.Context, bearer string) (event.APIKey, error) {
	if key, ok := k[bearer]; ok {
		return key, nil
	}
	return event.APIKey{}, event.Errorf(event.KindUnauthorized, "unauthorized", "the API key is unknown")
}

// server is the interfaces over real bins, as the whole server has them.
type server struct {
	t    testing.TB
	url  string
	bins *inspect.Service
	api  *API
	// client follows no redirects.
	client *http.Client
}

func newServer(t testing.TB, anonymous bool, change ...func(*inspect.Config)) *server {
	t.Helper()
	s := &server{t: t, client: &http.Client{
		Transport: &http.Transport{}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/b/"):
			s.bins.Handler().ServeHTTP(w, r)
		case s.api.Owns(r):
			s.api.Handler().ServeHTTP(w, r)
		default:
			http.NotFound(w, r)
		}
	}))
	s.url = "http://" + web.Listener.Addr().String()
	c := inspect.Config{
		Store: storetest.NewModel(), PublicURL: s.url, Logger: slog.New(slog.DiscardHandler), MaxBins: 100, MaxBody: 1 << 20,
		Arrived: func(r *http.Request, prefix string) event.Request {
			var head bytes.Buffer
			fmt.Fprintf(&head, "%s %s %s\r\nHost: %s\r\n", r.Method, r.RequestURI, r.Proto, r.Host)
			_ = r.Header.Write(&head) // to memory
			return event.Request{Head: head.Bytes(), Remote: remote(r), URL: s.url + r.RequestURI, Path: strings.TrimPrefix(r.RequestURI, prefix)}
		},
	}
	for _, f := range change {
		f(&c)
	}
	s.bins = inspect.New(c)
	manage, read := []event.Permission{event.AllowManage}, []event.Permission{event.AllowRead}
	s.api = New(Config{
		Bins: s.bins, Anonymous: anonymous, PublicURL: s.url, Logger: slog.New(slog.DiscardHandler), Remote: remote,
		Auth: keys{
			keyOfOne: {Tenant: 1, Allow: manage}, keyOfTwo: {Tenant: 2, Allow: manage}, keyReading: {Tenant: 1, Allow: read}, keyAdmin: {Admin: true},
		},
	})
	web.Start()
	t.Cleanup(func() {
		s.bins.Drain()
		s.api.Close()
		web.Close()
		s.bins.Close()
		s.client.CloseIdleConnections()
	})
	return s
}

func remote(r *http.Request) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return host
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// into reads the body as JSON.
func (a answer) into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("%d %v: %s", a.status, err, a.body)
	}
}

// do sends a request; headers are names and values in turn.
func (s *server) do(method, path, body string, headers ...string) answer {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// want sends a request and checks the status.
func (s *server) want(status int, method, path, body string, headers ...string) answer {
	s.t.Helper()
	a := s.do(method, path, body, headers...)
	if a.status != status {
		s.t.Fatalf("%s %s: %d %s, want %d", method, path, a.status, a.body, status)
	}
	return a
}

// token makes one and returns its ID.
func (s *server) token(body string, headers ...string) string {
	s.t.Helper()
	var made struct{ UUID string }
	s.want(http.StatusCreated, "POST", "/token", body, append(headers, "Content-Type", "application/json")...).into(s.t, &made)
	return made.UUID
}

func recorder() *httptest.ResponseRecorder { return httptest.NewRecorder() }

func get(t testing.TB, path string) *http.Request {
	return httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
}
