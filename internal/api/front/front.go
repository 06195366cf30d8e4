// Package front serves every HTTP interface on one port with two servers: publishes, the hot path, on fasthttp, which
// costs about half of net/http, and everything else on net/http, all of HTTP/2 included. A connection begins with the server that its first
// request is for; one that publishes and then asks for anything else moves to net/http, with that request, for good.
package front

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/posthornhq/posthorn/internal/api/rest"
)

// Timeouts and sizes of both servers.
const (
	headerTimeout = 10 * time.Second
	bodyTimeout   = time.Minute
	idleTimeout   = 2 * time.Minute
	writeTimeout  = 3 * time.Minute
	maxHeader     = 64 << 10    // bytes, net/http
	readBuffer    = 16 << 10    // bytes: the most that the headers of a publish may have
	peekBuffer    = 256         // bytes: the start of a first request, enough for its path
	acceptWait    = time.Second // the longest wait for a file descriptor
	maxStreams    = 250         // requests at once on one connection of HTTP/2
)

// Publisher is the core of the publish path (package rest).
type Publisher interface {
	Publish(ctx context.Context, req rest.PublishRequest) rest.PublishResponse
	// TooLarge is the answer to a body over the limit.
	TooLarge(tenant, origin string) rest.PublishResponse
}

// Server serves one port.
type Server struct {
	publisher  Publisher
	base       context.Context //nolint:containedctx // of publishes: a fasthttp request has none of its own
	fast       *fasthttp.Server
	std        *http.Server
	http2      *http.Server
	fastConns  *handoff
	stdConns   *handoff
	http2Conns *handoff
	log        *slog.Logger
	wg         sync.WaitGroup
}

// New makes a server. maxBody bounds a publish, in bytes; handler takes every other request.
func New(base context.Context, publisher Publisher, handler http.Handler, maxBody int, log *slog.Logger) *Server {
	s := &Server{publisher: publisher, base: base, fastConns: newHandoff(), stdConns: newHandoff(), http2Conns: newHandoff(), log: log}
	s.fast = &fasthttp.Server{
		Handler: s.serve, ErrorHandler: s.refuse, NoDefaultServerHeader: true, NoDefaultContentType: true,
		ReadTimeout: bodyTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxRequestBodySize: maxBody,
		ReadBufferSize: readBuffer, KeepHijackedConns: true, CloseOnShutdown: true, Concurrency: 1 << 20,
		DisablePreParseMultipartForm: true, Logger: quiet{log},
	}
	s.std = &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnContext: withRecorder, ConnState: nextRequest,
	}
	// A server of its own for HTTP/2: one for both would wait without a limit for the beginning of every connection.
	s.http2 = &http.Server{
		Handler: handler, ReadTimeout: bodyTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: s.std.ErrorLog, Protocols: new(http.Protocols), HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
	}
	s.http2.Protocols.SetUnencryptedHTTP2(true)
	return s
}

// quiet passes fasthttp's lines on at the lowest level: they tell of clients' mistakes.
type quiet struct{ log *slog.Logger }

func (q quiet) Printf(string, ...any) { q.log.Debug("a connection ended with an error") }

