package agent

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"
)

//go:embed page
var pageFiles embed.FS

const (
	// mostPorts is how many ports are tried from the one that was asked for.
	mostPorts = 20
	// maxWatchers bounds the pages that are kept up to date at once.
	maxWatchers = 32
	beatEvery   = 15 * time.Second      // a sign of life on a stream of events
	restEvery   = 40 * time.Millisecond // between two messages: what comes meanwhile is one
)

// contentPolicy lets the page load nothing but its own script, style, image and connections.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " +
	"form-action 'none'; frame-ancestors 'none'"

var pageTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
}

// ListenInspector listens at a loopback or other address, or at one of the 20 next ports when the port is taken. Port 0 is any.
func ListenInspector(ctx context.Context, addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("tunnel: inspector: %w", err)
	}
	first, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("tunnel: inspector: %q is not a port", port)
	}
	var faults []error
	for p := first; p < min(first+mostPorts, 1<<16); p++ {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, strconv.FormatUint(p, 10)))
		if err == nil {
			return l, nil
		}
		faults = append(faults, err)
	}
	return nil, fmt.Errorf("tunnel: inspector: %w", errors.Join(faults[:1]...))
}

// ServeInspector serves the inspector until ctx ends, and closes the listener.
func (a *Agent) ServeInspector(ctx context.Context, l net.Listener) error {
	s := &http.Server{
		Handler: a.Inspector(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(a.o.Log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("tunnel: inspector: %w", err)
	case <-ctx.Done():
		_ = s.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("tunnel: inspector: %w", err)
		}
		return nil
	}
}

// Inspector returns the page and its API, for browsers on this computer: what it shows is not for others. It answers only
// under the names of addresses and localhost, so that no name that leads here makes a page of another origin the same one,
// and says and changes nothing for pages of another origin, which could also take all places of those who watch.
func (a *Agent) Inspector() http.Handler {
	mux := http.NewServeMux()
	a.addAPI(mux)
	for _, name := range pages() {
		body, err := pageFiles.ReadFile("page/" + name)
		if err != nil {
			panic(err) // embedded
		}
		mux.HandleFunc("GET /"+strings.TrimSuffix(name, "index.html")+exact(name), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", pageTypes[path.Ext(name)])
			_, _ = w.Write(body) // the browser may be gone
		})
	}
	return guarded(http.NewCrossOriginProtection().Handler(mux))
}

// exact keeps "/" from meaning every path.
func exact(name string) string {
	if name == "index.html" {
		return "{$}"
	}
	return ""
}

func pages() []string {
	entries, err := fs.ReadDir(pageFiles, "page")
	if err != nil {
		panic(err) // embedded
	}
	var names []string
	for _, e := range entries {
		if pageTypes[path.Ext(e.Name())] != "" {
			names = append(names, e.Name())
		}
	}
	return names
}

// guarded refuses hosts that are no address, and sets the headers of every answer.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !ownHost(r.Host) {
			apiError(w, http.StatusForbidden, "the inspector answers at an IP address and at localhost only")
			return
		}
		if site := r.Header.Get("Sec-Fetch-Site"); strings.HasPrefix(r.URL.Path, "/api/") && site != "" && site != "same-origin" && site != "none" {
			apiError(w, http.StatusForbidden, "the inspector answers to its own page only")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ownHost reports whether a Host header cannot be a name that somebody else points here.
func ownHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}

// watch streams what changes to a page.
func (a *Agent) watch(w http.ResponseWriter, r *http.Request) {
	select {
	case a.watchers <- struct{}{}:
		defer func() { <-a.watchers }()
	default:
		apiError(w, http.StatusServiceUnavailable, "too many pages are open")
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	rest := time.NewTimer(restEvery)
	defer rest.Stop()
	for rev, first := int64(0), true; ; first = false {
		changes, more := a.rec.Changes(rev)
		if first || changes.Rev != rev {
			rev = changes.Rev
			text, err := json.Marshal(a.news(changes))
			if err != nil {
				return
			}
			if _, err := fmt.Fprintf(w, "retry: 1000\ndata: %s\n\n", text); err != nil {
				return
			}
		} else if _, err := fmt.Fprint(w, ":\n\n"); err != nil {
			return
		}
		if out.Flush() != nil {
			return
		}
		rest.Reset(restEvery)
		select {
		case <-rest.C:
		case <-r.Context().Done():
			return
		}
		select {
		case <-more:
		case <-beat.C:
		case <-r.Context().Done():
			return
		}
	}
}
