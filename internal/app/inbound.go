package app

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/api/flexibee"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/guard"
	"github.com/posthornhq/posthorn/internal/inspect"
	"github.com/posthornhq/posthorn/internal/tunnel"
)

// newBins makes the service of bins.
func (a *App) newBins(checks *guard.Guard) *inspect.Service {
	return inspect.New(inspect.Config{
		Store: a.store, Sender: (&resender{checks: checks, client: guarded(checks)}).send, Forwarder: forwarder{a}, Waits: forwarder{a}.waits,
		Arrived: a.arrivals.request, PublicURL: a.cfg.PublicURL,
		MaxBody: a.cfg.MaxBinBody, MaxBins: a.cfg.MaxBins, MaxHeld: a.cfg.MaxHeld, Logger: a.log,
	})
}

// newTunnels makes the hub of tunnels. What listens to it is told when somebody connects.
func (a *App) newTunnels() (*tunnel.Hub, error) {
	h, err := tunnel.New(tunnel.Config{
		Endpoints: a.control, Bins: a.bins, Tenant: a.control.Tenant, Caller: a.arrivals.caller, PublicURL: a.cfg.PublicURL, Hosts: a.cfg.TunnelHosts,
		MaxTunnels: a.cfg.MaxTunnels, Holds: authenticator{a.control, a.tokens}.Holds, Logger: a.log,
		Sources: func(ctx context.Context, t *event.Tenant, name string) (bool, error) {
			_, err := a.store.Source(ctx, t.ID, name)
			if event.KindOf(err) == event.KindNotFound {
				return false, nil
			}
			return err == nil, err
		},
	})
	if err != nil {
		return nil, err
	}
	h.OnChange(func(c tunnel.Change) {
		if c.Online && c.Bin != "" {
			a.bins.TunnelOnline(c.Tenant, c.Name)
		}
	})
	return h, nil
}

// forwarder is what bins see of the tunnels, which are made after them.
type forwarder struct{ a *App }

// Online implements [inspect.Forwarder].
func (f forwarder) Online(tenant event.TenantID, name string) bool {
	return f.a.tunnels.Online(tenant, name)
}

// Forward implements [inspect.Forwarder].
func (f forwarder) Forward(ctx context.Context, tenant event.TenantID, name string, c event.Capture, kept bool) (event.Answer, error) {
	return f.a.tunnels.Forward(ctx, tenant, name, c, kept)
}

// waits reports whether the callers of a bin wait for the answer of its tunnel.
func (f forwarder) waits(b *event.Bin) bool { return f.a.tunnels.Waits(b.Tenant, b.Tunnel) }

// resendDial bounds how long the connection for a resent request may take.
const resendDial = 10 * time.Second

// guarded is an HTTP client that dials what may be dialled, follows no redirect, uses no proxy, and leaves bodies as they are.
func guarded(checks *guard.Guard) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: checks.Dialer(resendDial).DialContext, TLSHandshakeTimeout: resendDial, DisableCompression: true, DisableKeepAlives: true,
		},
	}
}

// resender sends captured requests again.
type resender struct {
	checks *guard.Guard
	client *http.Client
}

// send sends a request to a URL and reads a bounded answer.
func (s *resender) send(ctx context.Context, url string, r event.Request) (event.Answer, error) {
	if _, err := s.checks.CheckURL(url, len(url)); err != nil {
		return event.Answer{}, event.Invalid("url", "must be an address that may be dialled; see allow-targets")
	}
	method, _, _ := r.Line()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(r.Body))
	if err != nil {
		return event.Answer{}, event.Invalid("url", "cannot be read")
	}
	for _, h := range r.Headers() {
		req.Header[h.Name] = append(req.Header[h.Name], h.Value)
	}
	if _, given := req.Header["User-Agent"]; !given {
		req.Header["User-Agent"] = []string{""} // none of our own
	}
	resp, err := s.client.Do(req)
	switch {
	case errors.Is(err, guard.ErrForbiddenTarget):
		return event.Answer{}, event.Invalid("url", "must be an address that may be dialled; see allow-targets")
	case err != nil:
		return event.Answer{Reason: unanswered(err)}, nil
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, event.MaxAnswer))
	if err != nil {
		return event.Answer{Reason: unanswered(err)}, nil
	}
	out := event.Answer{Status: resp.StatusCode, Body: body}
	for name, values := range resp.Header {
		for _, v := range values {
			out.Headers = append(out.Headers, event.Header{Name: name, Value: v})
		}
	}
	return out, nil
}

// unanswered says in safe words why there was no answer.
func unanswered(err error) string {
	var timeout net.Error
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return "host name not found"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return "the connection failed"
}

// withDoors serves the ways in that are no part of the API beside it.
func (a *App) withDoors(api http.Handler) http.Handler {
	return &doors{log: a.log, api: api, path: map[string]http.Handler{
		strings.Trim(flexibee.Prefix, "/"): a.newFlexiBee(), "b": a.bins.Handler(), "t": a.tunnels,
	}, hosts: a.tunnels}
}

// doors are the ways in that are no part of the API, by the first segment of their path.
type doors struct {
	log   *slog.Logger
	path  map[string]http.Handler
	hosts *tunnel.Hub
	api   http.Handler
}

// ServeHTTP serves a request at the door of its path, or by the API.
func (d *doors) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	first, _, below := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch door := d.path[first]; {
	case d.hosts.Owns(r):
		d.serve(d.hosts, w, r)
	case door != nil && below:
		d.serve(door, w, r)
	default:
		d.api.ServeHTTP(w, r)
	}
}

// serve serves a request whose handler must not take the server down.
func (d *doors) serve(door http.Handler, w http.ResponseWriter, r *http.Request) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if v != http.ErrAbortHandler { //nolint:errorlint // a panic value, compared as net/http does
			d.log.LogAttrs(r.Context(), slog.LevelError, "a request failed", slog.String("method", r.Method), slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
		}
		panic(http.ErrAbortHandler)
	}()
	door.ServeHTTP(w, r)
}
