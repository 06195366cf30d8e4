package client

import (
	"context"
	"net/http"
)

// PreviewRequest asks what would be sent to an endpoint, which need not be saved.
type PreviewRequest struct {
	Endpoint Endpoint `json:"endpoint" doc:"The endpoint as it would be saved"`
	// ID is that of the saved endpoint that Endpoint would replace.
	ID string `json:"id,omitempty" doc:"The id of the saved endpoint that it would replace: its signing secrets are used, its headers when none are given, and its password or token as a replacement of it would keep them"`
	// Event is sent when it is given, else the event of EventID, else one that is found or made up.
	Event   *Event `json:"event,omitempty" doc:"An event as it would be published; nothing is published. Without it and without event_id: the newest events that the endpoint would take, else an example of a catalogued type that it would take, else a made-up event"`
	EventID string `json:"event_id,omitempty" doc:"The id of an event on the log; instead of event"`
}

// Preview is the request that would be sent.
type Preview struct {
	Request Outgoing `json:"request" doc:"The request, built by the code that sends"`
	Events  []string `json:"events" doc:"The ids of the events in it"`
	// Source tells where the events come from.
	Source string `json:"source" enum:"given,log,example,made" doc:"Where the events come from: given in the request, the log, an example of the catalogue, or made up"`
	// Matches: all of the events are for the endpoint.
	Matches bool   `json:"matches" doc:"The events are for the endpoint"`
	Why     string `json:"why,omitempty" enum:"types,channels,filter,changed,kind" doc:"Why the first that is not is not"`
	Recent  Recent `json:"recent" doc:"How many of the newest events are for the endpoint"`
}

// Recent counts the newest events on the log that an endpoint would take, its start aside.
type Recent struct {
	Of       int    `json:"of" doc:"How many events were looked at: at most 1,000, fewer when they are large"`
	Matched  int    `json:"matched" doc:"How many of them are for the endpoint"`
	NewestID string `json:"newest_id,omitempty" doc:"The id of the newest of these"`
}

// Outgoing is a request as it goes out to an endpoint.
type Outgoing struct {
	Method  string           `json:"method" doc:"POST, or that of a request that is sent on as it came"`
	URL     string           `json:"url" doc:"Where to"`
	Headers []OutgoingHeader `json:"headers" doc:"As they are written, in their order"`
	Body    string           `json:"body" doc:"The body, as text or in base 64; at most 256 KiB of it, of a batch 1 MiB"`
	Base64  bool             `json:"base64,omitempty" doc:"The body is in base 64, because it is not text"`
	// Size is that of the whole body.
	Size int  `json:"size" doc:"The bytes of the whole body"`
	Cut  bool `json:"cut,omitempty" doc:"Only the beginning of the body is shown"`
}

// OutgoingHeader is a header of a request.
type OutgoingHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	// Masked: the value holds stored credentials, which are never shown.
	Masked bool `json:"masked,omitempty" doc:"Stored credentials are in the value, and are shown as ***; what was given in this request is shown as it is"`
}

// Tried is a request that was sent once, and what became of it.
type Tried struct {
	Preview
	Result TestResult `json:"result" doc:"What the endpoint answered"`
}

// Preview returns the request that would be sent to an endpoint, which need not be saved. Errors are as creating it would give.
func (c *Client) Preview(ctx context.Context, tenant string, r PreviewRequest) (*Preview, error) {
	var out Preview
	_, err := c.do(ctx, newCall(http.MethodPost, path("tenants", tenant, "endpoints", "preview"), nil), r, &out)
	return &out, err
}

// Try sends the request of [Client.Preview] once, now. Nothing is recorded or tried again.
func (c *Client) Try(ctx context.Context, tenant string, r PreviewRequest) (*Tried, error) {
	var out Tried
	_, err := c.do(ctx, newCall(http.MethodPost, path("tenants", tenant, "endpoints", "try"), nil), r, &out)
	return &out, err
}