// Serve accepts connections until Shutdown or an error of the listener. It returns nil after Shutdown.
func (s *Server) Serve(ln net.Listener) error {
	s.fastConns.addr, s.stdConns.addr, s.http2Conns.addr = ln.Addr(), ln.Addr(), ln.Addr()
	failed := make(chan error, 4)
	s.wg.Go(func() { failed <- s.fast.Serve(s.fastConns) })
	s.wg.Go(func() { failed <- s.std.Serve(s.stdConns) })
	s.wg.Go(func() { failed <- s.http2.Serve(s.http2Conns) })
	s.wg.Go(func() { failed <- s.accept(ln) })
	err := <-failed
	if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// accept hands each new connection to the server that its first request is for. What may pass does not end it.
func (s *Server) accept(ln net.Listener) error {
	context.AfterFunc(s.stdConns.ctx, func() { _ = ln.Close() })
	for wait := 5 * time.Millisecond; ; {
		c, err := ln.Accept()
		switch {
		case err == nil:
			wait = 5 * time.Millisecond
			go s.classify(c)
		case !passes(err):
			return err
		default:
			s.log.Warn("cannot accept a connection", slog.Any("error", err), slog.Duration("wait", wait))
			select {
			case <-time.After(wait):
			case <-s.stdConns.ctx.Done():
			}
			wait = min(2*wait, acceptWait)
		}
	}
}

// passes reports whether connections may be accepted again after an error: the process or the machine is short of
// something, or the client was gone already.
func passes(err error) bool {
	for _, short := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, short) {
			return true
		}
	}
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// classify reads the start of a connection's first request. Shutdown cuts it short.
func (s *Server) classify(c net.Conn) {
	stop := context.AfterFunc(s.stdConns.ctx, func() { _ = c.Close() })
	defer stop()
	if err := c.SetReadDeadline(time.Now().Add(headerTimeout)); err != nil {
		_ = c.Close()
		return
	}
	buf := make([]byte, 0, peekBuffer)
	for !decided(buf) && len(buf) < cap(buf) {
		n, err := c.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err != nil {
			break
		}
	}
	if len(buf) == 0 || c.SetReadDeadline(time.Time{}) != nil {
		_ = c.Close()
		return
	}
	stop()
	to, first := s.stdConns, &prefixed{Conn: c, rest: buf}
	if bytes.HasPrefix(buf, http2Preface) {
		to = s.http2Conns
	} else if line, _, _ := bytes.Cut(buf, []byte("\r\n")); publishes(line) {
		to = s.fastConns
	} else {
		first.recorder = &recorder{}
	}
	to.put(first)
}

var (
	publishPrefix = []byte("POST /v1/tenants/")
	// http2Preface begins a connection of HTTP/2 whose client knows that the server speaks it (RFC 9113, 3.4).
	http2Preface = []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
)

// decided reports whether enough was read to tell a publish and HTTP/2 from other requests.
func decided(b []byte) bool {
	if n := min(len(b), len(http2Preface)); bytes.Equal(b[:n], http2Preface[:n]) {
		return n == len(http2Preface)
	}
	n := min(len(b), len(publishPrefix))
	return !bytes.Equal(b[:n], publishPrefix[:n]) || bytes.IndexByte(b, '\n') >= 0
}

func publishes(line []byte) bool {
	method, target, _ := bytes.Cut(line, []byte(" "))
	target, _, _ = bytes.Cut(target, []byte(" "))
	target, _, _ = bytes.Cut(target, []byte("?"))
	_, ok := rest.PublishTenant(string(method), string(target))
	return ok
}

// serve is the fasthttp side of a publish.
func (s *Server) serve(ctx *fasthttp.RequestCtx) {
	h := &ctx.Request.Header
	repeated, ambiguous := headerFaults(h.RawHeaders())
	if ambiguous {
		problem(ctx, http.StatusBadRequest, "malformed", "a request has Content-Length or Transfer-Encoding, never both")
		ctx.SetConnectionClose()
		return
	}
	target, query, _ := bytes.Cut(h.RequestURI(), []byte("?"))
	tenant, ok := rest.PublishTenant(string(h.Method()), string(target))
	if !ok {
		s.handOver(ctx)
		return
	}
	req := rest.PublishRequest{
		Tenant: tenant, Query: string(query), Body: ctx.Request.Body(), Authorization: string(h.Peek("Authorization")),
		Accept: string(h.Peek("Accept")), ContentType: string(h.ContentType()), IdempotencyKey: string(h.Peek("Idempotency-Key")),
		SpecVersion: string(h.Peek("Ce-Specversion")), ContentEncoding: string(h.ContentEncoding()),
		Repeated: repeated, Origin: string(h.Peek("Origin")),
	}
	if req.Authorization == "" {
		req.Browser = rest.BrowserHeaders{
			Cookie: string(h.Peek("Cookie")), Host: string(h.Host()), Origin: req.Origin, FetchSite: string(h.Peek("Sec-Fetch-Site")),
		}
	}
	if req.SpecVersion != "" {
		req.Headers = eachHeader(h)
	}
	res := s.publisher.Publish(s.base, req)
	if res.Status >= http.StatusInternalServerError {
		ctx.Request.SwapBody(nil) // the store's writer may still be reading the events, which are parts of the body
	}
	answer(ctx, res)
}

