package rest

import (
	"context"

	"github.com/posthornhq/posthorn/internal/event"
)

// Explainer tells why events are, or are not, where they should be.
type Explainer interface {
	// Why says why an event is not for an endpoint, empty when it is: before_start, types, channels, kind, changed or filter.
	Why(e *event.Endpoint, ev *event.Event) string
	// Standings tells where an event stands with the lanes of some endpoints, one for each in their order. It is asked before
	// the attempts are read: between them nothing is missing.
	Standings(ev *event.Event, endpoints []*event.Endpoint) []event.Standing
}

// Previewer builds requests to endpoints that need not be saved, by the code that sends.
type Previewer interface {
	// Preview returns the request that would be sent now for some events, several as a batch. Error: KindInvalid.
	Preview(ctx context.Context, e *event.Endpoint, s *event.Secrets, events []*event.Event) (event.Outgoing, error)
	// Try also sends it, once, and returns the outcome, which is not recorded. It takes half a minute at most.
	Try(ctx context.Context, e *event.Endpoint, s *event.Secrets, events []*event.Event) (event.Outgoing, event.Attempt, error)
}

// Replays are the replays that run or ended lately.
type Replays interface {
	// Replays returns an endpoint's replays, those that run first.
	Replays(e event.EndpointID) []event.ReplayView
	// CancelReplay ends a replay so that it never comes back; one that has ended stays as it is. Error: KindNotFound.
	CancelReplay(ctx context.Context, e event.EndpointID, id int64) error
}
