package agent

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/posthornhq/posthorn/internal/tunnel/pipe"
)

const (
	// idleTime is short, so that a connection which the target is about to close is hardly ever taken for another request.
	idleTime = 500 * time.Millisecond
)

// Why the target gave no answer: values of the header Posthorn-Tunnel-Error.
const (
	ErrorRefused  = "refused"      // nothing listens there
	ErrorTimeout  = "timeout"      // it did not take the connection in time
	ErrorUnknown  = "unknown-host" // its name has no address
	ErrorTLS      = "tls"          // the TLS handshake failed
	ErrorBroken   = "broken"       // it closed the connection, or answered with what is not HTTP
	ErrorCanceled = "canceled"     // the caller went away
)

// Info is what the server says about a request.
type Info struct {
	// Kind is the tunnel's: bin, source, endpoint or http.
	Kind string `json:"kind"`
	// ID is the capture's or event's id, Seq its number.
	ID  string `json:"id"`
	Seq int64  `json:"seq"`
	// URL is the address that was called, Remote the caller's IP address, At when it called.
	URL    string    `json:"url"`
	Remote string    `json:"remote"`
	At     time.Time `json:"at"`
	// Kept says that the request waited at the server until the tunnel was there.
	Kept bool `json:"kept"`
}

// forwarder brings requests to the target.
type forwarder struct {
	agent *Agent
	proxy *httputil.ReverseProxy
}

// job is what belongs to a request on its way: found in its context.
type job struct {
	id    int64 // the exchange's Seq
	info  Info
	lines []Field // the header as it came
	path  string  // the target's path and query
	begun func(seq int64)
}

type jobKey struct{}

func newForwarder(a *Agent) *forwarder {
	f := &forwarder{agent: a}
	target := a.o.Target
	f.proxy = &httputil.ReverseProxy{
		Rewrite:       f.rewrite,
		Transport:     &recording{rec: a.rec, next: targetTransport(target)},
		FlushInterval: -1,
		ErrorHandler:  f.failed,
		ErrorLog:      slog.NewLogLogger(a.o.Log.Handler(), slog.LevelDebug),
	}
	return f
}

// targetTransport dials the target. What passes is left as it is.
func targetTransport(target *url.URL) http.RoundTripper {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: loopback(target.Hostname())}, //nolint:gosec // on this computer certificates are made by oneself
		DisableCompression:    true,
		IdleConnTimeout:       idleTime,
		MaxIdleConnsPerHost:   64,
		ExpectContinueTimeout: time.Second,
		Protocols:             protocols,
	}
}

// loopback reports whether a host is this computer.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// ServeHTTP forwards a request that came through a stream.
func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	j := &job{}
	if err := json.Unmarshal([]byte(r.Header.Get(pipe.HeaderAbout)), &j.info); err != nil {
		j.info = Info{}
	}
	if s, ok := r.Context().Value(streamKey{}).(*stream); ok {
		j.lines = fieldsOf(s.Head())
	}
	f.forward(w, r, j)
}

// forward forwards a request and records the exchange.
func (f *forwarder) forward(w http.ResponseWriter, r *http.Request, j *job) {
	r.Header.Del(pipe.HeaderAbout)
	if j.path == "" {
		j.path = joinPath(f.agent.o.Target, r)
	}
	j.id = f.agent.rec.start(r.Method, j.path, r.Proto, &j.info)
	defer f.agent.rec.finish(j.id)
	if j.begun != nil {
		j.begun(j.id)
	}
	if r.Method == http.MethodConnect {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	f.proxy.ServeHTTP(&answer{ResponseWriter: w}, r.WithContext(context.WithValue(r.Context(), jobKey{}, j)))
}

// joinPath returns the path and query to ask the target for, as they were sent, after the path that the target has.
func joinPath(target *url.URL, r *http.Request) string {
	asked := r.RequestURI
	if !strings.HasPrefix(asked, "/") { // of a whole URL, its path; "*" has none
		asked = r.URL.RequestURI()
	}
	prefix := strings.TrimRight(target.EscapedPath(), "/")
	if asked == "*" || prefix == "" {
		return asked
	}
	// The address of the tunnel itself is that of the target: no slash is added.
	if rest, ok := strings.CutPrefix(asked, "/"); ok && (rest == "" || rest[0] == '?') {
		return target.EscapedPath() + rest
	}
	return prefix + asked
}

// rewrite makes the request for the target. ReverseProxy has taken off the headers of the connection, and some more, which
// come back.
func (f *forwarder) rewrite(p *httputil.ProxyRequest) {
	j, _ := p.In.Context().Value(jobKey{}).(*job)
	target := f.agent.o.Target
	// An opaque URL is sent as it is. One that begins with two slashes would be taken for a whole URL.
	p.Out.URL = &url.URL{Scheme: target.Scheme, Host: target.Host, Opaque: j.path}
	if strings.HasPrefix(j.path, "//") {
		u := *p.In.URL
		u.Scheme, u.Host = target.Scheme, target.Host
		p.Out.URL = &u
	}
	if f.agent.o.RewriteHost || p.Out.Host == "" {
		p.Out.Host = target.Host
	}
	h := p.Out.Header
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if v, ok := p.In.Header[name]; ok {
			h[name] = v
		}
	}
	if called, err := url.Parse(j.info.URL); err == nil && called.Host != "" {
		setAbsent(h, "X-Forwarded-Host", called.Host)
		setAbsent(h, "X-Forwarded-Proto", called.Scheme)
	}
	if j.info.Remote != "" {
		setAbsent(h, "X-Forwarded-For", j.info.Remote)
	}
	restoreCase(h, j.lines)
}

