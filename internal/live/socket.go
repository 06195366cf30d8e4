package live

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/live/wire"
)

// webSocket is the protocol of a WebSocket.
type webSocket struct {
	hub       *Hub
	conn      *conn
	tenant    *event.Tenant
	key       event.APIKey
	form      wire.Form
	deflate   bool
	saidBye   atomic.Bool  // the client's close frame has come
	over      atomic.Bool  // the connection has ended
	since     atomic.Int64 // when the message began that is incomplete, in ns; 0: none is
	publishes atomic.Pointer[publishes]

	mu      sync.Mutex // held while what came is handled
	decoder wire.Decoder
	subs    []*member // in the order of their ids
	first   bool      // the connection's own member is in use
	deaf    bool      // nothing that comes is of interest any more

	// The last words, when the protocol itself ends the connection.
	code   ws.StatusCode
	reason string
}

// Socket takes the connection over as a WebSocket, whose client then subscribes; the listener's Ask and Start are not looked
// at. An error means that nothing was written: a [*wire.Refusal] of the handshake, or an [event.Error] of KindRateLimited or
// KindUnavailable. It returns when the connection has been taken over, or for some kinds of connection when it has ended.
func (h *Hub) Socket(w http.ResponseWriter, r *http.Request, l Listener) error {
	shake, err := wire.Upgrade(r, h.cfg.Socket.AllowOrigin)
	if err != nil {
		return err
	}
	s := &webSocket{hub: h, tenant: l.Tenant, key: *l.Key, form: shake.Form, deflate: shake.Deflate}
	s.decoder = wire.NewDecoder(h.rules, shake.Form, shake.Deflate)
	c, err := h.connect(kindSocket, r, &l, s)
	if err != nil {
		return err
	}
	s.conn = c
	out, already, err := takeOver(w)
	if err != nil {
		c.abandon()
		return fmt.Errorf("live: the connection cannot be taken over: %w", err)
	}
	c.start(out, shake.AppendResponse(nil), already)
	return nil
}

// received implements [protocol]: it takes messages one after another, and blocks where the client is faster than what
// it asks for, so that the rest waits on the client's side.
func (s *webSocket) received(c *conn, b []byte) {
	s.mu.Lock()
	for !s.deaf && !s.over.Load() {
		m, rest, ok, err := s.decoder.Next(b)
		if err != nil {
			s.fail(c, err)
			break
		}
		if b = rest; !ok {
			break
		}
		s.take(c, m)
	}
	switch {
	case s.decoder.Idle():
		s.since.Store(0)
	case s.since.Load() == 0:
		s.since.Store(s.hub.now())
	}
	s.mu.Unlock()
	if s.over.Load() {
		s.forget()
	}
}

// forget gives back what an incomplete message holds, unless more is being received; then that does so.
func (s *webSocket) forget() {
	if s.mu.TryLock() {
		s.decoder.Close()
		s.mu.Unlock()
	}
}

// take handles a message or a control frame.
func (s *webSocket) take(c *conn, m wire.Message) {
	switch m.Opcode {
	case ws.OpPing:
		s.send(c, wire.AppendPongFrame(nil, m.Payload))
	case ws.OpPong: // the connection has noted that the client was heard
	case ws.OpClose:
		s.deaf = true
		s.saidBye.Store(true)
		if p := s.publishes.Load(); p != nil {
			p.drain() // what was asked for before is answered before
		}
		s.code = m.Code
		c.end(reasonDone)
	default:
		s.message(c, m.Payload)
	}
}

