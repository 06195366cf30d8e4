package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// queueCmd groups the commands about queues.
type queueCmd struct {
	Put    queuePutCmd    `cmd:"" help:"Make a queue, or change one."`
	Ls     queueLsCmd     `cmd:"" help:"List queues with how far they are."`
	Show   queueShowCmd   `cmd:"" help:"Show a queue."`
	Rm     queueRmCmd     `cmd:"" help:"Delete a queue. Its events stay on the log."`
	Lease  queueLeaseCmd  `cmd:"" help:"Borrow events, to be settled with ack or nack."`
	Leases queueLeasesCmd `cmd:"" help:"List the leased events, with who has them."`
	Ack    queueAckCmd    `cmd:"" help:"Say that leased events are done."`
	Nack   queueNackCmd   `cmd:"" help:"Give leased events back."`
	Extend queueExtendCmd `cmd:"" help:"Let leases hold longer."`
	Dead   queueDeadCmd   `cmd:"" help:"List the events that were leased too often without an ack."`
	Retry  queueRetryCmd  `cmd:"" help:"Give dead letters again."`
	Work   queueWorkCmd   `cmd:"" help:"Run a command for each event: exit status 0 is an ack."`

	// The same by other names that come to mind.
	List   queueLsCmd   `cmd:"" hidden:""`
	Get    queueShowCmd `cmd:"" hidden:""`
	Delete queueRmCmd   `cmd:"" hidden:""`
}

// queueName is the argument of all.
type queueName struct {
	Name string `arg:"" help:"The queue."`
}

func (x *queueName) handle(c *console) (*client.QueueHandle, error) {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return nil, err
	}
	return cl.Queue(tenant, x.Name), nil
}

type queuePutCmd struct {
	queueName
	Types         []string      `help:"Event types or patterns, such as order.* or order.**; every type without it." placeholder:"PATTERN"`
	Subject       []string      `help:"Only these subjects; one that ends in * means every subject that begins so." aliases:"subjects" placeholder:"SUBJECT"`
	Filter        string        `help:"A CEL expression over the event that must be true." placeholder:"CEL"`
	Order         string        `help:"none: oldest first; key: events of one key one at a time, in order." enum:",none,key" default:"" placeholder:"ORDER"`
	Visibility    time.Duration `help:"How long a lease holds, 1s to 12h; 30s without it." placeholder:"DURATION"`
	MaxDeliveries *int          `help:"After how many leases without an ack an event becomes a dead letter; 0: never; 5 without it." placeholder:"N"`
	MaxOpen       int           `help:"The most events that may be leased or waiting to be given again at once." placeholder:"N"`
	Start         int64         `help:"The first version, when the queue is made; what comes without it." placeholder:"VERSION"`
	Description   string        `help:"For people."`
	New           bool          `help:"Make it; fail when there is one of this name."`
}

// Run makes or changes the queue.
func (x *queuePutCmd) Run(c *console) error {
	q, err := x.handle(c)
	if err != nil {
		return err
	}
	var options []client.CallOption
	if x.New {
		options = append(options, client.OnlyNew())
	}
	made, err := q.Put(c.ctx, client.Queue{
		Description: x.Description, Types: x.Types, Subjects: x.Subject, Filter: x.Filter, Order: x.Order,
		Visibility: client.Duration(x.Visibility), MaxDeliveries: x.MaxDeliveries, MaxOpen: x.MaxOpen, Start: x.Start,
	}, options...)
	if err != nil {
		return err
	}
	return c.showQueue(made)
}

type queueShowCmd struct{ queueName }

// Run shows the queue.
func (x *queueShowCmd) Run(c *console) error {
	h, err := x.handle(c)
	if err != nil {
		return err
	}
	q, err := h.Get(c.ctx)
	if err != nil {
		return err
	}
	return c.showQueue(q)
}

