package ingest

import (
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"

	"github.com/posthornhq/posthorn/internal/event"
)

// maxLimiters bounds the tenants whose rate is kept; the seldom seen go first, and begin again with a full burst.
const maxLimiters = 100_000

// limiters holds a token bucket for each tenant that has a rate.
type limiters struct {
	byTenant  *otter.Cache[event.TenantID, *rate.Limiter]
	rate      float64
	burst     int
	leastSize int
}

func newLimiters(perSecond float64, burst, maxBatch int) (*limiters, error) {
	made, err := otter.New(&otter.Options[event.TenantID, *rate.Limiter]{MaximumSize: maxLimiters})
	if err != nil {
		return nil, fmt.Errorf("ingest: %w", err)
	}
	return &limiters{byTenant: made, rate: perSecond, burst: burst, leastSize: max(maxBatch, 1)}, nil
}

func (l *limiters) drop(id event.TenantID) { l.byTenant.Invalidate(id) }

// take takes a token for each event, or none and says when there will be enough.
func (l *limiters) take(now time.Time, t *event.Tenant, events int) error {
	perSecond, burst := l.rate, l.burst
	if t.PublishRate > 0 {
		perSecond, burst = t.PublishRate, 0
	}
	if perSecond <= 0 {
		return nil
	}
	if burst <= 0 {
		burst = int(perSecond)
	}
	burst = max(burst, l.leastSize)
	limiter, ok := l.byTenant.GetIfPresent(t.ID)
	if !ok {
		limiter, _ = l.byTenant.SetIfAbsent(t.ID, rate.NewLimiter(rate.Limit(perSecond), burst))
	}
	if limiter.Limit() != rate.Limit(perSecond) {
		// The tenant's rate was changed; what it has used up stays used.
		limiter.SetLimitAt(now, rate.Limit(perSecond))
		limiter.SetBurstAt(now, burst)
	}
	reservation := limiter.ReserveN(now, events)
	wait := reservation.DelayFrom(now)
	if wait <= 0 {
		return nil
	}
	reservation.CancelAt(now)
	return &event.Error{
		Kind: event.KindRateLimited, Code: "rate_limited", Detail: fmt.Sprintf("the tenant publishes more than %g events a second", perSecond),
		RetryAfter: wait,
	}
}
