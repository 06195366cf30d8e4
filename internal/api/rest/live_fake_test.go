package rest_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/live/wire"
	"github.com/posthornhq/posthorn/internal/match"
)

// listening is the fake's part of [rest.Live].
type listening struct {
	changed chan struct{} // closed, and another, when something was published
	stopped bool          // Wait returns at once
	asked   []rest.Listener
	queries []string      // of those requests
	waits   []int64       // after which version
	waiting chan struct{} // told of each wait when not nil
	origins func(origin, host string) bool
}

func (l *listening) change() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (f *fake) asked(l rest.Listener, r *http.Request) error {
	defer f.lock()()
	f.listening.asked = append(f.listening.asked, l)
	f.listening.queries = append(f.listening.queries, r.URL.RawQuery+" "+r.RequestURI)
	return f.fail
}

// Stream is for [rest.Live].
func (f *fake) Stream(w http.ResponseWriter, r *http.Request, l rest.Listener) error {
	if err := f.asked(l, r); err != nil {
		return err
	}
	if _, err := f.Selector(&l); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, "id: "+strconv.FormatInt(l.Start, 10)+"\n\n")
	return nil
}

// Socket is for [rest.Live].
func (f *fake) Socket(w http.ResponseWriter, r *http.Request, l rest.Listener) error {
	if err := f.asked(l, r); err != nil {
		return err
	}
	if _, err := wire.Upgrade(r, f.listening.origins); err != nil {
		return err
	}
	w.WriteHeader(http.StatusSwitchingProtocols)
	return nil
}

// Wait is for [rest.Live].
func (f *fake) Wait(ctx context.Context, r *http.Request, l rest.Listener, after int64, wait time.Duration) error {
	if err := f.asked(l, r); err != nil {
		return err
	}
	fits, err := f.Selector(&l)
	if err != nil {
		return err
	}
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	f.mu.Lock()
	f.listening.waits = append(f.listening.waits, after)
	if f.listening.waiting != nil {
		f.listening.waiting <- struct{}{}
	}
	for {
		changed, stopped := f.listening.changed, f.listening.stopped
		for i := max(after, 0); i < int64(len(f.events)); i++ {
			stopped = stopped || fits == nil || fits(&f.events[i])
		}
		f.mu.Unlock()
		if stopped {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		case <-timeout.C:
			return nil
		}
		f.mu.Lock()
	}
}

// Selector is for [rest.Live].
func (f *fake) Selector(l *rest.Listener) (func(*event.Event) bool, error) {
	ask, err := match.CompileSelection(l.Ask, event.DefaultLimits())
	if err != nil || l.Key.Only == nil {
		return match.Both(ask, nil), err
	}
	only, err := match.CompileSelection(*l.Key.Only, event.DefaultLimits())
	return match.Both(ask, only), err
}

// token adds a token.
func (f *fake) token(text string, k event.APIKey) {
	k.Token, k.Name = "id-of-"+text, text
	f.bearers[text] = k
}
