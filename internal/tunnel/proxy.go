package tunnel

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/codec"
	"github.com/posthornhq/posthorn/internal/event"
)

// pathPrefix begins the paths of tunnels of the kind http: /t/{tenant}/{name}/….
const pathPrefix = "/t/"

// Times of a request through a tunnel of the kind http.
const (
	// firstByte is how long the local program has for the head of its answer, after the last of the request that it took.
	firstByte = 5 * time.Minute
	// stalled is how long a caller may send nothing of its body, or take nothing of the answer.
	stalled = time.Minute
)

// place is where a request of the kind http goes.
type place struct {
	tenant event.TenantID
	name   string
	// prefix is the part of the path, as sent, that is taken off; empty when the tunnel was called by its host name.
	prefix string
}

type placeKey struct{}

// Owns reports whether a request is for a host name of the tunnels, connected or not.
func (h *Hub) Owns(r *http.Request) bool {
	_, ok := h.label(r.Host)
	return ok
}

// label returns the first label of a host name of the tunnels.
func (h *Hub) label(host string) (string, bool) {
	if h.hosts == "" {
		return "", false
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.Trim(host[i+1:], "0123456789") == "" {
		host = host[:i]
	}
	label, ok := strings.CutSuffix(strings.ToLower(strings.TrimSuffix(host, ".")), h.hosts)
	return label, ok && label != "" && !strings.Contains(label, ".")
}

// port is the port of a URL with its colon, or "".
func port(u string) string {
	parsed, err := url.Parse(u)
	if err != nil || parsed.Port() == "" {
		return ""
	}
	return ":" + parsed.Port()
}

// ServeHTTP passes a request on to the tunnel of its host name ([Hub.Owns]) or path: /t/{tenant}/{name}/…. Everything goes
// through as it comes, both ways at once, upgraded connections included.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, status, text := h.place(r)
	if status == 0 && h.cfg.Hold != nil {
		release, ok := h.cfg.Hold()
		if ok {
			defer release()
		} else {
			status, text = http.StatusServiceUnavailable, "too many requests are waiting for an answer"
		}
	}
	if status != 0 {
		refuse(w, status, text)
		return
	}
	if p.prefix != "" && target(r) == p.prefix { // a page's relative links need the slash
		to := p.prefix + "/"
		if r.URL.RawQuery != "" {
			to += "?" + r.URL.RawQuery
		}
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusPermanentRedirect)
		return
	}
	out := newPatient(w, r)
	r = r.WithContext(context.WithValue(r.Context(), placeKey{}, p))
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &patientBody{r.Body, out}
	}
	h.proxy.ServeHTTP(out, r)
}

// place finds the tunnel of a request; status and text say why there is none.
func (h *Hub) place(r *http.Request) (p place, status int, text string) {
	if label, ok := h.label(r.Host); ok {
		h.mu.RLock()
		defer h.mu.RUnlock()
		t := h.byHost[label]
		if t == nil || len(t.sessions) == 0 {
			return p, http.StatusServiceUnavailable, "no tunnel is connected at this host name"
		}
		return place{tenant: t.tenant, name: t.spec.Name}, 0, ""
	}
	rest, ok := strings.CutPrefix(target(r), pathPrefix)
	tenantName, rest, _ := strings.Cut(rest, "/")
	name, _, _ := strings.Cut(rest, "/")
	if !ok || event.CheckName(tenantName) != "" || event.CheckName(name) != "" {
		return p, http.StatusNotFound, "there is no such tunnel"
	}
	t, err := h.cfg.Tenant(r.Context(), tenantName)
	switch {
	case event.KindOf(err) == event.KindNotFound && err != nil:
		return p, http.StatusServiceUnavailable, ErrOffline.Error() // the same for tenants and tunnels that are not there
	case err != nil:
		return p, http.StatusInternalServerError, "it cannot be told where this goes"
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	known := h.tenants[t.ID][name]
	if known == nil || known.spec.Kind != KindHTTP || len(known.sessions) == 0 {
		return p, http.StatusServiceUnavailable, ErrOffline.Error()
	}
	return place{tenant: t.ID, name: name, prefix: pathPrefix + tenantName + "/" + name}, 0, ""
}

// target is the path of a request as it was sent.
func target(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		path, _, _ := strings.Cut(r.RequestURI, "?")
		return path
	}
	return r.URL.EscapedPath()
}

