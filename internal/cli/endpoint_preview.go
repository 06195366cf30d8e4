package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/posthornhq/posthorn/client"
)

type endpointPreviewCmd struct {
	patchFlags
	ID        string `help:"The saved endpoint that it would replace: what is not given is as it has it." name:"id" placeholder:"ID"`
	Event     string `help:"The event to send, by its id; the newest that the endpoint would take, or an example, without it." placeholder:"ID" xor:"event"`
	EventType string `help:"The type of an event that is not published." name:"type" placeholder:"TYPE" xor:"event"`
	Data      string `help:"That event's data, as JSON; @FILE reads a file, - standard input."`
	Subject   string `help:"That event's subject."`
	Send      bool   `help:"Send the request too, once, and show the answer; nothing is recorded."`
}

// Run shows the request, and with Send its answer.
func (x *endpointPreviewCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	q, err := x.request(c, cl, tenant)
	if err != nil {
		return err
	}
	if !x.Send {
		p, err := cl.Preview(c.ctx, tenant, q)
		if err != nil {
			return err
		}
		if c.json {
			return c.writeJSON(p)
		}
		c.showPreview(p)
		return nil
	}
	t, err := cl.Try(c.ctx, tenant, q)
	if err != nil {
		return err
	}
	if c.json {
		err = c.writeJSON(t)
	} else {
		c.showPreview(&t.Preview)
		c.printf("\n")
		c.testResult(&t.Result)
	}
	if err == nil && t.Result.Verdict != "delivered" {
		err = &statusError{err: errors.New("the request was not accepted"), status: ExitFailure, quiet: true}
	}
	return err
}

// request puts the options together.
func (x *endpointPreviewCmd) request(c *console, cl *client.Client, tenant string) (client.PreviewRequest, error) {
	q := client.PreviewRequest{ID: x.ID, EventID: x.Event}
	var err error
	if x.ID == "" {
		if x.URL == "" || len(x.Unset) > 0 {
			return q, usagef("give --url, or --id of a saved endpoint; --unset goes with --id")
		}
		q.Endpoint, err = x.endpoint()
		q.Endpoint.URL = x.URL
	} else {
		q.Endpoint, err = x.changed(c, cl, tenant)
	}
	if err != nil {
		return q, err
	}
	if x.EventType == "" {
		if x.Data != "" || x.Subject != "" {
			return q, usagef("--data and --subject need --type")
		}
		return q, nil
	}
	q.Event = &client.Event{Type: x.EventType, Subject: x.Subject}
	if x.Data != "" {
		data, err := c.readArgument(x.Data)
		if err != nil {
			return q, err
		}
		if q.Event.Data, err = asJSON(data); err != nil {
			return q, err
		}
	}
	return q, nil
}

// changed is the saved endpoint with the options applied.
func (x *endpointPreviewCmd) changed(c *console, cl *client.Client, tenant string) (client.Endpoint, error) {
	saved, err := cl.Endpoint(c.ctx, tenant, x.ID)
	if err != nil {
		return client.Endpoint{}, err
	}
	saved.State = nil
	patch, err := x.patch()
	if err != nil || len(patch) == 0 {
		return *saved, err
	}
	raw, err := json.Marshal(saved)
	if err != nil {
		return *saved, err
	}
	var document map[string]any
	if err := json.Unmarshal(raw, &document); err != nil {
		return *saved, err
	}
	if raw, err = json.Marshal(mergePatch(document, patch)); err != nil {
		return *saved, err
	}
	var out client.Endpoint
	return out, json.Unmarshal(raw, &out)
}

// mergePatch applies a JSON merge patch (RFC 7386) to an object.
func mergePatch(object, patch map[string]any) map[string]any {
	if object == nil {
		object = map[string]any{}
	}
	for name, value := range patch {
		inner, ok := value.(map[string]any)
		switch {
		case ok:
			old, _ := object[name].(map[string]any)
			object[name] = mergePatch(old, inner)
		case value == nil:
			delete(object, name)
		default:
			object[name] = value
		}
	}
	return object
}

// whyNot says for people why an event is not for an endpoint.
func whyNot(why string) string {
	switch why {
	case "":
		return ""
	case "types":
		return "its type fits no pattern"
	case "channels":
		return "it carries none of the channels"
	case "filter":
		return "the filter is not true"
	case "changed":
		return "none of the members changed"
	case "kind":
		return "it is not the change of a record"
	case "before_start":
		return "it is older than the endpoint's start"
	}
	return why
}

// showPreview writes the request as HTTP/1.1 has it, after what it was made of.
func (c *console) showPreview(p *client.Preview) {
	source := map[string]string{"given": "as given", "log": "on the log", "example": "an example of the catalogue", "made": "made up"}[p.Source]
	recent := fmt.Sprintf("%d of the newest %d events are for it", p.Recent.Matched, p.Recent.Of)
	if p.Recent.Of == 0 {
		recent = "there are no events yet"
	}
	fits := cell{"is for the endpoint", green}
	if !p.Matches {
		fits = cell{"is not for the endpoint: " + whyNot(p.Why), yellow}
	}
	c.fields([]field{{"event", text(strings.Join(p.Events, ", ") + " (" + source + ")")}, {"matching", fits}, {"recent", text(recent)}})
	c.printf("\n%s %s\n", c.paint(bold, clean(p.Request.Method)), c.paint(bold, clean(p.Request.URL)))
	for _, h := range p.Request.Headers {
		c.printf("%s: %s\n", c.paint(dim, clean(h.Name)), clean(h.Value))
	}
	if p.Request.Size == 0 {
		return
	}
	c.printf("\n")
	if p.Request.Base64 {
		c.printf("%s\n", c.paint(dim, fmt.Sprintf("%d bytes that are not text", p.Request.Size)))
		return
	}
	for line := range strings.Lines(p.Request.Body) {
		c.printf("%s\n", clean(strings.TrimRight(line, "\r\n")))
	}
	if p.Request.Cut {
		c.printf("%s\n", c.paint(dim, fmt.Sprintf("the beginning of %d bytes", p.Request.Size)))
	}
}
