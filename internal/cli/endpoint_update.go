package cli

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// endpointFlags are the options of what an endpoint is. What is not given is its default, or stays as it is.
type endpointFlags struct {
	Types       []string          `help:"Event types or patterns, such as order.* or order.**; every type without it." placeholder:"PATTERN"`
	Filter      string            `help:"A CEL expression over the event that must be true." placeholder:"CEL"`
	Channels    []string          `help:"Only events that name one of these channels." placeholder:"NAME"`
	Changed     []string          `help:"Only events whose data say that one of these members changed, or do not say what changed." placeholder:"NAME"`
	Order       string            `help:"none: best effort; key: events of one key in order; strict: all in order." enum:",none,key,strict" default:"" placeholder:"ORDER"`
	Payload     string            `help:"full, or thin: a URL instead of the data." enum:",full,thin" default:"" placeholder:"PAYLOAD"`
	Envelope    string            `help:"The form of the body: standard, cloudevents, cloudevents-binary, raw or original." enum:",standard,cloudevents,cloudevents-binary,raw,original" default:"" placeholder:"ENVELOPE"`
	BatchMax    int               `help:"The most events in one request, 1 to 200." placeholder:"N"`
	BatchWait   time.Duration     `help:"How long a first event may wait for others." placeholder:"DURATION"`
	Coalesce    bool              `help:"Keep only the newest event of each key within a batch."`
	Header      map[string]string `help:"A request header, as NAME=VALUE; may be given several times." placeholder:"NAME=VALUE" mapsep:"none"`
	Basic       string            `help:"Send basic credentials, as USER:PASSWORD." placeholder:"USER:PASSWORD" xor:"auth"`
	Bearer      string            `help:"Send a bearer token." placeholder:"TOKEN" xor:"auth"`
	Signing     string            `help:"standard (HMAC-SHA256), standard-v1a (Ed25519) or none." enum:",standard,standard-v1a,none" default:"" placeholder:"SIGNING"`
	Timeout     time.Duration     `help:"Bounds one attempt." placeholder:"DURATION"`
	Retries     []time.Duration   `help:"The waits between tries, such as 5s,5m,1h." placeholder:"DURATION"`
	Forever     bool              `help:"Repeat until it succeeds; never give up, never disable the endpoint."`
	Profile     string            `help:"How long it is left alone when it fails as a whole: default, or flexibee (10 to 180 s for any fault)." enum:",default,flexibee" default:"" placeholder:"PROFILE"`
	RateLimit   float64           `help:"The most requests a second." placeholder:"N"`
	Concurrency int               `help:"The most requests at once." placeholder:"N"`
	Description string            `help:"For people."`
	Paused      bool              `help:"Do not send yet."`
}

// endpoint puts the options together.
func (x *endpointFlags) endpoint() (client.Endpoint, error) {
	e := client.Endpoint{
		Types: x.Types, Filter: x.Filter, Channels: x.Channels, Order: x.Order, Payload: x.Payload,
		Envelope: x.Envelope, Headers: x.Header, Signing: x.Signing, Timeout: client.Duration(x.Timeout),
		RateLimit: x.RateLimit, Concurrency: x.Concurrency, Description: x.Description, Disabled: x.Paused,
		Changed: x.Changed, Forever: x.Forever, Profile: x.Profile,
	}
	if x.BatchMax > 0 || x.BatchWait > 0 || x.Coalesce {
		e.Batch = &client.Batch{Max: x.BatchMax, Wait: client.Duration(x.BatchWait), Coalesce: x.Coalesce}
	}
	for _, d := range x.Retries {
		e.Retries = append(e.Retries, client.Duration(d))
	}
	if user, password, ok := strings.Cut(x.Basic, ":"); ok {
		e.Auth = &client.Auth{Type: "basic", Username: user, Password: password}
	} else if x.Basic != "" {
		return e, usagef("--basic: must be USER:PASSWORD")
	}
	if x.Bearer != "" {
		e.Auth = &client.Auth{Type: "bearer", Token: x.Bearer}
	}
	return e, nil
}

// patchFlags change an endpoint that there is.
type patchFlags struct {
	endpointFlags
	URL   string   `name:"url" help:"Where to send, http or https." placeholder:"URL"`
	Unset []string `help:"Put a field back to its default, by its name in the API, such as filter, batch, forever or headers.X-Name." placeholder:"FIELD"`
}

// patch is a JSON merge patch (RFC 7386) of what is given, empty when nothing is.
func (x *patchFlags) patch() (map[string]any, error) {
	e, err := x.endpoint()
	if err != nil {
		return nil, err
	}
	e.URL = x.URL
	raw, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	patch := map[string]any{}
	if err := json.Unmarshal(raw, &patch); err != nil {
		return nil, err
	}
	if x.URL == "" {
		delete(patch, "url")
	}
	if !x.Paused {
		delete(patch, "disabled")
	}
	if auth, ok := patch["auth"].(map[string]any); ok { // what is of another type must go
		for _, name := range []string{"username", "password", "token"} {
			if _, given := auth[name]; !given {
				auth[name] = nil
			}
		}
	}
	for _, field := range x.Unset {
		name, inner, nested := strings.Cut(field, ".")
		if _, given := patch[name]; given && !nested {
			return nil, usagef("--unset %s: is given, too", field)
		}
		if !nested {
			patch[name] = nil
			continue
		}
		object, ok := patch[name].(map[string]any)
		if !ok {
			object = map[string]any{}
			patch[name] = object
		}
		object[inner] = nil
	}
	return patch, nil
}

type endpointUpdateCmd struct {
	ID string `arg:""`
	patchFlags
}

// Run changes the endpoint.
func (x *endpointUpdateCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	patch, err := x.patch()
	if err != nil {
		return err
	}
	if len(patch) == 0 {
		return usagef("give something to change")
	}
	e, err := cl.PatchEndpoint(c.ctx, tenant, x.ID, patch)
	if err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(e)
	}
	c.showEndpoint(e)
	return nil
}