func (c *console) showQueue(q *client.Queue) error {
	if c.json {
		return c.writeJSON(q)
	}
	list := []field{
		{"name", cell{q.Name, bold}},
		{"description", text(q.Description)},
		{"types", text(queueTypes(q))},
		{"subjects", text(strings.Join(q.Subjects, ", "))},
		{"filter", text(q.Filter)},
		{"order", text(q.Order)},
		{"visibility", text(durationOf(q.Visibility))},
		{"max deliveries", text(deliveriesOf(q.MaxDeliveries))},
		{"max open", text(unlessZero(float64(q.MaxOpen), ""))},
		{"start", text(unlessZero(float64(q.Start), ""))},
	}
	if s := q.State; s != nil {
		list = append(
			list, field{"cursor", text(fmt.Sprintf("%d of %d", s.Cursor, s.Head))}, field{"depth", text(count(s.Depth))},
			field{"open", text(fmt.Sprintf("%d: %d leased, %d delayed, %d parked", s.Open, s.Leased, s.Delayed, s.Parked))},
			field{"dead", deadCell(s.Dead)}, field{"expired", text(unlessZero(float64(s.Expired), ""))},
			field{"waiting", text(unlessZero(float64(s.Waiting), " leases"))}, field{"age", text(ageOf(s.Age))},
		)
	}
	c.fields(append(list, field{"created", text(stamp(q.Created))}, field{"updated", text(stamp(q.Updated))}))
	return nil
}

func queueTypes(q *client.Queue) string {
	if len(q.Types) == 0 {
		return "every type"
	}
	return strings.Join(q.Types, ", ")
}

func deliveriesOf(n *int) string {
	switch {
	case n == nil:
		return ""
	case *n == 0:
		return "no limit"
	default:
		return fmt.Sprint(*n)
	}
}

func deadCell(n int64) cell {
	if n == 0 {
		return text("0")
	}
	return cell{count(n), red}
}

type queueLsCmd struct {
	limited
}

// Run lists the queues.
func (x *queueLsCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	items, more, err := collect(x.limited, cl.Queues(c.ctx, tenant, x.page(), client.WithState()))
	if err != nil {
		return err
	}
	return listed(c, items, more, "There are no queues; \"posthorn queue put NAME\" makes one.",
		[]string{"NAME", "DEPTH", "OPEN", "DEAD", "AGE", "TYPES"},
		func(q client.Queue) []cell {
			s := q.State
			if s == nil {
				s = &client.QueueState{}
			}
			return []cell{{q.Name, bold}, text(count(s.Depth)), text(count(int64(s.Open))), deadCell(s.Dead), text(ageOf(s.Age)), text(queueTypes(&q))}
		})
}

type queueRmCmd struct {
	sure
	queueName
}

// Run deletes the queue.
func (x *queueRmCmd) Run(c *console) error {
	q, err := x.handle(c)
	if err != nil {
		return err
	}
	if err := x.confirm(c, "deleting queue "+x.Name); err != nil {
		return err
	}
	if err := q.Delete(c.ctx); err != nil {
		return err
	}
	return c.done("deleted", x.Name)
}

type queueLeaseCmd struct {
	queueName
	Max        int           `help:"The most events, 1 to 1,000." short:"n" default:"1"`
	Wait       time.Duration `help:"How long to wait when there is none, at most 60s." placeholder:"DURATION"`
	Visibility time.Duration `help:"How long the leases hold, 1s to 12h; what the queue says without it." placeholder:"DURATION"`
	Consumer   string        `help:"What you are called in the list of leases." placeholder:"NAME"`
}

// Run leases events.
func (x *queueLeaseCmd) Run(c *console) error {
	q, err := x.handle(c)
	if err != nil {
		return err
	}
	if x.Max < 1 {
		return usagef("--max must be at least 1")
	}
	events, err := q.Lease(c.ctx, client.LeaseRequest{Max: x.Max, Wait: client.Duration(x.Wait), Visibility: client.Duration(x.Visibility), Consumer: x.Consumer})
	if err != nil {
		return err
	}
	if c.json && events == nil {
		events = []client.LeasedEvent{}
	}
	return listed(c, events, false, "There is no event to lease.",
		[]string{"VERSION", "TYPE", "SUBJECT", "TIME", "DELIVERY", "EXPIRES", "RECEIPT"},
		func(e client.LeasedEvent) []cell {
			return []cell{
				text(fmt.Sprint(e.Event.Version)),
				{e.Event.Type, cyan},
				text(e.Event.Subject), text(stamp(e.Event.Time)), text(fmt.Sprint(e.Deliveries)),
				text(stamp(e.Expires)), text(e.Receipt),
			}
		})
}

// queueReceipts are the arguments of what settles leases.
type queueReceipts struct {
	queueName
	Receipts []string `arg:"" help:"From the answer to lease." name:"receipt"`
}

type queueAckCmd struct{ queueReceipts }

