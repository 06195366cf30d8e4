package sqlite

import (
	"cmp"
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// disabledReason is what the column disabled holds of an endpoint.
func disabledReason(e *event.Endpoint) string {
	if !e.Disabled {
		return ""
	}
	return cmp.Or(e.DisabledReason, "paused")
}

// isDisabled selects by the partial indexes of disabled endpoints, which ask for these very words.
const isDisabled = "disabled IS NOT ''"

// fillBatch is how many endpoints are filled in at once.
const fillBatch = 1000

// fillDisabled fills in what rows of before the columns lack. It finds nothing to do but once.
func (s *Store) fillDisabled(ctx context.Context) error {
	n := 0
	if err := s.state.reads.read(ctx, func(c *conn) error {
		return c.query("SELECT id FROM endpoints WHERE "+isDisabled+" AND disabled IS NULL LIMIT 1", func(*stmt) error { n = fillBatch; return nil })
	}); err != nil {
		return err
	}
	for n == fillBatch {
		err := s.state.w.update(ctx, func(c *conn) error {
			var list []event.Endpoint
			err := c.query(selectEndpoints+"WHERE "+isDisabled+" AND disabled IS NULL LIMIT ?", func(s *stmt) error {
				e, err := scanEndpoint(s)
				list = append(list, e)
				return err
			}, fillBatch)
			if err != nil {
				return err
			}
			n = len(list)
			for i := range list {
				e := &list[i]
				if err := c.exec("UPDATE endpoints SET disabled = ?, changed = ? WHERE id = ?", disabledReason(e), micros(e.Updated), int64(e.ID)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// CountEndpoints implements [store.Overviews].
func (s *Store) CountEndpoints(ctx context.Context, tenant event.TenantID) (event.EndpointCounts, error) {
	counts := event.EndpointCounts{Disabled: map[string]int{}}
	if err := s.enter(); err != nil {
		return counts, err
	}
	defer s.leave()
	all, by, args := "SELECT sum(endpoints) FROM tenants", "", []any(nil)
	if tenant != 0 {
		all, by, args = "SELECT endpoints FROM tenants WHERE id = ?", " AND tenant = ?", []any{int64(tenant)}
	}
	err := s.state.reads.snapshot(ctx, func(c *conn) error {
		n, err := c.number(all, args...)
		if err != nil {
			return err
		}
		counts.All = int(n)
		return c.query("SELECT disabled, count(*) FROM endpoints WHERE "+isDisabled+by+ofTenant+" GROUP BY disabled", func(s *stmt) error {
			counts.Disabled[s.text(0)] = int(s.int(1))
			return nil
		}, args...)
	})
	return counts, err
}

// DisabledEndpoints implements [store.Overviews].
func (s *Store) DisabledEndpoints(ctx context.Context, tenant event.TenantID, reason string, limit int) ([]event.Endpoint, error) {
	by, args := "", []any{reason}
	if tenant != 0 {
		by, args = " AND tenant = ?", append(args, int64(tenant))
	}
	return readList(ctx, s, scanEndpoint, selectEndpoints+"WHERE "+isDisabled+" AND disabled = ?"+by+ofTenant+" ORDER BY changed DESC, id LIMIT ?",
		append(args, max(limit, 0))...)
}

// RecentDead implements [store.Overviews].
func (s *Store) RecentDead(ctx context.Context, tenant event.TenantID, since time.Time, limit int) ([]event.DeadLetter, error) {
	by, args := "", []any{micros(since)}
	if tenant != 0 {
		by, args = " AND tenant = ?", append(args, int64(tenant))
	}
	return readList(ctx, s, func(s *stmt) (event.DeadLetter, error) {
		return event.DeadLetter{
			Endpoint: event.EndpointID(s.int(0)), Tenant: event.TenantID(s.int(1)), Version: s.int(2), At: fromMicros(s.int(3)), Reason: s.text(4),
		}, nil
	}, "SELECT endpoint, tenant, version, at, reason FROM dead WHERE at >= ?"+by+" ORDER BY at DESC LIMIT ?", append(args, max(limit, 0))...)
}
