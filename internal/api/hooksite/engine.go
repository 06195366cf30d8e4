package hooksite

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// Limits and times of sessions of engine.io, the transport under socket.io. Source: socketio/engine.io-protocol, versions 3
// and 4.
const (
	enginePing    = 25 * time.Second
	engineTimeout = 20 * time.Second
	maxSessions   = 2000
	maxPacket     = 64 << 10 // bytes that a client may send at once
	maxPending    = 4        // packets that wait to be written; who makes more waits
)

// Types of packets of engine.io.
const (
	engineOpen    = "0"
	engineClose   = "1"
	enginePingPkt = "2"
	enginePong    = "3"
	engineMessage = "4"
	engineUpgrade = "5"
	engineNoop    = "6"
)

// sockets are the sessions.
type sockets struct {
	mu       sync.Mutex
	sessions map[string]*session
	closed   bool
}

func (s *sockets) init() { s.sessions = map[string]*session{} }

func (s *sockets) find(id string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}

// close lets no more begin.
func (s *sockets) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// packet is one of engine.io; written, when it is there, is closed once it was given to the connection.
type packet struct {
	text    string
	written chan struct{}
}

func (p *packet) done() {
	if p.written != nil {
		close(p.written)
	}
}

// session is one client, over whichever transport it has just now.
type session struct {
	api     *API
	id      string
	version int // of engine.io: 3 or 4
	ctx     context.Context
	end     context.CancelFunc
	out     chan packet   // to be written, by whichever transport there is
	heard   chan struct{} // something came
	leave   func()

	mu        sync.Mutex
	polling   bool          // a poll waits
	flush     chan struct{} // closed while the client is moving to a WebSocket: polls return at once
	socket    bool          // has a WebSocket, or is getting one
	connected bool
	channels  map[string]context.CancelFunc
	work      sync.WaitGroup
}

// open begins a session of an address; nil when there may be no more.
func (a *API) open(version int, remote string) *session {
	leave, err := a.callers.admit(remote)
	if err != nil {
		return nil
	}
	var random [15]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	s := &session{
		api: a, id: base64.RawURLEncoding.EncodeToString(random[:]), version: version, out: make(chan packet, maxPending),
		heard: make(chan struct{}, 1), flush: make(chan struct{}), channels: map[string]context.CancelFunc{}, leave: leave,
	}
	a.sockets.mu.Lock()
	defer a.sockets.mu.Unlock()
	if a.sockets.closed || len(a.sockets.sessions) >= maxSessions {
		leave()
		return nil
	}
	s.ctx, s.end = context.WithCancel(a.ctx)
	a.sockets.sessions[s.id] = s
	a.work.Go(s.live)
	upgrades := []string{"websocket"}
	hello := map[string]any{
		"sid": s.id, "upgrades": upgrades, "pingInterval": enginePing.Milliseconds(), "pingTimeout": engineTimeout.Milliseconds(), "maxPayload": maxPacket,
	}
	text, _ := json.Marshal(hello) //nolint:errchkjson // strings and numbers always marshal
	s.out <- packet{text: engineOpen + string(text)}
	if version == 3 {
		s.connected = true
		s.out <- packet{text: engineMessage + socketConnect} // version 4 waits for the client to ask
	}
	return s
}

// live ends the session when nothing was heard for too long, or when it is told to.
func (s *session) live() {
	idle := time.NewTimer(enginePing + engineTimeout)
	defer idle.Stop()
	ping := time.NewTicker(enginePing)
	defer ping.Stop()
	for {
		select {
		case <-s.heard:
			idle.Reset(enginePing + engineTimeout)
			continue
		case <-ping.C: // in version 3 it is the client who does
			if s.version == 4 {
				select {
				case s.out <- packet{text: enginePingPkt}:
				default: // what waits to be written is not written: the timer ends it
				}
			}
			continue
		case <-idle.C:
		case <-s.ctx.Done():
		}
		break
	}
	s.end()
	s.api.sockets.mu.Lock()
	delete(s.api.sockets.sessions, s.id)
	s.api.sockets.mu.Unlock()
	s.mu.Lock()   // whoever began work before the end has done so
	s.mu.Unlock() //nolint:staticcheck // an empty section on purpose
	s.work.Wait()
	s.leave()
}

// start runs f as a part of the session, which waits for it; false when the session has ended.
func (s *session) start(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.work.Go(f)
	return true
}

