package wire

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// request is a good one (RFC 6455, section 1.3), changed by pairs of a header and its value; "-" takes it away.
func request(t testing.TB, change ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://server.example.com/v1/tenants/acme/socket", http.NoBody)
	r.Header = http.Header{
		"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Version": {"13"},
	}
	for i := 0; i+1 < len(change); i += 2 {
		switch name := http.CanonicalHeaderKey(change[i]); {
		case change[i+1] == "-":
			r.Header.Del(name)
		case strings.HasPrefix(change[i], "+"):
			r.Header.Add(change[i][1:], change[i+1])
		default:
			r.Header.Set(name, change[i+1])
		}
	}
	return r
}

func TestUpgrade(t *testing.T) {
	h, err := Upgrade(request(t), nil)
	if err != nil || h.Accept != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" || h.Protocol != "" || h.Form != JSON || h.Deflate {
		t.Errorf("%+v, %v", h, err)
	}
	for _, tt := range []struct {
		name   string
		change []string
		want   Handshake
	}{
		{"tokens in lists", []string{"Connection", "keep-alive, upgrade", "Upgrade", "h2c, WebSocket"}, Handshake{}},
		{"JSON", []string{"Sec-WebSocket-Protocol", "posthorn.v1.json"}, Handshake{Protocol: ProtocolJSON}},
		{"the client's order", []string{"Sec-WebSocket-Protocol", "mqtt, posthorn.v1.cbor,posthorn.v1.json"}, Handshake{Protocol: ProtocolCBOR, Form: CBOR}},
		{"two headers", []string{"Sec-WebSocket-Protocol", "mqtt", "+Sec-WebSocket-Protocol", "posthorn.v1.json"}, Handshake{Protocol: ProtocolJSON}},
		{"own origin", []string{"Origin", "https://Server.example.com"}, Handshake{}},
		{"allowed origin", []string{"Origin", "https://APP.example.com"}, Handshake{}},
		{"deflate", []string{"Sec-WebSocket-Extensions", "permessage-deflate"}, Handshake{Deflate: true}},
		{"Chrome", []string{"Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"}, Handshake{Deflate: true}},
		{"all parameters", []string{"Sec-WebSocket-Extensions", `permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits="15"; client_max_window_bits=9`}, Handshake{Deflate: true, Extension: "; server_max_window_bits=15"}},
		{"a small window", []string{"Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=10"}, Handshake{}},
		{"a small window, or any", []string{"Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=10, permessage-deflate"}, Handshake{Deflate: true}},
		{"no number", []string{"Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=16"}, Handshake{}},
		{"twice", []string{"Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits; client_max_window_bits"}, Handshake{}},
		{"unknown parameter", []string{"Sec-WebSocket-Extensions", "permessage-deflate; level=9"}, Handshake{}},
		{"another extension", []string{"Sec-WebSocket-Extensions", "x-webkit-deflate-frame, bbf-usp-protocol; a=1"}, Handshake{}},
		{"a value where none is", []string{"Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover=1"}, Handshake{}},
	} {
		h, err := Upgrade(request(t, tt.change...), func(o, host string) bool { return o == "https://APP.example.com" || sameHost(o, host) })
		if err != nil || h.Protocol != tt.want.Protocol || h.Form != tt.want.Form || h.Deflate != tt.want.Deflate || !strings.HasSuffix(h.Extension, tt.want.Extension) {
			t.Errorf("%s: %+v, %v", tt.name, h, err)
		}
		res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(h.AppendResponse(nil))), request(t))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Sec-Websocket-Accept") != h.Accept || res.Header.Get("Sec-Websocket-Protocol") != h.Protocol || res.Header.Get("Sec-Websocket-Extensions") != h.Extension {
			t.Errorf("%s: %+v", tt.name, res)
		}
	}
}

func TestUpgradeRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change []string
		status int
		header string
	}{
		{"no Upgrade", []string{"Upgrade", "-"}, 426, "Upgrade"},
		{"another Upgrade", []string{"Upgrade", "h2c"}, 426, "Upgrade"},
		{"no Connection", []string{"Connection", "keep-alive"}, 426, "Connection"},
		{"an old version", []string{"Sec-WebSocket-Version", "8"}, 426, "Sec-WebSocket-Version"},
		{"no version", []string{"Sec-WebSocket-Version", "-"}, 426, "Sec-WebSocket-Version"},
		{"two versions", []string{"+Sec-WebSocket-Version", "13"}, 426, "Sec-WebSocket-Version"},
		{"no key", []string{"Sec-WebSocket-Key", "-"}, 400, ""},
		{"a short key", []string{"Sec-WebSocket-Key", "dGhlIHNhbXBsZQ=="}, 400, ""},
		{"no base64", []string{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ="}, 400, ""},
		{"two keys", []string{"+Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}, 400, ""},
		{"unknown protocol", []string{"Sec-WebSocket-Protocol", "mqtt"}, 400, ""},
		{"unreadable extensions", []string{"Sec-WebSocket-Extensions", "permessage-deflate; ="}, 400, ""},
		{"a foreign page", []string{"Origin", "https://evil.example.com"}, 403, ""},
		{"a page without origin", []string{"Origin", "null"}, 403, ""},
		{"two origins", []string{"Origin", "https://server.example.com", "+Origin", "https://server.example.com"}, 403, ""},
		{"another port", []string{"Origin", "https://server.example.com:8443"}, 403, ""},
		{"a longer name", []string{"Origin", "https://server.example.com.evil.example"}, 403, ""},
	} {
		_, err := Upgrade(request(t, tt.change...), nil)
		refusal, ok := errors.AsType[*Refusal](err)
		if !ok || refusal.Status != tt.status || tt.header != "" && refusal.Header.Get(tt.header) == "" {
			t.Errorf("%s: %+v", tt.name, err)
			continue
		}
		if status, code, detail, header := refusal.HTTP(); status != tt.status || code == "" || detail != err.Error() || header == nil {
			t.Errorf("%s: %+v", tt.name, refusal)
		}
	}
	for status, change := range map[int]func(*http.Request){
		405: func(r *http.Request) { r.Method = http.MethodPost },
		426: func(r *http.Request) { r.ProtoMajor, r.ProtoMinor = 2, 0 },
		400: func(r *http.Request) { r.ContentLength = 5 },
	} {
		r := request(t)
		change(r)
		_, err := Upgrade(r, nil)
		if refusal, ok := errors.AsType[*Refusal](err); !ok || refusal.Status != status {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func FuzzUpgrade(f *testing.F) {
	f.Add("websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ==", "posthorn.v1.json", "permessage-deflate; client_max_window_bits", "https://server.example.com")
	f.Fuzz(func(t *testing.T, upgrade, connection, version, key, protocol, extensions, origin string) {
		h, err := Upgrade(request(t, "Upgrade", upgrade, "Connection", connection, "Sec-WebSocket-Version", version, "Sec-WebSocket-Key", key,
			"Sec-WebSocket-Protocol", protocol, "Sec-WebSocket-Extensions", extensions, "Origin", origin), nil)
		if err != nil {
			if _, ok := errors.AsType[*Refusal](err); !ok {
				t.Fatal(err)
			}
			return
		}
		out := string(h.AppendResponse(nil))
		if strings.Count(out, "\r\n\r\n") != 1 || strings.Contains(strings.ReplaceAll(out, "\r\n", ""), "\n") {
			t.Fatalf("%q", out)
		}
		if h.Deflate && !strings.Contains(extensions, "permessage-deflate") && !strings.Contains(strings.ToLower(extensions), "permessage-deflate") {
			t.Fatalf("%q was not offered in %q", h.Extension, extensions)
		}
	})
}
