package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// replayPoll is how often a replay that is waited for is looked at.
const replayPoll = 500 * time.Millisecond

type endpointReplayCmd struct {
	ID     string    `arg:""`
	From   int64     `help:"The first version to send again." placeholder:"VERSION" xor:"from"`
	Since  timestamp `help:"The time of receipt to begin with: a time such as 2026-11-21T10:00:00Z, or how long ago, such as 2h or 7d." xor:"from"`
	Until  timestamp `help:"The time of receipt to end before, or how long ago; what is on the log now without it."`
	Failed bool      `help:"Only events that finally failed."`
	DryRun bool      `help:"Count what would be sent, and send nothing." xor:"how"`
	Wait   bool      `help:"Show how far it is until it has ended." xor:"how"`
	Cancel string    `help:"Cancel this replay instead." placeholder:"REPLAY" xor:"from,how"`
}

// Run starts, counts or cancels a replay.
func (x *endpointReplayCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	if x.Cancel != "" {
		if err := cl.CancelReplay(c.ctx, tenant, x.ID, x.Cancel); err != nil {
			return err
		}
		return c.done("cancelled", x.Cancel)
	}
	q := client.ReplayRequest{FromVersion: x.From, Since: x.Since.orNil(), Until: x.Until.orNil(), DryRun: x.DryRun}
	if x.Failed {
		q.Only = "failed"
	}
	if q.FromVersion == 0 && q.Since == nil {
		return usagef("give --from VERSION or --since TIME")
	}
	r, err := cl.Replay(c.ctx, tenant, x.ID, q)
	if err != nil {
		return err
	}
	switch {
	case x.Wait:
		return x.wait(c, cl, tenant, r)
	case c.json:
		return c.writeJSON(r)
	case x.DryRun:
		c.printf("%s of versions %d to %d would be sent\n", matching(r), r.FromVersion, r.ToVersion)
	default:
		c.printf("replay %s began: versions %d to %d\n", r.ID, r.FromVersion, r.ToVersion)
	}
	return nil
}

// matching says how many events a dry run has counted.
func matching(r *client.Replay) string {
	var n int64
	if r.Matching != nil {
		n = *r.Matching
	}
	words := count(n) + " events"
	if n == 1 {
		words = "1 event"
	}
	if r.Exact != nil && !*r.Exact {
		words = "at least " + words
	}
	return words
}

// wait shows how far a replay is until it has ended. An interrupt ends the waiting, not the replay.
func (x *endpointReplayCmd) wait(c *console, cl *client.Client, tenant string, r *client.Replay) error {
	p := c.progress()
	tick := time.NewTicker(replayPoll)
	defer tick.Stop()
	for id := r.ID; r.State == "running"; {
		what := fmt.Sprintf("replay %s: %s sent", id, count(r.Sent))
		if r.Retries > 0 {
			what += fmt.Sprintf(", %s to be tried again", count(int64(r.Retries)))
		}
		p.update(what, int64(r.Progress*1000), 1000)
		select {
		case <-tick.C:
		case <-c.ctx.Done():
			p.end()
			return fmt.Errorf("the replay %s goes on; cancel it with posthorn endpoint replay %s --cancel %s", id, x.ID, id)
		}
		next, err := cl.GetReplay(c.ctx, tenant, x.ID, id)
		switch {
		case c.ctx.Err() != nil:
		case err != nil:
			p.end()
			return err
		default:
			r = next
		}
	}
	p.end()
	if c.json {
		if err := c.writeJSON(r); err != nil {
			return err
		}
	} else {
		c.printf("replay %s %s: %s sent\n", r.ID, r.State, count(r.Sent))
	}
	if r.State != "done" {
		return &statusError{err: errors.New("the replay was cancelled"), status: ExitFailure, quiet: true}
	}
	return nil
}

type endpointReplaysCmd struct{ oneEndpoint }

// Run lists the replays.
func (x *endpointReplaysCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	list, err := cl.Replays(c.ctx, tenant, x.ID)
	if err != nil {
		return err
	}
	return listed(c, list, false, "No replay runs, and none ended within the last hour.",
		[]string{"ID", "STATE", "VERSIONS", "ONLY", "PROGRESS", "SENT", "RETRIES", "STARTED", "ENDED"},
		func(r client.Replay) []cell {
			state := cell{r.State, green}
			if r.State != "done" {
				state.paint = yellow
			}
			return []cell{
				{r.ID, bold},
				state, text(fmt.Sprintf("%d to %d", r.FromVersion, r.ToVersion)), text(r.Only),
				text(fmt.Sprintf("%.0f%%", r.Progress*100)), text(count(r.Sent)), text(count(int64(r.Retries))), text(stampOf(r.Started)), text(stampOf(r.Ended)),
			}
		})
}

type endpointDeadCmd struct {
	limited
	ID string `arg:""`
}

// Run lists the dead letters.
func (x *endpointDeadCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	items, more, err := collect(x.limited, cl.DeadLetters(c.ctx, tenant, x.ID, x.page()))
	if err != nil {
		return err
	}
	return listed(c, items, more, "No event has finally failed.", []string{"VERSION", "AT", "REASON", "TYPE", "EVENT"},
		func(d client.DeadLetter) []cell {
			return []cell{text(fmt.Sprint(d.Version)), text(stamp(d.At)), {d.Reason, red}, {d.Type, cyan}, text(d.Event)}
		})
}
