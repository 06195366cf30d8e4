package client

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// pollPause is the least time between two polls that have nothing, should a server or a proxy not wait.
const pollPause = time.Second

// poll asks once for what comes next and gives it. Beside it a probe may find out whether server-sent events get through.
func (f *follower) poll() error {
	if f.changeOver() {
		return nil
	}
	next := f.s.next.Load()
	if next == 0 {
		return f.locate()
	}
	began := time.Now()
	k := changesCall(f.s.tenant, next, nil)
	maps.Copy(k.query, f.s.cfg.query)
	PageSize(f.s.cfg.page)(k.query)
	Wait(f.s.cfg.wait)(k.query)
	k.wait, k.margin = f.s.cfg.wait, pollMargin
	var out Changes
	if _, err := f.s.c.once(f.ctx, k, &out); err != nil {
		return err
	}
	f.connected(TransportPoll)
	t := newTrack(next, f.s.cfg.dense(k.key))
	for i := range out.Changes {
		if err := f.give(&t, out.Changes[i]); err != nil {
			return err
		}
	}
	if err := f.place(&t, out.Next-1); err != nil {
		return err
	}
	f.fails = 0
	if took := time.Since(began); len(out.Changes) == 0 && out.Next == next && took < pollPause {
		return f.sleep(pollPause - took)
	}
	return nil
}

// locate finds the end of the log, from which on a stream without a start gives what comes.
func (f *follower) locate() error {
	var out Changes
	k := changesCall(f.s.tenant, 0, []ListOption{PageSize(1)})
	if _, err := f.s.c.once(f.ctx, k, &out); err != nil {
		return err
	}
	f.s.next.Store(out.Head + 1)
	f.connected(TransportPoll)
	return nil
}

// probe is an attempt at server-sent events while long polls go on.
type probe struct {
	cancel context.CancelFunc
	done   chan probed
}

type probed struct {
	conn *sseConn
	err  error
}

// changeOver begins a probe when it is time, and reports that one got through: it is the next connection.
func (f *follower) changeOver() bool {
	if f.s.cfg.transport != TransportAuto {
		return false
	}
	now := time.Now()
	if f.probe == nil {
		if next := f.s.next.Load(); next > 0 && !now.Before(f.again) {
			f.probe = f.s.startProbe(f.ctx, next)
		}
		return false
	}
	select {
	case p := <-f.probe.done:
		cancel := f.probe.cancel
		f.probe = nil
		if p.err != nil {
			cancel()
			f.postpone(now)
			return false
		}
		p.conn.also = cancel
		f.conn, f.mode = p.conn, TransportSSE
		return true
	default:
		return false
	}
}

// postpone puts the next probe off: for a minute first, then for longer, at most half an hour.
func (f *follower) postpone(now time.Time) {
	f.pause = min(max(2*f.pause, time.Minute), 30*time.Minute)
	f.again = now.Add(f.pause)
}

func (s *Stream) startProbe(ctx context.Context, next int64) *probe {
	ctx, cancel := context.WithCancel(ctx)
	p := &probe{cancel: cancel, done: make(chan probed, 1)}
	go func() {
		conn, err := s.open(ctx, next)
		p.done <- probed{conn, err}
	}()
	return p
}

// close ends what is open beside the loop, and waits for it.
func (f *follower) close() {
	if f.conn != nil {
		f.conn.close()
	}
	if f.probe == nil {
		return
	}
	f.probe.cancel()
	if p := <-f.probe.done; p.conn != nil {
		p.conn.close()
	}
}

// unsuited reports whether an error means that server-sent events do not get through, while other answers may.
func (f *follower) unsuited(err error) bool {
	if f.mode != TransportSSE || f.s.cfg.transport != TransportAuto {
		return false
	}
	if _, ok := errors.AsType[*formError](err); ok || errors.Is(err, errNoBytes) {
		return true
	}
	if p, ok := errors.AsType[*Problem](err); ok {
		switch p.Status {
		case http.StatusNotAcceptable, http.StatusUnsupportedMediaType, http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusUpgradeRequired:
			return true
		case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
			return false
		case http.StatusUnauthorized, http.StatusForbidden:
			return false
		}
		if p.Status < 500 {
			return foreign(p)
		}
	}
	return f.silent >= 2 || f.short >= 3 || f.faults >= 2
}

// foreign reports whether an answer is not the server's own, but that of something before it.
func foreign(p *Problem) bool { return p.Code == "http_"+strconv.Itoa(p.Status) }
