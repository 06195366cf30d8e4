package live

import (
	"context"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/live/wire"
)

// Publisher takes what is published over WebSockets (package ingest).
type Publisher interface {
	// Publish stores events of a tenant, all or none, and returns a receipt for each once they are durable.
	Publish(ctx context.Context, t *event.Tenant, events []event.Event, idempotencyKey string, fingerprint [32]byte) ([]event.Receipt, error)
}

// SocketConfig is what WebSockets need besides what all connections do.
type SocketConfig struct {
	// Publisher takes publishes; nil: every publish is answered with KindUnavailable.
	Publisher Publisher
	// MayPublish returns nil when a key that may publish may publish these events; else an error of KindForbidden, which
	// names the field. nil: it may.
	MayPublish func(key *event.APIKey, events []event.Event, array bool) error
	// Problem renders any error as the problem document of the HTTP API, in JSON. nil: problems are null.
	Problem func(err error) []byte
	// AllowOrigin reports whether pages of an origin may connect to a host; nil: those of the host itself.
	AllowOrigin func(origin, host string) bool
	// MaxSubscriptions bounds the subscriptions of one connection, 100 when 0; MaxMessage a client's message in bytes, 1 MiB
	// when 0.
	MaxSubscriptions, MaxMessage int
}

// Defaults of a [SocketConfig], and bounds that follow from it.
const (
	defaultSubscriptions = 100
	defaultMessage       = 1 << 20
	// incompleteMessages is how many messages of the largest size may be incomplete at once, on all connections together.
	incompleteMessages = 64
)

// complete fills in what was left out.
func (c *SocketConfig) complete() {
	if c.MaxSubscriptions == 0 {
		c.MaxSubscriptions = defaultSubscriptions
	}
	if c.MaxMessage == 0 {
		c.MaxMessage = defaultMessage
	}
	if c.Problem == nil {
		c.Problem = func(error) []byte { return nil }
	}
}

// rules are those of all decoders of a hub.
func (c *SocketConfig) rules() *wire.Rules {
	return &wire.Rules{MaxMessage: c.MaxMessage, Budget: wire.NewBudget(int64(incompleteMessages) * int64(c.MaxMessage))}
}
