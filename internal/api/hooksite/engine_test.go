package hooksite

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/inspect"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

// poller is a client of engine.io that polls.
type poller struct {
	s       *server
	version int
	sid     string
	queue   []string
}

func (p *poller) path() string {
	path := fmt.Sprintf("/socket.io/?EIO=%d&transport=polling", p.version)
	if p.sid != "" {
		path += "&sid=" + p.sid
	}
	return path
}

func (s *server) poller(version int) *poller {
	s.t.Helper()
	p := &poller{s: s, version: version}
	open := p.next()
	var hello struct {
		SID          string
		Upgrades     []string
		PingInterval int
		PingTimeout  int
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(open, "0")), &hello); err != nil || hello.SID == "" || !slices.Equal(hello.Upgrades, []string{"websocket"}) || hello.PingInterval != 25000 || hello.PingTimeout != 20000 {
		s.t.Fatalf("opened with %s, %v", open, err)
	}
	p.sid = hello.SID
	if version == 4 {
		p.send("40")
	}
	if got := p.next(); !strings.HasPrefix(got, "40") || (got != "40") != (version == 4) {
		s.t.Fatalf("connected with %s", got)
	}
	return p
}

// next is the next packet.
func (p *poller) next() string {
	p.s.t.Helper()
	for len(p.queue) == 0 {
		a := p.s.want(http.StatusOK, "GET", p.path(), "", "Origin", "https://page.example")
		if a.header.Get("Access-Control-Allow-Origin") != "https://page.example" {
			p.s.t.Errorf("headers %v", a.header)
		}
		var err error
		if p.queue, err = readPackets(p.version, a.body); err != nil {
			p.s.t.Fatal(err, a.body)
		}
	}
	packet := p.queue[0]
	p.queue = p.queue[1:]
	return packet
}

func (p *poller) send(packets ...string) {
	p.s.t.Helper()
	text := strings.Join(packets, "\x1e")
	if p.version == 3 {
		text = ""
		for _, packet := range packets {
			text += fmt.Sprintf("%d:%s", units(packet), packet)
		}
	}
	if a := p.s.want(http.StatusOK, "POST", p.path(), text, "Content-Type", "text/plain;charset=UTF-8"); a.body != "ok" {
		p.s.t.Errorf("answer %q", a.body)
	}
}

// over checks that the session has ended: it is no longer known, or says so.
func (p *poller) over() {
	p.s.t.Helper()
	a := p.s.do("GET", p.path(), "")
	if closing, err := readPackets(p.version, a.body); a.status != http.StatusBadRequest && (err != nil || closing[len(closing)-1] != "1") {
		p.s.t.Errorf("the session goes on: %d %s", a.status, a.body)
	}
}

// created reads an event of a new request.
func created(t testing.TB, packet string) (channel string, r request, total int64) {
	t.Helper()
	var list []json.RawMessage
	var name string
	var data struct {
		Request   request
		Total     int64
		Truncated *bool
		Variables map[string]string
	}
	text, ok := strings.CutPrefix(packet, "42")
	if !ok || json.Unmarshal([]byte(text), &list) != nil || len(list) != 3 {
		t.Fatalf("packet %s", packet)
	}
	for i, v := range []any{&name, &channel, &data} {
		if err := json.Unmarshal(list[i], v); err != nil {
			t.Fatal(err, packet)
		}
	}
	if name != "request.created" || data.Truncated == nil || *data.Truncated || data.Variables["request.uuid"] != data.Request.UUID {
		t.Errorf("packet %s", packet)
	}
	return channel, data.Request, data.Total
}

func TestPolling(t *testing.T) {
	s := newServer(t, true)
	id := s.token("")
	s.want(http.StatusOK, "POST", "/"+id, "before")
	for _, version := range []int{3, 4} {
		p := s.poller(version)
		if version == 3 {
			p.send("2", "2😀")
			if got := p.next() + p.next(); got != "33😀" {
				t.Errorf("pongs %q", got)
			}
		}
		p.send(`427["subscribe",{"channel":"private-token.` + id + `","auth":{"headers":{}}}]`)
		if got := p.next(); got != "437[]" {
			t.Errorf("acknowledged with %s", got)
		}
		p.send(`42["subscribe",{"channel":"private-token.`+id+`"}]`, `421["unknown",1]`) // once is enough
		if got := p.next(); got != "431[]" {
			t.Errorf("acknowledged with %s", got)
		}
		for i := range 6 { // more than wait to be written
			s.want(http.StatusOK, "POST", "/"+id, fmt.Sprintf("é😀 %d %d", version, i))
		}
		for i := range 6 {
			channel, r, total := created(t, p.next())
			if channel != "private-token."+id || r.Content != fmt.Sprintf("é😀 %d %d", version, i) || total < int64(i+2) {
				t.Errorf("%s %+v %d", channel, r, total)
			}
		}
		p.send(`42["unsubscribe",{"channel":"private-token.`+id+`"}]`, `42["subscribe",{"channel":"token.`+id+`"}]`, `420["x"]`)
		p.next()
		s.want(http.StatusOK, "POST", "/"+id, "other")
		if channel, _, _ := created(t, p.next()); channel != "token."+id {
			t.Errorf("channel %s", channel)
		}
		p.send("1")
		p.over()
	}
}

