package client

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

// Bounds of [BinHandle.Watch] and [Client.WatchOverview].
const (
	watchSilence = 60 * time.Second // without a byte a connection is dead: the server sends something every 15 s
	firstRewatch = 500 * time.Millisecond
	lastRewatch  = 30 * time.Second
)

// rewatch connects by once again and again, with waits that grow until something is heard. It ends when the caller wants no
// more; when the context ends, or an error comes that trying again would not mend, it tells why by fail.
func rewatch(ctx context.Context, once func() (heard, more bool, err error), fail func(error)) {
	wait := firstRewatch
	for {
		heard, more, err := once()
		switch {
		case !more:
			return
		case ctx.Err() != nil:
			fail(ctx.Err())
			return
		case !mendable(err):
			fail(err)
			return
		case heard:
			wait = firstRewatch
		}
		if p, ok := errors.AsType[*Problem](err); ok {
			wait = min(max(wait, p.RetryAfter), lastRewatch)
		}
		timer := time.NewTimer(wait/2 + rand.N(wait/2)) //nolint:gosec // spreads, guards nothing
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		wait = min(2*wait, lastRewatch)
	}
}

// watchOnce gives each block of server-sent events that one connection brings, of at most most bytes, to take, which returns
// false when the caller wants no more. The connection ends when nothing comes for a while; take may take as long as it wants.
// opened, unless it is nil, is called once there is a connection, and returns like take.
func (c *Client) watchOnce(ctx context.Context, k *call, most int, opened func() bool, take func(block *sseBlock) (more bool, err error)) (more bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	k.set("Cache-Control", "no-cache")
	k.set("Accept-Encoding", "identity") // what compresses also holds back
	timer := time.AfterFunc(watchSilence, func() { cancel(errNoBytes) })
	defer timer.Stop()
	body, err := c.open(ctx, k, typeEvents)
	if err != nil {
		return true, err
	}
	defer func() { _ = body.Close() }()
	if opened != nil {
		timer.Stop()
		if !opened() {
			return false, nil
		}
		timer.Reset(watchSilence)
	}
	events := newSSEReader(&stirred{body, timer}, most)
	for {
		block, err := events.next()
		if err != nil {
			return true, err
		}
		timer.Stop()
		if more, err := take(&block); err != nil || !more {
			return more, err
		}
		timer.Reset(watchSilence)
	}
}

// stirred is a reader that puts off a timer with each byte.
type stirred struct {
	io.Reader
	timer *time.Timer
}

func (s *stirred) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	s.timer.Reset(watchSilence)
	return n, err
}

// mendable reports whether a watch that ended so may be begun again.
func mendable(err error) bool {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p.Status == http.StatusTooManyRequests || p.Status >= http.StatusInternalServerError
	}
	_, form := errors.AsType[*formError](err)
	_, fault := errors.AsType[*faultError](err)
	return !form && !fault
}
