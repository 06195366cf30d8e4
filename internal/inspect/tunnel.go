package inspect

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Times and bounds of what goes through tunnels.
const (
	callerWait  = 30 * time.Second // that a caller waits for the local answer
	forwardTime = 5 * time.Minute  // that a local program may take: its developer may be in a debugger
	maxFlying   = 256              // requests of one bin that are under way at once; more wait in the bin
	maxAloft    = 32 << 20         // bytes of those, about
	drainPage   = 50               // captures of one read
	drainBytes  = 8 << 20          // bytes of one read, about
	saveEvery   = 64               // deliveries after which a draining line saves its cursor
	saveAfter   = time.Second      // after which a line saves a cursor that moved
	saveTime    = 10 * time.Second // that a save may take
	firstRetry  = time.Second      // the wait after a delivery that failed, doubled by each more
	lastRetry   = 30 * time.Second
)

// phase is what a line does.
type phase int

const (
	// resting: nobody is connected, as far as is known. What comes is kept. → draining
	resting phase = iota
	// draining: one goroutine delivers what was kept, in order of Seq, from the cursor. → live, resting
	draining
	// live: nothing is kept that was not delivered or is under way; what comes is delivered at once. → draining, resting
	live
)

// line is the way of a bin's requests to its tunnel. Each request is durable in the bin before the line hears of it, so
// that what the line forgets it finds again: at least once, never not at all.
//
// Order: while older ones wait, one request goes after the other. The line becomes live only when the store has nothing
// after the cursor and nothing arrived since that look began; a request that arrives later finds it live.
type line struct {
	s      *Service
	bin    string
	tenant event.TenantID
	tunnel string
	kicked chan struct{} // ends a wait between two tries
	landed chan struct{} // a delivery under way has ended

	users    int         // who hold it; guarded by Service.mu
	revision int64       // the newest of the bin that was seen; guarded by Service.mu
	gone     atomic.Bool // the bin was deleted, or has another tunnel

	mu      sync.Mutex
	phase   phase
	loaded  bool
	cursor  int64 // all up to it are delivered, or no longer there
	saved   int64 // the cursor that the store has
	saving  bool
	dirty   bool               // something arrived since the drain looked last
	stalled bool               // the newest delivery failed: nobody waits for the next
	done    map[int64]bool     // delivered, after the cursor
	flying  map[int64]bool     // under way, while live or just before
	aloft   int                // bytes of these
	waiting map[string]*caller // by the ID of their capture
}

// caller waits for the local answer.
type caller struct {
	given chan event.Answer
	kept  bool // its capture is in the bin, and the line has heard of it
}

// line returns a bin's line, made when there is none; it must be left. Who read the bin before its tunnel was changed gets
// the line of the tunnel that it has now.
func (s *Service) line(b *event.Bin) *line {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lines[b.ID]
	if l != nil && l.tunnel != b.Tunnel && l.revision < b.Revision {
		l.end()
		l = nil
	}
	if l == nil {
		l = &line{
			s: s, bin: b.ID, tenant: b.Tenant, tunnel: b.Tunnel, kicked: make(chan struct{}, 1), landed: make(chan struct{}, 1),
			done: map[int64]bool{}, flying: map[int64]bool{}, waiting: map[string]*caller{},
		}
		s.lines[b.ID] = l
	}
	l.users++
	l.revision = max(l.revision, b.Revision)
	return l
}

// leave ends one use of a line, and forgets it when it has nothing to remember.
func (s *Service) leave(l *line) {
	l.mu.Lock()
	idle := l.phase == resting && len(l.done) == 0 && len(l.flying) == 0 && l.cursor == l.saved
	l.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.users--; l.users == 0 && idle && s.lines[l.bin] == l {
		delete(s.lines, l.bin)
	}
}

// dropLine ends the line of a bin that has another tunnel since a revision.
func (s *Service) dropLine(bin string, revision int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lines[bin]; l != nil && l.revision < revision {
		l.end()
		delete(s.lines, bin)
	}
}