func TestSubscriptionErrors(t *testing.T) {
	s := newServer(t, false)
	id := s.token("", "Api-Key", keyOfOne)
	s.token(`{"alias":"an-alias"}`, "Api-Key", keyOfOne)
	p := s.poller(3)
	for channel, status := range map[string]string{"private-token." + someID: "404", "presence-x": "404", "token.an-alias": "404", "": "404"} {
		p.send(`42["subscribe",{"channel":"` + channel + `"}]`)
		if got, want := p.next(), `42["subscription_error","`+channel+`",`+status+`]`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	p.send(`42["subscribe",{"channel":"token.` + id + `","auth":{"headers":{"Api-Key":"wrong"}}}]`)
	if got := p.next(); !strings.HasSuffix(got, ",401]") {
		t.Errorf("got %s", got)
	}
	for i := range maxChannels {
		name := strings.Repeat("private-", 1) + "token." + id
		if i > 0 {
			name = "token." + s.token("", "Api-Key", keyOfOne)
		}
		p.send(`421["subscribe",{"channel":"` + name + `","auth":{"headers":{"Api-Key":"` + keyOfOne + `"}}}]`)
		if got := p.next(); got != "431[]" {
			t.Fatalf("got %s", got)
		}
	}
	p.send(`42["subscribe",{"channel":"token.` + id + `"}]`)
	if got := p.next(); !strings.HasSuffix(got, ",429]") {
		t.Errorf("got %s", got)
	}
	p.send("40/other?a=1,")
	if got := p.next(); got != `44/other,"Invalid namespace"` {
		t.Errorf("got %s", got)
	}
}

func TestEngineRefusals(t *testing.T) {
	s := newServer(t, true)
	for path, code := range map[string]string{
		"/socket.io/?EIO=2&transport=polling": `"code":5`, "/socket.io/?transport=polling": `"code":5`, "/socket.io/?EIO=3&transport=carrier-pigeon": `"code":0`,
		"/socket.io/?EIO=3&transport=polling&sid=unknown": `"code":1`, "/socket.io/?EIO=3&transport=polling&j=0": `"code":0`,
		"/socket.io/?EIO=3&transport=websocket&sid=unknown": `"code":1`,
	} {
		if a := s.want(http.StatusBadRequest, "GET", path, ""); !strings.Contains(a.body, code) {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	s.want(http.StatusBadRequest, "POST", "/socket.io/?EIO=3&transport=polling", "1:2")
	s.want(http.StatusNoContent, "OPTIONS", "/socket.io/?EIO=3&transport=polling", "", "Origin", "https://page.example")
	for _, payload := range []string{"", "2", "x:2", "0:", "-1:2", "99999999999999999999:2", "5:2", "1:2junk", "1:\xff", strings.Repeat("1:2", maxPacket)} {
		p := s.poller(3)
		a := s.do("POST", p.path(), payload)
		if payload != "" && a.status != http.StatusBadRequest {
			t.Errorf("%.20q: %d %s", payload, a.status, a.body)
		}
		if payload != "" {
			p.over()
		}
	}
	for _, packet := range []string{"9", "4", "45-[]", "42", "42{}", "42[]", "42[1]", "5", "0"} {
		p := s.poller(3)
		if p.send(packet); packet != "0" {
			p.over()
		}
	}
}

// dialSocket opens a WebSocket of engine.io.
func (s *server) dialSocket(query string) *websocket.Conn {
	s.t.Helper()
	ws, _, err := websocket.Dial(s.t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/socket.io/?transport=websocket&"+query, //nolint:bodyclose // the package closes it
		&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://page.example"}}})
	if err != nil {
		s.t.Fatal(err)
	}
	ws.SetReadLimit(1 << 22)
	s.t.Cleanup(func() { _ = ws.CloseNow() })
	return ws
}

func (s *server) read(ws *websocket.Conn) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	text, err := readText(ctx, ws)
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

func (s *server) say(ws *websocket.Conn, text string) {
	s.t.Helper()
	if err := writeText(s.t.Context(), ws, text); err != nil {
		s.t.Fatal(err)
	}
}

func TestWebSocket(t *testing.T) {
	s := newServer(t, true)
	id := s.token("")
	for _, version := range []int{3, 4} {
		ws := s.dialSocket(fmt.Sprintf("EIO=%d", version))
		if got := s.read(ws); !strings.HasPrefix(got, `0{"`) {
			t.Fatalf("got %s", got)
		}
		if version == 4 {
			s.say(ws, "40")
		}
		if got := s.read(ws); !strings.HasPrefix(got, "40") {
			t.Fatalf("got %s", got)
		}
		s.say(ws, `420["subscribe",{"channel":"token.`+id+`"}]`)
		if got := s.read(ws); got != "430[]" {
			t.Fatalf("got %s", got)
		}
		body := strings.Repeat("long ", 100_000)
		s.want(http.StatusOK, "POST", "/"+id, body)
		if _, r, _ := created(t, s.read(ws)); r.Content != body {
			t.Errorf("%d bytes of content", len(r.Content))
		}
		s.say(ws, "1")
		if _, _, err := ws.Read(t.Context()); err == nil {
			t.Error("it goes on after its end")
		}
	}
}

// A session that began by polling moves to a WebSocket, and nothing is lost on the way.
func TestUpgrade(t *testing.T) {
	s := newServer(t, true)
	id := s.token("")
	p := s.poller(3)
	p.send(`420["subscribe",{"channel":"token.` + id + `"}]`)
	p.next()

	// One that fails leaves it polling.
	ws := s.dialSocket("EIO=3&sid=" + p.sid)
	s.say(ws, "2wrong")
	if _, _, err := ws.Read(t.Context()); err == nil {
		t.Error("a wrong probe is taken")
	}
	s.want(http.StatusOK, "POST", "/"+id, "one")
	if _, r, _ := created(t, p.next()); r.Content != "one" {
		t.Errorf("%+v", r)
	}

	var failed error
	for range 100 { // until the end of the first was noticed
		var err error
		ws, _, err = websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/socket.io/?transport=websocket&EIO=3&sid="+p.sid, nil) //nolint:bodyclose // the package closes it
		if failed = err; err == nil {
			break
		}
	}
	if failed != nil {
		t.Fatal(failed)
	}
	defer ws.CloseNow() //nolint:errcheck // the end
	polled := make(chan answer, 1)
	go func() { polled <- s.do("GET", p.path(), "") }()
	s.say(ws, "2probe")
	if got := s.read(ws); got != "3probe" {
		t.Fatalf("got %s", got)
	}
	if a := <-polled; a.body != "1:6" {
		t.Errorf("the poll ends with %s", a.body)
	}
	s.want(http.StatusOK, "POST", "/"+id, "two") // between the transports
	s.say(ws, "5")
	if _, r, _ := created(t, s.read(ws)); r.Content != "two" {
		t.Errorf("%+v", r)
	}
	s.say(ws, "2")
	if got := s.read(ws); got != "3" {
		t.Errorf("got %s", got)
	}
	if a := s.do("GET", "/socket.io/?EIO=3&transport=websocket&sid="+p.sid, ""); a.status != http.StatusBadRequest {
		t.Errorf("a second WebSocket: %d", a.status)
	}
}

// Two polls at once are the end of a session.
func TestPollsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, done := bubble(t)
		defer done()
		s := a.open(3, "192.0.2.1")
		<-s.out
		<-s.out
		first, second := make(chan string, 1), make(chan string, 1)
		poll := func(got chan string) {
			w := &tape{ResponseRecorder: recorder()}
			s.poll(w, get(t, "/socket.io/"))
			got <- w.so()
		}
		go poll(first)
		synctest.Wait()
		go poll(second)
		if got := <-second; !strings.Contains(got, "Bad request") {
			t.Errorf("the second gets %s", got)
		}
		if got := <-first; got != "1:1" {
			t.Errorf("the first gets %s", got)
		}
	})
}

// A session of which nothing is heard ends; one that sends its pings, or answers ours, does not.
func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, done := bubble(t)
		defer done()
		silent, alive, polite := a.open(3, "192.0.2.1"), a.open(3, "192.0.2.1"), a.open(4, "192.0.2.1")
		for _, s := range []*session{alive, polite} {
			go func() {
				for {
					select {
					case p := <-s.out:
						if p.done(); s.version == 4 && p.text == "2" {
							s.receive("3")
						}
					case <-s.ctx.Done():
						return
					}
				}
			}()
		}
		for range 8 {
			<-time.After(enginePing)
			alive.receive("2")
		}
		synctest.Wait()
		if silent.ctx.Err() == nil || alive.ctx.Err() != nil || polite.ctx.Err() != nil {
			t.Errorf("silent %v, alive %v, polite %v", silent.ctx.Err(), alive.ctx.Err(), polite.ctx.Err())
		}
		if a.sockets.find(silent.id) != nil || a.sockets.find(alive.id) == nil {
			t.Error("the wrong sessions are there")
		}
		for range maxPerAddress {
			a.open(3, "192.0.2.1")
		}
		if n := len(a.sockets.sessions); n != maxPerAddress {
			t.Errorf("one address has %d sessions", n)
		}
		for i := range maxSessions {
			a.open(3, fmt.Sprintf("198.51.%d.%d", i>>8, i&0xff))
		}
		if len(a.sockets.sessions) != maxSessions || a.open(3, "203.0.113.1") != nil {
			t.Errorf("%d sessions", len(a.sockets.sessions))
		}
		a.Close()
		if len(a.sockets.sessions) != 0 || a.open(3, "203.0.113.1") != nil || len(a.callers.n) != 0 {
			t.Errorf("after the end there are %d sessions", len(a.sockets.sessions))
		}
	})
}

