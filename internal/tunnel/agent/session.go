package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/hashicorp/yamux"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/tunnel/pipe"
)

const (
	dialTime  = 30 * time.Second // for the handshake with the server
	pingEvery = 15 * time.Second // a connection that does not answer within writeTime is given up
	writeTime = 20 * time.Second
	headTime  = time.Minute     // for a request's head to come through a stream
	drainTime = 3 * time.Second // for requests on their way when the agent is stopped
	byeTime   = time.Second     // for the WebSocket to be closed in order
	// window is how much may be on its way through one stream.
	window = 1 << 20
	// maxStreams bounds the requests at once; more wait at the server.
	maxStreams = 1024
)

// serverTransport dials the server, with HTTP/1.1, which upgrades need.
func serverTransport() http.RoundTripper {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		DisableKeepAlives:   true,
		Protocols:           protocols,
	}
}

// session connects once and serves until the connection ends, which is never without an error.
func (a *Agent) session(ctx context.Context) error {
	ws, err := a.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = ws.CloseNow() }()
	// The connection outlives ctx for as long as requests on their way may take.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	config := yamux.DefaultConfig()
	config.LogOutput, config.Logger = nil, quiet{a.o.Log}
	config.KeepAliveInterval, config.ConnectionWriteTimeout, config.MaxStreamWindowSize = pingEvery, writeTime, window
	open := &pipe.Streams{}
	mux, err := yamux.Server(pipe.New(life, ws, open), config)
	if err != nil {
		return fmt.Errorf("tunnel: %w", err)
	}
	l := newStreams(mux, open)
	var requests gate
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !requests.enter() {
				panic(http.ErrAbortHandler) // the connection is gone
			}
			defer requests.leave()
			a.local.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout:            headTime,
		DisableGeneralOptionsHandler: true,
		BaseContext:                  func(net.Listener) context.Context { return life },
		ConnContext:                  func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, streamKey{}, c) },
		ErrorLog:                     slog.NewLogLogger(a.o.Log.Handler(), slog.LevelDebug),
	}
	// A stream is for one request: so what it begins with is the request's head as it was sent.
	server.SetKeepAlivesEnabled(false)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	a.setStatus(func(s *Status) { *s = Status{Connected: true, Since: time.Now(), Connects: s.Connects + 1} })
	select {
	case err = <-served:
	case <-ctx.Done():
		a.leave(mux, server, ws)
		err = <-served
	}
	_ = mux.Close()
	_ = server.Close()
	end()
	requests.shut()
	return broken(err)
}

// broken says in a few words why a connection ended.
func broken(err error) error {
	switch {
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, yamux.ErrSessionShutdown):
		return errors.New("tunnel: the server closed the connection")
	case errors.Is(err, yamux.ErrKeepAliveTimeout) || errors.Is(err, yamux.ErrConnectionWriteTimeout):
		return errors.New("tunnel: the server did not answer any more")
	default:
		return fmt.Errorf("tunnel: the connection broke: %w", err)
	}
}

// leave takes no more requests, gives those on their way some time, and closes the WebSocket in order.
func (a *Agent) leave(mux *yamux.Session, server *http.Server, ws *websocket.Conn) {
	_ = mux.GoAway() // what fails here fails again below
	drain, stop := context.WithTimeout(context.Background(), drainTime)
	defer stop()
	_ = server.Shutdown(drain)
	bye := time.AfterFunc(byeTime, func() { _ = ws.CloseNow() })
	defer bye.Stop()
	_ = ws.Close(websocket.StatusNormalClosure, "")
}

// dial opens the WebSocket.
func (a *Agent) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	header := http.Header{"User-Agent": {a.o.UserAgent}}
	if a.o.Key != "" {
		header.Set("Authorization", "Bearer "+a.o.Key)
	}
	ws, res, err := websocket.Dial(ctx, a.o.Connect, &websocket.DialOptions{ //nolint:bodyclose // it needs no closing, says its documentation
		HTTPClient: &http.Client{
			Transport:     a.o.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the key is for this server
		},
		HTTPHeader: header, Subprotocols: []string{pipe.Subprotocol},
		CompressionMode: websocket.CompressionDisabled, // bodies are often compressed, and never to be mixed
	})
	if err != nil && res == nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // without the address, which those who read it know
		}
		return nil, fmt.Errorf("tunnel: connect: %w", err)
	}
	if err != nil {
		return nil, refused(res, err)
	}
	if ws.Subprotocol() != pipe.Subprotocol {
		_ = ws.CloseNow()
		return nil, &finalError{errors.New("tunnel: the server does not speak " + pipe.Subprotocol)}
	}
	return ws, nil
}

