package rest

import (
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

const (
	// maxShownBody and maxShownBatch bound what is shown of a request's body, in bytes.
	maxShownBody  = 256 << 10
	maxShownBatch = 1 << 20
	masked        = "***"
)

func (a *API) previewRoutes() {
	register(a, operation{
		id: "preview-endpoint", method: http.MethodPost, path: endpointsPath + "/preview", tag: "Endpoints",
		summary: "Show what would be sent to an endpoint",
		doc: "Of an endpoint as it would be created, or, with id, as it would replace a saved one: the request, built by the code that sends, " +
			"and which of the newest events are for it. Nothing is sent or saved. What is wrong with the endpoint is named as creating it would.",
		scope: scopeManage, portal: true, secret: true, inner: "endpoint.", unaudited: "nothing is saved",
	}, a.previewEndpoint)
	register(a, operation{
		id: "try-endpoint", method: http.MethodPost, path: endpointsPath + "/try", tag: "Endpoints",
		summary: "Send what would be sent to an endpoint, once",
		doc: "As preview, and the request is sent, once and now; nothing is recorded or tried again. The answer is waited for 30 s at most. " +
			"One at a time for a tenant, and 30 a minute.",
		scope: scopeManage, portal: true, secret: true, inner: "endpoint.", unaudited: "nothing is saved", waits: true, errors: []int{http.StatusTooManyRequests},
	}, a.tryEndpoint)
}

// draft is an endpoint that need not be saved, with what is sent to it.
type draft struct {
	endpoint event.Endpoint
	secrets  event.Secrets
	// keeps: the credentials are the stored ones, which are never shown.
	keeps  bool
	sample sample
}

// InPreview is the body of a preview.
type InPreview struct {
	InTenant
	Body client.PreviewRequest
}

func (a *API) previewEndpoint(ctx context.Context, c *call, in *InPreview) (*outBody[client.Preview], error) {
	d, err := a.draft(ctx, c, &in.Body)
	if err != nil {
		return nil, err
	}
	sent, err := a.Delivery.Preview(ctx, &d.endpoint, &d.secrets, d.sample.events)
	if err != nil {
		return nil, err
	}
	return &outBody[client.Preview]{a.showPreview(d, &sent)}, nil
}

func (a *API) tryEndpoint(ctx context.Context, c *call, in *InPreview) (*outBody[client.Tried], error) {
	d, err := a.draft(ctx, c, &in.Body)
	if err != nil {
		return nil, err
	}
	end, err := a.trying.begin(c.tenant.ID, time.Now())
	if err != nil {
		return nil, err
	}
	defer end()
	sent, t, err := a.Delivery.Try(ctx, &d.endpoint, &d.secrets, d.sample.events)
	if err != nil {
		return nil, err
	}
	return &outBody[client.Tried]{client.Tried{Preview: a.showPreview(d, &sent), Result: showTest(&t)}}, nil
}

// draft makes an endpoint of a request, checked as creating or replacing it would, and finds the events to send.
func (a *API) draft(ctx context.Context, c *call, in *client.PreviewRequest) (*draft, error) {
	var d draft
	var stored *event.Endpoint
	body := in.Endpoint
	if body.Auth != nil { // keepCredentials changes it
		auth := *body.Auth
		body.Auth = &auth
	}
	if in.ID != "" {
		e, err := a.endpoint(ctx, c, in.ID)
		if event.KindOf(err) == event.KindNotFound && err != nil {
			return nil, invalid("id", "there is no such endpoint")
		}
		if err != nil {
			return nil, err
		}
		old, err := a.Control.Secrets(ctx, &e)
		if err != nil {
			return nil, err
		}
		stored, d.keeps = &e, keepsStored(&body, &e, &old)
	} else if p := mayMake(c, body.Kind); p != nil {
		return nil, p
	}
	if p := checkAuth(body.Auth); p != nil {
		return nil, p
	}
	if p := mayShape(c, stored, body.Envelope); p != nil {
		return nil, p
	}
	e, s := readEndpoint(&body)
	e.Tenant = c.tenant.ID
	var err error
	if d.endpoint, d.secrets, err = a.Control.Draft(ctx, e, s, stored); err != nil {
		return nil, err
	}
	d.endpoint.Start = 0 // what is on the log serves as an example
	d.sample, err = a.sample(ctx, c.tenant, &d.endpoint, in)
	return &d, err
}

// keepsStored fills in what a request leaves out of a saved endpoint: its headers, and its credentials as a replacement of it
// would keep them. It reports whether the credentials are the stored ones.
func keepsStored(body *client.Endpoint, stored *event.Endpoint, s *event.Secrets) bool {
	if body.Headers == nil {
		body.Headers = make(map[string]string, len(s.Headers))
		for _, h := range s.Headers {
			body.Headers[h.Name] = h.Value
		}
	}
	if body.Auth == nil {
		return false
	}
	given := *body.Auth
	keepCredentials(body, stored, s)
	return *body.Auth != given
}

func (a *API) showPreview(d *draft, sent *event.Outgoing) client.Preview {
	out := client.Preview{Request: showOutgoing(sent, d.keeps, len(d.sample.events) > 1), Source: d.sample.source, Recent: d.sample.recent}
	for _, ev := range d.sample.events {
		out.Events = append(out.Events, ev.ID)
		if out.Why == "" {
			out.Why = a.Delivery.Why(&d.endpoint, ev)
		}
	}
	out.Matches = out.Why == ""
	return out
}

// showOutgoing shows a request; keeps masks its credentials.
func showOutgoing(r *event.Outgoing, keeps, batch bool) client.Outgoing {
	out := client.Outgoing{Method: r.Method, URL: r.URL, Headers: make([]client.OutgoingHeader, 0, len(r.Headers)), Size: len(r.Body)}
	for _, h := range r.Headers {
		shown := client.OutgoingHeader{Name: h.Name, Value: strings.ToValidUTF8(h.Value, "\uFFFD")}
		if keeps && strings.EqualFold(h.Name, "authorization") {
			scheme, _, _ := strings.Cut(h.Value, " ")
			shown.Value, shown.Masked = scheme+" "+masked, true
		}
		out.Headers = append(out.Headers, shown)
	}
	limit := maxShownBody
	if batch {
		limit = maxShownBatch
	}
	out.Base64 = !utf8.Valid(r.Body)
	body := r.Body
	if len(body) > limit {
		out.Cut = true
		body = body[:limit]
		for r, n := utf8.DecodeLastRune(body); !out.Base64 && r == utf8.RuneError && n == 1; r, n = utf8.DecodeLastRune(body) {
			body = body[:len(body)-1] // the beginning of a character
		}
	}
	if out.Body = string(body); out.Base64 {
		out.Body = base64.StdEncoding.EncodeToString(body)
	}
	return out
}

func showTest(t *event.Attempt) client.TestResult {
	shown := showAttempt(t)
	out := client.TestResult{Status: t.Status, DurationMS: shown.DurationMS, Verdict: shown.Verdict, Error: t.Error, Cause: shown.Cause}
	if shown.Response != nil {
		out.Headers, out.Body = shown.Response.Headers, shown.Response.Body
	}
	return out
}

// inEvent names the fields of an error as members of the body's event.
func inEvent(err error) error {
	p := problemOf(err)
	p.Errors = slices.Clone(p.Errors)
	for i := range p.Errors {
		p.Errors[i].Field = "event." + p.Errors[i].Field
	}
	return p
}
