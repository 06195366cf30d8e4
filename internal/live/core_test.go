package live

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/live/wire"
)

// lines is a protocol for tests: a line each way is a message. What comes in is one of
//
//	sub ID START WINDOW TYPES    unsub ID    ack ID VERSION    say TEXT    bye
type lines struct {
	hub  *Hub
	buf  []byte
	subs map[string]*member
	over chan reason
}

// lineForm sends an event as "event ID VERSION".
type lineForm struct{ id string }

func (lineForm) open(dst []byte) []byte        { return dst }
func (lineForm) shut(dst []byte, _ int) []byte { return dst }
func (lineForm) tells() bool                   { return true }
func (f lineForm) event(dst []byte, ev *event.Event, _ *wire.EventBody) []byte {
	return fmt.Appendf(dst, "event %s %d\n", f.id, ev.Version)
}

func (f lineForm) place(dst []byte, next int64) []byte {
	return fmt.Appendf(dst, "place %s %d\n", f.id, next)
}

func (p *lines) received(c *conn, b []byte) {
	p.buf = append(p.buf, b...)
	for {
		line, rest, ok := strings.Cut(string(p.buf), "\n")
		if !ok {
			return
		}
		p.buf = []byte(rest)
		p.obey(c, strings.Fields(line))
	}
}

func (p *lines) obey(c *conn, words []string) {
	switch words[0] {
	case "sub":
		start, _ := strconv.ParseInt(words[2], 10, 64)
		window, _ := strconv.Atoi(words[3])
		w, err := p.hub.wish(c.feed, event.Selection{Types: words[4:]}, rootKey)
		m := new(member)
		if err == nil {
			err = c.subscribe(m, subscription{wish: w, start: start, form: lineForm{words[1]}, window: window}, func(dst []byte, next, head int64) []byte {
				return fmt.Appendf(dst, "hello %s %d %d\n", words[1], next, head)
			})
		}
		if err != nil {
			say(c, []byte("error "+err.Error()+"\n"))
			return
		}
		p.subs[words[1]] = m
	case "unsub":
		c.unsubscribe(p.subs[words[1]], []byte("gone "+words[1]+"\n"))
	case "ack":
		v, _ := strconv.ParseInt(words[2], 10, 64)
		c.ack(p.subs[words[1]], v)
	case "say":
		say(c, []byte(strings.Join(words[1:], " ")+"\n"))
	case "bye":
		c.end(reasonDone)
	}
}

func (p *lines) keepAlive(dst []byte) ([]byte, bool) { return append(dst, "ping\n"...), true }
func (p *lines) last(dst []byte, why reason) []byte  { return fmt.Appendf(dst, "end %s\n", why) }
func (p *lines) lingers() bool                       { return true }
func (p *lines) closed(_ *conn, why reason)          { p.over <- why }

// serveLines serves the protocol, and returns a connected client's reader.
func serveLines(t *testing.T, h *Hub, already string) (net.Conn, *bufio.Reader, *lines) {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() //nolint:errcheck // a test's
	client, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	_ = client.SetDeadline(time.Now().Add(patienceOfTests))
	_ = client.(*net.TCPConn).SetReadBuffer(smallBuffer) //nolint:errcheck // it is
	server, err := narrow{ln}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.RemoteAddr = client.LocalAddr().String()
	ticket, err := h.admit(kindSocket, r, &Listener{Tenant: acme, Key: rootKey})
	if err != nil {
		t.Fatal(err)
	}
	f, err := h.feedOf(t.Context(), acme.ID)
	if err != nil {
		t.Fatal(err)
	}
	p := &lines{hub: h, subs: map[string]*member{}, over: make(chan reason, 1)}
	h.newConn(ticket, f, p).start(newSink(server), []byte("welcome\n"), []byte(already))
	return client, bufio.NewReader(client), p
}

// expect reads lines, which must be those.
func expect(t *testing.T, in *bufio.Reader, want ...string) {
	t.Helper()
	for _, w := range want {
		got, err := in.ReadString('\n')
		if err != nil || got != w+"\n" {
			t.Fatalf("got %q, %v; want %q", got, err, w)
		}
	}
}

