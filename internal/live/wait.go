package live

import (
	"context"
	"net/http"
	"time"
)

// waiter waits for the next event of a group after a version.
type waiter struct {
	after int64
	place int           // among the group's waiters
	ch    chan struct{} // holds one
}

// Wait returns nil when an event with version > after that the listener may and wants to see is on the log, and when wait
// or ctx ends or the server stops; so it is only a hint to read again. Errors: KindRateLimited and KindUnavailable when too
// many wait, KindInvalid.
func (h *Hub) Wait(ctx context.Context, r *http.Request, l Listener, after int64, wait time.Duration) error {
	t, err := h.admit(kindPoll, r, &l)
	if err != nil {
		return err
	}
	defer t.release()
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	t.waits(&waitInfo{key: l.Key, ask: l.Ask, after: after, end: cancel})
	f, err := h.feedOf(ctx, l.Tenant.ID)
	if err != nil {
		return ended(ctx, err)
	}
	defer f.release()
	w, err := h.wish(f, l.Ask, l.Key)
	if err != nil {
		return err
	}
	return f.wait(ctx, w, after)
}

// ended drops an error that only says that the wait is over.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (f *feed) wait(ctx context.Context, wish *wish, after int64) error {
	w := &waiter{after: after, ch: make(chan struct{}, 1)}
	f.mu.Lock()
	if f.over {
		f.mu.Unlock()
		return nil
	}
	g := f.group(wish)
	w.place = len(g.waiters)
	g.waiters = append(g.waiters, w)
	g.reach(after)
	found, floor := len(g.list) > 0 && g.list[len(g.list)-1].ev.Version > after, g.base
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		last := len(g.waiters) - 1
		g.waiters[w.place] = g.waiters[last]
		g.waiters[w.place].place = w.place
		g.waiters[last] = nil
		g.waiters = g.waiters[:last]
		f.mu.Unlock()
		f.leave(g)
	}()
	if !found && after < floor {
		var err error
		if found, err = f.inLog(ctx, wish, after, floor); err != nil {
			return ended(ctx, err)
		}
	}
	if found {
		return nil
	}
	select {
	case <-w.ch:
	case <-ctx.Done():
	case <-f.hub.shut:
	}
	return nil
}

// inLog reports whether one of the events in (after, to] is selected.
func (f *feed) inLog(ctx context.Context, w *wish, after, to int64) (bool, error) {
	for after < to {
		page, err := f.hub.cfg.Log.ReadTenant(ctx, f.tenant, after, maxPageEvents, maxPageBytes)
		if err != nil || len(page.Events) == 0 {
			return false, err
		}
		for i := range page.Events {
			if ev := &page.Events[i]; ev.Version <= to && (w.match == nil || w.match(ev)) {
				return true, nil
			}
		}
		after = page.Events[len(page.Events)-1].Version
	}
	return false, nil
}
