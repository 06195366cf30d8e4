package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Transport is a way in which a [Stream] listens.
type Transport string

const (
	// TransportAuto begins with server-sent events, goes over to long polls where those do not get through, and tries
	// server-sent events again from time to time.
	TransportAuto Transport = "auto"
	// TransportSSE is server-sent events only.
	TransportSSE Transport = "sse"
	// TransportPoll is long polls of the change feed only.
	TransportPoll Transport = "poll"
)

// Defaults and bounds of a stream.
const (
	defaultKeepAlive = 15 * time.Second // the server's
	missedKeepAlives = 3                // so long a silence means that the connection is dead
	defaultPatience  = 10 * time.Second // within which a stream must begin to arrive
	defaultRetry     = 2 * time.Second  // until the server says something else
	maxBackoff       = 30 * time.Second
	maxRetryAfter    = 10 * time.Minute
	pollWait         = 25 * time.Second // less than the 30 s after which many proxies give up
	pollMargin       = 15 * time.Second // how much later the answer to a poll may come
	maxPollWait      = time.Minute
)

// Stream follows a tenant's log: the events from a start on, in version order, each once, for as long as one listens. It
// connects again by itself when the connection breaks, and goes on where it stopped. It is made by [Client.Stream]; one
// goroutine at a time may listen.
type Stream struct {
	c      *Client
	tenant string
	cfg    streamConfig
	next   atomic.Int64 // 0: what comes, and no answer has said yet where that is
	busy   atomic.Bool
	err    error // of the options
}

// streamConfig is what options change.
type streamConfig struct {
	query      url.Values
	start      int64
	fromOldest bool
	skip       bool
	skipped    func(*GoneError)
	transport  Transport
	status     func(StreamStatus)
	keepAlive  time.Duration
	patience   time.Duration    // until the first bytes of a stream
	backoff    [2]time.Duration // the least and the most; 0: what the server says, and maxBackoff
	page       int
	wait       time.Duration
}

// StreamOption changes a [Stream]. [Types], [Subject], [Subjects] and [Filter] are such options, too; so are [PageSize] and
// [Wait], for long polls.
type StreamOption interface{ applyStream(*streamConfig) }

type streamOption func(*streamConfig)

func (o streamOption) applyStream(c *streamConfig) { o(c) }

func (o ListOption) applyStream(c *streamConfig) { o(c.query) }

// Start sets the first version wanted, from 1. Without it a stream gives what comes. A start of 0 changes nothing, so that
// a [Stream.Position] that was kept can be given in any case.
func Start(version int64) StreamOption {
	return streamOption(func(c *streamConfig) { c.start = version })
}

// FromOldest begins with the oldest version that the server keeps.
func FromOldest() StreamOption { return streamOption(func(c *streamConfig) { c.fromOldest = true }) }

// SkipGone goes on with the oldest version that is kept when those wanted are older than retention, after telling skipped
// unless it is nil. Without it the stream ends with a [*GoneError].
func SkipGone(skipped func(*GoneError)) StreamOption {
	return streamOption(func(c *streamConfig) { c.skip, c.skipped = true, skipped })
}

// Via sets how to listen; [TransportAuto] is the default.
func Via(t Transport) StreamOption { return streamOption(func(c *streamConfig) { c.transport = t }) }

// KeepAlive says after how long a silence the server sends a keep-alive, where that is not the server's default of 15 s.
// A connection that is silent for three times as long is taken for dead.
func KeepAlive(every time.Duration) StreamOption {
	return streamOption(func(c *streamConfig) { c.keepAlive = every })
}

// Backoff sets the waits before connecting again: about least after the first failure, twice as much after each further
// one, at most most. By default least is what the server asks for and most is 30 s. A Retry-After is waited for in any
// case.
func Backoff(least, most time.Duration) StreamOption {
	return streamOption(func(c *streamConfig) { c.backoff = [2]time.Duration{least, most} })
}

// OnStatus calls f when the stream has connected and when it has lost its connection. It is called by the goroutine that
// listens, which waits for it.
func OnStatus(f func(StreamStatus)) StreamOption {
	return streamOption(func(c *streamConfig) { c.status = f })
}

// StreamStatus is what a stream is doing.
type StreamStatus struct {
	Transport Transport // TransportSSE or TransportPoll: how it listens, or tries to
	Connected bool
	Next      int64         // as [Stream.Position]
	Err       error         // why it is not connected
	Wait      time.Duration // until it tries again
}

// GoneError says that events that a stream was to give are no longer kept. It wraps the server's [*Problem].
type GoneError struct {
	Start   int64 // the first version wanted
	Oldest  int64 // the oldest one kept
	Problem *Problem
}

// Error names the versions.
func (e *GoneError) Error() string {
	return fmt.Sprintf("client: versions %d to %d are no longer kept", e.Start, e.Oldest-1)
}

// Unwrap returns the server's answer.
func (e *GoneError) Unwrap() error { return e.Problem }

// SequenceError says that a version came that could not come then: one that came before, or, where every event is wanted,
// one after a gap. A stream ends with it when connecting again does not help.
type SequenceError struct {
	Due int64 // the version that was due, or the least of those
	Got int64
}

// Error names the versions.
func (e *SequenceError) Error() string {
	return fmt.Sprintf("client: version %d came where %d was due", e.Got, e.Due)
}

var errListening = errors.New("client: the stream is being listened to already")

