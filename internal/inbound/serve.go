package inbound

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/receiver"
)

const (
	// captureTimeout bounds the keeping of one request in a bin.
	captureTimeout = 5 * time.Second
	// publishTimeout bounds the storing of one event.
	publishTimeout = 30 * time.Second
)

// exchange is one request to a source, on its way to an answer.
type exchange struct {
	s      *Service
	w      http.ResponseWriter
	r      *http.Request
	start  time.Time
	tenant *event.Tenant
	source *prepared
	prefix string
	// req is the request as it came; its Body is set once it is read.
	req    event.Request
	coding string
	plain  []byte // the body, decompressed
}

// Handler returns the handler of every path that begins with [Prefix], whichever the method.
//
// Requests are taken in this order: the caller's address must be allowed (403); the body is read, within the limit (413); the
// provider's handshake is answered; the request is verified (401 or 403), mapped (400, 415, 422) and ingested; then it is answered
// as the provider expects, as the source says, or as the endpoint did that the source waits for.
func (s *Service) Handler() http.Handler { return http.HandlerFunc(s.serve) }

func (s *Service) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	// What is answered may be somebody else's words. No browser is to run them as this server's.
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	x := &exchange{s: s, w: w, r: r, start: s.Now()}
	if r.Method == http.MethodConnect {
		x.write(noProxy)
		return
	}
	tenant, name, ok := splitPath(r.URL.EscapedPath())
	if !ok {
		x.write(notFound)
		return
	}
	if err := x.find(tenant, name); err != nil {
		if event.KindOf(err) == event.KindNotFound {
			x.write(notFound)
			return
		}
		s.failed(r, err)
		x.write(answerOf(err))
		return
	}
	outcome, answer := x.run()
	s.Observer.Received(x.source.info.Name, outcome, s.Now().Sub(x.start))
	x.write(*answer)
}

// What is answered without looking at a source.
var (
	notFound = receiver.Text(http.StatusNotFound, "not found\n")
	noProxy  = receiver.Text(http.StatusMethodNotAllowed, "a source is no proxy\n")
)

// splitPath finds the tenant and the source in an escaped path.
func splitPath(path string) (tenant, source string, ok bool) {
	rest, ok := strings.CutPrefix(path, Prefix)
	if !ok {
		return "", "", false
	}
	tenant, rest, _ = strings.Cut(rest, "/")
	source, _, _ = strings.Cut(rest, "/")
	return tenant, source, event.CheckName(tenant) == "" && event.CheckName(source) == ""
}

// find looks the tenant and the source up; a disabled one is not there.
func (x *exchange) find(tenant, name string) error {
	var err error
	if x.tenant, err = x.s.Tenants.Tenant(x.r.Context(), tenant); err != nil {
		return err
	}
	if x.source, err = x.s.find(x.r.Context(), x.tenant.ID, name); err != nil {
		return err
	}
	if x.source.source.Disabled {
		return event.NotFound("source")
	}
	x.prefix = Prefix + tenant + "/" + name
	return nil
}

// run takes the request through all steps. There is always an answer: a handler that gives none has accepted, in net/http, and a
// caller whose side of the connection has ended may still read.
func (x *exchange) run() (outcome string, answer *receiver.Answer) {
	x.req = x.s.Arrived(x.r, x.prefix)
	if !x.source.admits(x.req.Remote) {
		return x.refuse(event.Errorf(event.KindForbidden, "address", "the address is not one from which this source takes requests"))
	}
	if err := x.read(); err != nil {
		return x.refuse(err)
	}
	outcome, answer, err := x.handshake()
	if err != nil {
		return x.refuse(err)
	}
	if answer != nil {
		x.count(outcome, "", "")
		x.keep("")
		return outcome, answer
	}
	delivery, err := x.verify()
	if err != nil {
		return x.refuse(err)
	}
	var e *event.Event
	wanted := !asks(x.r.Method)
	if wanted {
		if e, wanted, err = x.event(&delivery); err != nil {
			return x.refuse(err)
		}
	}
	if !wanted {
		x.count(OutcomeDropped, "", "")
		x.keep("")
		return OutcomeDropped, x.accepted(&delivery)
	}
	return x.publish(e, &delivery)
}

// asks reports whether a method only asks what is there: a monitor's or a browser's question is no event.
func asks(method string) bool {
	return method == http.MethodHead || method == http.MethodOptions || method == http.MethodTrace
}

// read reads the body. What is larger than the limit is refused without reading the rest.
func (x *exchange) read() error {
	limit := int64(x.s.MaxBody)
	if x.r.ContentLength > limit {
		x.w.Header().Set("Connection", "close")
		return errTooLarge
	}
	var buf bytes.Buffer
	if n := x.r.ContentLength; n > 0 {
		buf.Grow(int(min(n, 32<<10)) + bytes.MinRead) // a slow sender has not earned more yet
	}
	_, err := buf.ReadFrom(http.MaxBytesReader(x.w, x.r.Body, limit))
	if buf.Len() > 0 {
		x.req.Body = buf.Bytes()
	}
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		x.w.Header().Set("Connection", "close") // the rest is not read
		x.req.Body = nil
		return errTooLarge
	}
	switch {
	case err == nil:
		x.plain = x.req.Body
		x.coding, err = coding(x.r.Header)
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return event.Errorf(event.KindMalformed, "request_timeout", "the body did not arrive in time")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return event.Errorf(event.KindMalformed, "malformed", "the body ended before it was complete")
	}
	return event.Errorf(event.KindMalformed, "malformed", "the body cannot be read")
}

