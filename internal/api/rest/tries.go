package rest

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/posthornhq/posthorn/internal/event"
)

const (
	triesBurst = 30
	triesEvery = time.Minute / triesBurst
	// maxTriers is how many tenants' limits are remembered; over that, those that are as good as new are forgotten.
	maxTriers = 1024
)

// tries bounds the requests that are sent to try an endpoint: one at a time for a tenant, and 30 a minute.
type tries struct {
	mu sync.Mutex
	of map[event.TenantID]*trier
}

type trier struct {
	limiter *rate.Limiter
	busy    bool
}

// begin takes a tenant's turn; end gives it back. Error: KindRateLimited.
func (t *tries) begin(tenant event.TenantID, now time.Time) (end func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.of[tenant]
	if r == nil {
		t.forget(now)
		if t.of == nil {
			t.of = map[event.TenantID]*trier{}
		}
		r = &trier{limiter: rate.NewLimiter(rate.Every(triesEvery), triesBurst)}
		t.of[tenant] = r
	}
	if r.busy {
		return nil, tooManyTries("another request is being tried for this tenant; wait for its answer", time.Second)
	}
	if tokens := r.limiter.TokensAt(now); tokens < 1 {
		return nil, tooManyTries("at most 30 requests a minute are tried for a tenant", time.Duration((1-tokens)*float64(triesEvery)))
	}
	r.limiter.AllowN(now, 1)
	r.busy = true
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		r.busy = false
	}, nil
}

// forget drops the limits that are as good as new, when there are many.
func (t *tries) forget(now time.Time) {
	if len(t.of) < maxTriers {
		return
	}
	for id, r := range t.of {
		if !r.busy && r.limiter.TokensAt(now) >= triesBurst {
			delete(t.of, id)
		}
	}
}

func tooManyTries(detail string, wait time.Duration) error {
	return &event.Error{Kind: event.KindRateLimited, Code: "rate_limited", Detail: detail, RetryAfter: wait}
}
