package inspect

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Handler serves the addresses of bins: /b/{bin} and everything below it, by any method.
func (s *Service) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, found := strings.CutPrefix(r.URL.EscapedPath(), "/b/")
		if !found {
			refuse(w, http.StatusNotFound, "there is nothing at this path")
			return
		}
		name, _, _ = strings.Cut(name, "/")
		s.Serve(w, r, name, "/b/"+name)
	})
}

// Serve captures a request to the bin with this ID or alias and answers its caller. prefix is the escaped path of the bin's
// address: what of the request's path follows it is the capture's Path.
func (s *Service) Serve(w http.ResponseWriter, r *http.Request, name, prefix string) {
	b, err := s.Bin(r.Context(), 0, name)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if strings.EqualFold(name, b.ID) { // who knows the alias only is not told: the ID is the proof of who may read
		w.Header().Set("X-Token-Id", b.ID)
	}
	if r.Method == http.MethodConnect {
		refuse(w, http.StatusMethodNotAllowed, "a bin is no proxy")
		return
	}
	if b.CORS && preflight(w, r) {
		return
	}
	x := &exchange{s: s, w: w, r: r, b: &b, body: body{s: s}}
	defer x.body.letGo()
	if err := x.body.read(w, r); err != nil {
		s.fail(w, r, err)
		return
	}
	x.capture = event.Capture{ID: newUUID(), Request: s.cfg.Arrived(r, prefix)}
	x.capture.Body = x.body.bytes
	if err := x.run(); err != nil {
		s.fail(w, r, err)
	}
}

