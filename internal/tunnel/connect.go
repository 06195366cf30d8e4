package tunnel

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/hashicorp/yamux"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/tunnel/pipe"
)

// Times and sizes of a connection.
const (
	keepAlive    = 15 * time.Second
	writeTimeout = 20 * time.Second // also how long an answer to a keep-alive may take
	openTimeout  = 30 * time.Second // until the listener takes a stream
	streamWindow = 1 << 20          // bytes of one stream that may be on their way to a reader
	keysEvery    = 30 * time.Second
)

// Listener is who connects.
type Listener struct {
	Tenant *event.Tenant
	// Name is the tunnel's.
	Name string
	// Key is the API key or token; when it ends, so does the connection.
	Key event.APIKey
}

// Connect takes a connection over as a WebSocket and serves the tunnel through it until it ends. An error means that nothing
// was written: KindNotFound when the tunnel was not set up, KindRateLimited and KindUnavailable when there is no room; one of the
// handshake has a method HTTP that gives the answer.
func (h *Hub) Connect(w http.ResponseWriter, r *http.Request, l Listener) error {
	if err := checkHandshake(r); err != nil {
		return err
	}
	if _, err := h.find(r.Context(), l.Tenant, l.Name); err != nil {
		return err
	}
	if err := h.admit(l.Tenant.ID); err != nil {
		return err
	}
	defer h.dismiss(l.Tenant.ID)
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{pipe.Subprotocol}, CompressionMode: websocket.CompressionDisabled,
		InsecureSkipVerify: true, // the key is in a header, which no page of another origin can send
	})
	if err != nil {
		return nil //nolint:nilerr // it has answered
	}
	h.serve(c, &l)
	return nil
}

// checkHandshake checks what websocket.Accept would answer in its own words.
func checkHandshake(r *http.Request) error {
	if r.Method != http.MethodGet || r.ProtoMajor != 1 || !hasToken(r.Header, "Connection", "upgrade") || !hasToken(r.Header, "Upgrade", "websocket") ||
		r.Header.Get("Sec-WebSocket-Version") != "13" || r.Header.Get("Sec-WebSocket-Key") == "" {
		return noHandshake("this is for WebSockets, version 13 (RFC 6455), over HTTP/1.1; use posthorn listen")
	}
	if !hasToken(r.Header, "Sec-WebSocket-Protocol", pipe.Subprotocol) {
		return noHandshake("the WebSocket must offer the subprotocol " + pipe.Subprotocol)
	}
	return nil
}

// noHandshake is the answer to a request that is no handshake for a tunnel; its text is the detail.
type noHandshake string

// Error implements error.
func (e noHandshake) Error() string { return string(e) }

// HTTP gives the answer's status, code, detail and headers.
func (e noHandshake) HTTP() (status int, code, detail string, header http.Header) {
	return http.StatusUpgradeRequired, "upgrade_required", string(e), http.Header{
		"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Protocol": {pipe.Subprotocol},
	}
}

// hasToken reports whether a header holds a token in a list separated by commas, in any case.
func hasToken(h http.Header, name, token string) bool {
	return slices.ContainsFunc(h.Values(name), func(v string) bool {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
		return false
	})
}

// serve runs a session until its connection, its key or the hub ends.
func (h *Hub) serve(c *websocket.Conn, l *Listener) {
	ctx, cancel := context.WithCancel(h.ctx)
	defer cancel()
	open := &pipe.Streams{}
	through := pipe.New(ctx, c, open)
	mux, err := yamux.Client(through, &yamux.Config{
		AcceptBacklog: maxStreams, EnableKeepAlive: true, KeepAliveInterval: keepAlive, ConnectionWriteTimeout: writeTimeout,
		MaxStreamWindowSize: streamWindow, StreamOpenTimeout: openTimeout, StreamCloseTimeout: time.Minute, LogOutput: io.Discard,
	})
	if err != nil {
		_ = c.CloseNow()
		h.log.Error("a tunnel's connection cannot be set up", slog.Any("error", err))
		return
	}
	s := newSession(mux, through, open)
	defer s.close()
	_ = mux.GoAway() // streams are the server's to open: what a listener sends in one of its own would be kept and never be read
	if err := h.join(ctx, l, s); err != nil {
		_ = c.Close(websocket.StatusPolicyViolation, "the tunnel was deleted")
		return
	}
	defer h.leave(s)
	h.log.Debug("a tunnel is connected", slog.String("tenant", l.Tenant.Name), slog.String("tunnel", l.Name))
	h.watch(ctx, s, &l.Key)
	h.log.Debug("a tunnel's connection ended", slog.String("tenant", l.Tenant.Name), slog.String("tunnel", l.Name))
}

// watch waits until a session has to end.
func (h *Hub) watch(ctx context.Context, s *session, key *event.APIKey) {
	var expires <-chan time.Time
	if !key.Expires.IsZero() {
		t := time.NewTimer(key.Expires.Sub(h.cfg.now()))
		defer t.Stop()
		expires = t.C
	}
	tick := time.NewTicker(keysEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.mux.CloseChan():
			return
		case <-s.ended:
			return
		case <-expires:
			return
		case <-tick.C:
			if h.cfg.Holds != nil && !h.cfg.Holds(ctx, key) {
				return
			}
		}
	}
}
