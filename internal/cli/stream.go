package cli

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// streamCmd groups the commands about live connections.
type streamCmd struct {
	List streamListCmd `cmd:"" help:"List live connections: who listens, and how far each is."`
	End  streamEndCmd  `cmd:"" help:"End a live connection. Its client may come back."`

	// The same by other names that come to mind.
	Ls streamListCmd `cmd:"" hidden:""`
	Rm streamEndCmd  `cmd:"" hidden:""`
}

type streamListCmd struct{ limited }

// Run lists the connections.
func (x *streamListCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	items, more, err := collect(x.limited, cl.Streams(c.ctx, tenant))
	if err != nil {
		return err
	}
	return listed(c, items, more, "Nobody listens.", []string{"ID", "KIND", "FROM", maybe("BY"), "SINCE", "VERSION", "LAG", "SENT", "GETS"},
		func(s client.LiveStream) []cell {
			return []cell{
				{s.ID, bold},
				text(s.Kind), text(s.Address), text(callerOf(&s.By)), atCell(s.Since), text(count(s.Version)), lagCell(s.Lag),
				text(count(s.Sent)), text(shortened(streamGets(&s), 60)),
			}
		})
}

// callerOf names who came; nil: nobody knows.
func callerOf(by *client.Caller) string {
	if by == nil {
		return ""
	}
	switch name := cmp.Or(by.Name, by.ID); name {
	case by.Kind: // the root key
		return name
	default:
		return by.Kind + " " + name
	}
}

// lagCell warns of a connection that is behind.
func lagCell(n int64) cell {
	if n == 0 {
		return text("0")
	}
	return cell{count(n), yellow}
}

// streamGets is what a connection selects, in a few words.
func streamGets(s *client.LiveStream) string {
	var list []string
	switch {
	case s.Kind == "websocket" && s.Subscriptions == 0:
		return "nothing yet"
	case len(s.Types) > 0:
		list = append(list, strings.Join(s.Types, ", "))
	default:
		list = append(list, "every type")
	}
	if len(s.Subjects) > 0 {
		list = append(list, "about "+strings.Join(s.Subjects, ", "))
	}
	if s.Filter != "" {
		list = append(list, "where "+s.Filter)
	}
	if s.Subscriptions > 1 {
		list = append(list, fmt.Sprintf("and %d more", s.Subscriptions-1))
	}
	return strings.Join(list, " ")
}

type streamEndCmd struct {
	ID string `arg:"" help:"The connection's id."`
}

// Run ends the connection.
func (x *streamEndCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	if err := cl.EndStream(c.ctx, tenant, x.ID); err != nil {
		return err
	}
	return c.done("ended", x.ID)
}

// ago is how long ago a time was, in one unit.
func ago(t, now time.Time) string { return ageOf(client.Duration(max(now.Sub(t), 1))) }

// ageOf is a time span in its largest unit; empty when there is none.
func ageOf(age client.Duration) string {
	switch d := time.Duration(age); {
	case d <= 0:
		return ""
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d d", int(d.Hours()/24))
	}
}