// Much at once is given to a few readers at a time; one that waits for its turn gets everything when it comes.
func TestHeavyReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, bins, done := bubble(t)
		defer done()
		b, err := bins.Create(t.Context(), 0, event.Bin{})
		if err != nil {
			t.Fatal(err)
		}
		const readers = heavyPlaces + 5
		begun, release, ended := make(chan int, readers), make(chan struct{}), make(chan int, readers)
		for range readers {
			go func() {
				n := 0
				a.pump(t.Context(), b.ID, 0, func(*event.Capture) bool {
					if n++; n == 1 {
						begun <- 1
						<-release
					}
					return n < 5
				})
				ended <- n
			}()
		}
		for range 5 {
			if _, err := bins.Keep(t.Context(), b.ID, event.Request{Head: []byte("POST / HTTP/1.1\r\n"), Body: make([]byte, heavySize)}, "", event.Answer{}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if len(begun) != heavyPlaces {
			t.Errorf("%d readers are given much at once", len(begun))
		}
		close(release)
		for range readers {
			if n := <-ended; n != 5 {
				t.Errorf("a reader gets %d", n)
			}
		}
	})
}

// A client that does not read holds up only itself, and what waits for it is bounded.
func TestSlowSubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, bins, done := bubble(t)
		defer done()
		b, err := bins.Create(t.Context(), 0, event.Bin{})
		if err != nil {
			t.Fatal(err)
		}
		s := a.open(3, "192.0.2.1")
		if !s.message(`2["subscribe",{"channel":"token.` + b.ID + `"}]`) {
			t.Fatal("refused")
		}
		for range 100 {
			if _, err := bins.Keep(t.Context(), b.ID, event.Request{Head: []byte("POST / HTTP/1.1\r\n")}, "", event.Answer{}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if len(s.out) != 3 { // the first two, and one of a request: the next when that is written
			t.Errorf("%d packets wait", len(s.out))
		}
		for i := range 102 {
			p := <-s.out
			if p.done(); i >= 2 {
				created(t, p.text)
			}
		}
	})
}

func bubble(t *testing.T) (a *API, bins *inspect.Service, done func()) {
	t.Helper()
	bins = inspect.New(inspect.Config{Store: storetest.NewModel()})
	a = New(Config{Bins: bins, Auth: keys{}, Remote: remote})
	return a, bins, func() {
		a.Close()
		bins.Close()
	}
}

func FuzzPackets(f *testing.F) {
	for _, text := range []string{"1:2", "3:4😀", "2:401:2", "a"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		packets, err := readPackets(3, text)
		if err != nil {
			return
		}
		var b strings.Builder
		for _, p := range packets {
			fmt.Fprintf(&b, "%d:%s", units(p), p)
		}
		if again, err := readPackets(3, b.String()); err != nil || !slices.Equal(again, packets) {
			t.Errorf("%q gives %q, then %q, %v", text, packets, again, err)
		}
	})
}