// headerFaults reads the headers as they came, because fasthttp keeps one Content-Type and one length of the body only. It
// names one of [rest.SingleHeaders] that is repeated, and tells whether the end of the body can be taken in two ways
// (RFC 9112, 6.3): behind a proxy that took the other one, the rest would be somebody else's request.
func headerFaults(raw []byte) (repeated string, ambiguous bool) {
	var seen [len(rest.SingleHeaders)]bool
	var length, chunked bool
	for len(raw) > 0 {
		var line []byte
		line, raw, _ = bytes.Cut(raw, []byte("\n"))
		end := bytes.IndexByte(line, ':')
		if end < 0 {
			continue
		}
		switch name := line[:end]; end {
		case len("Content-Length"):
			length = length || isHeader(name, "Content-Length")
		case len("Transfer-Encoding"):
			chunked = chunked || isHeader(name, "Transfer-Encoding")
		default:
			for i, single := range rest.SingleHeaders {
				if !isHeader(name, single) {
					continue
				}
				if seen[i] {
					repeated = single
				}
				seen[i] = true
			}
		}
	}
	return repeated, length && chunked
}

// isHeader compares names of headers, which are in any case.
func isHeader(name []byte, want string) bool {
	return len(name) == len(want) && strings.EqualFold(string(name), want)
}

func answer(ctx *fasthttp.RequestCtx, res rest.PublishResponse) {
	ctx.SetStatusCode(res.Status)
	ctx.SetContentType(res.ContentType)
	h := &ctx.Response.Header
	for _, f := range [...][2]string{{"Retry-After", res.RetryAfter}, {"WWW-Authenticate", res.Challenge}, {"X-Request-Id", res.RequestID}} {
		if f[1] != "" {
			h.Set(f[0], f[1])
		}
	}
	if res.RequestID != "" {
		h.Set("X-Content-Type-Options", "nosniff")
	}
	for _, f := range rest.CrossOriginHeaders(res.AllowOrigin) {
		h.Set(f[0], f[1])
	}
	ctx.SetBody(res.Body)
}

func eachHeader(h *fasthttp.RequestHeader) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for name, value := range h.All() {
			if !yield(string(name), string(value)) {
				return
			}
		}
	}
}

// refuse answers what fasthttp could not read as a request.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, err error) {
	target, _, _ := bytes.Cut(ctx.Request.Header.RequestURI(), []byte("?"))
	tenant, _ := rest.PublishTenant(http.MethodPost, string(target))
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		answer(ctx, s.publisher.TooLarge(tenant, string(ctx.Request.Header.Peek("Origin"))))
	default:
		status, code, detail := http.StatusBadRequest, "malformed", "the request cannot be read"
		if _, small := errors.AsType[*fasthttp.ErrSmallBuffer](err); small {
			status, code = http.StatusRequestHeaderFieldsTooLarge, "headers_too_large"
			detail = fmt.Sprintf("the request line and the headers may have at most %d bytes", readBuffer)
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			status, code, detail = http.StatusRequestTimeout, "request_timeout", "the request did not arrive in time"
		}
		problem(ctx, status, code, detail)
	}
	ctx.SetConnectionClose()
}

// problem answers with a problem document. The detail needs no escaping.
func problem(ctx *fasthttp.RequestCtx, status int, code, detail string) {
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/problem+json")
	ctx.SetBodyString(`{"type":"/docs/problems#` + code + `","title":` + strconv.Quote(http.StatusText(status)) + `,"status":` +
		strconv.Itoa(status) + `,"code":"` + code + `","detail":"` + detail + `"}` + "\n")
}

