package receiver

import (
	"errors"
	"net/http"
	"strings"
	"time"
)

// Delivery is what a verified request is.
type Delivery struct {
	Provider string    // as it was asked for
	Type     string    // the provider's own event, such as "push" or "checkout.session.completed"; "" if it names none
	ID       string    // the delivery's id, the same when the provider sends it again; "" if there is none
	Subject  string    // what it is about, such as a repository or an object's id; "" if unknown
	Time     time.Time // when it happened or was sent, as the provider says; zero if unknown
}

// Answer is an HTTP answer.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Write sends the answer.
func (a Answer) Write(w http.ResponseWriter) {
	for name, values := range a.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	w.WriteHeader(a.Status)
	// There is nobody left to tell when the caller is gone.
	_, _ = w.Write(a.Body)
}

// Learned is what a provider told in a handshake.
type Learned struct {
	Secret string // to be given to [Verify] from now on; to be kept like any secret
}

// Verify checks that a request came from a provider and says what it is. The secrets are those that are good now: more than
// one during a rotation. body is the request's whole body as it arrived; r.Body is not read. The error is an [*Error].
//
// Handshakes are not events: call [Handshake] first for the providers that have them.
func Verify(name string, secrets []string, r *http.Request, body []byte, opts ...Option) (Delivery, error) {
	return verify(name, secrets, r, body, collect(opts))
}

func verify(name string, secrets []string, r *http.Request, body []byte, o *options) (Delivery, error) {
	p, err := find(name)
	if err != nil {
		return Delivery{}, err
	}
	req := newRequest(p, secrets, r, body, o)
	if len(req.secrets) == 0 && p.Secret != "" && !p.Optional {
		return Delivery{}, p.mend(name, fail(CodeNoSecret, "no secret is set"))
	}
	if err := req.checkSettings(); err != nil {
		return Delivery{}, p.mend(name, err)
	}
	if err := p.verify(req); err != nil {
		return Delivery{}, p.mend(name, err)
	}
	var d Delivery
	if p.describe != nil {
		d = p.describe(req)
	}
	d.Provider = name
	return d, nil
}

// Handshake answers a request that is a provider's question rather than an event. A nil answer with a nil error says that
// the request is none: give it to [Verify]. What a provider hands over is returned only while no secret is set; keep it
// before the answer is sent. A handshake that must not be answered is an [*Error].
func Handshake(name string, secrets []string, r *http.Request, body []byte, opts ...Option) (*Answer, *Learned, error) {
	return handshake(name, secrets, r, body, collect(opts))
}

func handshake(name string, secrets []string, r *http.Request, body []byte, o *options) (*Answer, *Learned, error) {
	p, err := find(name)
	if err != nil {
		return nil, nil, err
	}
	if p.handshake == nil {
		return nil, nil, nil
	}
	answer, learned, err := p.handshake(newRequest(p, secrets, r, body, o))
	if err != nil {
		return nil, nil, p.mend(name, err)
	}
	return answer, learned, nil
}

// mend makes an error of a rule complete.
func (p *provider) mend(name string, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{Code: CodeMalformed, Detail: "the request cannot be read", cause: err}
	}
	whole := *e
	whole.Provider = name
	if whole.Status == 0 {
		whole.Status = statusOf(whole.Code)
	}
	return &whole
}

// Accepted is the answer that the provider expects for an event that is safe with the receiver.
func Accepted(name string, d Delivery) Answer {
	if p := providers[name]; p != nil && p.accepted != nil {
		return p.accepted(d)
	}
	return Answer{Status: http.StatusOK}
}

// Refused is the answer to a request that [Verify] or [Handshake] returned an error for.
func Refused(name string, err error) Answer {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return Text(http.StatusInternalServerError, "the request could not be checked\n")
	}
	if p := providers[name]; p != nil && p.refused != nil {
		return p.refused(e)
	}
	status := e.Status
	if status == 0 {
		status = statusOf(e.Code)
	}
	return Text(status, strings.ReplaceAll(e.Code, "_", " ")+"\n")
}

// Text makes an answer of plain text that no browser takes for anything else.
func Text(status int, text string) Answer {
	return Answer{Status: status, Header: http.Header{
		"Content-Type":           {"text/plain; charset=utf-8"},
		"X-Content-Type-Options": {"nosniff"},
	}, Body: []byte(text)}
}
