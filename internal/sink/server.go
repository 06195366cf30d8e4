package sink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/posthornhq/posthorn/webhook"
)

// MaxBody is the largest body that the sink takes, in bytes; larger ones are answered 413.
const MaxBody = 64 << 20

// verifyEvery is the sampling of signatures while a [Meter] runs: each one would disturb the measurement.
const verifyEvery = 64

// Options of a Server.
type Options struct {
	// Behaviour is that of every path without its own.
	Behaviour Behaviour
	// Paths gives exact paths their own behaviour.
	Paths map[string]Behaviour
	// Verifier, when not nil, checks every request's signature. The answer stays that of the behaviour, unless Strict,
	// which answers 401 to those that fail.
	Verifier *webhook.Verifier
	Strict   bool
	// Observe, when not nil, is called with every request after its answer was decided and before it is sent, from many
	// goroutines at once.
	Observe func(Request)
	// Control opens the paths under /-/ through which another process reads and sets the sink.
	Control bool
}

// Request is what an observer is shown. It may be kept.
type Request struct {
	At     time.Time
	Method string
	Path   string
	Header http.Header
	Body   []byte
	// ID is webhook-id, Version posthorn-version and Attempt posthorn-attempt; empty where the header is missing.
	ID      string
	Version string
	Attempt string
	// Status is the answer, Failed whether the behaviour chose to fail.
	Status int
	Failed bool
	// Checked is set when there was a verifier; Invalid is then why the signature was not accepted, or nil.
	Checked bool
	Invalid error
}

// Counts are the requests since the start.
type Counts struct {
	Requests int64 `json:"requests"`
	Failed   int64 `json:"failed"`
	// Verified and Invalid count checked signatures.
	Verified int64 `json:"verified"`
	Invalid  int64 `json:"invalid"`
}

// Server is a sink. Make it with [New].
type Server struct {
	options  Options
	fallback *route
	paths    atomic.Pointer[map[string]*route]
	setting  sync.Mutex // one change of paths at a time
	meter    atomic.Pointer[Meter]
	verifier atomic.Pointer[webhook.Verifier]

	requests, failed, verified, invalid atomic.Int64

	http     *fasthttp.Server
	listener net.Listener
	stopped  chan struct{}
	served   chan error
	stopOnce sync.Once
}

// New returns a Server that is not listening yet, or an error that names a wrong behaviour.
func New(o Options) (*Server, error) {
	if err := o.Behaviour.Check(); err != nil {
		return nil, err
	}
	s := &Server{options: o, stopped: make(chan struct{}), served: make(chan error, 1)}
	s.fallback = &route{Behaviour: o.Behaviour, since: time.Now()}
	s.paths.Store(&map[string]*route{})
	s.verifier.Store(o.Verifier)
	for path, b := range o.Paths {
		if err := s.Set(path, b); err != nil {
			return nil, err
		}
	}
	s.http = &fasthttp.Server{
		Handler: s.handle, MaxRequestBodySize: MaxBody, NoDefaultServerHeader: true, NoDefaultDate: true,
		NoDefaultContentType: true, Logger: silent{}, IdleTimeout: 2 * time.Minute, Concurrency: 1 << 20,
	}
	return s, nil
}

// silent drops fasthttp's log: what a sender did wrong shows on the sender's side.
type silent struct{}

// Printf drops the message.
func (silent) Printf(string, ...any) {}

// Set gives an exact path its own behaviour from now on.
func (s *Server) Set(path string, b Behaviour) error {
	if err := b.Check(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("path %q does not begin with a slash", path)
	}
	s.setting.Lock()
	defer s.setting.Unlock()
	next := maps.Clone(*s.paths.Load())
	next[path] = &route{Behaviour: b, since: time.Now()}
	s.paths.Store(&next)
	return nil
}

// SetMeter starts a measurement; nil ends it.
func (s *Server) SetMeter(m *Meter) { s.meter.Store(m) }

// SetVerifier replaces the verifier; nil stops checking.
func (s *Server) SetVerifier(v *webhook.Verifier) { s.verifier.Store(v) }

// Start listens on a TCP address such as 127.0.0.1:0 and serves until [Server.Stop].
func (s *Server) Start(ctx context.Context, address string) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s.listener = &closedOnce{Listener: l}
	go func() { s.served <- s.http.Serve(s.listener) }()
	return nil
}

