package rest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/event"
)

const tunnelsPath = "/v1/tenants/acme/tunnels"

func init() {
	examples["set-up-tunnel"] = example{path: tunnelsPath, body: `{"name":"laptop","kind":"source","source":"github","answer":false}`, status: 200}
	examples["list-tunnels"] = example{path: tunnelsPath, status: 200}
	examples["delete-tunnel"] = example{path: tunnelsPath + "/laptop", status: 204}
	examples["connect-tunnel"] = example{path: tunnelsPath + "/laptop/connect", status: 101, header: handshake}
}

// fakeTunnels are the tunnels of a fake: one of each kind, and a key that is none of a tunnel's.
type fakeTunnels struct{ f *fake }

func (t fakeTunnels) Setup(_ context.Context, _ *event.Tenant, s rest.TunnelSpec) (rest.Tunnel, error) {
	defer t.f.lock()()
	out := rest.Tunnel{TunnelSpec: s, URL: "https://hooks.example.com/in/acme/" + s.Source}
	switch s.Kind {
	case "endpoint":
		out.Secret, out.URL, out.Endpoint = "whsec_x", "", 5
	case "bin":
		out.Bin = "b1"
	case "http":
		out.HostURL = "https://" + s.Host + ".dev.example.com/"
	}
	return out, t.f.fail
}

func (t fakeTunnels) List(context.Context, *event.Tenant) ([]rest.Tunnel, error) {
	defer t.f.lock()()
	return []rest.Tunnel{
		{TunnelSpec: rest.TunnelSpec{Name: "a", Kind: "http"}, URL: "https://hooks.example.com/t/acme/a/", Connections: 2, Since: start, Requests: 1},
		{TunnelSpec: rest.TunnelSpec{Name: "b", Kind: "endpoint", Endpoint: 5, Order: event.OrderStrict, Types: []string{"a.*"}}, Secret: "whsec_x"},
	}, t.f.fail
}

func (t fakeTunnels) Delete(_ context.Context, _ *event.Tenant, name string) error {
	defer t.f.lock()()
	if name == "none" {
		return event.NotFound("tunnel")
	}
	return t.f.fail
}

func (t fakeTunnels) Connect(w http.ResponseWriter, r *http.Request, _ *event.Tenant, name string, _ event.APIKey) error {
	defer t.f.lock()()
	switch {
	case t.f.fail != nil:
		return t.f.fail
	case name == "none":
		return event.NotFound("tunnel")
	case r.Header.Get("Upgrade") == "":
		return upgradeRequired{}
	}
	w.WriteHeader(http.StatusSwitchingProtocols)
	return nil
}

type upgradeRequired struct{}

func (upgradeRequired) Error() string { return "no WebSocket" }

func (upgradeRequired) HTTP() (status int, code, detail string, header http.Header) {
	return http.StatusUpgradeRequired, "upgrade_required", "no WebSocket", http.Header{"Upgrade": {"websocket"}}
}

func TestTunnels(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	setup := func(body string) client.Tunnel {
		return decode[client.Tunnel](t, request{method: http.MethodPost, path: tunnelsPath, key: "manager", body: body}.do(t, on.h), 200)
	}
	if got := setup(`{"name":"laptop","kind":"source","source":"github"}`); !got.Answer || got.URL != "https://hooks.example.com/in/acme/github" || got.Endpoint != "" {
		t.Errorf("%+v", got)
	}
	if got := setup(`{"name":"laptop","kind":"bin","answer":false}`); got.Answer || got.Bin != "b1" {
		t.Errorf("%+v", got)
	}
	got := setup(`{"name":"laptop","kind":"endpoint","types":["order.*"],"filter":"true","order":"key"}`)
	if got.Secret != "whsec_x" || got.Endpoint != event.EndpointID(5).String() || got.Order != "key" || got.Filter != "true" || len(got.Types) != 1 {
		t.Errorf("%+v", got)
	}
	if got := setup(`{"name":"laptop","kind":"http","host":"jan"}`); got.Host != "https://jan.dev.example.com/" {
		t.Errorf("%+v", got)
	}
	list := decode[client.Tunnels](t, request{method: http.MethodGet, path: tunnelsPath, key: "reader"}.do(t, on.h), 200)
	if len(list.Data) != 2 || list.Data[0].Since == nil || !list.Data[0].Since.Equal(start) || list.Data[0].Connections != 2 || list.Data[1].Since != nil || list.Data[1].Secret != "" {
		t.Errorf("%+v", list)
	}
	for field, body := range map[string]string{
		"kind": `{"name":"a","kind":"pigeon"}`, "name": `{"name":"A b","kind":"http"}`, "order": `{"name":"a","kind":"endpoint","order":"wild"}`, "path": `{"name":"a","kind":"http","path":"/x"}`,
	} {
		p := decode[client.Problem](t, request{method: http.MethodPost, path: tunnelsPath, key: "manager", body: body}.do(t, on.h), 422)
		if len(p.Errors) != 1 || p.Errors[0].Field != field {
			t.Errorf("%s: %+v", body, p)
		}
	}
}

func TestTunnelScopes(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	for _, c := range []struct {
		key, method, path, body string
		status                  int
	}{
		{"reader", "GET", "", "", 200},
		{"publisher", "GET", "", "", 403},
		{"foreign", "GET", "", "", 403},
		{"reader", "POST", "", `{"name":"a","kind":"http"}`, 403},
		{"reader", "DELETE", "/a", "", 403},
		{"reader", "GET", "/a/connect", "", 403},
		{"", "GET", "/a/connect", "", 401},
		{"manager", "GET", "/a/connect", "", 426},
		{"manager", "GET", "/none/connect", "", 404},
		{"manager", "GET", "/a/connect?x=1", "", 422},
		{"manager", "DELETE", "/none", "", 404},
		{"manager", "DELETE", "/a", "", 204},
	} {
		if w := (request{method: c.method, path: tunnelsPath + c.path, key: c.key, body: c.body}).do(t, on.h); w.Code != c.status {
			t.Errorf("%s %s %s: %d, want %d: %s", c.key, c.method, c.path, w.Code, c.status, w.Body)
		}
	}
	// A token in the query is for streams; here it would end up in logs without need.
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, tunnelsPath+"/a/connect?access_token=manager", http.NoBody)
	w := httptest.NewRecorder()
	on.h.ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("%d", w.Code)
	}
}
