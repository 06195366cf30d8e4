package front

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A client that knows that the server speaks HTTP/2 may begin with it, publishes included.
func TestUnencryptedHTTP2(t *testing.T) {
	addr := start(t)
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/v1/tenants/acme/events", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Test", "yes")
	res, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.ProtoMajor != 2 || string(body) != "std|POST|/v1/tenants/acme/events|yes|{}" {
		t.Errorf("HTTP/%d answered %q", res.ProtoMajor, body)
	}
}

// The start of a connection is read until it is known what it is, in whatever pieces it comes.
func TestDecided(t *testing.T) {
	for _, tt := range []struct {
		begin string
		want  bool
	}{
		{"P", false},
		{"PR", false},
		{"PO", false},
		{"PU", true},
		{"G", true},
		{"PRI * HTTP/2.0\r\n\r\n", false},
		{string(http2Preface), true},
		{"PRI /x HTTP/1.1\r\n", true},
		{"POST /v1/tenants/a", false},
		{"POST /v1/tenants/a/events HTTP/1.1\n", true},
		{"POST /v1/x", true},
	} {
		if got := decided([]byte(tt.begin)); got != tt.want {
			t.Errorf("%q: %t", tt.begin, got)
		}
	}
}

// A connection that published and moved on with the next request in the same packet loses nothing, and can be taken down
// to its socket.
func TestMovedConnectionIsBare(t *testing.T) {
	addr := start(t)
	c := dial(t, addr)
	second := "GET /v1/x HTTP/1.1\r\nHost: x\r\nX-Test: b\r\n\r\n"
	third := "GET /v1/y HTTP/1.1\r\nHost: x\r\nX-Test: c\r\n\r\n"
	if status, _ := c.ask(t, publish+second+third); status != http.StatusAccepted {
		t.Fatalf("status %d", status)
	}
	for _, want := range []string{"std|GET|/v1/x|b|", "std|GET|/v1/y|c|"} {
		if status, got := c.ask(t, ""); status != http.StatusOK || got != want {
			t.Errorf("answer %d %q, want %q", status, got, want)
		}
	}
}

// prefixed gives what was read before it was made, once.
func TestPrefixedUnread(t *testing.T) {
	p := &prefixed{rest: []byte("hello")}
	b := make([]byte, 2)
	if n, err := p.Read(b); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if got := p.Unread(); !bytes.Equal(got, []byte("llo")) {
		t.Errorf("unread %q", got)
	}
	if p.Unread() != nil || p.NetConn() != p.Conn {
		t.Error("given twice")
	}
}