// handOver moves a connection to net/http, the present request first.
func (s *Server) handOver(ctx *fasthttp.RequestCtx) {
	var again bytes.Buffer
	h, body := &ctx.Request.Header, ctx.Request.Body()
	if raw := h.RawHeaders(); !bytes.Contains(bytes.ToLower(raw), []byte("transfer-encoding:")) && len(h.Peek("Expect")) == 0 {
		again.WriteString(string(h.Method()) + " " + string(h.RequestURI()) + " " + string(h.Protocol()) + "\r\n")
		again.Write(raw)
	} else {
		h.SetContentLength(len(body)) // it came in chunks, which are one piece now
		h.Del("Expect")               // the client has been told to go on
		again.Write(h.Header())
	}
	again.Write(body)
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(c net.Conn) {
		c, ahead := bare(c)
		again.Write(ahead)
		if c.SetDeadline(time.Time{}) != nil {
			_ = c.Close()
			return
		}
		s.stdConns.put(&prefixed{Conn: c, rest: again.Bytes(), recorder: &recorder{}})
	})
}

// bare returns the connection below fasthttp's and what fasthttp has read ahead of it, so that what is written later need not
// pass through either.
func bare(c net.Conn) (net.Conn, []byte) {
	wrapped, ok := c.(interface{ UnsafeConn() net.Conn })
	if !ok {
		return c, nil
	}
	// A read that may not wait returns only what is buffered.
	if c.SetReadDeadline(time.Unix(1, 0)) != nil {
		return c, nil // it is closed
	}
	var ahead []byte
	for buf := make([]byte, readBuffer); ; {
		n, err := c.Read(buf)
		ahead = append(ahead, buf[:n]...)
		if n == 0 || err != nil {
			break
		}
	}
	c = wrapped.UnsafeConn()
	if p, ok := c.(*prefixed); ok {
		ahead = append(ahead, p.Unread()...)
		c = p.Conn
	}
	return c, ahead
}

// Shutdown stops accepting, waits for the requests under way until ctx ends, and closes every connection.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stdConns.stop()
	s.fastConns.stop()
	s.http2Conns.stop()
	err := errors.Join(s.fast.ShutdownWithContext(ctx), s.std.Shutdown(ctx), s.http2.Shutdown(ctx))
	if err != nil {
		err = errors.Join(err, s.std.Close(), s.http2.Close())
	}
	s.wg.Wait()
	return err
}

// prefixed is a connection of which some bytes were read already.
type prefixed struct {
	net.Conn
	rest []byte
	// recorder sees what is read; nil: nobody does.
	recorder *recorder
}

// Read returns the bytes that were read already first.
func (p *prefixed) Read(b []byte) (n int, err error) {
	if len(p.rest) == 0 {
		n, err = p.Conn.Read(b)
	} else {
		n = copy(b, p.rest)
		if p.rest = p.rest[n:]; len(p.rest) == 0 {
			p.rest = nil
		}
	}
	if p.recorder != nil {
		p.recorder.saw(b[:n], len(b))
	}
	return n, err
}

// Unread returns what was read already and not asked for yet, and forgets it. From then on NetConn may be used in place
// of this connection.
func (p *prefixed) Unread() []byte {
	b := p.rest
	p.rest = nil
	return b
}

// NetConn returns the connection below.
func (p *prefixed) NetConn() net.Conn { return p.Conn }

// handoff is a listener that is given its connections.
type handoff struct {
	addr  net.Addr
	conns chan net.Conn
	ctx   context.Context //nolint:containedctx // the listener's life
	stop  context.CancelFunc
}

func newHandoff() *handoff {
	h := &handoff{conns: make(chan net.Conn)}
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h
}

func (h *handoff) put(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.ctx.Done():
		_ = c.Close()
	}
}

// Accept implements [net.Listener].
func (h *handoff) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (h *handoff) Close() error {
	h.stop()
	return nil
}

// Addr implements [net.Listener].
func (h *handoff) Addr() net.Addr { return h.addr }
