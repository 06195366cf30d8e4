package deliver

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Tunnels carry requests to listeners' own ports, for endpoints of the kind tunnel (package tunnel).
type Tunnels interface {
	// Online reports whether a listener is connected. It is called under the manager's lock and must not wait.
	Online(tenant event.TenantID, name string) bool
	// Send passes a request for an event, or the first of a batch, to the endpoint's tunnel and returns the whole answer, at
	// most limit bytes of its body. Of the request it sends the method, Path, the headers as they are, Body, and as Host that of
	// URL, when there is one. An error is an [event.Error] whose detail may be shown; of KindUnavailable, nothing was sent.
	Send(ctx context.Context, ep *event.Endpoint, ev *event.Event, r *event.Request, limit int) (event.Answer, error)
}

// tunnelPrefix begins the URL of an endpoint of the kind tunnel; the tunnel's name follows.
const tunnelPrefix = "tunnel:"

// TunnelProfile penalises a listener's own port: it is tried again soon, because somebody waits for it.
func TunnelProfile() Profile {
	return Profile{Client: time.Second, Server: time.Second, Down: time.Second, Max: 30 * time.Second}
}

// away reports whether an endpoint is a tunnel to which nobody is connected: then nothing is tried.
func (m *Manager) away(ep *event.Endpoint) bool {
	return ep.Kind == event.KindTunnel && (m.cfg.Tunnels == nil || !m.cfg.Tunnels.Online(ep.Tenant, strings.TrimPrefix(ep.URL, tunnelPrefix)))
}

// TunnelChanged tells that somebody connected to an endpoint's tunnel, or that the last one left: what waits for it goes at
// once, or lets the follower go on.
func (m *Manager) TunnelChanged(id event.EndpointID, online bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for _, l := range m.byEP[id] {
		if online {
			m.reset(l, now)
		} else {
			m.demoteIfHeld(l)
		}
	}
}

// sendTunnel sends a request through a tunnel.
func (m *Manager) sendTunnel(r *Request) Answer {
	start := time.Now()
	if m.away(r.Endpoint) {
		return Answer{failure: failureUnsent, reason: event.CauseOffline.Text()}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.ctx), r.Timeout)
	defer cancel()
	in := r.tunnelled()
	got, err := m.cfg.Tunnels.Send(ctx, r.Endpoint, r.event, &in, event.MaxAnswer+1)
	a := Answer{Took: time.Since(start)}
	if err != nil {
		a.failure, a.reason = failureConnect, "no answer"
		if e, ok := errors.AsType[*event.Error](err); ok {
			a.reason = e.Detail
		}
		switch {
		case event.KindOf(err) == event.KindUnavailable:
			a.failure = failureUnsent
		case ctx.Err() != nil:
			a.failure, a.reason = failureTimeout, event.CauseTimeout.Text()
		}
		return a
	}
	a.take(&got, r.Whole)
	return a
}

// tunnelled is the request as it goes through a tunnel.
func (r *Request) tunnelled() event.Request {
	in := event.Request{Head: head(r), Body: r.Body, Path: r.Path}
	if r.Original != nil {
		in.URL = r.Original.URL
	}
	return in
}

// tooLarge is why somebody who waits for an answer does not get it.
const tooLarge = "the answer is too large"

// take makes an answer from one that was read whole.
func (a *Answer) take(got *event.Answer, whole bool) {
	a.Status = got.Status
	a.Body = got.Body[:min(len(got.Body), event.MaxAnswerKept)]
	size := 0
	for _, h := range got.Headers {
		if strings.EqualFold(h.Name, "retry-after") {
			a.RetryAfter = h.Value
		}
		if size += len(h.Name) + len(h.Value); len(a.Headers) < keptHeaders && size <= keptHeaderSize && !strings.EqualFold(h.Name, "set-cookie") {
			a.Headers = append(a.Headers, h)
		}
	}
	a.Body = slices.Clone(a.Body) // alone, or the attempt would hold all of it
	switch {
	case whole && len(got.Body) > event.MaxAnswer:
		a.whole = &event.Answer{Reason: tooLarge}
	case whole:
		a.whole = got
	}
}

// head writes a request's line and headers. Their values hold no line ends: they are checked where they come in.
func head(r *Request) []byte {
	b := make([]byte, 0, 512)
	b = append(b, r.method()+" / HTTP/1.1\r\n"...)
	add := func(name, value string) { b = append(append(append(append(b, name...), ": "...), value...), "\r\n"...) }
	if r.Original == nil {
		if r.ContentType != "" {
			add("Content-Type", r.ContentType)
		}
		add("User-Agent", r.UserAgent)
		for _, h := range r.Headers {
			add(h.Name, h.Value)
		}
	}
	for _, h := range r.Own {
		add(h.Name, h.Value)
	}
	return b
}

// original is what makes a request to an endpoint one that came in, sent on: all its headers in their order, then the endpoint's
// own, then Posthorn's. What the original has stays as it is, because its signature may cover it: the endpoint's headers of
// the same names are left out, all but its credentials, and Posthorn's webhook-* are called posthorn-webhook-* when the
// original has such itself.
func original(came, custom, own []event.Header, credentials bool) []event.Header {
	has := make(map[string]bool, len(came))
	signed := false
	for _, h := range came {
		name := strings.ToLower(h.Name)
		has[name] = true
		signed = signed || strings.HasPrefix(name, webhookPrefix)
	}
	all := make([]event.Header, 0, len(came)+len(custom)+len(own))
	for _, h := range came {
		if !credentials || !strings.EqualFold(h.Name, "authorization") {
			all = append(all, h)
		}
	}
	for _, h := range custom {
		if name := strings.ToLower(h.Name); !has[name] || credentials && name == "authorization" {
			all = append(all, h)
		}
	}
	for _, h := range own {
		if signed && strings.HasPrefix(h.Name, webhookPrefix) {
			h.Name = "posthorn-" + h.Name
		}
		all = append(all, h)
	}
	return all
}

// webhookPrefix begins the names of the headers of Standard Webhooks.
const webhookPrefix = "webhook-"

// originalURL is an endpoint's URL followed by what came after the address that was called: its path is appended, its query
// added. A path with dot segments is left out, because it could lead out of the endpoint's own.
func originalURL(url, path string) string {
	url, _, _ = strings.Cut(url, "#")
	base, query, _ := strings.Cut(url, "?")
	more, moreQuery, _ := strings.Cut(strings.ReplaceAll(path, "#", "%23"), "?")
	if more != "" && !dotted(more) {
		base = strings.TrimSuffix(base, "/") + more
	}
	if query != "" && moreQuery != "" {
		query += "&"
	}
	if query += moreQuery; query != "" {
		base += "?" + query
	}
	return base
}

// dotted reports whether a path has segments of one or two dots, or what some programs take for such.
func dotted(path string) bool {
	path = strings.ReplaceAll(strings.ToLower(path), "%2e", ".")
	path = strings.NewReplacer("%2f", "/", "%5c", "/", `\`, "/").Replace(path)
	for segment := range strings.SplitSeq(path, "/") {
		segment, _, _ = strings.Cut(segment, ";")
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// exactHeaders are all headers of a request that is sent on to a host.
func exactHeaders(r *Request, host string, f func(name, value string)) {
	f("Host", host)
	for _, h := range r.Own {
		f(h.Name, h.Value)
	}
	if method := r.method(); len(r.Body) > 0 || method != "GET" && method != "HEAD" && method != "DELETE" && method != "OPTIONS" {
		f("Content-Length", strconv.Itoa(len(r.Body)))
	}
}