var errTooLarge = event.Errorf(event.KindTooLarge, "too_large", "the body is larger than a source takes")

// options are what the provider's rule is told.
func (x *exchange) options() []receiver.Option {
	return append(slices.Clip(x.source.options), receiver.URL(x.req.URL))
}

// handshake answers a provider's question; a nil answer says that this is none.
func (x *exchange) handshake() (string, *receiver.Answer, error) {
	p := x.source
	answer, learned, err := receiver.Handshake(p.info.Name, live(p.secrets, x.start), x.r, x.req.Body, x.options()...)
	if err != nil || answer == nil {
		return "", nil, err
	}
	if learned != nil {
		if err := x.s.learn(x.r.Context(), &p.source, learned.Secret); err != nil {
			return "", nil, err
		}
	}
	return OutcomeHandshake, answer, nil
}

// verify checks the request over the bytes that came. Of a compressed body it also takes a signature of what was compressed: some
// senders' HTTP clients compress after the signing.
func (x *exchange) verify() (receiver.Delivery, error) {
	p := x.source
	secrets, options := live(p.secrets, x.start), x.options()
	d, err := receiver.Verify(p.info.Name, secrets, x.r, x.req.Body, options...)
	if x.coding == "" {
		return d, err
	}
	plain, broken := decompress(x.coding, x.req.Body, x.s.MaxBody)
	if err != nil && broken != nil {
		return d, err
	}
	if broken != nil {
		return d, broken
	}
	x.plain = plain
	if second, again := receiver.Verify(p.info.Name, secrets, x.r, plain, options...); again == nil {
		return second, nil // which has read the body, too
	}
	return d, err
}

// event maps the request.
func (x *exchange) event(d *receiver.Delivery) (*event.Event, bool, error) {
	body, err := readContent(x.r.Header.Get("Content-Type"), x.plain)
	if err != nil {
		return nil, false, err
	}
	path, _, _ := strings.Cut(x.req.Path, "?")
	in := &input{method: x.r.Method, path: path, header: x.header(), rawQuery: x.r.URL.RawQuery, content: body}
	e, wanted, err := x.source.mapping.event(in, x.source.names, d)
	if err != nil || !wanted {
		return nil, false, err
	}
	origin := x.req
	switch {
	case bytes.Equal(origin.Body, e.Data):
		origin.Body = nil
	case origin.Body == nil:
		origin.Body = []byte{} // nil would say that the data are the body
	}
	e.Origin = &origin
	return e, true, nil
}

// header is what expressions see of the headers: of cookies what is kept of them, without the values of the server's own.
func (x *exchange) header() http.Header {
	if _, given := x.r.Header["Cookie"]; !given {
		return x.r.Header
	}
	h := maps.Clone(x.r.Header)
	h["Cookie"] = nil
	for _, f := range x.req.Headers() {
		if strings.EqualFold(f.Name, "Cookie") {
			h["Cookie"] = append(h["Cookie"], f.Value)
		}
	}
	return h
}

// publish ingests the event and waits for an endpoint's answer where the source says so.
func (x *exchange) publish(e *event.Event, d *receiver.Delivery) (string, *receiver.Answer) {
	wait, err := x.await(e)
	if err != nil {
		return x.fail(err)
	}
	defer wait.end()
	receipt, err := x.store(e)
	if err != nil {
		switch event.KindOf(err) {
		case event.KindTooLarge, event.KindInvalid, event.KindMalformed:
			return x.refuse(err)
		}
		return x.fail(err)
	}
	outcome := OutcomeAccepted
	if receipt.Duplicate {
		outcome = OutcomeDuplicate
	}
	x.count(outcome, "", "")
	x.keep("")
	if outcome == OutcomeAccepted {
		if answer := wait.answer(x.r.Context()); answer != nil {
			return outcome, answer
		}
	}
	return outcome, x.accepted(d)
}

// store stores the event, also when its caller has ended its side of the connection meanwhile.
func (x *exchange) store(e *event.Event) (event.Receipt, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), publishTimeout)
	defer cancel()
	return x.s.Publish(ctx, x.tenant, e)
}

// accepted is the answer to what the source took.
func (x *exchange) accepted(d *receiver.Delivery) *receiver.Answer {
	set := &x.source.source.Answer
	if set.Status == 0 {
		answer := receiver.Accepted(x.source.info.Name, *d)
		return &answer
	}
	answer := receiver.Answer{Status: set.Status, Header: http.Header{}, Body: set.Body}
	for _, h := range set.Headers {
		answer.Header.Add(h.Name, h.Value)
	}
	return &answer
}

