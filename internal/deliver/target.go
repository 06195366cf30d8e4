package deliver

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/posthornhq/posthorn/internal/codec"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/webhook"
)

// Request is one request to an endpoint. It is only valid during Send.
type Request struct {
	URL string
	// uri is URL taken apart, once for each change of the endpoint.
	uri         *fasthttp.URI
	ContentType string
	// Headers are those of the endpoint (custom, authorization); Own are Posthorn's.
	Headers, Own []event.Header
	UserAgent    string
	Body         []byte
	Timeout      time.Duration
	// Original is the request that came in, when it is sent on as it was: its method is used, Path is what follows URL, and
	// Own are all headers but Host and Content-Length, in their order.
	Original *event.Request
	Path     string
	// Whole asks for the whole answer.
	Whole bool
	// Endpoint is where it goes; nil for one that no endpoint is for.
	Endpoint *event.Endpoint
	event    *event.Event // the first that it carries
}

// method is POST, or that of the request that is sent on.
func (r *Request) method() string {
	if r.Original != nil {
		method, _, _ := r.Original.Line()
		return method
	}
	return fasthttp.MethodPost
}

// target is an endpoint prepared for sending: its secrets opened, its signer ready.
type target struct {
	ep      *event.Endpoint
	uri     *fasthttp.URI
	headers []event.Header
	signer  *webhook.Signer // nil: not signed
	options codec.Options
	// until is when a signing secret's overlap ends and the target must be prepared again; zero for never.
	until time.Time
}

// scratch is the memory of one request, used again.
type scratch struct {
	body, signature []byte
	own             []event.Header
}

var scratches = sync.Pool{New: func() any { return &scratch{} }}

// maxScratch is the largest body buffer that is kept for the next request.
const maxScratch = 1 << 20

// send builds a delivery's request, sends it and returns the answer and the webhook-id that it carried.
// With whole the answer is read whole.
func (m *Manager) send(u *unit, now time.Time, whole bool) (Answer, string) {
	t, err := m.prepared(u, now)
	if err != nil {
		return Answer{failure: failureProtocol, reason: "the endpoint's secrets cannot be opened"}, ""
	}
	s, _ := scratches.Get().(*scratch)
	defer s.release()
	r, id, refused := m.compose(t, s, u.events, u.number, now)
	if r == nil {
		return refused.answer(), id
	}
	r.Whole = whole
	return m.dispatch(r), id
}

// release gives the memory back for the next request, once nobody uses what was built in it.
func (s *scratch) release() {
	if cap(s.body) <= maxScratch {
		scratches.Put(s)
	}
}

// refusal is why a request cannot be built.
type refusal struct {
	failure failure
	reason  string
}

func (r refusal) answer() Answer { return Answer{failure: r.failure, reason: r.reason} }

// compose builds the request for some events in the memory of s, and returns it with its webhook-id. The request is nil when it
// cannot be built.
func (m *Manager) compose(t *target, s *scratch, events []*event.Event, number int, now time.Time) (*Request, string, refusal) {
	ep, id := t.ep, deliveryID(events)
	if ep.Batch.Coalesce && len(events) > 1 {
		events = coalesce(events)
	}
	options := t.options
	options.Batch = options.Batch || len(events) > 1 // a batch that failed stays one, also when batches were switched off since
	contentType, headers, body, err := codec.Encode(s.body[:0], options, events)
	if err != nil {
		return nil, id, refusal{failureUnsendable, event.CauseUnsendable.Text()}
	}
	s.body = body
	s.own = s.own[:0]
	var came *event.Request // sent on as it was
	if t.options.Envelope == event.EnvelopeOriginal {
		came = events[0].Origin
	}
	if came == nil {
		s.own = append(s.own, headers...)
	}
	if err := t.sign(s, id, now); err != nil {
		return nil, id, refusal{failureProtocol, "the request cannot be signed"}
	}
	s.own = append(s.own,
		event.Header{Name: "posthorn-version", Value: strconv.FormatInt(events[len(events)-1].Version, 10)},
		event.Header{Name: "posthorn-attempt", Value: strconv.Itoa(number)},
	)
	if len(events) > 1 {
		s.own = append(s.own, event.Header{Name: "posthorn-batch", Value: strconv.Itoa(len(events))})
	}
	r := &Request{
		URL: ep.URL, uri: t.uri, ContentType: contentType, Headers: t.headers, Own: s.own, UserAgent: m.cfg.UserAgent, Body: body,
		Timeout: m.timeout(ep), Endpoint: ep, event: events[0],
	}
	if came != nil {
		r.Original, r.Path = came, came.Path
		r.Headers, r.Own = nil, original(headers, t.headers, s.own, ep.AuthType != "")
	}
	if r.Path != "" && ep.Kind != event.KindTunnel {
		if r.uri, err = parseURL(originalURL(ep.URL, r.Path)); err != nil {
			return nil, id, refusal{failureUnsendable, "the address cannot be read"}
		}
	}
	return r, id, refusal{}
}

