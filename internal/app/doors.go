package app

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/posthornhq/posthorn/internal/api/flexibee"
	"github.com/posthornhq/posthorn/internal/api/hooksite"
	"github.com/posthornhq/posthorn/internal/tunnel"
)

// withDoors serves the ways in that are no part of the API beside it.
func (a *App) withDoors(api http.Handler) http.Handler {
	return &doors{log: a.log, proxies: &strayProxy{arrivals: a.arrivals, log: a.log}, api: api, path: map[string]http.Handler{
		strings.Trim(flexibee.Prefix, "/"): a.newFlexiBee(), "in": a.sources.Handler(), "b": a.bins.Handler(), "t": a.tunnels,
	}, hosts: a.tunnels, faces: a.faces, face: a.withFaceCaller(a.faces.Handler())}
}

// doors are the ways in that are no part of the API, by the first segment of their path.
type doors struct {
	log     *slog.Logger
	proxies *strayProxy
	path    map[string]http.Handler
	hosts   *tunnel.Hub
	faces   *hooksite.API
	face    http.Handler
	api     http.Handler
}

// ServeHTTP serves a request at the door of its path, or by the API.
func (d *doors) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.proxies.look(r)
	first, _, below := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch door := d.path[first]; {
	case d.hosts.Owns(r):
		d.serve(d.hosts, w, r)
	case (door != nil && below || d.faces.Owns(r)) && runs(r):
		http.Error(w, "what strangers sent is no script or style of the server's own pages", http.StatusForbidden)
	case door != nil && below:
		if first != "t" {
			confine(w.Header())
		}
		d.serve(door, w, r)
	case d.faces.Owns(r):
		confine(w.Header())
		d.face.ServeHTTP(w, r)
	default:
		d.api.ServeHTTP(w, r)
	}
}

// sandbox takes what a browser shows out of the server's origin: no page that somebody else wrote may use the sessions of the
// web UI, which are cookies of that origin.
var sandbox = []string{"sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads"}

// confine sets the sandbox for the answers of a door that gives out what strangers sent. Bins, sources and tunnels set their
// own, at least as strict, where nothing of the stranger's can replace it: tunnels beside the policy of the program, and only at
// paths, because a host name of a tunnel's own is another origin.
func confine(h http.Header) { h["Content-Security-Policy"] = sandbox }

// runs reports whether one of the server's own pages wants to run the answer, or to look as it says. None of them asks for
// anything behind a door so: that their policies allow the origin's scripts must be of no use to who can put one there. Pages
// of strangers, sandboxed, ask from another origin.
func runs(r *http.Request) bool {
	if r.Header.Get("Sec-Fetch-Site") != "same-origin" {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "script", "style", "worker", "sharedworker", "serviceworker", "audioworklet", "paintworklet", "xslt", "font", "manifest", "object", "embed", "json":
		return true
	}
	return false
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
