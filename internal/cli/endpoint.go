package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
)

var errNotConfirmed = errors.New("nothing was done")

// endpointCmd groups the commands about endpoints.
type endpointCmd struct {
	Add    endpointAddCmd    `cmd:"" help:"Push events to a URL."`
	Ls     endpointLsCmd     `cmd:"" help:"List endpoints with what their deliveries are doing."`
	Show   endpointShowCmd   `cmd:"" help:"Show an endpoint, its figures and its newest attempts."`
	Tries  endpointTriesCmd  `cmd:"" name:"attempts" help:"List attempts at an endpoint, the newest first."`
	Rm     endpointRmCmd     `cmd:"" help:"Delete an endpoint with its backlog."`
	Test   endpointTestCmd   `cmd:"" help:"Send a test event now and show the answer."`
	Replay endpointReplayCmd `cmd:"" help:"Send events again."`
	Pause  endpointPauseCmd  `cmd:"" help:"Stop deliveries; what comes in waits."`
	Resume endpointResumeCmd `cmd:"" help:"Let deliveries to a paused or disabled endpoint go on."`
	Retry  endpointRetryCmd  `cmd:"" help:"End a penalty and try at once."`
	Secret endpointSecretCmd `cmd:"" help:"Show or rotate the signing secret."`
}

type endpointAddCmd struct {
	URL         string            `arg:"" name:"url" help:"Where to send, http or https."`
	Types       []string          `help:"Event types or patterns, such as order.* or order.**; every type without it." placeholder:"PATTERN"`
	Filter      string            `help:"A CEL expression over the event that must be true." placeholder:"CEL"`
	Channels    []string          `help:"Only events that name one of these channels." placeholder:"NAME"`
	Changed     []string          `help:"Only events whose data say that one of these members changed, or do not say what changed." placeholder:"NAME"`
	Start       int64             `help:"The first version that it gets; what comes without it." placeholder:"VERSION"`
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
func (x *endpointAddCmd) endpoint() client.Endpoint {
	e := client.Endpoint{
		URL: x.URL, Types: x.Types, Filter: x.Filter, Channels: x.Channels, Order: x.Order, Payload: x.Payload,
		Envelope: x.Envelope, Headers: x.Header, Signing: x.Signing, Timeout: client.Duration(x.Timeout),
		RateLimit: x.RateLimit, Concurrency: x.Concurrency, Description: x.Description, Disabled: x.Paused,
		Changed: x.Changed, Start: x.Start, Forever: x.Forever, Profile: x.Profile,
	}
	if x.BatchMax > 0 || x.BatchWait > 0 || x.Coalesce {
		e.Batch = &client.Batch{Max: x.BatchMax, Wait: client.Duration(x.BatchWait), Coalesce: x.Coalesce}
	}
	for _, d := range x.Retries {
		e.Retries = append(e.Retries, client.Duration(d))
	}
	if user, password, ok := strings.Cut(x.Basic, ":"); ok {
		e.Auth = &client.Auth{Type: "basic", Username: user, Password: password}
	}
	if x.Bearer != "" {
		e.Auth = &client.Auth{Type: "bearer", Token: x.Bearer}
	}
	return e
}

// Run makes the endpoint and prints its id and secret.
func (x *endpointAddCmd) Run(c *console) error {
	if x.Basic != "" && !strings.Contains(x.Basic, ":") {
		return usagef("--basic: must be USER:PASSWORD")
	}
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	made, err := cl.CreateEndpoint(c.ctx, tenant, x.endpoint())
	if err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(made)
	}
	secret := client.Secret{}
	if made.Signing != "none" {
		s, err := cl.Secret(c.ctx, tenant, made.ID)
		if err != nil {
			return fmt.Errorf("the endpoint %s was made, but its secret could not be read: %w", made.ID, err)
		}
		secret = *s
	}
	c.fields([]field{
		{"id", cell{made.ID, bold}},
		{"url", text(made.URL)},
		{"types", text(typesOf(made))},
		{"start", text(startOf(x.Start))},
		{"secret", text(secret.Secret)},
		{"public key", text(secret.PublicKey)},
	})
	return nil
}

// startOf shows the version that an endpoint begins with, when it was asked for.
func startOf(version int64) string {
	if version == 0 {
		return ""
	}
	return "version " + strconv.FormatInt(version, 10)
}

func typesOf(e *client.Endpoint) string {
	if len(e.Types) == 0 {
		return "every type"
	}
	return strings.Join(e.Types, ", ")
}

type endpointLsCmd struct {
	limited
	searched
	Type string `help:"Only those that take events of this type, such as order.paid." placeholder:"TYPE"`
	Lane string `help:"Only those whose deliveries are live, in backlog, waiting or disabled." enum:",live,backlog,waiting,disabled" default:"" placeholder:"STATE"`
}