// preflight answers the question of a browser whether a page may send; it is not captured.
func preflight(w http.ResponseWriter, r *http.Request) bool {
	method := r.Header.Get("Access-Control-Request-Method")
	if r.Method != http.MethodOptions || method == "" || r.Header.Get("Origin") == "" {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", method)
	if names := r.Header.Get("Access-Control-Request-Headers"); names != "" {
		h.Set("Access-Control-Allow-Headers", names)
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// exchange is one request to a bin and its answer.
type exchange struct {
	s       *Service
	w       http.ResponseWriter
	r       *http.Request
	b       *event.Bin
	body    body
	capture event.Capture // without its body once it is kept
}

// run keeps the request, finds the answer, and gives it. An error means that nothing was answered.
func (x *exchange) run() error {
	set := setAnswer(x.b, x.capture.Path)
	if x.b.Delay == 0 && x.b.Hold == 0 && x.b.Tunnel == "" {
		x.capture.Answer = forKeeping(set)
		c, err := x.s.keep(x.r.Context(), x.b, x.capture)
		if err == nil {
			x.write(&c, set)
		}
		return err
	}
	release, held := x.s.cfg.Hold()
	if !held && x.b.Tunnel == "" { // a tunnel gets it later
		return busy("as many callers wait for an answer as may; try again later")
	}
	if held {
		defer release()
	}
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Time{}) // all is here; not supported: then there is no such limit
	var answer event.Answer
	var err error
	if x.b.Tunnel != "" {
		answer, err = x.forward(held)
	} else {
		answer, err = x.hold()
	}
	if err != nil {
		return err
	}
	if answer.Status == 0 {
		answer = set
		if held && !x.pause(x.b.Delay) {
			x.record(event.Answer{Reason: "the caller went away"})
			return nil
		}
	}
	x.write(&x.capture, answer)
	x.record(answer)
	return nil
}

// forget lets go of a body that is in the bin: its caller may wait for long.
func (x *exchange) forget() {
	x.capture.Body = nil
	x.body.letGo()
}

// hold keeps the request and waits for a client's answer; a zero Status means that none was given. A bin that does not
// hold has none at once.
func (x *exchange) hold() (event.Answer, error) {
	var err error
	if x.b.Hold == 0 {
		x.capture, err = x.s.keep(x.r.Context(), x.b, x.capture)
		x.forget()
		return event.Answer{}, err
	}
	// Who sees the capture may answer at once, so nobody is told of it before the caller can be.
	if x.capture, err = x.s.add(x.r.Context(), x.b, x.capture); err != nil {
		return event.Answer{}, err
	}
	x.forget()
	given, end := x.s.held.begin(x.b.ID, x.capture.Seq)
	defer end()
	x.s.hub.tell(x.b.ID)
	timer := time.NewTimer(x.b.Hold)
	defer timer.Stop()
	select {
	case a := <-given:
		if a.Status == 0 {
			a.Status = http.StatusOK
		}
		return a, nil
	case <-timer.C:
	case <-x.s.stopped:
	case <-x.r.Context().Done():
	}
	return event.Answer{}, nil
}

// pause waits; false when the caller is gone.
func (x *exchange) pause(d time.Duration) bool {
	if d > 0 && x.r.Context().Err() == nil {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-x.s.stopped:
		case <-x.r.Context().Done():
		}
	}
	return x.r.Context().Err() == nil
}

// write gives an answer to the caller. A page in it may run no script in the server's name.
func (x *exchange) write(c *event.Capture, a event.Answer) {
	if a.Status < 200 || a.Status > 599 { // of a program behind a tunnel
		a = event.Answer{Status: http.StatusBadGateway}
	}
	h := x.w.Header()
	for _, field := range a.Headers {
		if inAnswers(field.Name) {
			h.Add(field.Name, field.Value)
		}
	}
	// Of mixed-replace each part has headers of its own, of which browsers take cookies for the whole server.
	if kind := strings.Join(h["Content-Type"], ","); len(a.Body) > 0 && kind == "" || strings.Contains(strings.ToLower(kind), "x-mixed-replace") {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	h.Set("X-Request-Id", c.ID)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Content-Security-Policy", "sandbox")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	if x.b.CORS {
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", "*")
	}
	if a.Status == http.StatusNoContent || a.Status == http.StatusNotModified {
		x.w.WriteHeader(a.Status)
		return
	}
	if x.r.Method != http.MethodHead || len(a.Body) > 0 { // else the local program's length is not known
		h.Set("Content-Length", strconv.Itoa(len(a.Body)))
	}
	x.w.WriteHeader(a.Status)
	_, _ = x.w.Write(a.Body) // the caller may be gone; nobody is left to tell
}

// recordTime bounds the saving of an answer.
const recordTime = 10 * time.Second

// record saves what the caller got. A capture that was deleted meanwhile, or a disk that is full, costs the record only.
func (x *exchange) record(a event.Answer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), recordTime)
	defer cancel()
	err := x.s.cfg.Store.AnswerCapture(ctx, x.b.ID, x.capture.Seq, forKeeping(a))
	if err == nil {
		x.s.hub.tell(x.b.ID, Change{Seqs: []int64{x.capture.Seq}, Status: &a.Status})
	} else if event.KindOf(err) != event.KindNotFound {
		x.s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "answer of a bin not recorded", slog.String("bin", x.b.ID), slog.Any("error", err))
	}
}

// setAnswer is the answer that a bin gives by itself to a request to the path after its address. Without one that was set
// it is empty, with the status that the path names, if it does.
func setAnswer(b *event.Bin, path string) event.Answer {
	a := b.Answer
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	if IsSet(a) {
		return a
	}
	path, _, _ = strings.Cut(path, "?")
	path = strings.TrimPrefix(path, "/")
	if n, err := strconv.Atoi(path); err == nil && len(path) == 3 && n >= 200 && n <= 599 {
		a.Status = n
	}
	return a
}

// IsSet reports whether an answer of a bin says anything but an empty 200.
func IsSet(a event.Answer) bool {
	return a.Status != 0 && a.Status != http.StatusOK || len(a.Headers) > 0 || len(a.Body) > 0
}

// fail tells a caller why its request was not kept.
func (s *Service) fail(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*event.Error](err)
	if !ok || e.Kind == event.KindInternal {
		if r.Context().Err() == nil { // else the caller is gone
			s.cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "request of a bin failed", slog.Any("error", err))
		}
		refuse(w, http.StatusInternalServerError, "something went wrong on the server")
		return
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(e.RetryAfter/time.Second))))
	}
	status := e.Kind.HTTPStatus()
	if e.Code == "request_timeout" {
		status = http.StatusRequestTimeout
	}
	refuse(w, status, e.Detail)
}

// refuse answers with a line of text.
func refuse(w http.ResponseWriter, status int, detail string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(detail)+1))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, detail+"\n") // the caller may be gone; nobody is left to tell
}
