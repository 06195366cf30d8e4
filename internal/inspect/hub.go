package inspect

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// hub tells those who watch a bin that there is something new in it: what came they read from the store, what happened to
// captures that they may have read already is in its changes.
type hub struct {
	mu    sync.Mutex
	bins  map[string]*watch
	total int
}

// watch is what is watched of one bin.
type watch struct {
	news     chan struct{} // closed by the next news, and replaced
	watchers int           // that have joined
	waiting  int           // that hold news
	changes  []Change      // the last ones, while somebody has joined
	changed  int64         // the number of the last change
}

// Change is what happened to captures of a bin after they came: they were deleted, or one got a note or an answer.
type Change struct {
	// Seqs are the captures' numbers, at most 200.
	Seqs    []int64
	Deleted bool
	// Note is what was written about it; nil: nothing new.
	Note *string
	// Status is that of the answer that its caller got, 0 for none; nil: nothing new.
	Status *int
}

// maxChanges is how many changes of a bin are kept for those who are slow to ask.
const maxChanges = 256

func (h *hub) init() { h.bins = map[string]*watch{} }

// at returns the watch of a bin, made when there is none. h.mu is held.
func (h *hub) at(bin string) *watch {
	w := h.bins[bin]
	if w == nil {
		w = &watch{news: make(chan struct{})}
		h.bins[bin] = w
	}
	return w
}

// drop forgets a watch that nobody needs. h.mu is held.
func (h *hub) drop(bin string, w *watch) {
	if w.watchers == 0 && w.waiting == 0 && h.bins[bin] == w {
		delete(h.bins, bin)
	}
}

// join counts a watcher.
func (h *hub) join(bin string) (leave func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.at(bin)
	if h.total >= maxWatchers || w.watchers >= maxBinWatchers {
		h.drop(bin, w)
		return nil, busy("as many watch bins as may; try again later")
	}
	w.watchers++
	h.total++
	return sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		w.watchers--
		h.total--
		h.drop(bin, w)
	}), nil
}

// wait returns a channel that is closed by the next news of a bin, and the changes with numbers > seen, of which last is the
// last one's; seen < 0: none, but the number. ok is false when some of them are forgotten. done must be called.
func (h *hub) wait(bin string, seen int64) (news <-chan struct{}, changes []Change, last int64, ok bool, done func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.at(bin)
	w.waiting++
	if ok = true; seen >= 0 {
		missed := w.changed - seen
		if ok = missed >= 0 && missed <= int64(len(w.changes)); ok {
			changes = slices.Clone(w.changes[int64(len(w.changes))-missed:])
		}
	}
	return w.news, changes, w.changed, ok, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		w.waiting--
		h.drop(bin, w)
	}
}

// tell wakes those who wait for news of a bin, and keeps the changes for those who have joined.
func (h *hub) tell(bin string, changes ...Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.bins[bin]
	if w == nil {
		return
	}
	w.changed += int64(len(changes))
	if w.watchers == 0 {
		w.changes = nil
	} else {
		w.changes = append(w.changes, changes...)
		if over := len(w.changes) - maxChanges; over > 0 {
			w.changes = slices.Delete(w.changes, 0, over)
		}
	}
	close(w.news)
	w.news = make(chan struct{})
}

// Join counts one who watches a bin, by its ID, for as long as leave is not called. Error: KindUnavailable ("busy").
func (s *Service) Join(bin string) (leave func(), err error) { return s.hub.join(bin) }

// Bounds of one read for a watcher.
const (
	nextCaptures = 100
	nextBytes    = 1 << 20
)

// News is what is new in a bin for one who watches it.
type News struct {
	// Captures are those that came, at most 100, in their order; what follows them is given by the next call.
	Captures []event.Capture
	// Changes are to be told after Captures.
	Changes []Change
	// Seen is to be handed to the next call.
	Seen int64
}

// Next returns captures of a bin (its ID) with Seq > after in their order, at most 100. Without any it waits for one, at
// most wait, and returns none when the time is up. Errors: KindNotFound when the bin is gone, KindUnavailable when the
// server stops, the context's.
func (s *Service) Next(ctx context.Context, bin string, after int64, wait time.Duration) ([]event.Capture, error) {
	news, err := s.await(ctx, bin, after, -1, wait)
	return news.Captures, err
}

// News returns what Next does, and what changed since the call before it, whose Seen it takes; -1 at the first. The caller has
// joined. Errors: those of Next, and KindUnavailable ("busy") when there were more changes than are kept.
func (s *Service) News(ctx context.Context, bin string, after, seen int64, wait time.Duration) (News, error) {
	if seen < 0 { // from now on
		_, _, last, _, done := s.hub.wait(bin, -1)
		done()
		seen = last
	}
	return s.await(ctx, bin, after, seen, wait)
}

// await looks for news until there are some or the time is up.
func (s *Service) await(ctx context.Context, bin string, after, seen int64, wait time.Duration) (News, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		news, late, err := s.look(ctx, bin, after, seen, wait > 0, timer.C)
		if err != nil || late || len(news.Captures) > 0 || len(news.Changes) > 0 {
			return news, err
		}
	}
}

// look looks once, and waits once for news when there is nothing. late: there will be no more waiting.
func (s *Service) look(ctx context.Context, bin string, after, seen int64, patient bool, up <-chan time.Time) (n News, late bool, err error) {
	news, changes, last, ok, done := s.hub.wait(bin, seen) // before the look: what comes after it is told
	defer done()
	if !ok {
		return n, false, busy("more has changed than is kept for one who reads slowly; begin again")
	}
	n.Changes, n.Seen = changes, last
	n.Captures, err = s.cfg.Store.Captures(ctx, event.CaptureQuery{Bin: bin, After: after, Limit: nextCaptures, MaxBytes: nextBytes})
	if err != nil {
		return n, false, mapError(err)
	}
	if len(n.Captures) > 0 || len(changes) > 0 {
		return n, false, nil
	}
	if _, err := s.cfg.Store.BinStats(ctx, bin); err != nil {
		return n, false, mapError(err) // or a bin that was deleted would be waited for
	}
	if !patient {
		return n, true, nil
	}
	select {
	case <-news:
		return n, false, nil
	case <-up:
		return n, true, nil
	case <-s.stopped:
		return n, false, shuttingDown()
	case <-ctx.Done():
		return n, false, ctx.Err()
	}
}
