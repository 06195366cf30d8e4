package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Tunnels lead to programs on listeners' own machines (package tunnel).
type Tunnels interface {
	// Setup makes a tunnel or changes what it selects. Errors: KindInvalid naming the field, KindConflict.
	Setup(ctx context.Context, t *event.Tenant, s TunnelSpec) (Tunnel, error)
	// List returns a tenant's tunnels by name.
	List(ctx context.Context, t *event.Tenant) ([]Tunnel, error)
	// Delete takes a tunnel down with what it is kept as (KindNotFound).
	Delete(ctx context.Context, t *event.Tenant, name string) error
	// Connect takes the connection over as a WebSocket of a tunnel until it ends. An error means that nothing was written.
	Connect(w http.ResponseWriter, r *http.Request, t *event.Tenant, name string, key event.APIKey) error
}

// TunnelSpec says what a tunnel is for; the fields are those of [client.TunnelSetup].
type TunnelSpec struct {
	Name, Kind, Source string
	Types              []string
	Filter             string
	Order              event.Order
	Answer             bool
	Host               string
	// Endpoint and Bin are what it is kept as; not read by Setup.
	Endpoint event.EndpointID
	Bin      string
}

// Tunnel is a tunnel with its addresses and who is connected.
type Tunnel struct {
	TunnelSpec
	URL, HostURL, Secret string
	Connections          int
	Since                time.Time
	Requests             int
}