// closedOnce is a listener whose second Close is no error.
type closedOnce struct {
	net.Listener
	once sync.Once
	err  error
}

// Close closes the listener.
func (l *closedOnce) Close() error {
	l.once.Do(func() { l.err = l.Listener.Close() })
	return l.err
}

// URL is the base address, without a trailing slash. Call it after Start.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Stop ends delayed answers at once, closes the listener and waits for open requests until ctx ends.
func (s *Server) Stop(ctx context.Context) error {
	var err error
	s.stopOnce.Do(func() {
		close(s.stopped)
		if s.listener == nil {
			return
		}
		// fasthttp does not know the listener of a Serve that is only about to begin, and would leave it open.
		err = s.listener.Close()
		err = errors.Join(err, s.http.ShutdownWithContext(ctx), <-s.served)
	})
	return err
}

// Counts returns the counts so far.
func (s *Server) Counts() Counts {
	return Counts{s.requests.Load(), s.failed.Load(), s.verified.Load(), s.invalid.Load()}
}

// handle answers one request.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	path := ctx.Path()
	if s.options.Control && strings.HasPrefix(string(path), controlPath) {
		s.control(ctx)
		return
	}
	now := time.Now()
	n := s.requests.Add(1)
	r, ok := (*s.paths.Load())[string(path)]
	if !ok {
		r = s.fallback
	}
	status, failed := r.answer(now)
	meter := s.meter.Load()
	checked, invalid := s.check(ctx, meter != nil && n%verifyEvery != 0)
	if checked && invalid != nil && s.options.Strict {
		status, failed = http.StatusUnauthorized, true
	}
	if failed {
		s.failed.Add(1)
	} else if meter != nil {
		if target, ok := targetOf(path); ok {
			meter.Arrive(target, ctx.Request.Body(), now)
		}
	}
	if s.options.Observe != nil {
		s.observe(ctx, Request{At: now, Status: status, Failed: failed, Checked: checked, Invalid: invalid})
	}
	s.reply(ctx, r, status, failed)
}

func (s *Server) reply(ctx *fasthttp.RequestCtx, r *route, status int, failed bool) {
	if r.Delay > 0 {
		timer := time.NewTimer(r.Delay)
		select {
		case <-timer.C:
		case <-s.stopped:
			timer.Stop()
		}
	}
	if failed && r.RetryAfter > 0 {
		seconds := (r.RetryAfter + time.Second - 1) / time.Second
		ctx.Response.Header.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	ctx.SetStatusCode(status)
	if r.Body != "" {
		ctx.SetBodyString(r.Body)
	}
}

// targetOf reads the number of a metered path.
func targetOf(path []byte) (uint64, bool) {
	rest, ok := strings.CutPrefix(string(path), MeterPath)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(rest, 10, 32)
	return n, err == nil
}

// check verifies the signature where there is a verifier and the request is not skipped.
func (s *Server) check(ctx *fasthttp.RequestCtx, skip bool) (checked bool, err error) {
	v := s.verifier.Load()
	if v == nil || skip {
		return false, nil
	}
	header := make(http.Header, 3)
	for _, name := range []string{webhook.HeaderID, webhook.HeaderTimestamp, webhook.HeaderSignature} {
		for _, value := range ctx.Request.Header.PeekAll(name) {
			header.Add(name, string(value))
		}
	}
	if err = v.Verify(header, ctx.Request.Body()); err != nil {
		s.invalid.Add(1)
	} else {
		s.verified.Add(1)
	}
	return true, err
}

// observe copies what the observer may keep.
func (s *Server) observe(ctx *fasthttp.RequestCtx, r Request) {
	r.Method = string(ctx.Method())
	r.Path = string(ctx.RequestURI())
	r.Header = make(http.Header)
	for key, value := range ctx.Request.Header.All() {
		r.Header.Add(string(key), string(value))
	}
	r.Body = append([]byte(nil), ctx.Request.Body()...)
	r.ID = r.Header.Get(webhook.HeaderID)
	r.Version = r.Header.Get("posthorn-version")
	r.Attempt = r.Header.Get("posthorn-attempt")
	s.options.Observe(r)
}