// sign adds the headers of Standard Webhooks for the body in s.
func (t *target) sign(s *scratch, id string, now time.Time) (err error) {
	s.own = append(s.own,
		event.Header{Name: "webhook-id", Value: id},
		event.Header{Name: "webhook-timestamp", Value: strconv.FormatInt(now.Unix(), 10)},
	)
	if t.signer == nil {
		return nil
	}
	if s.signature, err = t.signer.AppendSignature(s.signature[:0], id, now, s.body); err != nil {
		return err
	}
	s.own = append(s.own, event.Header{Name: "webhook-signature", Value: string(s.signature)})
	return nil
}

// dispatch sends a request on its endpoint's way.
func (m *Manager) dispatch(r *Request) Answer {
	if r.Endpoint.Kind == event.KindTunnel {
		return m.sendTunnel(r)
	}
	return m.cfg.Sender.Send(r)
}

func (m *Manager) timeout(ep *event.Endpoint) time.Duration {
	if ep.Timeout > 0 {
		return ep.Timeout
	}
	return m.cfg.Timeout
}

// prepared returns the lane's target, made anew after a change of the endpoint.
func (m *Manager) prepared(u *unit, now time.Time) (*target, error) {
	if t := u.lane.target.Load(); t != nil && t.ep == u.ep && (t.until.IsZero() || now.Before(t.until)) {
		return t, nil
	}
	t, err := m.prepare(u.ep, now)
	if err == nil {
		u.lane.target.Store(t)
	}
	return t, err
}

func (m *Manager) prepare(ep *event.Endpoint, now time.Time) (*target, error) {
	secrets, err := m.cfg.Opener.Secrets(context.WithoutCancel(m.ctx), ep)
	if err != nil {
		return nil, err
	}
	return m.ready(ep, &secrets, now)
}

// ready is prepare with opened secrets.
func (m *Manager) ready(ep *event.Endpoint, secrets *event.Secrets, now time.Time) (t *target, err error) {
	var uri *fasthttp.URI
	if ep.Kind != event.KindTunnel {
		if uri, err = parseURL(ep.URL); err != nil {
			return nil, err
		}
	}
	t = &target{ep: ep, uri: uri, headers: secrets.Headers, options: codec.Options{
		Envelope: ep.Envelope, Payload: ep.Payload, Format: ep.Format, Batch: ep.Batch.Max > 1, EventURL: m.cfg.EventURL,
	}}
	if c := secrets.Auth; c != nil {
		t.headers = append(slices.Clip(t.headers), event.Header{Name: "authorization", Value: authorization(ep.AuthType, c)})
	}
	if ep.Signing == "none" {
		return t, nil
	}
	var keys []webhook.Key
	for _, s := range secrets.Signing {
		if !s.Expires.IsZero() {
			if !now.Before(s.Expires) {
				continue
			}
			if t.until.IsZero() || s.Expires.Before(t.until) {
				t.until = s.Expires
			}
		}
		key, err := webhook.ParseKey(s.Secret)
		if err != nil {
			return nil, fmt.Errorf("signing secret: %w", err)
		}
		keys = append(keys, key)
	}
	t.signer, err = webhook.NewSigner(keys...)
	return t, err
}

func authorization(kind string, c *event.Credentials) string {
	if kind == "basic" {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password))
	}
	return "Bearer " + c.Token
}

// coalesce keeps the newest event of each key, in version order; events without a key are kept.
func coalesce(events []*event.Event) []*event.Event {
	newest := make(map[string]int64, len(events))
	for _, ev := range events {
		newest[ev.OrderingKey()] = ev.Version
	}
	kept := make([]*event.Event, 0, len(newest))
	for _, ev := range events {
		if k := ev.OrderingKey(); k == "" || newest[k] == ev.Version {
			kept = append(kept, ev)
		}
	}
	return kept
}

// deliveryID is the webhook-id: the event's own, or for a batch one that follows from the events in it, so that the same
// batch sent again has the same id.
func deliveryID(events []*event.Event) string {
	if len(events) == 1 {
		return events[0].WebhookID()
	}
	h := sha256.New()
	for _, ev := range events {
		h.Write([]byte(ev.ID))
		h.Write([]byte{'\n'})
	}
	return "batch_" + hex.EncodeToString(h.Sum(nil)[:16])
}
