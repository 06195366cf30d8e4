package live

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// serveNarrow is serveHub with connections that hold little on the server's side.
func serveNarrow(t *testing.T, h *Hub) (addr string) {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, h, rootKey, narrow{ln})
}

// dialNarrow is dialStream to a hub whose connections hold little on both sides.
func dialNarrow(t *testing.T, h *Hub, query string) *reader {
	t.Helper()
	r, err := dialStream(t, serveNarrow(t, h), query, "", smallBuffer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.conn.Close() })
	return r
}

// openHTTP2 asks for a stream over HTTP/2.
func openHTTP2(t *testing.T, addr string) io.Reader {
	t.Helper()
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res.Body
}

// A client that once kept the server waiting is not cut off for it later, when the deadline of that write has long passed.
func TestDeadlineOfAnEarlierWrite(t *testing.T) {
	everyWatcher(t, func(t *testing.T, c Config) {
		c.WriteTimeout = time.Second
		log := c.Log.(*memLog) //nolint:errcheck // it is
		h := newHub(t, c)
		r := dialNarrow(t, h, "")
		big := note("a", "")
		big.Data = padded(make([]byte, 500_000))
		last := log.append(acme.ID, big, big, big)
		waitFor(t, func() bool { return h.Stats().Lagging == 1 })
		if err := r.until(last); err != nil {
			t.Fatal(err)
		}
		waitFor(t, func() bool { return h.Stats().Lagging == 0 })
		<-time.After(2 * c.WriteTimeout)
		last = log.append(acme.ID, note("b", ""))
		if err := r.until(last); err != nil {
			t.Fatalf("%v; closed: %v", err, h.Stats().Closed)
		}
	})
}

// The same over HTTP/2, where a deadline that passes ends the stream by itself.
func TestDeadlineOfAnEarlierWriteHTTP2(t *testing.T) {
	log := newLog()
	c := config(log)
	c.WriteTimeout = time.Second
	h := newHub(t, c)
	res := openHTTP2(t, serveHub(t, h, rootKey))
	<-time.After(2 * c.WriteTimeout)
	log.append(acme.ID, note("b", ""))
	r := &reader{in: bufio.NewReader(res)}
	if err := r.until(1); err != nil {
		t.Fatalf("%v; closed: %v", err, h.Stats().Closed)
	}
}

// A client of TLS that takes a large event slowly gets all of it: the timeout is for taking nothing.
func TestSlowClientOfTLS(t *testing.T) {
	log := newLog()
	c := config(log)
	c.WriteTimeout = time.Second // of what takes more than twice as long
	h := newHub(t, c)
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = h.Stream(w, r, Listener{Tenant: acme, Key: rootKey})
	}))
	_ = s.Listener.Close()
	s.Listener = narrow{ln}
	s.StartTLS()
	defer s.Close()
	plain, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = plain.(*net.TCPConn).SetReadBuffer(smallBuffer)                      //nolint:errcheck,forcetypeassert // it is
	config := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone() //nolint:errcheck,forcetypeassert // it is
	config.ServerName = "example.com"
	client := tls.Client(plain, config)
	defer client.Close() //nolint:errcheck // a test's
	_ = client.SetDeadline(time.Now().Add(patienceOfTests))
	if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return h.Stats().Streams == 1 })
	big := note("a", "")
	big.Data = padded(make([]byte, 1_000_000))
	log.append(acme.ID, big)
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for got := 0; got < 1_000_000; {
		n, err := client.Read(make([]byte, 20_000))
		if got += n; err != nil {
			t.Fatalf("after %d bytes: %v; closed: %v", got, err, h.Stats().Closed)
		}
		<-tick.C
	}
}

// deadSink is a connection that broke before anything was sent.
type deadSink struct{ *stallSink }

func (deadSink) try([]byte) (int, error) { return 0, net.ErrClosed }

// A connection on which the first write fails is forgotten by its shard.
func TestBrokenFromTheStart(t *testing.T) {
	h := newHub(t, config(newLog()))
	shards := map[*shard]bool{}
	for range 2000 {
		ticket, err := h.admit(kindSSE, request(t, "127.0.0.1:1"), &Listener{Tenant: acme, Key: rootKey})
		if err != nil {
			t.Fatal(err)
		}
		f, err := h.feedOf(t.Context(), acme.ID)
		if err != nil {
			t.Fatal(err)
		}
		c := h.newConn(ticket, f, &sse{})
		shards[c.shard] = true
		c.start(deadSink{newStallSink(0)}, []byte("hello"), nil)
	}
	waitFor(t, func() bool { return h.Stats().Streams == 0 })
	if err := h.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for s := range shards {
		if len(s.conns) != 0 || len(s.ops) != 0 {
			t.Errorf("a shard keeps %d connections, and %d operations", len(s.conns), len(s.ops))
		}
	}
}

