package inspect

import (
	"context"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// hub tells those who watch a bin that there is something new in it, and no more: what it is they read from the store.
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
}

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

// wait returns a channel that is closed by the next news of a bin; done must be called.
func (h *hub) wait(bin string) (news <-chan struct{}, done func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.at(bin)
	w.waiting++
	return w.news, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		w.waiting--
		h.drop(bin, w)
	}
}

// tell wakes those who wait for news of a bin.
func (h *hub) tell(bin string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w := h.bins[bin]; w != nil {
		close(w.news)
		w.news = make(chan struct{})
	}
}

// Join counts one who watches a bin, by its ID, for as long as leave is not called. Error: KindUnavailable ("busy").
func (s *Service) Join(bin string) (leave func(), err error) { return s.hub.join(bin) }

// Bounds of one read for a watcher.
const (
	nextCaptures = 100
	nextBytes    = 1 << 20
)

// Next returns captures of a bin (its ID) with Seq > after in their order, at most 100. Without any it waits for one, at
// most wait, and returns none when the time is up. Errors: KindNotFound when the bin is gone, KindUnavailable when the
// server stops, the context's.
func (s *Service) Next(ctx context.Context, bin string, after int64, wait time.Duration) ([]event.Capture, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		list, err := s.next(ctx, bin, after, wait > 0, timer.C)
		if len(list) > 0 || err != nil || wait <= 0 {
			return list, err
		}
		if list != nil {
			return nil, nil
		}
	}
}

// next looks once, and waits once for news when there is nothing. A list that is empty but not nil: time is up.
func (s *Service) next(ctx context.Context, bin string, after int64, patient bool, up <-chan time.Time) ([]event.Capture, error) {
	news, done := s.hub.wait(bin) // before the look: what comes after it is told
	defer done()
	list, err := s.cfg.Store.Captures(ctx, event.CaptureQuery{Bin: bin, After: after, Limit: nextCaptures, MaxBytes: nextBytes})
	if err != nil {
		return nil, mapError(err)
	}
	if len(list) > 0 {
		return list, nil
	}
	if _, err := s.cfg.Store.BinStats(ctx, bin); err != nil {
		return nil, mapError(err) // or a bin that was deleted would be waited for
	}
	if !patient {
		return nil, nil
	}
	select {
	case <-news:
		return nil, nil
	case <-up:
		return []event.Capture{}, nil
	case <-s.stopped:
		return nil, shuttingDown()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
