package inspect

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newService returns a service over a store in memory, ended with the test.
func newService(tb testing.TB, change ...func(*Config)) *Service {
	tb.Helper()
	c := Config{
		Store: storetest.NewModel(), Logger: slog.New(slog.DiscardHandler), Arrived: arrived,
		PublicURL: "https://posthorn.example", MaxBody: 1000,
	}
	for _, ch := range change {
		ch(&c)
	}
	s := New(c)
	tb.Cleanup(s.Close)
	return s
}

// arrived is a plain account of a request.
func arrived(r *http.Request, prefix string) event.Request {
	var b bytes.Buffer
	b.WriteString(r.Method + " " + r.URL.RequestURI() + " HTTP/1.1\r\n")
	_ = r.Header.Write(&b)
	path := strings.TrimPrefix(r.URL.RequestURI(), prefix)
	return event.Request{Head: b.Bytes(), Remote: "192.0.2.1", URL: "https://posthorn.example" + r.URL.RequestURI(), Path: path}
}

// makeBin makes a bin of tenant 1.
func makeBin(tb testing.TB, s *Service, b event.Bin) event.Bin {
	tb.Helper()
	made, err := s.Create(tb.Context(), 1, b)
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

// send sends a request to a bin's address and returns the answer.
func send(ctx context.Context, s *Service, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

// all returns the captures of a bin in their order.
func all(tb testing.TB, s *Service, bin string) []event.Capture {
	tb.Helper()
	list, next, err := s.Search(tb.Context(), event.CaptureQuery{Bin: bin, Limit: 1000}, "")
	if err != nil || next != 0 {
		tb.Fatal(err, next)
	}
	return list
}
