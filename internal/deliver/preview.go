package deliver

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/posthornhq/posthorn/internal/event"
)

// maxTry bounds how long an answer to a request that is only tried is waited for.
const maxTry = 30 * time.Second

// Test sends an event that is not on the log, and returns the outcome.
func (m *Manager) Test(ctx context.Context, ep *event.Endpoint, ev *event.Event) (event.Attempt, error) {
	if err := ctx.Err(); err != nil {
		return event.Attempt{}, err
	}
	u := &unit{
		lane: &lane{LaneKey: event.LaneKey{Endpoint: ep.ID}, ep: ep}, ep: ep, events: []*event.Event{ev}, versions: []int64{ev.Version}, number: 1,
	}
	at := time.Now()
	answer, id := m.send(u, at, false)
	return m.tried(ep, u.versions, id, at, &answer), nil
}

// tried is the outcome of a request that is not recorded.
func (m *Manager) tried(ep *event.Endpoint, versions []int64, id string, at time.Time, answer *Answer) event.Attempt {
	return event.Attempt{
		Tenant: ep.Tenant, Endpoint: ep.ID, Versions: versions, EventID: id, Number: 1, At: at, Duration: answer.Took, Status: answer.Status,
		Verdict: m.judge(ep, answer, time.Now()).verdict, Error: answer.reason, Headers: answer.Headers, Body: answer.Body,
	}
}

// Preview returns the request that would be sent now for some events, as a first try, to an endpoint that need not be saved,
// with the given secrets. It is built by the code that sends, and sent nowhere. Several events are a batch. Errors:
// KindInvalid when the events cannot be sent so.
func (m *Manager) Preview(_ context.Context, ep *event.Endpoint, secrets *event.Secrets, events []*event.Event) (event.Outgoing, error) {
	var out event.Outgoing
	err := m.compile(ep, secrets, events, time.Now(), func(r *Request, _ string) (err error) {
		out, err = r.wire()
		return err
	})
	return out, err
}

// Try is [Manager.Preview] that also sends the request, once and now, and returns the outcome, which is not recorded. The
// answer is waited for as long as the endpoint says, and 30 s at most.
func (m *Manager) Try(ctx context.Context, ep *event.Endpoint, secrets *event.Secrets, events []*event.Event) (event.Outgoing, event.Attempt, error) {
	var out event.Outgoing
	var a event.Attempt
	if err := ctx.Err(); err != nil {
		return out, a, err
	}
	versions := make([]int64, len(events))
	for i, ev := range events {
		versions[i] = ev.Version
	}
	at := time.Now()
	err := m.compile(ep, secrets, events, at, func(r *Request, id string) (err error) {
		if out, err = r.wire(); err != nil {
			return err
		}
		r.Timeout = min(r.Timeout, maxTry)
		answer := m.dispatch(r)
		a = m.tried(ep, versions, id, at, &answer)
		return nil
	})
	return out, a, err
}

// compile builds a request outside any lane and hands it to f, for as long as f runs.
func (m *Manager) compile(ep *event.Endpoint, secrets *event.Secrets, events []*event.Event, now time.Time, f func(r *Request, id string) error) error {
	t, err := m.ready(ep, secrets, now)
	if err != nil {
		return event.Invalid("url", "cannot be read")
	}
	s := &scratch{}
	r, id, refused := m.compose(t, s, events, 1, now)
	if r == nil {
		return event.Invalid("envelope", refused.reason)
	}
	return f(r, id)
}

// wire shows a request as it goes out: what the client writes, taken apart again.
func (r *Request) wire() (event.Outgoing, error) {
	if r.Endpoint.Kind == event.KindTunnel {
		in := r.tunnelled()
		return event.Outgoing{Method: r.method(), URL: r.URL + r.Path, Headers: in.Headers(), Body: bytes.Clone(r.Body)}, nil
	}
	req := fasthttp.AcquireRequest()
	defer fasthttp.ReleaseRequest(req)
	r.fill(req)
	var b bytes.Buffer
	if _, err := req.WriteTo(&b); err != nil {
		return event.Outgoing{}, event.Invalid("url", "cannot be sent to")
	}
	head, body, _ := bytes.Cut(b.Bytes(), []byte("\r\n\r\n"))
	lines := strings.Split(string(head), "\r\n")
	target := strings.SplitN(lines[0], " ", 3)[1] // written by the client
	out := event.Outgoing{Method: r.method(), URL: string(req.URI().Scheme()) + "://" + string(req.URI().Host()) + target, Body: body}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		out.Headers = append(out.Headers, event.Header{Name: name, Value: value})
	}
	return out, nil
}
