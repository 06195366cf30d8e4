package app

import (
	"context"
	"net/http"

	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/tunnel"
)

// newTunnels makes the hub of tunnels. Bins and lanes are told when somebody connects.
func (a *App) newTunnels() (*tunnel.Hub, error) {
	h, err := tunnel.New(tunnel.Config{
		Endpoints: a.control, Bins: a.bins, Tenant: a.control.Tenant, Caller: a.arrivals.caller, PublicURL: a.cfg.PublicURL, Hosts: a.cfg.TunnelHosts,
		MaxTunnels: a.cfg.MaxTunnels, Holds: a.holds, Hold: a.hold, Logger: a.log,
		Sources: func(ctx context.Context, t *event.Tenant, name string) (bool, error) {
			_, err := a.store.Source(ctx, t.ID, name)
			if event.KindOf(err) == event.KindNotFound {
				return false, nil
			}
			return err == nil, err
		},
	})
	if err != nil {
		return nil, err
	}
	h.OnChange(func(c tunnel.Change) {
		switch {
		case c.Endpoint != 0:
			a.manager.TunnelChanged(c.Endpoint, c.Online)
		case c.Bin != "" && c.Online:
			a.bins.TunnelOnline(c.Tenant, c.Name)
		}
	})
	return h, nil
}

// carrier is what bins and lanes see of the tunnels, which are made after them.
type carrier struct{ a *App }

// Online implements [inspect.Forwarder] and [deliver.Tunnels].
func (c carrier) Online(tenant event.TenantID, name string) bool {
	return c.a.tunnels.Online(tenant, name)
}

// Send implements [deliver.Tunnels].
func (c carrier) Send(ctx context.Context, ep *event.Endpoint, ev *event.Event, r *event.Request, limit int) (event.Answer, error) {
	return c.a.tunnels.Send(ctx, ep, ev, r, limit)
}

// Forward implements [inspect.Forwarder].
func (c carrier) Forward(ctx context.Context, tenant event.TenantID, name string, v event.Capture, kept bool) (event.Answer, error) {
	return c.a.tunnels.Forward(ctx, tenant, name, v, kept)
}

// waits reports whether the callers of a bin wait for the answer of its tunnel.
func (c carrier) waits(b *event.Bin) bool { return c.a.tunnels.Waits(b.Tenant, b.Tunnel) }

// tunnels is what the REST API sees of the hub.
type tunnels struct{ hub *tunnel.Hub }

// Setup implements [rest.Tunnels].
func (t tunnels) Setup(ctx context.Context, of *event.Tenant, s rest.TunnelSpec) (rest.Tunnel, error) {
	made, err := t.hub.Setup(ctx, of, tunnel.Spec(s))
	return shownTunnel(&made), err
}

// List implements [rest.Tunnels].
func (t tunnels) List(ctx context.Context, of *event.Tenant) ([]rest.Tunnel, error) {
	list, err := t.hub.List(ctx, of)
	out := make([]rest.Tunnel, len(list))
	for i := range list {
		out[i] = shownTunnel(&list[i])
	}
	return out, err
}

// Delete implements [rest.Tunnels].
func (t tunnels) Delete(ctx context.Context, of *event.Tenant, name string) error {
	return t.hub.Delete(ctx, of, name)
}

// Connect implements [rest.Tunnels].
func (t tunnels) Connect(w http.ResponseWriter, r *http.Request, of *event.Tenant, name string, key event.APIKey) error {
	return t.hub.Connect(w, r, tunnel.Listener{Tenant: of, Name: name, Key: key})
}

func shownTunnel(t *tunnel.Tunnel) rest.Tunnel {
	return rest.Tunnel{
		TunnelSpec: rest.TunnelSpec(t.Spec), URL: t.URL, HostURL: t.HostURL, Secret: t.Secret, Connections: t.Connections, Since: t.Since, Requests: t.Requests,
	}
}
