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
	byTenant *otter.Cache[event.TenantID, *rate.Limiter]
	rate     float64
	burst    int
}

func newLimiters(perSecond float64, burst int) (*limiters, error) {
	made, err := otter.New(&otter.Options[event.TenantID, *rate.Limiter]{MaximumSize: maxLimiters})
	if err != nil {
		return nil, fmt.Errorf("ingest: %w", err)
	}
	return &limiters{byTenant: made, rate: perSecond, burst: burst}, nil
}

func (l *limiters) drop(id event.TenantID) { l.byTenant.Invalidate(id) }

// longestWait bounds what a tenant is told to wait, whatever its rate.
const longestWait = 365 * 24 * time.Hour

// take takes a token for each event, or none and says when there will be enough. More events than the bucket holds pass
// when it is full, and leave it in debt: every batch that is allowed fits sooner or later, and the rate holds.
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
	burst = max(burst, 1)
	limiter, ok := l.byTenant.GetIfPresent(t.ID)
	if !ok {
		limiter, _ = l.byTenant.SetIfAbsent(t.ID, rate.NewLimiter(rate.Limit(perSecond), burst))
	}
	if limiter.Limit() != rate.Limit(perSecond) {
		// The tenant's rate was changed; what it has used up stays used.
		limiter.SetLimitAt(now, rate.Limit(perSecond))
		limiter.SetBurstAt(now, burst)
	}
	need := min(events, burst)
	if !limiter.AllowN(now, need) {
		seconds := min((float64(need)-limiter.TokensAt(now))/perSecond, longestWait.Seconds())
		return &event.Error{
			Kind: event.KindRateLimited, Code: "rate_limited", Detail: fmt.Sprintf("the tenant publishes more than %g events a second", perSecond),
			RetryAfter: max(time.Duration(seconds*float64(time.Second)), 1),
		}
	}
	for debt := events - need; debt > 0; debt -= burst {
		// A limiter takes no more at once than it holds. Nobody comes between: the bucket is empty.
		limiter.ReserveN(now, min(debt, burst))
	}
	return nil
}