// end lets nothing more go through the line.
func (l *line) end() {
	l.gone.Store(true)
	signal(l.kicked)
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// online reports whether what comes can be delivered.
func (l *line) online() bool {
	f := l.s.cfg.Forwarder
	return f != nil && !l.gone.Load() && f.Online(l.tenant, l.tunnel)
}

// TunnelOnline tells that a tunnel is connected: its bins deliver what they kept.
func (s *Service) TunnelOnline(tenant event.TenantID, name string) {
	s.start(func() {
		const page = 200
		for after := ""; ; {
			list, err := s.cfg.Store.Bins(s.ctx, tenant, after, page)
			if err != nil {
				s.cfg.Logger.LogAttrs(s.ctx, slog.LevelWarn, "bins of a tunnel not read", slog.String("tunnel", name), slog.Any("error", err))
				return
			}
			for i := range list {
				after = list[i].ID
				if b := &list[i]; b.Tunnel == name && b.Tenant == tenant && !s.Expired(b) {
					s.kick(b)
				}
			}
			if len(list) < page {
				return
			}
		}
	})
}

// kick lets a bin deliver what it kept, when its tunnel is connected.
func (s *Service) kick(b *event.Bin) {
	l := s.line(b)
	defer s.leave(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dirty = true
	switch {
	case l.phase == draining:
		signal(l.kicked)
	case l.online():
		l.begin()
	}
}

// kickNow is kick for a request that came while its bin's tunnel was being changed.
func (s *Service) kickNow(bin string) {
	if b, err := s.Bin(s.ctx, 0, bin); err == nil && b.Tunnel != "" {
		s.kick(&b)
	}
}

// overtaken reports whether a bin that was read without a tunnel has got one since, to which something is delivered.
func (s *Service) overtaken(b *event.Bin) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lines[b.ID]
	return l != nil && b.Tunnel == "" && l.revision > b.Revision
}

// newTunnel makes a bin's new tunnel begin behind what is in the bin.
func (s *Service) newTunnel(ctx context.Context, b, stored *event.Bin) error {
	if b.Tunnel == "" || b.Tunnel == stored.Tunnel {
		return nil
	}
	stats, err := s.cfg.Store.BinStats(ctx, b.ID)
	if err != nil || stats.Last == 0 {
		return err
	}
	return s.cfg.Store.SetBinCursor(ctx, b.ID, b.Tunnel, stats.Last)
}

// changed looks after what another configuration of a bin means to what is under way.
func (s *Service) changed(b, stored *event.Bin) {
	if b.Tunnel == stored.Tunnel {
		return
	}
	s.dropLine(b.ID, b.Revision)
	if b.Tunnel != "" {
		s.kick(b)
	}
}

// start is [Service.start] for something that holds the line.
func (l *line) start(f func()) bool {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	l.users++
	s.work.Go(func() {
		defer s.leave(l)
		f()
	})
	return true
}

// expect lets a caller wait for the answer to a capture that is about to be kept. A zero Status tells it not to.
func (l *line) expect(id string) <-chan event.Answer {
	ch := make(chan event.Answer, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting[id] = &caller{given: ch}
	return ch
}

func (l *line) forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiting, id)
}

// answer tells the caller of a capture, if it waits. l.mu is held.
func (l *line) answer(id string, a event.Answer) {
	if c := l.waiting[id]; c != nil {
		delete(l.waiting, id)
		c.given <- a // has room: it gets one
	}
}

// answerAll lets the callers go whose requests are kept. Those whose are about to be find out when the line hears of them.
// l.mu is held.
func (l *line) answerAll() {
	for id, c := range l.waiting {
		if c.kept {
			l.answer(id, event.Answer{})
		}
	}
}

// begin drains. l.mu is held, the line does not drain yet.
func (l *line) begin() {
	l.phase, l.dirty = draining, true
	if !l.start(l.drain) {
		l.phase = resting
		l.answerAll()
	}
}

// arrived takes note of a capture that is in the bin.
func (l *line) arrived(c *event.Capture) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dirty = true
	if w := l.waiting[c.ID]; w != nil {
		w.kept = true
	}
	if !l.online() {
		if l.phase == live {
			l.phase = resting
		}
		l.answer(c.ID, event.Answer{})
		return
	}
	switch {
	case l.phase == draining:
		if l.stalled {
			l.answer(c.ID, event.Answer{})
		}
	case l.phase == resting, len(l.flying) >= maxFlying, l.aloft >= maxAloft, len(l.done) >= maxFlying:
		l.begin()
	case c.Seq <= l.cursor || l.done[c.Seq]: // delivered by the drain that just ended
	default:
		l.flying[c.Seq] = true
		l.aloft += c.Size()
		sent := *c
		if !l.start(func() { l.fly(&sent) }) {
			l.ended(c)
			l.answer(c.ID, event.Answer{})
		}
	}
}