// refused turns an answer that is not a WebSocket into an error: a final one unless the server may change its mind.
func refused(res *http.Response, err error) error {
	if res.StatusCode == http.StatusSwitchingProtocols {
		return &finalError{fmt.Errorf("tunnel: connect: %w", err)}
	}
	p := &client.Problem{RequestID: res.Header.Get("X-Request-Id")}
	body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10)) // the status is enough
	if json.Unmarshal(body, p) != nil || p.Code == "" {
		p.Code, p.Title = "http_"+strconv.Itoa(res.StatusCode), res.Status
	}
	p.Status = res.StatusCode
	err = fmt.Errorf("tunnel: connect: %w", p)
	switch {
	case !permanent(p.Status):
		return err
	case p.Status >= 300 && p.Status < 400:
		return &finalError{fmt.Errorf("tunnel: connect: the server is elsewhere: %w", p)}
	default:
		return &finalError{err}
	}
}

// permanent reports whether an answer will be the same another time.
func permanent(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	default:
		return status < 500
	}
}

// streams is a session as a listener.
type streams struct {
	mux  *yamux.Session
	ctx  context.Context //nolint:containedctx // ends when the listener is closed, which leaves the session open
	stop context.CancelFunc
	room chan struct{}
	open *pipe.Streams
}

func newStreams(mux *yamux.Session, open *pipe.Streams) *streams {
	ctx, stop := context.WithCancel(context.Background())
	return &streams{mux: mux, ctx: ctx, stop: stop, room: make(chan struct{}, maxStreams), open: open}
}

// Accept waits for a stream, and for room.
func (l *streams) Accept() (net.Conn, error) {
	select {
	case l.room <- struct{}{}:
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	case <-l.mux.CloseChan():
		return nil, io.EOF
	}
	s, err := l.mux.AcceptStreamWithContext(l.ctx)
	if err != nil {
		<-l.room
		return nil, err
	}
	return &stream{Stream: l.open.Add(s), release: sync.OnceFunc(func() { <-l.room })}, nil
}

// Close ends Accept; streams go on.
func (l *streams) Close() error {
	l.stop()
	return nil
}

// Addr returns the session's.
func (l *streams) Addr() net.Addr { return l.mux.Addr() }

// streamKey is where a request's context has its stream.
type streamKey struct{}

// maxHead is how much of a request's head is kept; a longer one is refused by the server of the streams.
const maxHead = 1<<20 + 4<<10

// stream is a connection that carries one request. It remembers the request's head.
type stream struct {
	*pipe.Stream
	release func()

	mu   sync.Mutex
	head []byte
	done bool // the head is complete, or will never be
}

// Read reads, and keeps the head.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if n > 0 {
		s.mu.Lock()
		s.keep(p[:n])
		s.mu.Unlock()
	}
	return n, err
}

func (s *stream) keep(p []byte) {
	if s.done {
		return
	}
	from := max(len(s.head)-3, 0)
	s.head = append(s.head, p...)
	if i := bytes.Index(s.head[from:], []byte("\r\n\r\n")); i >= 0 {
		s.head, s.done = bytes.Clone(s.head[:from+i+2]), true
	} else if len(s.head) > maxHead {
		s.head, s.done = nil, true
	}
}

// Head returns the request line and the header lines, or nil when they are not known.
func (s *stream) Head() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.done {
		return nil
	}
	return s.head
}

// Close closes the stream and gives its place to another.
func (s *stream) Close() error {
	defer s.release()
	return s.Stream.Close()
}

// quiet takes yamux's complaints.
type quiet struct{ log *slog.Logger }

// Print logs.
func (q quiet) Print(v ...any) { q.Println(v...) }

// Printf logs.
func (q quiet) Printf(format string, v ...any) { q.Println(fmt.Sprintf(format, v...)) }

// Println logs.
func (q quiet) Println(v ...any) {
	q.log.LogAttrs(context.Background(), slog.LevelDebug, "tunnel", slog.String("detail", fmt.Sprint(v...)))
}