// Acknowledgements come while the pump counts what is open: in order, each once, never more than the window.
func TestWindowOfALaggingMember(t *testing.T) {
	const total, window = 3000, 7
	log := newLog()
	c := config(log)
	c.ringEvents = 100
	h := newHub(t, c)
	for range total / 2 {
		log.append(acme.ID, note("a", ""))
	}
	client, in, _ := serveLines(t, h, fmt.Sprintf("sub w 1 %d a\n", window))
	expect(t, in, "welcome", fmt.Sprintf("hello w 1 %d", total/2))
	unacked := 0
	for v := int64(1); v <= total; {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("before %d: %v", v, err)
		}
		if strings.HasPrefix(line, "place") {
			continue
		}
		if line != fmt.Sprintf("event w %d\n", v) {
			t.Fatalf("got %q, want %d", line, v)
		}
		if unacked++; unacked > window {
			t.Fatalf("%d are not acknowledged at %d", unacked, v)
		}
		if v <= total/2 {
			log.append(acme.ID, note("a", ""))
		}
		v++
		if unacked > 2 {
			if _, err := fmt.Fprintf(client, "ack w %d\n", v-2); err != nil {
				t.Fatal(err)
			}
			unacked = 1
		}
	}
}

// Answers of several goroutines to a client that reads slowly wait for room, together too: it asked for no more than it may.
func TestSocketAnswersFromManySides(t *testing.T) {
	const sides, each, size = 64, 100, 1000
	h := newHub(t, config(newLog()))
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() //nolint:errcheck // a test's
	client, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close() //nolint:errcheck // a test's
	_ = client.SetDeadline(time.Now().Add(patienceOfTests))
	server, err := narrow{ln}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := h.admit(kindSocket, request(t, "127.0.0.1:1"), &Listener{Tenant: acme, Key: rootKey})
	if err != nil {
		t.Fatal(err)
	}
	f, err := h.feedOf(t.Context(), acme.ID)
	if err != nil {
		t.Fatal(err)
	}
	s := &webSocket{hub: h}
	c := h.newConn(ticket, f, s)
	s.conn = c
	c.start(newSink(server), nil, nil)
	sent := make(chan bool, sides)
	for range sides {
		go func() {
			for range each {
				if !s.send(c, make([]byte, size)) {
					sent <- false
					return
				}
			}
			sent <- true
		}()
	}
	if n, err := io.CopyN(io.Discard, client, sides*each*size); err != nil {
		t.Errorf("after %d bytes: %v; closed: %v", n, err, h.Stats().Closed)
	}
	for range sides {
		if !<-sent {
			t.Error("not all was sent")
		}
	}
}

// recordSink takes everything and keeps it.
type recordSink struct {
	*stallSink
	mu  sync.Mutex
	got []string
}

func (s *recordSink) write(b []byte, _ time.Duration) (int, time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, string(b))
	return len(b), 0, nil
}

// A listener for whom much is looked at and nothing is selected hears its place on the way, so that it need not begin anew
// when a proxy takes the silence for an end.
func TestPlaceIsToldOnTheWay(t *testing.T) {
	log := newLog()
	h := newHub(t, config(log))
	for range 100 * minPageEvents {
		log.append(acme.ID, note("a", ""))
	}
	ticket, err := h.admit(kindSSE, request(t, "127.0.0.1:1"), &Listener{Tenant: acme, Key: rootKey})
	if err != nil {
		t.Fatal(err)
	}
	f, err := h.feedOf(t.Context(), acme.ID)
	if err != nil {
		t.Fatal(err)
	}
	p := &sse{}
	c := h.newConn(ticket, f, p)
	c.lastSent -= int64(h.cfg.KeepAlive)
	nothing := &wish{key: "nothing", match: func(*event.Event) bool { return false }}
	if err := c.subscribe(&c.first, subscription{wish: nothing, start: 1, form: p.form}, nil); err != nil {
		t.Fatal(err)
	}
	s := &recordSink{stallSink: newStallSink(0)}
	c.start(s, nil, nil)
	waitFor(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.got) == 2 })
	s.mu.Lock()
	defer s.mu.Unlock()
	if want := []string{fmt.Sprintf("id: %d\n\n", firstScale*minPageEvents), fmt.Sprintf("id: %d\n\n", 100*minPageEvents)}; !slices.Equal(s.got, want) {
		t.Errorf("sent %q, want %q", s.got, want)
	}
}