// send gives a packet to the transport; false when the session has ended.
func (s *session) send(text string) bool {
	select {
	case s.out <- packet{text: text}:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// deliver gives a packet to the transport and waits until it was written; false when the session, or ctx, has ended.
func (s *session) deliver(ctx context.Context, text string) bool {
	p := packet{text, make(chan struct{})}
	select {
	case s.out <- p:
	case <-ctx.Done():
		return false
	}
	select {
	case <-p.written:
		return true
	case <-ctx.Done():
		return false
	}
}

// receive takes a packet of the client; false when it is not one, or the last.
func (s *session) receive(text string) bool {
	select {
	case s.heard <- struct{}{}:
	default:
	}
	if text == "" || !utf8.ValidString(text) {
		return false
	}
	switch kind, rest := text[:1], text[1:]; kind {
	case enginePingPkt:
		return s.send(enginePong + rest)
	case engineMessage:
		return s.message(rest)
	case enginePong, engineNoop:
		return true
	}
	return false
}

// serveSocket answers at /socket.io/.
func (a *API) serveSocket(w http.ResponseWriter, r *http.Request) {
	if origin := r.Header.Get("Origin"); origin != "" {
		// Pages of other sites may use it: nothing here is known by cookies, and browsers insist on the second header.
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		w.Header().Set("Vary", "Origin")
	}
	query := r.URL.Query()
	version := query.Get("EIO")
	var s *session
	switch id := query.Get("sid"); {
	case r.Method == http.MethodOptions:
		w.Header().Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
		w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
		w.WriteHeader(http.StatusNoContent)
		return
	case id != "":
		if s = a.sockets.find(id); s == nil {
			engineError(w, http.StatusBadRequest, 1, "Session ID unknown")
			return
		}
	case version != "3" && version != "4":
		engineError(w, http.StatusBadRequest, 5, "Unsupported protocol version")
		return
	case r.Method != http.MethodGet:
		engineError(w, http.StatusBadRequest, 2, "Bad handshake method")
		return
	}
	switch transport := query.Get("transport"); {
	case transport == "websocket":
		a.serveWebSocket(w, r, s, engineVersion(version))
	case transport != "polling" || query.Has("j"):
		engineError(w, http.StatusBadRequest, 0, "Transport unknown")
	case s == nil:
		if s = a.open(engineVersion(version), a.Remote(r)); s == nil {
			engineError(w, http.StatusServiceUnavailable, 3, "Too many sessions")
			return
		}
		s.poll(w, r)
	case r.Method == http.MethodGet:
		s.poll(w, r)
	case r.Method == http.MethodPost:
		s.post(w, r)
	default:
		engineError(w, http.StatusBadRequest, 2, "Bad handshake method")
	}
}

// engineVersion is the number of a version that was checked.
func engineVersion(s string) int {
	if s == "4" {
		return 4
	}
	return 3
}

func engineError(w http.ResponseWriter, status, code int, text string) {
	writeJSON(w, status, map[string]any{"code": code, "message": text})
}

// poll answers with what is to be written, as soon as there is something.
func (s *session) poll(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	busy, flush := s.polling, s.flush
	s.polling = true
	s.mu.Unlock()
	if busy {
		s.end() // as engine.io does: a client that polls twice at once is broken
		engineError(w, http.StatusBadRequest, 3, "Bad request")
		return
	}
	defer func() {
		s.mu.Lock()
		s.polling = false
		s.mu.Unlock()
	}()
	if closed(flush) {
		writePackets(w, s.version, []string{engineNoop})
		return
	}
	var packets []string
	select {
	case p := <-s.out:
		defer p.done()
		packets = append(packets, p.text)
		for more := true; more && len(packets) <= maxPending; {
			select {
			case p := <-s.out:
				defer p.done()
				packets = append(packets, p.text)
			default:
				more = false
			}
		}
	case <-flush:
		packets = []string{engineNoop}
	case <-s.ctx.Done():
		packets = []string{engineClose}
	case <-r.Context().Done():
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime)) // not supported: then there is no such limit
	writePackets(w, s.version, packets)
}

func closed(ch chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// writePackets writes packets as one payload: in version 3 each after its length in UTF-16 units, in version 4 with a
// separator between them.
func writePackets(w http.ResponseWriter, version int, packets []string) {
	var text string
	if version == 4 {
		text = strings.Join(packets, "\x1e")
	} else {
		var b strings.Builder
		for _, p := range packets {
			b.WriteString(strconv.Itoa(units(p)) + ":" + p)
		}
		text = b.String()
	}
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = io.WriteString(w, text) // the caller may be gone; the timer ends the session
}

// units is the length of a string in JavaScript.
func units(s string) int {
	n := 0
	for _, c := range s {
		n += max(1, utf16.RuneLen(c))
	}
	return n
}

var errPayload = errors.New("malformed payload")

// readPackets reads a payload.
func readPackets(version int, text string) ([]string, error) {
	if version == 4 {
		return strings.Split(text, "\x1e"), nil
	}
	var packets []string
	for text != "" {
		length, rest, ok := strings.Cut(text, ":")
		n, err := strconv.Atoi(length)
		if !ok || err != nil || n < 1 {
			return nil, errPayload
		}
		end := 0
		for n > 0 && end < len(rest) {
			c, size := utf8.DecodeRuneInString(rest[end:])
			n -= max(1, utf16.RuneLen(c))
			end += size
		}
		if n != 0 {
			return nil, errPayload
		}
		packets = append(packets, rest[:end])
		text = rest[end:]
	}
	return packets, nil
}

// post takes packets of a client that polls.
func (s *session) post(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPacket))
	if err != nil || !utf8.Valid(body) || strings.HasPrefix(r.Header.Get("Content-Type"), "application/octet-stream") {
		s.end()
		engineError(w, http.StatusBadRequest, 3, "Bad request")
		return
	}
	packets, err := readPackets(s.version, string(body))
	if err != nil {
		s.end()
		engineError(w, http.StatusBadRequest, 3, "Bad request")
		return
	}
	for _, p := range packets {
		if !s.receive(p) {
			s.end()
			break
		}
	}
	w.Header().Set("Content-Type", "text/html") // what engine.io says of its "ok"
	_, _ = io.WriteString(w, "ok")              // the caller may be gone; the timer ends the session
}

