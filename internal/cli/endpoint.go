package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/posthornhq/posthorn/client"
)

var errNotConfirmed = errors.New("nothing was done")

// endpointCmd groups the commands about endpoints.
type endpointCmd struct {
	Add     endpointAddCmd     `cmd:"" help:"Push events to a URL."`
	Ls      endpointLsCmd      `cmd:"" help:"List endpoints with what their deliveries are doing."`
	Show    endpointShowCmd    `cmd:"" help:"Show an endpoint, its figures and its newest attempts."`
	Update  endpointUpdateCmd  `cmd:"" help:"Change an endpoint: what is given, and nothing else."`
	Tries   endpointTriesCmd   `cmd:"" name:"attempts" help:"List attempts at an endpoint, the newest first."`
	Dead    endpointDeadCmd    `cmd:"" name:"dead-letters" help:"List events that finally failed."`
	Rm      endpointRmCmd      `cmd:"" help:"Delete an endpoint with its backlog."`
	Preview endpointPreviewCmd `cmd:"" help:"Show the request that would be sent to an endpoint, saved or not."`
	Test    endpointTestCmd    `cmd:"" help:"Send a test event now and show the answer."`
	Replay  endpointReplayCmd  `cmd:"" help:"Send events again, count them before, or cancel that."`
	Replays endpointReplaysCmd `cmd:"" help:"List replays that run or ended lately."`
	Pause   endpointPauseCmd   `cmd:"" help:"Stop deliveries; what comes in waits."`
	Resume  endpointResumeCmd  `cmd:"" help:"Let deliveries to a paused or disabled endpoint go on."`
	Retry   endpointRetryCmd   `cmd:"" help:"End a penalty and try at once."`
	Secret  endpointSecretCmd  `cmd:"" help:"Show or rotate the signing secret."`
}

type endpointAddCmd struct {
	endpointFlags
	URL   string `arg:"" name:"url" help:"Where to send, http or https."`
	Start int64  `help:"The first version that it gets; what comes without it." placeholder:"VERSION"`
}

// endpoint puts the options together.
func (x *endpointAddCmd) endpoint() (client.Endpoint, error) {
	e, err := x.endpointFlags.endpoint()
	e.URL, e.Start = x.URL, x.Start
	return e, err
}

// Run makes the endpoint and prints its id and secret.
func (x *endpointAddCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	e, err := x.endpoint()
	if err != nil {
		return err
	}
	made, err := cl.CreateEndpoint(c.ctx, tenant, e)
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
	return fmt.Sprintf("%s: versions %d to %d, %.0f%%, %s sent", r.ID, r.FromVersion, r.ToVersion, r.Progress*100, count(r.Sent))
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
