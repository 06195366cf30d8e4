package wire

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it; it guards nothing
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/gobwas/httphead"
)

// Subprotocols, by the form of the messages.
const (
	ProtocolJSON = "posthorn.v1.json"
	ProtocolCBOR = "posthorn.v1.cbor"
)

// websocketVersion is the only version of the protocol there is (RFC 6455, section 4.4).
const websocketVersion = "13"

// Handshake is what was agreed on with a client.
type Handshake struct {
	// Accept is the Sec-WebSocket-Accept header.
	Accept string
	// Protocol is the subprotocol chosen, empty when the client offered none; then Form is JSON.
	Protocol string
	Form     Form
	// Deflate says that messages may be compressed; Extension is then the Sec-WebSocket-Extensions header.
	Deflate   bool
	Extension string
}

// Refusal is why a request cannot become a WebSocket.
type Refusal struct {
	// Status is 400, 403, 405 or 426.
	Status int
	// Header has what the answer must say besides: Allow, Upgrade, Sec-WebSocket-Version.
	Header http.Header
	// Code and Detail are for the problem document.
	Code, Detail string
}

// Error returns the detail.
func (r *Refusal) Error() string { return r.Detail }

// HTTP gives the answer's status, code, detail and headers.
func (r *Refusal) HTTP() (status int, code, detail string, header http.Header) {
	return r.Status, r.Code, r.Detail, r.Header
}

func refuse(status int, code, detail string, header ...string) error {
	r := &Refusal{Status: status, Header: http.Header{}, Code: code, Detail: detail}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func malformed(detail string) error { return refuse(http.StatusBadRequest, "bad_handshake", detail) }

// Upgrade judges a request to become a WebSocket (RFC 6455, section 4.2.1). allow says whether pages of an origin may connect
// to a host; nil: those of the host itself. An error is a [*Refusal].
func Upgrade(r *http.Request, allow func(origin, host string) bool) (Handshake, error) {
	if r.Method != http.MethodGet {
		return Handshake{}, refuse(http.StatusMethodNotAllowed, "method_not_allowed", "a WebSocket is opened with GET", "Allow", http.MethodGet)
	}
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 {
		return Handshake{}, upgradeRequired("a WebSocket is opened with HTTP/1.1")
	}
	if !hasToken(r.Header["Upgrade"], "websocket") || !hasToken(r.Header["Connection"], "upgrade") {
		return Handshake{}, upgradeRequired("this address takes WebSockets only")
	}
	if v := r.Header["Sec-Websocket-Version"]; len(v) != 1 || strings.TrimSpace(v[0]) != websocketVersion {
		return Handshake{}, upgradeRequired("the version of the WebSocket protocol must be " + websocketVersion)
	}
	keys := r.Header["Sec-Websocket-Key"]
	if len(keys) != 1 || !validKey(keys[0]) {
		return Handshake{}, malformed("Sec-WebSocket-Key must be 16 bytes in base64")
	}
	switch {
	case r.Host == "":
		return Handshake{}, malformed("there is no Host header")
	case r.ContentLength != 0:
		return Handshake{}, malformed("a request for a WebSocket has no body")
	}
	if err := checkOrigin(r, allow); err != nil {
		return Handshake{}, err
	}
	h := Handshake{Accept: AcceptKey(keys[0])}
	if err := h.chooseProtocol(r.Header["Sec-Websocket-Protocol"]); err != nil {
		return Handshake{}, err
	}
	err := h.chooseExtension(r.Header["Sec-Websocket-Extensions"])
	return h, err
}

func upgradeRequired(detail string) error {
	return refuse(http.StatusUpgradeRequired, "upgrade_required", detail,
		"Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Version", websocketVersion)
}

// AcceptKey is the answer to a Sec-WebSocket-Key (RFC 6455, section 4.2.2).
func AcceptKey(key string) string {
	const magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	sum := sha1.Sum([]byte(key + magic)) //nolint:gosec // RFC 6455 asks for it; it guards nothing
	return base64.StdEncoding.EncodeToString(sum[:])
}

func validKey(key string) bool {
	b, err := base64.StdEncoding.DecodeString(key)
	return err == nil && len(b) == 16
}

// hasToken reports whether a token is in the lists of a header.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// checkOrigin refuses pages of other origins (RFC 6455, section 10.2), which could otherwise use the cookie of a token.
// Programs send no Origin.
func checkOrigin(r *http.Request, allow func(origin, host string) bool) error {
	if allow == nil {
		allow = sameHost
	}
	switch origins := r.Header["Origin"]; {
	case len(origins) == 0, len(origins) == 1 && allow(origins[0], r.Host):
		return nil
	}
	return refuse(http.StatusForbidden, "origin_not_allowed", "pages of this origin may not connect; the server's option allow-origins names those that may")
}

// sameHost reports whether an origin is of a host. The scheme is not compared, because a proxy may have taken the TLS off.
func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}