// Stream returns a stream of a tenant's events. Nothing is sent before [Stream.Events] is called.
//
//	s := c.Stream("acme", client.Start(next), client.Types("order.*"))
//	for event, err := range s.Events(ctx) {
//		if err != nil {
//			return err
//		}
//		…
//		next = s.Position() // to be kept with what was done with the event
//	}
//
// It listens by server-sent events, or, where a proxy does not let those through, by long polls. There is no WebSocket in
// this client: events go in one direction only, to publish has its own call, and both ways go wherever HTTP goes.
func (c *Client) Stream(tenant string, opts ...StreamOption) *Stream {
	s := &Stream{c: c, tenant: tenant, cfg: streamConfig{
		query: url.Values{}, transport: TransportAuto, keepAlive: defaultKeepAlive, patience: defaultPatience, wait: pollWait, page: 1000,
	}}
	for _, o := range opts {
		o.applyStream(&s.cfg)
	}
	if s.cfg.fromOldest && s.cfg.start == 0 {
		s.cfg.start = 1
	}
	s.next.Store(s.cfg.start)
	s.err = s.cfg.check()
	return s
}

// Position returns the start to go on with later: the version after the last event given, or after those since then that
// were not selected. It is 0 while the stream begins with what comes and has not connected yet. It may be called at any
// time.
func (s *Stream) Position() int64 { return s.next.Load() }

// Events listens until ctx ends, the caller stops, or an error occurs that trying again does not mend; the error, also
// that of ctx, comes as the last item. It goes on where the last call stopped, so that after a [*GoneError], say, one can
// decide and make a new stream.
//
// It ends by itself when the key or token is refused (status 401 or 403), when what is asked for is invalid or not there,
// with a [*GoneError], and with a [*SequenceError]. A server that is not there or is busy is tried until ctx ends. A loop
// body that takes long holds the server back, not the memory: what comes waits on the log.
func (s *Stream) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if s.err != nil {
			yield(Event{}, s.err)
			return
		}
		if !s.busy.CompareAndSwap(false, true) {
			yield(Event{}, errListening)
			return
		}
		defer s.busy.Store(false)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		f := &follower{s: s, yield: yield, ctx: ctx, mode: s.cfg.transport, retry: -1}
		if f.mode == TransportAuto {
			f.mode = TransportSSE
		}
		defer f.close()
		if err := f.run(); !errors.Is(err, errStopped) {
			yield(Event{}, err)
		}
	}
}

// check finds options that do not go with a stream. It also takes those apart that are for long polls only.
func (c *streamConfig) check() error {
	switch c.transport {
	case TransportAuto, TransportSSE, TransportPoll:
	default:
		return fmt.Errorf("client: there is no transport %q", c.transport)
	}
	if c.start < 0 || c.keepAlive <= 0 || c.backoff[0] < 0 || c.backoff[1] < 0 {
		return errors.New("client: a stream's start and times must not be negative")
	}
	for name, values := range c.query {
		switch name {
		case "types", "subject", "filter":
		case "limit":
			c.page, _ = strconv.Atoi(values[0]) // made by PageSize
			delete(c.query, name)
		case "wait":
			c.wait, _ = time.ParseDuration(values[0]) // made by Wait
			delete(c.query, name)
		default:
			return fmt.Errorf("client: a stream cannot be narrowed by %q", name)
		}
	}
	if c.page < 1 || c.page > 1000 {
		return errors.New("client: a page must have 1 to 1,000 events")
	}
	if c.wait <= 0 || c.wait > maxPollWait {
		return fmt.Errorf("client: a poll must wait for more than 0 s and at most %v", maxPollWait)
	}
	return nil
}

// dense reports whether every version must come: nothing narrows the stream, nor, as far as it says so, the token.
func (c *streamConfig) dense(key string) bool { return len(c.query) == 0 && !narrow(key) }

// narrow reports whether a token names types or subjects, other events than which its bearer does not see. It looks into
// tokens only to know whether a gap means that something was lost; who may what is for the server to decide.
func narrow(token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false // a key
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return true // of a kind that is not known
	}
	type only struct {
		Types    []string `json:"types"`
		Subjects []string `json:"subjects"`
	}
	var claims struct {
		only
		Posthorn only `json:"posthorn"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return true
	}
	return len(claims.Types)+len(claims.Subjects)+len(claims.Posthorn.Types)+len(claims.Posthorn.Subjects) > 0
}

// track is how far one connection, or one answer, has come.
type track struct {
	at    int64 // every version up to it was given or not selected; -1: not known
	dense bool
}

func newTrack(next int64, dense bool) track { return track{at: next - 1, dense: dense} }

// event moves on to an event.
func (t *track) event(version int64) error {
	if due := t.at + 1; version < 1 || t.at >= 0 && (version < due || t.dense && version != due) {
		return &SequenceError{Due: max(1, due), Got: version}
	}
	t.at = version
	return nil
}

// place moves on to a place reached without events.
func (t *track) place(version int64) error {
	if version < 0 || t.at >= 0 && (version < t.at || t.dense && version != t.at) {
		return &SequenceError{Due: t.at + 1, Got: version + 1}
	}
	t.at = version
	return nil
}

// versionOf reads an id of a stream.
func versionOf(id string) (int64, bool) {
	n, err := strconv.ParseInt(id, 10, 64)
	return n, err == nil && n >= 0
}
