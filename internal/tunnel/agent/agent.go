package agent

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/client"
)

const (
	leastWait = time.Second      // before the second try to connect
	mostWait  = 30 * time.Second // between two tries
	// steady is how long a connection must have held for the waits to begin anew.
	steady = 10 * time.Second
)

// Options say what an agent connects and with what.
type Options struct {
	// Connect is the address of the tunnel's connection at the server (http, https, ws or wss); Key is the API key.
	Connect, Key string
	// Target is where requests go: scheme http or https, a host, and a path that is put before theirs, or none.
	Target *url.URL
	// RewriteHost sends the target's host instead of the one that was called.
	RewriteHost bool
	// Name, Kind and PublicURL are those of the tunnel, to be shown.
	Name, Kind, PublicURL string
	// Setup sets the tunnel up at the server, when it does not know it (any more), and returns its public URL; nil: the agent
	// ends then. A [*client.Problem] that the server will not change its mind about ends it, too.
	Setup func(ctx context.Context) (publicURL string, err error)
	// UserAgent is sent to the server, never to the target.
	UserAgent string
	// OnStatus is told each change of the connection, one at a time; it must not block.
	OnStatus func(Status)
	// Log gets what goes wrong in the depths; nil: nobody does.
	Log *slog.Logger
	// Transport dials the server; nil: one with the environment's proxies.
	Transport http.RoundTripper
}

// Status is the state of the connection.
type Status struct {
	// Connected says that requests can come in; Since when it is or is not so.
	Connected bool
	Since     time.Time
	// Err says why there is no connection; nil before the first try has ended. Retry is when the next try begins.
	Err   error
	Retry time.Time
	// Connects counts the connections that there have been.
	Connects int
}

// Agent is one connection of a tunnel, made again when it breaks. Its methods are safe for concurrent use; Run is called once.
type Agent struct {
	o       Options
	rec     *Recorder
	local   *forwarder
	replays gate
	// replaying has room for those at once, life ends them.
	replaying chan struct{}
	life      context.Context //nolint:containedctx // of the replays, which nobody waits for
	die       context.CancelFunc

	watchers chan struct{} // has room for those at once

	mu     sync.Mutex
	status Status
	public string // PublicURL, until Setup says otherwise
}

// New returns an agent, or an error when the options are not complete.
func New(o Options) (*Agent, error) {
	if o.Target == nil || o.Target.Scheme != "http" && o.Target.Scheme != "https" || o.Target.Host == "" {
		return nil, errors.New("tunnel: the target must be an http or https URL")
	}
	u, err := url.Parse(o.Connect)
	if err != nil || u.Host == "" {
		return nil, errors.New("tunnel: the server's address is not a URL")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Transport == nil {
		o.Transport = serverTransport()
	}
	a := &Agent{o: o, rec: NewRecorder(MaxExchanges, MaxBytes), status: Status{Since: time.Now()}, public: o.PublicURL}
	a.replaying, a.watchers = make(chan struct{}, maxReplays), make(chan struct{}, maxWatchers)
	a.life, a.die = context.WithCancel(context.Background())
	a.local = newForwarder(a)
	return a, nil
}

// Recorder returns what keeps the exchanges.
func (a *Agent) Recorder() *Recorder { return a.rec }

// Status returns the state of the connection.
func (a *Agent) Status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.status
}

// PublicURL returns where the tunnel is called; it may change when the server has forgotten the tunnel.
func (a *Agent) PublicURL() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.public
}

// setStatus changes the state and tells of it.
func (a *Agent) setStatus(change func(*Status)) {
	a.mu.Lock()
	change(&a.status)
	s := a.status
	a.mu.Unlock()
	a.rec.touch()
	if a.o.OnStatus != nil {
		a.o.OnStatus(s)
	}
}

// Run keeps the tunnel connected until ctx ends (nil), or the server says that it never will be: an error that wraps a
// [*client.Problem] when the key is refused or there is no such tunnel. Requests on their way when ctx ends have a few seconds
// to finish. Nothing of it goes on when Run has returned.
func (a *Agent) Run(ctx context.Context) error {
	defer a.replays.shut()
	defer a.die()
	for failed := 0; ; {
		began := time.Now()
		err := a.session(ctx)
		if missing(err) && a.o.Setup != nil && ctx.Err() == nil {
			if err = a.setup(ctx); err == nil {
				err = a.session(ctx)
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if _, final := errors.AsType[*finalError](err); final {
			a.setStatus(func(s *Status) { s.Connected, s.Since, s.Err, s.Retry = false, time.Now(), err, time.Time{} })
			return err
		}
		if a.Status().Connected && time.Since(began) >= steady {
			failed = 0
		}
		wait := backoff(failed)
		failed++
		a.setStatus(func(s *Status) {
			if s.Connected || s.Err == nil {
				s.Since = time.Now()
			}
			s.Connected, s.Err, s.Retry = false, err, time.Now().Add(wait)
		})
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// missing reports whether the server does not know the tunnel.
func missing(err error) bool {
	p, ok := errors.AsType[*client.Problem](err)
	return ok && p.Status == http.StatusNotFound
}

// setup sets the tunnel up anew.
func (a *Agent) setup(ctx context.Context) error {
	public, err := a.o.Setup(ctx)
	if p, ok := errors.AsType[*client.Problem](err); ok && permanent(p.Status) {
		return &finalError{err}
	}
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.public = public
	a.mu.Unlock()
	return nil
}

// gate counts what is under way, and can be shut.
type gate struct {
	mu       sync.Mutex
	shutting bool
	inside   sync.WaitGroup
}

// enter reports whether the gate was open; if so, leave must be called.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.shutting {
		g.inside.Add(1)
	}
	return !g.shutting
}

func (g *gate) leave() { g.inside.Done() }

// shut lets nothing more in and waits until all have left.
func (g *gate) shut() {
	g.mu.Lock()
	g.shutting = true
	g.mu.Unlock()
	g.inside.Wait()
}

// backoff returns the wait after a number of failures in a row: from 1 s, twice as long each time, at most 30 s, of which a
// random part of up to half is left out so that many agents do not come back at once.
func backoff(failed int) time.Duration {
	wait := min(leastWait<<min(failed, 10), mostWait)
	return wait - rand.N(wait/2+1) //nolint:gosec // a wait, not a secret
}

// finalError is one that trying again does not mend.
type finalError struct{ err error }

// Error returns what is wrong.
func (e *finalError) Error() string { return e.err.Error() }

// Unwrap returns what is wrong.
func (e *finalError) Unwrap() error { return e.err }