// ended forgets that a request is under way. l.mu is held.
func (l *line) ended(c *event.Capture) {
	delete(l.flying, c.Seq)
	l.aloft -= c.Size()
}

// forward sends one request. An error, logged, says that it was not delivered.
func (l *line) forward(c *event.Capture, kept bool) (event.Answer, bool) {
	ctx, cancel := context.WithTimeout(l.s.ctx, forwardTime)
	defer cancel()
	a, err := l.s.cfg.Forwarder.Forward(ctx, l.tenant, l.tunnel, *c, kept)
	if err == nil && a.Status != 0 {
		return a, true
	}
	l.s.cfg.Logger.LogAttrs(l.s.ctx, slog.LevelDebug, "request of a bin not delivered", slog.String("bin", l.bin), slog.String("tunnel", l.tunnel),
		slog.Int64("seq", c.Seq), slog.String("reason", a.Reason), slog.Any("error", err))
	return a, false
}

// fly delivers a request beside others.
func (l *line) fly(c *event.Capture) {
	a, ok := l.forward(c, false)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended(c)
	signal(l.landed)
	if !ok {
		l.answer(c.ID, event.Answer{})
		if l.phase == live {
			l.begin()
		}
		return
	}
	l.answer(c.ID, a)
	l.done[c.Seq] = true
	for l.done[l.cursor+1] {
		l.cursor++
		delete(l.done, l.cursor)
	}
	l.saveLater()
}

// drain delivers what is kept, one after the other, until there is nothing, or nobody.
func (l *line) drain() {
	l.land()
	retry := firstRetry
	for !l.rest() {
		page, err := l.page()
		sent, ok := l.deliver(page)
		if sent > 0 {
			retry = firstRetry
		}
		switch {
		case event.KindOf(err) == event.KindNotFound && err != nil:
			l.end()
			continue
		case err != nil:
			l.failed(err)
		case len(page) == 0:
			if l.goLive() {
				return
			}
			continue
		case ok:
			continue
		}
		l.pause(retry)
		retry = min(2*retry, lastRetry)
	}
}

// land waits for what is under way.
func (l *line) land() {
	for {
		l.mu.Lock()
		n := len(l.flying)
		l.mu.Unlock()
		if n == 0 {
			return
		}
		<-l.landed // each ends, at the latest with the service
	}
}

// rest ends the drain when nobody is connected, or the service ends. It looks under the lock, so that a connection that
// comes now finds the line resting, or was seen.
func (l *line) rest() bool {
	l.mu.Lock()
	if l.s.ctx.Err() == nil && l.online() {
		l.mu.Unlock()
		return false
	}
	l.phase, l.stalled = resting, false
	l.answerAll()
	l.mu.Unlock()
	l.save(l.s.ctx)
	return true
}

// goLive ends the drain when nothing arrived since it looked.
func (l *line) goLive() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dirty {
		return false
	}
	l.phase, l.stalled = live, false
	l.answerAll() // of captures that were deleted before their turn
	l.saveLater()
	return true
}

// page reads the next captures. KindNotFound: the bin is no more.
func (l *line) page() ([]event.Capture, error) {
	l.mu.Lock()
	l.dirty = false
	loaded, cursor := l.loaded, l.cursor
	l.mu.Unlock()
	if !loaded {
		saved, err := l.s.cfg.Store.BinCursor(l.s.ctx, l.bin, l.tunnel)
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		l.cursor, l.saved, l.loaded = max(saved, l.cursor), saved, true
		cursor = l.cursor
		l.mu.Unlock()
	}
	list, err := l.s.cfg.Store.Captures(l.s.ctx, event.CaptureQuery{Bin: l.bin, After: cursor, Limit: drainPage, MaxBytes: drainBytes})
	if err == nil && len(list) == 0 {
		_, err = l.s.cfg.Store.BinStats(l.s.ctx, l.bin)
	}
	return list, err
}

