package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/posthornhq/posthorn/internal/event"
)

// Do sends a request to one of a tunnel's connections, the one with the fewest under way, and returns the answer as it comes;
// its body must be closed. Of the URL path and query are sent; Host, headers and body as they are. Errors: [ErrOffline],
// [ErrBusy], [ErrLost], or that of ctx.
func (h *Hub) Do(ctx context.Context, tenant event.TenantID, name string, req *http.Request) (*http.Response, error) {
	body := newSource(req)
	resp, err := h.do(ctx, tenant, name, req, body)
	if err != nil {
		body.giveUp()
	}
	return resp, err
}

func (h *Hub) do(ctx context.Context, tenant event.TenantID, name string, req *http.Request, body *source) (resp *http.Response, err error) {
	err = h.try(ctx, tenant, name, func(s *session) error {
		resp, err = s.roundTrip(ctx, req, body) //nolint:bodyclose // the caller does
		return err
	})
	return resp, err
}

// try makes a request to one of a tunnel's sessions, and to the next as long as nothing was sent. f gives the place in the
// session back.
func (h *Hub) try(ctx context.Context, tenant event.TenantID, name string, f func(*session) error) error {
	var tried []*session
	for {
		s, err := h.pick(tenant, name, tried)
		if err != nil {
			return err
		}
		err = f(s)
		switch {
		case err == nil, errors.Is(err, errLocal):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, errUnsent):
			return fmt.Errorf("%w: %w", ErrLost, err)
		}
		tried = append(tried, s)
	}
}

// pick takes a place in the session with the fewest requests under way, in turn among equals, that was not tried.
func (h *Hub) pick(tenant event.TenantID, name string, tried []*session) (*session, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.tenants[tenant][name]
	if t == nil {
		return nil, ErrOffline
	}
	t.turn++
	var best *session
	some := false
	for i := range t.sessions {
		s := t.sessions[(i+t.turn)%len(t.sessions)]
		if s.mux.IsClosed() || slices.Contains(tried, s) {
			continue
		}
		some = true
		if n := s.busy.Load(); n < maxStreams && (best == nil || n < best.busy.Load()) {
			best = s
		}
	}
	switch {
	case best != nil && best.acquire():
		return best, nil
	case some:
		return nil, ErrBusy
	}
	return nil, ErrOffline
}

// roundTrip sends a request; the place that was taken is given back when the answer has been read.
func (s *session) roundTrip(ctx context.Context, req *http.Request, body *source) (*http.Response, error) {
	out := req.WithContext(ctx)
	u := *req.URL
	u.Scheme, u.Host = "http", "tunnel" // one pool of streams
	out.URL = &u
	if out.Host == "" {
		out.Host = req.URL.Host
	}
	if _, given := out.Header["User-Agent"]; !given {
		out.Header = out.Header.Clone()
		if out.Header == nil {
			out.Header = http.Header{}
		}
		out.Header["User-Agent"] = []string{""} // or net/http would give its own
	}
	if body != nil {
		out.Body = body
	}
	release := sync.OnceFunc(s.release)
	resp, err := s.transport.RoundTrip(out)
	if err != nil {
		release()
		return nil, err
	}
	if conn, ok := resp.Body.(io.ReadWriteCloser); ok {
		resp.Body = &countedConn{conn, release}
	} else {
		resp.Body = &counted{resp.Body, release}
	}
	return resp, nil
}

// source is a request's body that outlives a try of which nothing was sent.
type source struct {
	io.ReadCloser
	begun, closed atomic.Bool
}

// newSource returns the body of a request, nil when it has none.
func newSource(req *http.Request) *source {
	if req.Body == nil || req.Body == http.NoBody {
		return nil
	}
	return &source{ReadCloser: req.Body}
}

// Read implements [io.Reader].
func (b *source) Read(p []byte) (int, error) {
	b.begun.Store(true)
	return b.ReadCloser.Read(p)
}

// Close implements [io.Closer]: a body of which nothing was read stays for the next try.
func (b *source) Close() error {
	if b.begun.Load() && !b.closed.Swap(true) {
		return b.ReadCloser.Close()
	}
	return nil
}

// giveUp closes a body that no try has begun to read.
func (b *source) giveUp() {
	if b != nil && !b.begun.Load() && !b.closed.Swap(true) {
		_ = b.ReadCloser.Close() // nothing was read
	}
}