// Run lists the endpoints.
func (x *endpointLsCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	options := x.options(x.page(), client.WithState())
	if x.Type != "" {
		options = append(options, client.Taking(x.Type))
	}
	if x.Lane != "" {
		options = append(options, client.InLane(x.Lane))
	}
	items, more, err := collect(x.limited, cl.Endpoints(c.ctx, tenant, options...))
	if err != nil {
		return err
	}
	narrowed := x.Search != "" || x.Type != "" || x.Lane != ""
	return listed(c, items, more, nothingOr("There are no endpoints; \"posthorn endpoint add URL\" makes one.", narrowed),
		[]string{"ID", "LANE", "BACKLOG", "RETRIES", "TYPES", "URL"},
		func(e client.Endpoint) []cell {
			lane, backlog, retries := laneOf(&e)
			return []cell{{e.ID, bold}, lane, backlog, retries, text(typesOf(&e)), text(e.URL)}
		})
}

// laneOf shows the state of an endpoint's deliveries.
func laneOf(e *client.Endpoint) (lane, backlog, retries cell) {
	s := e.State
	if s == nil {
		if e.Disabled {
			return cell{e.DisabledReason, yellow}, cell{}, cell{}
		}
		return cell{}, cell{}, cell{}
	}
	lane = cell{s.Lane, green}
	switch {
	case s.Waiting != "":
		lane = cell{s.Waiting, red}
	case s.Lane != "live":
		lane.paint = yellow
	}
	return lane, text(count(s.Backlog)), text(count(int64(s.Retries)))
}

type endpointShowCmd struct {
	limited
	ID string `arg:""`
}

// Run shows the endpoint.
func (x *endpointShowCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	e, err := cl.Endpoint(c.ctx, tenant, x.ID)
	if err != nil {
		return err
	}
	x.Limit = min(x.Limit, 10)
	attempts, _, err := collect(x.limited, cl.EndpointAttempts(c.ctx, tenant, x.ID, x.page()))
	if err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(struct {
			*client.Endpoint
			Attempts []client.Attempt `json:"attempts"`
		}{e, attempts})
	}
	c.showEndpoint(e)
	if len(attempts) > 0 {
		c.printf("\n")
		c.attempts(attempts, "EVENT", func(a client.Attempt) string { return a.Event })
	}
	return nil
}

func (c *console) showEndpoint(e *client.Endpoint) {
	lane, backlog, retries := laneOf(e)
	list := []field{
		{"id", cell{e.ID, bold}},
		{"url", text(e.URL)},
		{"description", text(e.Description)},
		{"types", text(typesOf(e))},
		{"filter", text(e.Filter)},
		{"channels", text(strings.Join(e.Channels, ", "))},
		{"changed", text(strings.Join(e.Changed, ", "))},
		{"start", text(startOf(e.Start))},
		{"order", text(e.Order)},
		{"payload", text(e.Payload)},
		{"envelope", text(e.Envelope)},
		{"batch", text(batchOf(e.Batch))},
		{"signing", text(e.Signing)},
		{"timeout", text(durationOf(e.Timeout))},
		{"retry after", text(scheduleOf(e.Retries))},
		{"forever", text(unlessFalse(e.Forever))},
		{"profile", text(e.Profile)},
		{"rate limit", text(unlessZero(e.RateLimit, " requests/s"))},
		{"concurrency", text(unlessZero(float64(e.Concurrency), ""))},
		{"headers", text(strings.Join(slices.Sorted(keysOf(e.Headers)), ", "))},
		{"disabled", cell{e.DisabledReason, yellow}},
		{"lane", lane},
		{"backlog", backlog},
		{"retries", retries},
	}
	if s := e.State; s != nil {
		list = append(
			list, field{"oldest", text(stampOf(s.OldestAt))}, field{"penalty", cell{durationOf(s.Penalty), red}},
			field{"penalty until", text(stampOf(s.PenaltyUntil))}, field{"failing since", cell{stampOf(s.FailingSince), red}},
			field{"last attempt", text(stampOf(s.LastAttempt))},
		)
		for _, r := range s.Replays {
			list = append(list, field{"replay", text(replayOf(&r))})
		}
	}
	c.fields(append(list, field{"created", text(stamp(e.Created))}, field{"updated", text(stamp(e.Updated))}))
}

func keysOf(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func batchOf(b *client.Batch) string {
	if b == nil {
		return ""
	}
	s := fmt.Sprintf("up to %d", b.Max)
	if b.Wait > 0 {
		s += ", waits " + b.Wait.String()
	}
	if b.Coalesce {
		s += ", newest of each key"
	}
	return s
}

func durationOf(d client.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func unlessFalse(b bool) string {
	if !b {
		return ""
	}
	return "yes"
}

func scheduleOf(list []client.Duration) string {
	parts := make([]string, len(list))
	for i, d := range list {
		parts[i] = d.String()
	}
	return strings.Join(parts, ", ")
}

func replayOf(r *client.Replay) string {
	return fmt.Sprintf("%s: versions %d to %d, at %d, %s sent", r.ID, r.FromVersion, r.ToVersion, r.Cursor, count(r.Sent))
}

type endpointRmCmd struct {
	sure
	ID string `arg:""`
}

// Run deletes the endpoint.
func (x *endpointRmCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	if err := x.confirm(c, "deleting endpoint "+x.ID+" with its backlog"); err != nil {
		return err
	}
	if err := cl.DeleteEndpoint(c.ctx, tenant, x.ID); err != nil {
		return err
	}
	return c.done("deleted", x.ID)
}
