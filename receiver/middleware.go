package receiver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
)

// Event is a verified request.
type Event struct {
	Delivery
	Body    []byte        // as it arrived
	Request *http.Request // its body can be read again
}

type eventKey struct{}

// FromContext returns the event that [Middleware] verified, for handlers behind it.
func FromContext(ctx context.Context) (Event, bool) {
	e, ok := ctx.Value(eventKey{}).(*Event)
	if !ok {
		return Event{}, false
	}
	return *e, true
}

// Handler handles one verified event. With an error the provider is told to send it again, by a 500; with nil it gets the
// answer that it expects. It is an [http.Handler] to be put behind [Middleware].
type Handler func(ctx context.Context, e Event) error

// ServeHTTP calls the handler with the event that [Middleware] verified.
func (h Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e, ok := FromContext(r.Context())
	if !ok {
		Text(http.StatusInternalServerError, "there is no verified event\n").Write(w)
		return
	}
	if err := h(r.Context(), e); err != nil {
		Text(http.StatusInternalServerError, "the event could not be handled\n").Write(w)
	}
}

// Middleware lets only a provider's verified events through to next, which finds them by [FromContext] and can read the
// body again. When next writes nothing, the provider gets the answer that it expects.
//
// Bodies larger than [MaxBody] are answered 413 without being read whole. Handshakes are answered. A delivery whose id
// was handled before is answered as accepted without calling next; one that is being handled at this moment gets 503, so
// that the provider comes again. An id counts as handled when next answered 2xx; see [Dedupe].
//
// It panics if there is no provider of this name: that is a mistake of the program.
func Middleware(name string, secrets []string, next http.Handler, opts ...Option) http.Handler {
	if _, err := find(name); err != nil {
		panic(err)
	}
	o := collect(opts)
	if o.dedupe == nil {
		o.dedupe = NewMemory(0)
	}
	if o.once == nil {
		o.once = NewMemory(0)
	}
	return &middleware{name: name, secrets: slices.Clone(secrets), next: next, o: o, busy: map[string]struct{}{}}
}

type middleware struct {
	name string
	next http.Handler
	o    *options

	mu      sync.Mutex
	secrets []string            // grows by what is learned
	busy    map[string]struct{} // ids that are being handled
}

func (m *middleware) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := m.read(w, r)
	if err != nil {
		Refused(m.name, err).Write(w)
		return
	}
	if m.handshake(w, r, body) {
		return
	}
	d, err := verify(m.name, m.current(), r, body, m.o)
	if err != nil {
		Refused(m.name, err).Write(w)
		return
	}
	m.handle(w, r, body, d)
}

// read reads the body within the limit.
func (m *middleware) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	tooLarge := &Error{
		Provider: m.name, Code: CodeTooLarge, Status: http.StatusRequestEntityTooLarge,
		Detail: "the body is larger than " + strconv.FormatInt(m.o.maxBody, 10) + " bytes",
	}
	if r.ContentLength > m.o.maxBody {
		// What is not read would be read off by the server to keep the connection.
		w.Header().Set("Connection", "close")
		return nil, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, m.o.maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge
	}
	if err != nil {
		return nil, &Error{Provider: m.name, Code: CodeMalformed, Status: http.StatusBadRequest, Detail: "the body could not be read", cause: err}
	}
	return body, nil
}

func (m *middleware) current() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.secrets
}

// handshake answers a handshake, and reports whether it was one.
func (m *middleware) handshake(w http.ResponseWriter, r *http.Request, body []byte) bool {
	answer, learned, err := handshake(m.name, m.current(), r, body, m.o)
	if err == nil && learned != nil {
		err = m.keep(r.Context(), *learned)
	}
	switch {
	case err != nil:
		Refused(m.name, err).Write(w)
	case answer != nil:
		answer.Write(w)
	default:
		return false
	}
	return true
}

// keep takes over the first secret that is handed over; of two at once, one is refused.
func (m *middleware) keep(ctx context.Context, learned Learned) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.o.learn == nil || len(usable(m.secrets)) > 0 {
		return &Error{Provider: m.name, Code: CodeRefused, Status: http.StatusForbidden, Detail: "no secret is to be learned"}
	}
	if err := m.o.learn(ctx, learned); err != nil {
		return &Error{Provider: m.name, Code: CodeRefused, Status: http.StatusServiceUnavailable, Detail: "the secret could not be kept", cause: err}
	}
	m.secrets = append(slices.Clone(m.secrets), learned.Secret)
	return nil
}

// handle calls next unless the delivery was handled before.
func (m *middleware) handle(w http.ResponseWriter, r *http.Request, body []byte, d Delivery) {
	key := m.name + ":" + d.ID
	if d.ID != "" {
		if !m.begin(key) {
			w.Header().Set("Retry-After", "5")
			Text(http.StatusServiceUnavailable, "this delivery is being handled\n").Write(w)
			return
		}
		defer m.end(key)
		switch seen, err := m.o.dedupe.Seen(r.Context(), key); {
		case err != nil:
			Text(http.StatusServiceUnavailable, "the deliveries that were handled cannot be looked up\n").Write(w)
			return
		case seen:
			Accepted(m.name, d).Write(w)
			return
		}
	}
	e := &Event{Delivery: d, Body: body}
	r = r.WithContext(context.WithValue(r.Context(), eventKey{}, e))
	r.Body = io.NopCloser(bytes.NewReader(body))
	e.Request = r
	rec := &recorder{ResponseWriter: w}
	m.next.ServeHTTP(rec, r)
	if rec.status == 0 {
		answer := Accepted(m.name, d)
		rec.status = answer.Status
		answer.Write(w)
	}
	if d.ID != "" && rec.status/100 == 2 {
		// The event was handled even if the provider hung up. If this fails it may come again: that is what ids are for.
		_ = m.o.dedupe.Remember(context.WithoutCancel(r.Context()), key)
	}
}

// begin claims a delivery for this request.
func (m *middleware) begin(key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, busy := m.busy[key]; busy {
		return false
	}
	m.busy[key] = struct{}{}
	return true
}

func (m *middleware) end(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.busy, key)
}

// recorder notes the status that next answers with.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(data []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(data)
}

// Unwrap lets [http.ResponseController] reach the writer below.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