// refuse answers without the tunnel.
func refuse(w http.ResponseWriter, status int, text string) {
	head := w.Header()
	head.Set("Content-Type", "text/plain; charset=utf-8")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable {
		head.Set("Retry-After", "5")
	}
	head.Set("Content-Length", strconv.Itoa(len(text)+1))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // the caller may be gone
}

// newProxy makes the part that passes requests on.
func (h *Hub) newProxy() http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: h.rewrite, Transport: roundTripper{h}, FlushInterval: -1, BufferPool: buffers{}, ModifyResponse: clean,
		ErrorLog:     slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
		ErrorHandler: refused,
	}
}

// rewrite prepares the request for the tunnel. The proxy has taken the connection's own headers off.
func (h *Hub) rewrite(pr *httputil.ProxyRequest) {
	p, _ := pr.In.Context().Value(placeKey{}).(place) // set by ServeHTTP
	out := pr.Out
	sent := pr.In.URL.RequestURI()
	if strings.HasPrefix(pr.In.RequestURI, "/") {
		sent = pr.In.RequestURI
	}
	u := url.URL{Scheme: "http", Host: "tunnel"}
	setTarget(&u, strings.TrimPrefix(sent, p.prefix))
	out.URL = &u
	out.Host = pr.In.Host
	remote, called := h.cfg.Caller(pr.In)
	out.Header.Set("X-Forwarded-For", remote) // what others say of it is believed from trusted proxies only
	c, err := url.Parse(called)
	if err != nil || c.Host == "" {
		c = &url.URL{Scheme: "http", Host: pr.In.Host}
	}
	if p.prefix == "" { // called by its own name, not by the server's
		c.Host = pr.In.Host
		called = c.Scheme + "://" + c.Host + sent
		out.Header.Del("X-Forwarded-Prefix")
	} else {
		out.Header.Set("X-Forwarded-Prefix", p.prefix)
	}
	out.Header.Set("X-Forwarded-Host", c.Host)
	out.Header.Set("X-Forwarded-Proto", c.Scheme)
	if cookies, ok := out.Header["Cookie"]; ok {
		delete(out.Header, "Cookie")
		for _, c := range cookies {
			if c = codec.WithoutOwnCookies(c); c != "" {
				out.Header.Add("Cookie", c)
			}
		}
	}
	About{Kind: KindHTTP, URL: called, Remote: remote, At: h.cfg.now().UTC()}.set(out.Header)
}

// sandbox makes what a browser shows of a tunnel without a host name a page of no origin: it shares its address with the server,
// whose sessions and API it must not use in the name of whoever looks at it.
const sandbox = "sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads"

// clean takes off an answer what would reach beyond the tunnel's own part of the server's origin, and the server's own cookies,
// which a host name could set for the server's domain too. A policy of the program's own counts beside the sandbox.
func clean(resp *http.Response) error {
	if p, _ := resp.Request.Context().Value(placeKey{}).(place); p.prefix != "" { // set by ServeHTTP
		for _, name := range []string{"Service-Worker-Allowed", "Clear-Site-Data", "Strict-Transport-Security", "Alt-Svc"} {
			resp.Header.Del(name)
		}
		resp.Header.Add("Content-Security-Policy", sandbox)
		// Of mixed-replace each part has headers of its own, of which browsers take cookies and policies for the whole server.
		if strings.Contains(strings.ToLower(strings.Join(resp.Header["Content-Type"], ",")), "x-mixed-replace") {
			resp.Header.Set("Content-Type", "text/plain; charset=utf-8")
			resp.Header.Set("X-Content-Type-Options", "nosniff")
		}
	}
	cookies := resp.Header["Set-Cookie"]
	delete(resp.Header, "Set-Cookie")
	for _, c := range cookies {
		if !setsOwnCookie(c) {
			resp.Header.Add("Set-Cookie", c)
		}
	}
	return nil
}

// setsOwnCookie reports whether browsers send what a Set-Cookie sets as one of the server's own cookies. One without a name is sent
// as its value alone, which may be a name, "=", and a value again (RFC 6265bis, 5.8.3).
func setsOwnCookie(set string) bool {
	pair, _, _ := strings.Cut(set, ";")
	name, _, _ := strings.Cut(strings.TrimLeft(pair, "= \t"), "=")
	return codec.IsOwnCookie(name)
}

// refused answers when there was no answer.
func refused(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // the caller is gone
	case errors.Is(err, ErrOffline), errors.Is(err, ErrBusy):
		refuse(w, http.StatusServiceUnavailable, reason(err))
	case errors.Is(err, context.DeadlineExceeded):
		refuse(w, http.StatusGatewayTimeout, "the local program did not answer in time")
	default:
		refuse(w, http.StatusBadGateway, reason(err))
	}
}