// message handles a message of the client.
func (s *webSocket) message(c *conn, payload []byte) {
	var m wire.ClientMessage
	err := guard(func() (err error) {
		m, err = wire.DecodeClient(s.form, payload)
		return err
	})
	if err == nil {
		switch m.Type {
		case wire.Subscribe:
			err = s.subscribe(c, &m)
		case wire.Unsubscribe:
			err = s.unsubscribe(c, &m)
		case wire.Ack:
			err = s.ack(c, &m)
		case wire.Publish:
			err = s.publish(c, &m)
		case wire.Ping:
			s.say(c, func(dst []byte) []byte { return wire.AppendPong(dst, s.form, m.Ref) })
		}
	}
	if err != nil {
		s.refuse(c, m.Ref, m.ID, err)
	}
}

// subscribe makes a subscription.
func (s *webSocket) subscribe(c *conn, m *wire.ClientMessage) error {
	place, there := s.find(m.ID)
	switch {
	case there:
		return event.Errorf(event.KindConflict, "subscription_exists", "there is a subscription with this id")
	case len(s.subs) >= s.hub.cfg.Socket.MaxSubscriptions:
		return event.Errorf(event.KindConflict, "too_many_subscriptions", "a connection may have at most "+strconv.Itoa(s.hub.cfg.Socket.MaxSubscriptions)+" subscriptions")
	}
	var w *wish
	if err := guard(func() (err error) {
		w, err = s.hub.wish(c.feed, m.Selection, &s.key)
		return err
	}); err != nil {
		return err
	}
	if !s.room(c) {
		return nil
	}
	to := &c.first
	if s.first {
		to = &member{}
	}
	id := strings.Clone(m.ID)
	err := c.subscribe(to, subscription{
		id: id, wish: w, start: m.Start, form: socketForm{id: id, form: s.form, deflate: s.deflate}, window: m.Window,
	}, func(dst []byte, next, head int64) []byte {
		return wire.AppendMessageFrame(dst, s.form, wire.AppendSubscribed(nil, s.form, id, next, head))
	})
	if err != nil {
		return err
	}
	s.first = true
	s.subs = slices.Insert(s.subs, place, to)
	return nil
}

// find returns the place of a subscription.
func (s *webSocket) find(id string) (int, bool) {
	return slices.BinarySearchFunc(s.subs, id, func(m *member, id string) int { return strings.Compare(m.id, id) })
}

func noSubscription() error {
	return event.Errorf(event.KindNotFound, "not_found", "there is no subscription with this id")
}

func (s *webSocket) unsubscribe(c *conn, m *wire.ClientMessage) error {
	place, there := s.find(m.ID)
	if !there {
		return noSubscription()
	}
	if s.room(c) {
		c.unsubscribe(s.subs[place], wire.AppendMessageFrame(nil, s.form, wire.AppendUnsubscribed(nil, s.form, m.ID)))
	}
	s.subs = slices.Delete(s.subs, place, place+1)
	return nil
}

func (s *webSocket) ack(c *conn, m *wire.ClientMessage) error {
	place, there := s.find(m.ID)
	if !there {
		return noSubscription()
	}
	c.ack(s.subs[place], m.Version)
	return nil
}

// refuse answers a message that was not done, or ends the connection for it.
func (s *webSocket) refuse(c *conn, ref, id string, err error) {
	if _, ok := errors.AsType[*wire.CloseError](err); ok {
		s.fail(c, err)
		return
	}
	if errors.Is(err, errOver) {
		return
	}
	if event.KindOf(err) == event.KindInternal {
		s.hub.log.ErrorContext(s.hub.ctx, "a message of a WebSocket failed", slog.String("tenant", s.tenant.Name), slog.Any("error", err))
	}
	problem := s.hub.cfg.Socket.Problem(err)
	s.say(c, func(dst []byte) []byte { return wire.AppendError(dst, s.form, ref, id, problem) })
}

// fail ends the connection with the code of an error.
func (s *webSocket) fail(c *conn, err error) {
	s.deaf = true
	s.code, s.reason = wire.CloseInternal, "the server failed"
	if e, ok := errors.AsType[*wire.CloseError](err); ok {
		s.code, s.reason = e.Code, e.Reason
	}
	s.decoder.Close()
	c.end(reasonProtocol)
}