// Run acknowledges.
func (x *queueAckCmd) Run(c *console) error {
	q, err := x.handle(c)
	if err != nil {
		return err
	}
	out, err := q.Ack(c.ctx, x.Receipts...)
	if err != nil {
		return err
	}
	return c.settled("done", out.Done, out.Errors, out)
}

type queueNackCmd struct {
	queueReceipts
	Delay time.Duration `help:"How long to wait before they are given again, at most 12h." placeholder:"DURATION"`
}

// Run gives events back.
func (x *queueNackCmd) Run(c *console) error {
	q, err := x.handle(c)
	if err != nil {
		return err
	}
	out, err := q.Nack(c.ctx, x.Delay, x.Receipts...)
	if err != nil {
		return err
	}
	return c.settled("given back", out.Done, out.Errors, out)
}

type queueExtendCmd struct {
	queueReceipts
	Visibility time.Duration `help:"How long the leases hold from now, 1s to 12h; what the queue says without it." placeholder:"DURATION"`
}

// Run extends leases.
func (x *queueExtendCmd) Run(c *console) error {
	q, err := x.handle(c)
	if err != nil {
		return err
	}
	out, err := q.Extend(c.ctx, x.Visibility, x.Receipts...)
	if err != nil {
		return err
	}
	return c.settled("extended to "+stamp(out.Expires), out.Done, out.Errors, out)
}

var errReceipts = errors.New("some receipts are not good any more")

// settled tells what became of receipts. That of one receipt is enough to fail.
func (c *console) settled(what string, done int, faults []client.ReceiptError, answer any) error {
	if c.json {
		if err := c.writeJSON(answer); err != nil {
			return err
		}
	} else if done > 0 {
		c.printf("%d %s\n", done, what)
	}
	if len(faults) == 0 {
		return nil
	}
	if !c.json {
		for _, f := range faults {
			_, _ = fmt.Fprintf(c.err, "%s %s: %s\n", c.errPaint(red, "posthorn:"), clean(f.Receipt), clean(f.Detail))
		}
	}
	return &statusError{err: errReceipts, status: ExitInvalid, quiet: true}
}

type queueLeasesCmd struct {
	limited
	queueName
}

// Run lists the leases.
func (x *queueLeasesCmd) Run(c *console) error {
	q, err := x.handle(c)
	if err != nil {
		return err
	}
	items, more, err := collect(x.limited, q.Leases(c.ctx, x.page()))
	if err != nil {
		return err
	}
	return listed(c, items, more, "There are no leases.", []string{"VERSION", "TYPE", maybe("SUBJECT"), "TRY", "EXPIRES", maybe("CONSUMER"), maybe("BY"), "ID"},
		func(l client.QueueLease) []cell {
			return []cell{
				text(fmt.Sprint(l.Version)),
				{l.Type, cyan},
				text(l.Subject), text(fmt.Sprint(l.Deliveries)), atCell(l.Expires), text(l.Consumer),
				text(callerOf(l.By)), text(l.ID),
			}
		})
}

type queueDeadCmd struct {
	limited
	queueName
}

// Run lists the dead letters.
func (x *queueDeadCmd) Run(c *console) error {
	q, err := x.handle(c)
	if err != nil {
		return err
	}
	items, more, err := collect(x.limited, q.Dead(c.ctx, x.page()))
	if err != nil {
		return err
	}
	return listed(c, items, more, "There are no dead letters.", []string{"VERSION", "TYPE", "SUBJECT", "DELIVERIES", "AT", "ID"},
		func(d client.QueueDeadLetter) []cell {
			e := d.Event
			if e == nil {
				e = &client.Event{ID: "no longer on the log"}
			}
			return []cell{text(fmt.Sprint(d.Version)), {e.Type, cyan}, text(e.Subject), text(fmt.Sprint(d.Deliveries)), atCell(d.At), text(e.ID)}
		})
}

type queueRetryCmd struct {
	queueName
	Versions []int64 `arg:"" optional:"" name:"version" help:"Which; see the command dead."`
	All      bool    `help:"All of them, the oldest first, as many as may be open."`
}

// Run gives dead letters again.
func (x *queueRetryCmd) Run(c *console) error {
	if x.All == (len(x.Versions) > 0) {
		return usagef("name the versions, or give --all")
	}
	q, err := x.handle(c)
	if err != nil {
		return err
	}
	n, err := q.RetryDead(c.ctx, x.Versions...)
	if err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(client.DeadRetried{Retried: n})
	}
	c.printf("%d given again\n", n)
	return nil
}