func (l *line) failed(err error) {
	if l.s.ctx.Err() == nil {
		l.s.cfg.Logger.LogAttrs(l.s.ctx, slog.LevelWarn, "kept requests of a bin not read", slog.String("bin", l.bin), slog.Any("error", err))
	}
}

// deliver sends captures in their order and returns how many; false when one was not delivered.
func (l *line) deliver(page []event.Capture) (sent int, ok bool) {
	for i := range page {
		c := &page[i]
		l.mu.Lock()
		done, caller := l.done[c.Seq], l.waiting[c.ID] != nil
		l.mu.Unlock()
		if !done {
			if l.gone.Load() {
				return i, true
			}
			a, ok := l.forward(c, !caller)
			if !ok {
				return i, false
			}
			l.mu.Lock()
			l.answer(c.ID, a)
			l.mu.Unlock()
		}
		l.passed(c.Seq)
	}
	return len(page), true
}

// passed moves the cursor of a draining line.
func (l *line) passed(seq int64) {
	l.mu.Lock()
	l.cursor, l.stalled = seq, false
	maps.DeleteFunc(l.done, func(n int64, _ bool) bool { return n <= seq })
	full := l.cursor-l.saved >= saveEvery
	if !full {
		l.saveLater()
	}
	l.mu.Unlock()
	if full {
		l.save(l.s.ctx)
	}
}

// pause waits before the next try, or until somebody connects. The callers that wait are let go.
func (l *line) pause(d time.Duration) {
	l.mu.Lock()
	l.stalled = true
	l.answerAll()
	l.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.kicked:
	case <-l.s.ctx.Done():
	}
}

// saveLater saves the cursor soon. l.mu is held.
func (l *line) saveLater() {
	if l.saving || l.cursor == l.saved {
		return
	}
	l.saving = l.start(func() {
		timer := time.NewTimer(saveAfter)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-l.s.ctx.Done(): // saved at the end
		}
		l.mu.Lock()
		l.saving = false
		l.mu.Unlock()
		l.save(l.s.ctx)
	})
}

// save saves the cursor now. What could not be saved is sent again after a restart.
func (l *line) save(ctx context.Context) {
	l.mu.Lock()
	cursor, saved := l.cursor, l.saved
	l.mu.Unlock()
	if cursor == saved || ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, saveTime)
	defer cancel()
	err := l.s.cfg.Store.SetBinCursor(ctx, l.bin, l.tunnel, cursor)
	if err != nil && event.KindOf(err) != event.KindNotFound {
		l.s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "place of a tunnel not saved", slog.String("bin", l.bin), slog.Any("error", err))
		return
	}
	l.mu.Lock()
	l.saved = max(l.saved, cursor)
	l.mu.Unlock()
}

// saveLines saves all cursors: the last step of stopping.
func (s *Service) saveLines() {
	s.mu.Lock()
	list := slices.Collect(maps.Values(s.lines))
	s.mu.Unlock()
	for _, l := range list {
		l.save(context.Background())
	}
}

// forward keeps the request and gives it to the bin's tunnel. A zero Status: there is no local answer, or not yet.
func (x *exchange) forward(mayWait bool) (event.Answer, error) {
	s := x.s
	l := s.line(x.b)
	defer s.leave(l)
	var given <-chan event.Answer
	if mayWait && (s.cfg.Waits == nil || s.cfg.Waits(x.b)) {
		given = l.expect(x.capture.ID)
		defer l.forget(x.capture.ID)
	}
	c, err := s.keep(x.r.Context(), x.b, x.capture)
	if err != nil {
		return event.Answer{}, err
	}
	x.capture = c
	l.arrived(&c)
	x.forget()
	if l.gone.Load() {
		s.kickNow(x.b.ID)
	}
	if given == nil {
		return event.Answer{}, nil
	}
	timer := time.NewTimer(callerWait)
	defer timer.Stop()
	select {
	case a := <-given:
		return a, nil
	case <-timer.C:
	case <-s.stopped:
	case <-x.r.Context().Done():
	}
	return event.Answer{}, nil
}