// roundTripper sends requests of the kind http through the hub.
type roundTripper struct{ hub *Hub }

// RoundTrip implements [http.RoundTripper].
func (t roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	p, _ := r.Context().Value(placeKey{}).(place) // set by ServeHTTP
	ctx, cancel := context.WithCancelCause(r.Context())
	late := newDeadline(firstByte, func() { cancel(context.DeadlineExceeded) })
	if r.Body != nil && r.Body != http.NoBody {
		copied := *r // a transport leaves its caller's request as it is
		copied.Body = &movingBody{r.Body, late}
		r = &copied
	}
	resp, err := t.hub.Do(ctx, p.tenant, p.name, r)
	late.stop()
	if err != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		err = context.DeadlineExceeded
	}
	if err != nil {
		cancel(nil)
		return nil, err
	}
	release := func() { cancel(nil) }
	if conn, ok := resp.Body.(io.ReadWriteCloser); ok {
		resp.Body = &countedConn{conn, release}
	} else {
		resp.Body = &counted{resp.Body, release}
	}
	resp.Request = r
	return resp, nil
}

// deadline is a timer that begins anew as long as something moves, until it has passed or was stopped.
type deadline struct {
	mu      sync.Mutex
	timer   *time.Timer
	after   time.Duration
	stopped bool
}

func newDeadline(after time.Duration, f func()) *deadline {
	return &deadline{timer: time.AfterFunc(after, f), after: after}
}

func (d *deadline) move() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.stopped {
		d.timer.Reset(d.after)
	}
}

func (d *deadline) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
	d.timer.Stop()
}

// movingBody is a request's body: each piece of it that is taken gives more time.
type movingBody struct {
	io.ReadCloser
	late *deadline
}

// Read implements [io.Reader].
func (b *movingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.late.move()
	return n, err
}

// buffers lends the memory through which answers pass.
type buffers struct{}

var bufferPool = sync.Pool{New: func() any { b := make([]byte, chunk); return &b }}

// Get implements [httputil.BufferPool].
func (buffers) Get() []byte { return *bufferPool.Get().(*[]byte) } //nolint:forcetypeassert,errcheck // of New only

// Put implements [httputil.BufferPool].
func (buffers) Put(b []byte) { bufferPool.Put(&b) }

// patient gives a caller time for as long as it moves, in place of the server's limits for a whole request.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	// limited: a limit that passes while nobody reads or writes does no harm. In HTTP/2 it would end the request.
	limited bool
	next    time.Time
}

func newPatient(w http.ResponseWriter, r *http.Request) *patient {
	p := &patient{ResponseWriter: w, control: http.NewResponseController(w), limited: r.ProtoMajor == 1}
	_ = p.control.SetReadDeadline(time.Time{})  // not supported: then there is no such limit
	_ = p.control.SetWriteDeadline(time.Time{}) // as before
	return p
}

// WriteHeader implements [http.ResponseWriter]: net/http makes no guess at what the program did not say of the body.
func (p *patient) WriteHeader(status int) {
	if h := p.Header(); status >= http.StatusOK && h["Content-Type"] == nil {
		h["Content-Type"] = nil
	}
	p.ResponseWriter.WriteHeader(status)
}

// Write implements [io.Writer].
func (p *patient) Write(b []byte) (int, error) {
	p.extend()
	return p.ResponseWriter.Write(b)
}

// FlushError is for [http.ResponseController].
func (p *patient) FlushError() error {
	p.extend()
	return p.control.Flush()
}

// extend moves the limit of the next writes, no more than once a second.
func (p *patient) extend() {
	if now := time.Now(); p.limited && now.After(p.next) {
		p.next = now.Add(time.Second)
		_ = p.control.SetWriteDeadline(now.Add(stalled)) // not supported: then there is no such limit
	}
}

// Unwrap is for [http.ResponseController].
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// patientBody is a request's body that may come slowly.
type patientBody struct {
	io.ReadCloser
	out *patient
}

// Read implements [io.Reader].
func (b *patientBody) Read(p []byte) (int, error) {
	if !b.out.limited {
		return b.ReadCloser.Read(p)
	}
	_ = b.out.control.SetReadDeadline(time.Now().Add(stalled)) // not supported: then there is no such limit
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		_ = b.out.control.SetReadDeadline(time.Time{}) // the server reads on, to notice that the caller leaves
	}
	return n, err
}