func TestSubscriptions(t *testing.T) {
	everyWatcher(t, func(t *testing.T, c Config) {
		log := c.Log.(*memLog) //nolint:errcheck // it is
		h := newHub(t, c)
		log.append(acme.ID, note("a", ""), note("b", ""), note("a", ""))
		client, in, p := serveLines(t, h, "say early\nsa")
		expect(t, in, "welcome", "early")
		say := func(s string) {
			t.Helper()
			if _, err := io.WriteString(client, s); err != nil {
				t.Fatal(err)
			}
		}
		say("y late\n")
		expect(t, in, "late")
		say("sub x 0 0 a\n")
		expect(t, in, "hello x 4 3")
		say("sub y 2 0 *\n")
		expect(t, in, "hello y 2 3", "event y 2", "event y 3", "place y 4")
		log.append(acme.ID, note("a", ""))
		lines := []string{}
		for range 2 {
			s, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, s)
		}
		slices.Sort(lines)
		if !slices.Equal(lines, []string{"event x 4\n", "event y 4\n"}) {
			t.Fatalf("%q", lines)
		}
		say("unsub y\n")
		expect(t, in, "gone y")
		log.append(acme.ID, note("b", ""), note("a", ""))
		expect(t, in, "event x 6")
		say("sub z 0 0 bad..pattern\n")
		if s, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(s, "error ") {
			t.Fatalf("%q %v", s, err)
		}
		say("bye\n")
		expect(t, in, "end done")
		if _, err := in.ReadByte(); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
		if why := <-p.over; why != reasonDone {
			t.Error(why)
		}
	})
}

// A member with a window gets so many events ahead of its acknowledgements, from the ring as from the log, and no other
// subscription waits for it.
func TestWindow(t *testing.T) {
	log := newLog()
	c := config(log)
	c.ringEvents = 2
	h := newHub(t, c)
	for range 5 {
		log.append(acme.ID, note("a", ""))
	}
	client, in, _ := serveLines(t, h, "sub w 1 2 a\n")
	expect(t, in, "welcome", "hello w 1 5", "event w 1", "event w 2")
	_, _ = io.WriteString(client, "sub free 0 0 b\n")
	expect(t, in, "hello free 6 5")
	log.append(acme.ID, note("b", ""))
	expect(t, in, "event free 6")
	_, _ = io.WriteString(client, "ack w 1\n")
	expect(t, in, "event w 3")
	_, _ = io.WriteString(client, "ack w 3\n")
	expect(t, in, "event w 4", "event w 5")
	_, _ = io.WriteString(client, "ack w 4\n")
	expect(t, in, "place w 7")
	log.append(acme.ID, note("a", ""))
	expect(t, in, "event w 7")
	for range 10 {
		log.append(acme.ID, note("a", ""))
	}
	_, _ = io.WriteString(client, "ack w 7\n")
	expect(t, in, "event w 8", "event w 9")
	_, _ = io.WriteString(client, "ack w 100\n")
	expect(t, in, "event w 10", "event w 11")
}

// A client that answers nothing to keep-alives is let go.
func TestUnanswered(t *testing.T) {
	c := config(newLog())
	c.KeepAlive = 500 * time.Millisecond
	h := newHub(t, c)
	_, in, p := serveLines(t, h, "")
	expect(t, in, "welcome", "ping", "ping", "ping")
	if why := <-p.over; why != reasonLost {
		t.Error(why)
	}
	if h.Stats().Closed["silent"] != 1 {
		t.Errorf("%v", h.Stats().Closed)
	}
}

// What is shared by its selection is shared by no other one.
func TestSelectionKey(t *testing.T) {
	texts := rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "1:a", "a,b", "b", "0[", "1["}), 0, 3)
	selection := rapid.Custom(func(t *rapid.T) event.Selection {
		return event.Selection{Types: texts.Draw(t, "types"), Subjects: texts.Draw(t, "subjects"), Filter: rapid.SampledFrom([]string{"", "a", "1["}).Draw(t, "filter")}
	})
	same := func(a, b event.Selection) bool {
		return slices.Equal(a.Types, b.Types) && slices.Equal(a.Subjects, b.Subjects) && a.Filter == b.Filter
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b, c, d := selection.Draw(t, "a"), selection.Draw(t, "b"), selection.Draw(t, "c"), selection.Draw(t, "d")
		if got, want := selectionKey(a, b) == selectionKey(c, d), same(a, c) && same(b, d); got != want {
			t.Errorf("keys %q and %q", selectionKey(a, b), selectionKey(c, d))
		}
	})
}

func TestTokensSeeTheirPart(t *testing.T) {
	log := newLog()
	h := newHub(t, config(log))
	key := &event.APIKey{Token: "t", Expires: time.Now().Add(time.Hour), Only: &event.Selection{Types: []string{"order.*"}, Subjects: []string{"order/1"}}}
	r := openStream(t, serveHub(t, h, key), "types=*.paid", "")
	log.append(acme.ID, note("order.paid", "order/2"), note("order.new", "order/1"), note("user.paid", "order/1"), note("order.paid", "order/1"))
	if err := r.until(4); err != nil {
		t.Fatal(err)
	}
	wantVersions(t, "token", r.seen, []int64{4})
}

// say sends a message of the protocol after what is under way.
func say(c *conn, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == reasonNone {
		c.queue(b)
	}
}
