package client_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/posthornhq/posthorn/client"
)

func TestTunnels(t *testing.T) {
	t.Parallel()
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.URL.Path+" "+string(b))
		w.Header().Set("Content-Type", "application/json")
		switch r.Method {
		case http.MethodPost:
			_ = json.NewEncoder(w).Encode(client.Tunnel{Name: "laptop", Kind: "endpoint", Secret: "whsec_x"})
		case http.MethodGet:
			_ = json.NewEncoder(w).Encode(client.Tunnels{Data: []client.Tunnel{{Name: "laptop", Connections: 2}}})
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	defer server.Close()
	c, err := client.New(server.URL+"/", "key")
	if err != nil {
		t.Fatal(err)
	}
	made, err := c.SetUpTunnel(t.Context(), "acme", client.TunnelSetup{Name: "laptop", Kind: "endpoint", Types: []string{"order.*"}})
	if err != nil || made.Secret != "whsec_x" {
		t.Errorf("%+v %v", made, err)
	}
	list, err := c.Tunnels(t.Context(), "acme")
	if err != nil || len(list) != 1 || list[0].Connections != 2 {
		t.Errorf("%+v %v", list, err)
	}
	if err := c.DeleteTunnel(t.Context(), "acme", "laptop"); err != nil {
		t.Error(err)
	}
	want := []string{
		`POST /v1/tenants/acme/tunnels {"name":"laptop","kind":"endpoint","types":["order.*"]}`, "GET /v1/tenants/acme/tunnels ", "DELETE /v1/tenants/acme/tunnels/laptop ",
	}
	for i, w := range want {
		if i >= len(asked) || asked[i] != w && asked[i] != w+"\n" {
			t.Errorf("%q, want %q", asked, w)
			break
		}
	}
	if got := c.TunnelURL("acme", "laptop"); got != server.URL+"/v1/tenants/acme/tunnels/laptop/connect" {
		t.Error(got)
	}
}