// serveWebSocket serves a session over a WebSocket: a new one, or one that has polled so far.
func (a *API) serveWebSocket(w http.ResponseWriter, r *http.Request, s *session, version int) {
	if s != nil {
		s.mu.Lock()
		taken := s.socket
		s.socket = true
		s.mu.Unlock()
		if taken {
			engineError(w, http.StatusBadRequest, 3, "Bad request")
			return
		}
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled}) // see serveSocket about origins
	if err != nil {
		s.unmoved() // Accept has answered
		return
	}
	defer ws.CloseNow() //nolint:errcheck // the end of a connection that may be gone
	ws.SetReadLimit(maxPacket)
	if s == nil {
		if s = a.open(version, a.Remote(r)); s == nil {
			_ = ws.Close(websocket.StatusTryAgainLater, "too many sessions")
			return
		}
		s.mu.Lock()
		s.socket = true
		s.mu.Unlock()
	} else if !s.move(ws) {
		s.unmoved()
		return
	}
	defer s.end()
	if !s.start(func() { s.write(ws) }) {
		return
	}
	for {
		text, err := readText(s.ctx, ws)
		if err != nil || !s.receive(text) {
			return
		}
	}
}

// write gives packets to a WebSocket until the session ends.
func (s *session) write(ws *websocket.Conn) {
	defer s.end()
	for {
		select {
		case p := <-s.out:
			err := writeText(s.ctx, ws, p.text)
			p.done()
			if err != nil {
				return
			}
		case <-s.ctx.Done():
			_ = ws.Close(websocket.StatusGoingAway, "") // the client may be gone
			return
		}
	}
}

// move takes a session that polls to a WebSocket: the client tries it with a ping, lets its last poll end, and says that it
// has moved.
func (s *session) move(ws *websocket.Conn) bool {
	ctx, cancel := context.WithTimeout(s.ctx, engineTimeout)
	defer cancel()
	text, err := readText(ctx, ws)
	if err != nil || text != enginePingPkt+"probe" || writeText(ctx, ws, enginePong+"probe") != nil {
		return false
	}
	s.mu.Lock()
	close(s.flush)
	s.mu.Unlock()
	text, err = readText(ctx, ws)
	return err == nil && text == engineUpgrade
}

// unmoved lets a session whose move failed go on polling.
func (s *session) unmoved() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.socket = false
	if closed(s.flush) {
		s.flush = make(chan struct{})
	}
}

var errBinary = errors.New("a binary message")

func readText(ctx context.Context, ws *websocket.Conn) (string, error) {
	kind, text, err := ws.Read(ctx)
	if err == nil && kind != websocket.MessageText {
		err = errBinary
	}
	return string(text), err
}

func writeText(ctx context.Context, ws *websocket.Conn, text string) error {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	return ws.Write(ctx, websocket.MessageText, []byte(text))
}