// refuse counts and keeps a request that is not taken, and answers as the provider expects.
func (x *exchange) refuse(err error) (string, *receiver.Answer) {
	if refusal, ok := errors.AsType[*receiver.Error](err); ok {
		answer := receiver.Refused(x.source.info.Name, refusal)
		if refusal.Status == http.StatusServiceUnavailable {
			answer.Header = maps.Clone(answer.Header)
			if answer.Header == nil {
				answer.Header = http.Header{}
			}
			answer.Header.Set("Retry-After", "5")
		}
		x.count(OutcomeRefused, refusal.Code, refusal.Detail)
		x.keep(refusal.Code)
		return OutcomeRefused, &answer
	}
	problem, ok := errors.AsType[*event.Error](err)
	if !ok || problem.Kind == event.KindInternal || problem.Kind == event.KindUnavailable {
		return x.fail(err)
	}
	said := *problem
	said.Err = nil // for logs only
	x.count(OutcomeRefused, problem.Code, said.Error())
	x.keep(problem.Code)
	answer := answerOf(err)
	return OutcomeRefused, &answer
}

// fail answers when the server cannot take a request now: the provider will send it again.
func (x *exchange) fail(err error) (string, *receiver.Answer) {
	x.s.failed(x.r, err)
	answer := answerOf(err)
	return OutcomeFailed, &answer
}

func (x *exchange) count(outcome, code, detail string) {
	x.source.counters.count(outcome, x.s.Now(), code, detail)
}

// keep keeps the request in the source's bin when the source says so.
func (x *exchange) keep(refused string) {
	src := &x.source.source
	if x.s.Inspector == nil || src.Bin == "" || src.Inspect == event.InspectNone || src.Inspect == event.InspectRefused && refused == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), captureTimeout)
	defer cancel()
	err := x.s.Inspector.Capture(ctx, src.Bin, x.req, refused)
	if err != nil && event.KindOf(err) == event.KindNotFound && x.source.remaking.CompareAndSwap(false, true) {
		var bin string
		if bin, err = x.s.remake(ctx, x.tenant, src); err == nil {
			err = x.s.Inspector.Capture(ctx, bin, x.req, refused)
		}
	}
	if kind := event.KindOf(err); err != nil && kind != event.KindNotFound && kind != event.KindGone { // gone: full, or expired
		x.s.Logger.LogAttrs(ctx, slog.LevelWarn, "a source's request was not kept for inspection", slog.String("source", src.Name), slog.Any("error", err))
	}
}

// write sends an answer. The caller may be gone; nobody is left to tell.
func (x *exchange) write(answer receiver.Answer) {
	h := x.w.Header()
	for name, values := range answer.Header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	// Of mixed-replace each part has headers of its own, of which browsers take cookies for the whole server.
	if kind := strings.Join(h["Content-Type"], ","); len(answer.Body) > 0 && kind == "" || strings.Contains(strings.ToLower(kind), "x-mixed-replace") {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	if answer.Status >= 200 && answer.Status != http.StatusNoContent && answer.Status != http.StatusNotModified {
		h.Set("Content-Length", strconv.Itoa(len(answer.Body)))
	}
	x.w.WriteHeader(answer.Status)
	if x.r.Method != http.MethodHead && len(answer.Body) > 0 {
		_, _ = x.w.Write(answer.Body)
	}
}

// answerOf is the answer to an error of ours. It says no more than its status does.
func answerOf(err error) receiver.Answer {
	problem, ok := errors.AsType[*event.Error](err)
	if !ok {
		return receiver.Text(http.StatusInternalServerError, "internal error\n")
	}
	status := problem.Kind.HTTPStatus()
	switch {
	case problem.Code == "request_timeout":
		status = http.StatusRequestTimeout
	case problem.Kind == event.KindFull: // which senders know, and try again
		status = http.StatusServiceUnavailable
	}
	answer := receiver.Text(status, strings.ToLower(http.StatusText(status))+"\n")
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		wait := max(1, int64((problem.RetryAfter+time.Second-1)/time.Second))
		answer.Header.Set("Retry-After", strconv.FormatInt(wait, 10))
	case http.StatusUnsupportedMediaType:
		answer.Header.Set("Accept-Encoding", acceptEncoding)
	}
	return answer
}

// failed logs what a caller is not told.
func (s *Service) failed(r *http.Request, err error) {
	kind := event.KindOf(err)
	if kind == event.KindRateLimited || r.Context().Err() != nil {
		return
	}
	level := slog.LevelError
	if kind == event.KindUnavailable || kind == event.KindFull {
		level = slog.LevelDebug // the provider sends it again
	}
	tenant, source, _ := splitPath(r.URL.EscapedPath()) // what follows may be the sender's secret
	s.Logger.LogAttrs(r.Context(), level, "a source's request failed", slog.String("tenant", tenant), slog.String("source", source), slog.Any("error", err))
}
