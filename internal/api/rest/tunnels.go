package rest

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

const (
	tunnelsPath = "/v1/tenants/{tenant}/tunnels"
	tunnelPath  = tunnelsPath + "/{tunnel}"
)

// connectOperation does not pass through huma, which would hold the answer back.
var connectOperation = operation{
	id: "connect-tunnel", method: http.MethodGet, path: tunnelPath + "/connect", tag: "Tunnels", summary: "Connect to a tunnel: WebSocket",
	doc:   "Subprotocol posthorn-tunnel-1; binary messages carry yamux, in which the server opens streams and speaks HTTP/1.1. Use posthorn listen.",
	scope: scopeManage,
}

// tunnelRoutes adds the routes of tunnels.
func (a *API) tunnelRoutes() {
	if a.Tunnels == nil {
		return
	}
	register(a, operation{
		id: "set-up-tunnel", method: http.MethodPost, path: tunnelsPath, tag: "Tunnels", summary: "Set a tunnel up",
		doc:   "It says where the tunnel is. Doing it again changes no more than types, filter, order, answer and host; of another kind or source it is a conflict.",
		scope: scopeManage, secret: true,
	}, a.setUpTunnel)
	register(a, operation{
		id: "list-tunnels", method: http.MethodGet, path: tunnelsPath, tag: "Tunnels", summary: "List tunnels", doc: "By name, with who is connected.", scope: scopeRead,
	}, a.listTunnels)
	register(a, operation{
		id: "delete-tunnel", method: http.MethodDelete, path: tunnelPath, tag: "Tunnels", summary: "Take a tunnel down",
		doc: "With its endpoint or bin and what they keep; who is connected is disconnected.", scope: scopeManage,
	}, a.deleteTunnel)
	a.mux.HandleFunc("GET "+connectOperation.path, a.listening(&connectOperation, func(string) *problem { return nil }, a.connectTunnel))
	a.documentConnect()
}

func (a *API) setUpTunnel(ctx context.Context, c *call, in *struct {
	InTenant
	InOnce
	Body client.TunnelSetup
},
) (*outBody[client.Tunnel], error) {
	b := &in.Body
	made, err := a.Tunnels.Setup(ctx, c.tenant, TunnelSpec{
		Name: b.Name, Kind: b.Kind, Source: b.Source, Types: b.Types, Filter: b.Filter, Order: event.Order(b.Order), Host: b.Host,
		Answer: b.Answer == nil || *b.Answer,
	})
	if err != nil {
		return nil, err
	}
	c.about("tunnel", made.Name)
	c.changed(nil, b)
	return &outBody[client.Tunnel]{Body: showTunnel(&made)}, nil
}

func showTunnel(t *Tunnel) client.Tunnel {
	out := client.Tunnel{
		Name: t.Name, Kind: t.Kind, URL: t.URL, Host: t.HostURL, Bin: t.Bin, Source: t.Source, Types: t.Types, Filter: t.Filter,
		Order: string(t.Order), Answer: t.Answer, Secret: t.Secret, Connections: t.Connections, Requests: t.Requests,
	}
	if t.Endpoint != 0 {
		out.Endpoint = t.Endpoint.String()
	}
	if !t.Since.IsZero() {
		since := t.Since.UTC()
		out.Since = &since
	}
	return out
}

func (a *API) listTunnels(ctx context.Context, c *call, _ *InTenant) (*outBody[client.Tunnels], error) {
	list, err := a.Tunnels.List(ctx, c.tenant)
	if err != nil {
		return nil, err
	}
	out := client.Tunnels{Data: make([]client.Tunnel, len(list))}
	for i := range list {
		list[i].Secret = ""
		out.Data[i] = showTunnel(&list[i])
	}
	return &outBody[client.Tunnels]{Body: out}, nil
}

func (a *API) deleteTunnel(ctx context.Context, c *call, in *struct {
	InTenant
	Tunnel string `path:"tunnel" doc:"The tunnel's name"`
},
) (*struct{}, error) {
	return nil, a.Tunnels.Delete(ctx, c.tenant, in.Tunnel)
}

// connectTunnel hands the connection over.
func (a *API) connectTunnel(w http.ResponseWriter, r *http.Request, c *call) error {
	if err := readQuery(r).problem(); err != nil {
		return err
	}
	return a.Tunnels.Connect(w, r, c.tenant, r.PathValue("tunnel"), c.key)
}

func (a *API) documentConnect() {
	op := a.listenOperation(&connectOperation, []*huma.Param{
		{Name: "tunnel", In: "path", Required: true, Description: "The tunnel's name", Schema: &huma.Schema{Type: huma.TypeString}},
		textParameter("header", "Sec-WebSocket-Protocol", "posthorn-tunnel-1"),
	}, http.StatusUpgradeRequired)
	op.Security = []map[string][]string{{"bearer": {}}}
	op.Responses[strconv.Itoa(http.StatusSwitchingProtocols)] = &huma.Response{Description: "The connection is a WebSocket"}
	a.huma.OpenAPI().AddOperation(op)
}