// chooseProtocol takes the first subprotocol of the client's list that there is.
func (h *Handshake) chooseProtocol(offers []string) error {
	strange := false
	for _, offer := range offers {
		for name := range strings.SplitSeq(offer, ",") {
			switch name = strings.TrimSpace(name); name {
			case ProtocolJSON:
				h.Protocol, h.Form = name, JSON
				return nil
			case ProtocolCBOR:
				h.Protocol, h.Form = name, CBOR
				return nil
			case "":
			default:
				strange = true
			}
		}
	}
	if strange {
		return refuse(http.StatusBadRequest, "unknown_subprotocol", "the subprotocols are "+ProtocolJSON+" and "+ProtocolCBOR)
	}
	return nil
}

// chooseExtension takes the first offer of permessage-deflate that can be kept (RFC 7692, section 5).
func (h *Handshake) chooseExtension(offers []string) error {
	if len(offers) == 0 {
		return nil
	}
	offered, last := []deflateOffer{}, -1
	ok := httphead.ScanOptions([]byte(strings.Join(offers, ",")), func(i int, name, param, value []byte) httphead.Control {
		if i != last {
			offered, last = append(offered, deflateOffer{other: !strings.EqualFold(string(name), "permessage-deflate")}), i
		}
		if param != nil {
			offered[len(offered)-1].add(string(param), string(value))
		}
		return httphead.ControlContinue
	})
	if !ok {
		return malformed("Sec-WebSocket-Extensions cannot be read")
	}
	for _, o := range offered {
		if o.other || o.bad {
			continue
		}
		h.Deflate, h.Extension = true, "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		if o.window {
			h.Extension += "; server_max_window_bits=15"
		}
		return nil
	}
	return nil
}

// deflateOffer is one offer of permessage-deflate.
type deflateOffer struct {
	other  bool // it is of another extension
	bad    bool // it is wrong, or asks for what cannot be kept: it is passed over (RFC 7692, section 5.1)
	window bool // server_max_window_bits must be answered
	seen   [4]bool
}

// add takes one parameter (RFC 7692, section 7.1). A window smaller than 32 KiB for what the server sends cannot be kept.
func (o *deflateOffer) add(name, value string) {
	place := -1
	switch name {
	case "server_no_context_takeover":
		place, o.bad = 0, o.bad || value != ""
	case "client_no_context_takeover":
		place, o.bad = 1, o.bad || value != ""
	case "server_max_window_bits":
		place, o.bad, o.window = 2, o.bad || value != "15", true
	case "client_max_window_bits":
		place, o.bad = 3, o.bad || value != "" && !validBits(value)
	}
	if place < 0 || o.seen[place] {
		o.bad = true
		return
	}
	o.seen[place] = true
}

func validBits(s string) bool {
	return len(s) == 1 && (s[0] == '8' || s[0] == '9') || len(s) == 2 && s[0] == '1' && s[1] >= '0' && s[1] <= '5'
}

// AppendResponse appends the answer that makes the connection a WebSocket.
func (h *Handshake) AppendResponse(dst []byte) []byte {
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = append(dst, h.Accept...)
	if h.Protocol != "" {
		dst = append(append(dst, "\r\nSec-WebSocket-Protocol: "...), h.Protocol...)
	}
	if h.Deflate {
		dst = append(append(dst, "\r\nSec-WebSocket-Extensions: "...), h.Extension...)
	}
	return append(dst, "\r\n\r\n"...)
}
