package live

import (
	"testing"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/live/wire"
)

// TestSocketLastWords has a close code for every reason that has last words.
func TestSocketLastWords(t *testing.T) {
	want := map[reason]ws.StatusCode{
		reasonDone: 4000, reasonProtocol: 4000, reasonShutdown: 1001, reasonExpired: 1008, reasonRevoked: 1008, reasonTenant: 1008, reasonGone: 1008,
		reasonError: 1011, reasonEnded: 1008,
	}
	for why := reasonLost + 1; why < reasonCount; why++ {
		s := &webSocket{code: 4000, reason: "x"}
		f := s.last([]byte("rest"), why)
		if code, text := ws.ParseCloseFrameData(f[len("rest")+2:]); string(f[:4]) != "rest" || f[4] != 0x88 || code != want[why] || text == "" {
			t.Errorf("%v: %d %q, want %d", why, code, text, want[why])
		}
	}
}

// TestSocketPanic shows that what panics on a client's account is answered, and ends nothing.
func TestSocketPanic(t *testing.T) {
	h, _, _ := socketHub(t, func(c *Config) {
		c.Socket.MayPublish = func(*event.APIKey, []event.Event, bool) error { panic("secret") }
	})
	p := dial(t, sockets(t, h, allKey), wire.JSON, websocket.CompressionDisabled)
	p.say(`{"type":"publish","ref":"1","event":{"type":"a"}}`)
	if r := p.expect("error", "1"); r.Problem.Code != "internal" {
		t.Errorf("%+v", r)
	}
	p.say(`{"type":"ping"}`)
	p.expect("pong", "")
}
