package tunnel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/codec"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/tunnel/pipe"
)

// About is what a listener is told of a request.
type About struct {
	// Kind is the tunnel's.
	Kind string `json:"kind"`
	// ID is the event's id or the capture's, Seq its version or number; of the kind http empty and 0.
	ID  string `json:"id,omitempty"`
	Seq int64  `json:"seq,omitempty"`
	// URL is the address that was called, Remote the caller's IP address, and At when it did.
	URL    string    `json:"url,omitempty"`
	Remote string    `json:"remote,omitempty"`
	At     time.Time `json:"at,omitzero"`
	// Kept: the caller is gone, it was kept for the listener.
	Kept bool `json:"kept,omitempty"`
}

// set puts it into a request's headers, in place of one that a caller may have sent.
func (a About) set(h http.Header) {
	b, err := json.Marshal(a)
	if err != nil { // a time beyond the year 9999
		b = []byte("{}")
	}
	h[pipe.HeaderAbout] = []string{string(b)}
}

// errLocal is an answer of the listener's own: the local program gave none.
var errLocal = errors.New("the local program did not answer")

// keptHead bounds the headers of an answer that is passed on, in bytes.
const keptHead = 32 << 10

// Send passes a request for an event to the tunnel of an endpoint and returns the whole answer, at most limit bytes of its body.
// Of the request it sends the method, Path, the headers as they are, Body, and as Host that of URL, or else the server's own.
// The error is an [event.Error] whose detail may be shown; of KindUnavailable, nothing was sent.
func (h *Hub) Send(ctx context.Context, ep *event.Endpoint, ev *event.Event, r *event.Request, limit int) (event.Answer, error) {
	spec := specOf(ep)
	about := About{Kind: spec.Kind, ID: ev.ID, Seq: ev.Version, At: ev.Received, Kept: h.kept(ep.Tenant, spec.Name, ev.Received)}
	if ev.Origin != nil {
		about.URL, about.Remote = ev.Origin.URL, ev.Origin.Remote
	}
	m, err := newMessage(r, h.hostOf(r), r.Headers(), about, r.Body)
	if err != nil {
		return event.Answer{}, &event.Error{Kind: event.KindInternal, Code: "tunnel_request", Detail: "the request cannot be sent on", Err: err}
	}
	a, err := h.exchange(ctx, ep.Tenant, spec.Name, m, limit)
	switch {
	case err == nil:
		return a, nil
	case errors.Is(err, ErrOffline), errors.Is(err, ErrBusy):
		return a, &event.Error{Kind: event.KindUnavailable, Code: "tunnel_offline", Detail: reason(err), RetryAfter: time.Second}
	}
	return a, &event.Error{Kind: event.KindInternal, Code: "tunnel_lost", Detail: reason(err), Err: err}
}

// kept reports whether an event waited for its tunnel to be connected.
func (h *Hub) kept(tenant event.TenantID, name string, received time.Time) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	t := h.tenants[tenant][name]
	return t != nil && received.Before(t.since)
}

// hostOf is the host that was called, the server's own where that is not known.
func (h *Hub) hostOf(r *event.Request) string {
	if u, err := url.Parse(r.URL); err == nil && isHost(u.Host) {
		return u.Host
	}
	return h.host
}

// isHost reports whether s can stand in the header Host: a URL's host is decoded, and one that came in may have held anything.
func isHost(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"#/<>?@\\^`{|}", c) >= 0 {
			return false
		}
	}
	return s != ""
}

// read reads an answer; the caller closes it.
func read(resp *http.Response, limit int) (event.Answer, error) {
	if _, own := resp.Header[pipe.HeaderError]; own && resp.StatusCode == http.StatusBadGateway {
		return event.Answer{}, errLocal
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return event.Answer{}, ErrLost
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(limit)))
	if err != nil {
		return event.Answer{}, fmt.Errorf("%w: %w", ErrLost, err)
	}
	a := event.Answer{Status: resp.StatusCode, Body: body}
	size := 0
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		for _, v := range resp.Header[name] {
			if size += len(name) + len(v); size <= keptHead {
				a.Headers = append(a.Headers, event.Header{Name: name, Value: v})
			}
		}
	}
	return a, nil
}

// Forward passes a bin's request to its tunnel. Status 0 means that there was no answer, and Reason says why in safe words; then
// it is to be sent again. An error is that of ctx. kept: its caller is no longer there.
func (h *Hub) Forward(ctx context.Context, tenant event.TenantID, name string, c event.Capture, kept bool) (event.Answer, error) {
	about := About{Kind: KindBin, ID: c.ID, Seq: c.Seq, URL: c.URL, Remote: c.Remote, At: c.At, Kept: kept}
	m, err := newMessage(&c.Request, h.hostOf(&c.Request), codec.Forwarded(&c.Request), about, c.Body)
	if err != nil {
		return event.Answer{Reason: "the request cannot be sent on"}, nil //nolint:nilerr // Reason says so
	}
	a, err := h.exchange(ctx, tenant, name, m, event.MaxBinAnswer)
	switch {
	case err == nil:
		return a, nil
	case ctx.Err() != nil:
		return event.Answer{}, ctx.Err()
	}
	return event.Answer{Reason: reason(err)}, nil
}

// Waits reports whether the callers of a tunnel's bin wait for the local answer: the tunnel was set up so, and is connected.
func (h *Hub) Waits(tenant event.TenantID, name string) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	t := h.tenants[tenant][name]
	return t != nil && len(t.sessions) > 0 && t.spec.Answer
}

// reason says in safe words why there was no answer.
func reason(err error) string {
	for _, known := range []error{ErrOffline, ErrBusy, ErrLost, errLocal} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "no answer"
}

// setTarget sets a URL's path and query to be sent exactly as they are in target, which is empty or begins with "/" or "?".
func setTarget(u *url.URL, target string) {
	if !strings.HasPrefix(target, "/") {
		target = "/" + target
	}
	path, query, has := strings.Cut(target, "?")
	u.RawQuery, u.ForceQuery = query, has && query == ""
	u.Path, u.RawPath, u.Opaque = path, "", ""
	if strings.HasPrefix(path, "//") { // an opaque part that begins so would be sent with the scheme
		if decoded, err := url.PathUnescape(path); err == nil {
			u.Path, u.RawPath = decoded, path
		}
		return
	}
	u.Opaque = path
}