func setAbsent(h http.Header, name, value string) {
	if _, there := h[name]; !there {
		h.Set(name, value)
	}
}

// ours are the headers that net/http looks for by their usual names.
var ours = []string{
	"Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer", "Connection", "Upgrade", "Te", "Expect", "Accept-Encoding", "Range",
}

// restoreCase gives header names the case in which they came: some programs look at it.
func restoreCase(h http.Header, lines []Field) {
	for _, l := range lines {
		usual := textproto.CanonicalMIMEHeaderKey(l.Name)
		v, there := h[usual]
		if l.Name == usual || !there || slices.Contains(ours, usual) {
			continue
		}
		if _, taken := h[l.Name]; !taken {
			delete(h, usual)
			h[l.Name] = v
		}
	}
}

// failed answers for a target that did not.
func (f *forwarder) failed(w http.ResponseWriter, r *http.Request, err error) {
	kind, text := explain(err)
	if j, ok := r.Context().Value(jobKey{}).(*job); ok {
		f.agent.rec.failed(j.id, kind)
	}
	h := w.Header()
	h.Set(pipe.HeaderError, kind)
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusBadGateway)
	_, _ = io.WriteString(w, text+"\n") // the caller may be gone
}

// explain says why the target did not answer: the kind and a text that tells callers nothing about this computer.
func explain(err error) (kind, text string) {
	const refusedWindows = syscall.Errno(10061)
	var timeout net.Error
	_, name := errors.AsType[*net.DNSError](err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case errors.Is(err, context.Canceled) || errors.Is(err, http.ErrAbortHandler):
		return ErrorCanceled, "The caller went away."
	case errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, refusedWindows):
		return ErrorRefused, "Nothing listens where this tunnel leads."
	case name:
		return ErrorUnknown, "The host that this tunnel leads to is not known."
	case certificate || record:
		return ErrorTLS, "The program that this tunnel leads to cannot be reached by TLS."
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		return ErrorTimeout, "The program that this tunnel leads to did not answer in time."
	default:
		return ErrorBroken, "The program that this tunnel leads to gave no answer."
	}
}

// answer keeps net/http from adding to an answer what the target did not say.
type answer struct {
	http.ResponseWriter
	told bool
}

// WriteHeader sends the answer's head.
func (a *answer) WriteHeader(status int) {
	if status >= 200 && !a.told {
		a.told = true
		for _, name := range []string{"Date", "Content-Type"} {
			if _, there := a.Header()[name]; !there {
				a.Header()[name] = nil
			}
		}
	}
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap gives net/http the writer itself, to flush and to hijack.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Field is a header field, as it was sent.
type Field struct{ Name, Value string }

// fieldsOf reads the header lines of a head. It is nil when the head is.
func fieldsOf(head []byte) []Field {
	var list []Field
	s := bufio.NewScanner(bytes.NewReader(head))
	s.Buffer(nil, maxHead)
	for s.Scan(); s.Scan(); { // not the request line
		name, value, ok := strings.Cut(s.Text(), ":")
		if ok && !strings.EqualFold(name, pipe.HeaderAbout) {
			list = append(list, Field{name, strings.Trim(value, " \t")})
		}
	}
	return list
}
