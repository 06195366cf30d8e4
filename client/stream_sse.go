package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"strconv"
	"time"
)

const (
	typeEvents = "text/event-stream"
	maxRefusal = 64 << 10 // bytes of an answer that is not a stream
)

var (
	errNoBytes = errors.New("client: nothing of the stream arrives")
	errSilent  = errors.New("client: the connection is silent: even the keep-alives have stopped")
)

// formError says that an answer is not what was asked for, as from a proxy.
type formError struct{ got string }

func (e *formError) Error() string {
	return "client: the answer is " + strconv.Quote(e.got) + ", not server-sent events"
}

// faultError says that an answer breaks the contract.
type faultError struct{ err error }

func (e *faultError) Error() string { return "client: the stream is not valid: " + e.err.Error() }

func (e *faultError) Unwrap() error { return e.err }

// sseConn is one connection of server-sent events. It reads only when its owner does, and only then may it be silent no
// longer than allowed.
type sseConn struct {
	ctx    context.Context //nolint:containedctx // the life of the connection
	cancel context.CancelCauseFunc
	also   func() // called by close
	timer  *time.Timer
	body   io.ReadCloser
	reader *sseReader
	track  track
}

// open connects and waits until the first bytes are there.
func (s *Stream) open(ctx context.Context, next int64) (*sseConn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	conn := &sseConn{ctx: ctx, cancel: cancel, also: func() {}}
	conn.timer = time.AfterFunc(s.cfg.patience, func() { cancel(errNoBytes) })
	if err := conn.dial(s, next); err != nil {
		err = conn.failed(err)
		conn.close()
		return nil, err
	}
	conn.timer.Stop()
	conn.timer = time.AfterFunc(missedKeepAlives*s.cfg.keepAlive, func() { cancel(errSilent) })
	conn.timer.Stop()
	conn.reader.src = &patientReader{conn: conn, silence: missedKeepAlives * s.cfg.keepAlive}
	return conn, nil
}

func (c *sseConn) dial(s *Stream, next int64) error {
	k := newCall(http.MethodGet, path("tenants", s.tenant, "stream"), nil).with(maps.Clone(s.cfg.query))
	if next > 0 {
		k.query.Set("start", strconv.FormatInt(next, 10))
	}
	k.set("Cache-Control", "no-cache")
	k.set("Accept-Encoding", "identity") // what compresses also holds back
	req, err := s.c.request(c.ctx, k, typeEvents)
	if err != nil {
		return err
	}
	res, err := s.c.patient.Do(req) //nolint:bodyclose // closed with the connection
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	c.body, c.track = res.Body, newTrack(next, s.cfg.dense(k.key))
	kind := res.Header.Get("Content-Type")
	if res.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
		if err != nil {
			return fmt.Errorf("client: read the answer: %w", err)
		}
		return s.c.problem(res, body)
	}
	if media, _, err := mime.ParseMediaType(kind); err != nil || media != typeEvents {
		return &formError{got: cmp.Or(kind, "without a type")}
	}
	c.reader = newSSEReader(res.Body, maxBlock)
	return c.reader.fill()
}

// failed returns why the connection ended: its own reason before what that looked like.
func (c *sseConn) failed(err error) error {
	if cause := context.Cause(c.ctx); errors.Is(cause, errNoBytes) || errors.Is(cause, errSilent) {
		return cause
	}
	return err
}

func (c *sseConn) close() {
	c.timer.Stop()
	c.cancel(nil)
	if c.body != nil {
		_ = c.body.Close()
	}
	c.also()
}

// patientReader reads a connection's body and ends the connection when nothing comes for too long.
type patientReader struct {
	conn    *sseConn
	silence time.Duration
}

func (r *patientReader) Read(p []byte) (int, error) {
	r.conn.timer.Reset(r.silence)
	n, err := r.conn.body.Read(p)
	r.conn.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("client: read the stream: %w", r.conn.failed(err))
	}
	return n, err
}

// listen gives what comes over a connection until it ends.
func (f *follower) listen(conn *sseConn) error {
	defer conn.close()
	began, from := time.Now(), f.s.next.Load()
	f.connected(TransportSSE)
	var err error
	for err == nil {
		var b sseBlock
		b, err = conn.reader.next()
		if conn.reader.retry >= 0 {
			f.retry = conn.reader.retry
		}
		switch {
		case errors.Is(err, errBlockSize):
			err = &faultError{err}
		case errors.Is(err, io.EOF):
			err = errEnded
		case err == nil:
			err = f.block(conn, &b)
		}
	}
	switch lived := time.Since(began); {
	case lived > steady:
		f.fails, f.short, f.pause = 0, 0, 0
	case lived > brief:
		f.fails, f.short = 0, 0
	case f.s.next.Load() > from:
		f.short = 0
	default:
		f.short++
	}
	return err
}

// block takes an event, or a place that was reached.
func (f *follower) block(conn *sseConn, b *sseBlock) error {
	if b.hasID && b.id != "" {
		if _, ok := versionOf(b.id); !ok {
			return &faultError{fmt.Errorf("the id %.20q is not a version", b.id)}
		}
	}
	if !b.hasData {
		if at, ok := versionOf(b.id); ok {
			return f.place(&conn.track, at)
		}
		return nil
	}
	var e Event
	if err := json.Unmarshal(b.data, &e); err != nil {
		return &faultError{fmt.Errorf("decode an event: %w", err)}
	}
	if b.hasID && b.id != strconv.FormatInt(e.Version, 10) {
		return &faultError{fmt.Errorf("the id %.20q is not that of version %d", b.id, e.Version)}
	}
	return f.give(&conn.track, e)
}
