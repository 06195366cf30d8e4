// Package fanout follows the log, matches each event to the endpoints it is for, and feeds their lanes:
// store → [Follower] → match → deliver. [Registry] holds the endpoints of each tenant ready for matching.
package fanout

import (
	"context"
	"log/slog"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Bounds of one read of the log.
const (
	readEvents = 512
	readBytes  = 4 << 20
	retryWait  = 500 * time.Millisecond
)

// Log is what the follower reads.
type Log interface {
	ReadPartition(ctx context.Context, partition int, after int64, limit, maxBytes int) ([]event.Event, error)
	Appended(partition int) <-chan struct{}
}

// Lanes takes each event with the endpoints it is for, in Seq order.
type Lanes interface {
	// Announce tells that events up to a Seq are about to be matched.
	Announce(seq int64)
	Offer(ctx context.Context, ev *event.Event, targets []*event.Endpoint) error
}

// Follower reads one partition of the log from a position and gives every event to the lanes.
type Follower struct {
	Partition int
	// Position is the Seq to start after.
	Position int64
	Log      Log
	Registry *Registry
	Lanes    Lanes
	Logger   *slog.Logger
}

// Run follows the log until the context ends, and returns nil then. Errors of the store are logged and tried again.
func (f *Follower) Run(ctx context.Context) error {
	var targets []*event.Endpoint
	for {
		// The hint must be taken before the read: an append between the two then wakes the next wait.
		appended := f.Log.Appended(f.Partition)
		events, err := f.Log.ReadPartition(ctx, f.Partition, f.Position, readEvents, readBytes)
		if len(events) > 0 {
			f.Lanes.Announce(events[len(events)-1].Seq)
		}
		for i := 0; err == nil && i < len(events); i++ {
			ev := &events[i]
			if targets, err = f.Registry.Match(ctx, ev, targets[:0]); err != nil {
				break
			}
			if err = f.Lanes.Offer(ctx, ev, targets); err == nil {
				f.Position = ev.Seq
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			f.Logger.WarnContext(ctx, "cannot follow the log", slog.Any("error", err))
			if !wait(ctx, nil, time.After(retryWait)) {
				return nil
			}
		case len(events) == 0:
			if !wait(ctx, appended, nil) {
				return nil
			}
		}
	}
}

// wait returns true on a hint or at a time, false when the context ends.
func wait(ctx context.Context, hint <-chan struct{}, at <-chan time.Time) bool {
	select {
	case <-hint:
	case <-at:
	case <-ctx.Done():
		return false
	}
	return true
}

// Endpoints reads a tenant's endpoints, for the first event of the tenant.
type Endpoints interface {
	Endpoints(ctx context.Context, tenant event.TenantID, after event.EndpointID, limit int) ([]event.Endpoint, error)
}