// say sends a message.
func (s *webSocket) say(c *conn, message func(dst []byte) []byte) {
	s.send(c, wire.AppendMessageFrame(nil, s.form, message(nil)))
}

// roomEvery is how often it is looked whether a client has taken what waits for it.
const roomEvery = 20 * time.Millisecond

// send sends a frame as soon as the client has taken enough of what waits for it. It returns false when the connection
// has ended. The frame is sent under the lock under which there was room: answers come from two goroutines.
func (s *webSocket) send(c *conn, frame []byte) bool {
	var tick *time.Ticker
	for {
		c.mu.Lock()
		ended, free := c.ended != reasonNone, len(c.outbox) == 0 || len(c.outbox)+len(frame) <= maxOutbox
		if free && !ended {
			c.queue(frame)
		}
		c.mu.Unlock()
		if ended || free {
			return !ended
		}
		if tick == nil {
			tick = time.NewTicker(roomEvery)
			defer tick.Stop()
		}
		<-tick.C // a client that takes nothing is ended by the write timeout
	}
}

// room waits until something may be sent, and returns false when the connection has ended.
func (s *webSocket) room(c *conn) bool { return s.send(c, nil) }

// keepAlive implements [protocol]. A message that is incomplete for longer than a client may take nothing ends the connection:
// it holds memory.
func (s *webSocket) keepAlive(dst []byte) ([]byte, bool) {
	if since := s.since.Load(); since != 0 && s.hub.now()-since > int64(s.hub.cfg.WriteTimeout) {
		s.conn.work(func() { s.conn.end(reasonSlow) })
	}
	return wire.AppendPingFrame(dst, nil), true
}

// last implements [protocol].
func (s *webSocket) last(dst []byte, why reason) []byte {
	code, text := wire.CloseInternal, "the server failed"
	switch why {
	case reasonDone, reasonProtocol:
		code, text = s.code, s.reason
	case reasonShutdown:
		code, text = wire.CloseGoingAway, "the server stops"
	case reasonExpired:
		code, text = wire.ClosePolicy, "the token has expired"
	case reasonRevoked:
		code, text = wire.ClosePolicy, "the key or token was revoked"
	case reasonTenant:
		code, text = wire.ClosePolicy, "the tenant was deleted"
	case reasonEnded:
		code, text = wire.ClosePolicy, "the connection was ended from the server's side"
	case reasonGone:
		code, text = wire.ClosePolicy, "events that were still to be sent have been deleted"
	}
	return wire.AppendCloseFrame(dst, code, text)
}

// lingers implements [protocol]: the side that closes first waits for the other's close frame (RFC 6455, section 7.1.1).
func (s *webSocket) lingers() bool { return !s.saidBye.Load() }

// closed implements [protocol].
func (s *webSocket) closed(*conn, reason) {
	s.over.Store(true)
	if p := s.publishes.Load(); p != nil {
		p.close()
	}
	s.forget()
}

// guard turns a panic into an error: what clients send must not end the server.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("live: panic: %v", v)
		}
	}()
	return f()
}

// socketForm is event messages for one subscription.
type socketForm struct {
	id      string
	form    wire.Form
	deflate bool
}

func (f socketForm) open(dst []byte) []byte        { return dst }
func (f socketForm) shut(dst []byte, _ int) []byte { return dst }
func (f socketForm) tells() bool                   { return true }

func (f socketForm) event(dst []byte, ev *event.Event, body *wire.EventBody) []byte {
	if body == nil {
		body = wire.NewEventBody(ev)
	}
	return body.AppendFrame(dst, f.form, f.deflate, f.id)
}

func (f socketForm) place(dst []byte, next int64) []byte {
	var room [128]byte
	return wire.AppendMessageFrame(dst, f.form, wire.AppendPosition(room[:0], f.form, f.id, next))
}
