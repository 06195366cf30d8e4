package rest

import (
	"context"
	"strconv"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/codec"
	"github.com/posthornhq/posthorn/internal/event"
)

func (a *API) leaseEvents(ctx context.Context, c *call, in *struct {
	InQueue
	InOnce
	Body *client.LeaseRequest
},
) (*outRaw, error) {
	ask := event.LeaseAsk{Max: 1}
	if b := in.Body; b != nil {
		if b.Max > 0 {
			ask.Max = b.Max
		}
		ask.Wait, ask.Visibility, ask.By.Consumer = time.Duration(b.Wait), time.Duration(b.Visibility), b.Consumer
		if message := event.CheckText(b.Consumer, event.MaxConsumer); message != "" {
			return nil, invalid("consumer", message)
		}
	}
	if ask.Wait > event.MaxLeaseWait {
		return nil, invalid("wait", "must be at most "+client.Duration(event.MaxLeaseWait).String())
	}
	if err := checkVisibility(ask.Visibility); err != nil {
		return nil, err
	}
	if ends := c.key.Expires; !ends.IsZero() { // a key sees nothing after its end
		ask.Wait = min(ask.Wait, max(0, time.Until(ends)))
	}
	ask.By.Kind, ask.By.ID, ask.By.Name = c.key.Kind, c.key.Who(), c.key.Name
	list, err := a.Queues.Lease(ctx, c.tenant.ID, in.Queue, ask)
	if err != nil {
		return nil, err
	}
	body := append(make([]byte, 0, 1<<10), `{"events":[`...)
	for i := range list {
		if i > 0 {
			body = append(body, ',')
		}
		body = appendLeased(body, &list[i])
	}
	return &outRaw{ContentType: typeJSON, Body: append(body, ']', '}', '\n')}, nil
}

// appendLeased renders a leased event, its data as it was published. Receipts need no escaping.
func appendLeased(b []byte, l *event.Leased) []byte {
	b = append(b, `{"receipt":"`...)
	b = append(b, l.Receipt...)
	b = append(b, `","event":`...)
	b = codec.AppendEvent(b, l.Event)
	b = append(b, `,"deliveries":`...)
	b = strconv.AppendInt(b, int64(l.Deliveries), 10)
	b = append(b, `,"expires":"`...)
	b = l.Expires.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"', '}')
}

// checkVisibility refuses a time that no lease may hold; 0 stands for the queue's.
func checkVisibility(d time.Duration) error {
	if d != 0 && (d < event.MinVisibility || d > event.MaxVisibility) {
		return invalid("visibility", "must be 1s to 12h")
	}
	return nil
}

// receiptDetails words the codes of receipts.
var receiptDetails = map[string]string{
	"lease_lost":      "the lease has ended or was settled; the event is given again unless it is done",
	"invalid_receipt": "this is no receipt of this queue",
}

func showReceiptErrors(receipts []string, list []event.ReceiptError) []client.ReceiptError {
	out := make([]client.ReceiptError, 0, len(list))
	for _, e := range list {
		out = append(out, client.ReceiptError{Receipt: receipts[e.Index], Code: e.Code, Detail: receiptDetails[e.Code]})
	}
	return out
}

func settled(receipts []string, bad []event.ReceiptError, err error) (*outBody[client.Settled], error) {
	if err != nil {
		return nil, err
	}
	return &outBody[client.Settled]{client.Settled{Done: len(receipts) - len(bad), Errors: showReceiptErrors(receipts, bad)}}, nil
}

func (a *API) ackEvents(ctx context.Context, c *call, in *struct {
	InQueue
	InOnce
	Body client.AckRequest
},
) (*outBody[client.Settled], error) {
	bad, err := a.Queues.Ack(ctx, c.tenant.ID, in.Queue, in.Body.Receipts)
	return settled(in.Body.Receipts, bad, err)
}

func (a *API) nackEvents(ctx context.Context, c *call, in *struct {
	InQueue
	InOnce
	Body client.NackRequest
},
) (*outBody[client.Settled], error) {
	if time.Duration(in.Body.Delay) > event.MaxVisibility {
		return nil, invalid("delay", "must be at most "+client.Duration(event.MaxVisibility).String())
	}
	bad, err := a.Queues.Nack(ctx, c.tenant.ID, in.Queue, in.Body.Receipts, time.Duration(in.Body.Delay))
	return settled(in.Body.Receipts, bad, err)
}

func (a *API) extendLeases(ctx context.Context, c *call, in *struct {
	InQueue
	InOnce
	Body client.ExtendRequest
},
) (*outBody[client.Extended], error) {
	if err := checkVisibility(time.Duration(in.Body.Visibility)); err != nil {
		return nil, err
	}
	receipts := in.Body.Receipts
	until, bad, err := a.Queues.Extend(ctx, c.tenant.ID, in.Queue, receipts, time.Duration(in.Body.Visibility))
	if err != nil {
		return nil, err
	}
	return &outBody[client.Extended]{client.Extended{
		Done: len(receipts) - len(bad), Errors: showReceiptErrors(receipts, bad), Expires: until.UTC(),
	}}, nil
}

// queueLeases lists leased events with who has them.
func (a *API) queueLeases(ctx context.Context, c *call, in *struct {
	InQueue
	InPage
},
) (*outBody[client.Page[client.QueueLease]], error) {
	after, p := decodeNumberCursor(listQueueLeases, in.Cursor)
	if p != nil {
		return nil, p
	}
	q, err := a.Queues.Queue(ctx, c.tenant, in.Queue)
	if err != nil {
		return nil, err
	}
	list, err := a.Queues.Leases(ctx, &q, after, in.most()+1)
	if err != nil {
		return nil, err
	}
	var failed error
	out := page(list, in.most(), func(i *event.QueueItem) client.QueueLease {
		l := client.QueueLease{Version: i.Version, Deliveries: i.Deliveries, Expires: i.Until.UTC(), Consumer: i.Holder.Consumer}
		if i.Holder.Kind != "" {
			l.By = &client.Caller{Kind: i.Holder.Kind, ID: i.Holder.ID, Name: i.Holder.Name}
		}
		// One by one: events are read without regard to their size.
		events, err := a.Log.Events(ctx, c.tenant.ID, []int64{i.Version})
		if err != nil {
			failed = err
		} else if len(events) > 0 {
			l.ID, l.Type, l.Subject = events[0].ID, events[0].Type, events[0].Subject
		}
		return l
	}, func(i *event.QueueItem) string { return encodeNumberCursor(listQueueLeases, i.Version) })
	if failed != nil {
		return nil, failed
	}
	return &outBody[client.Page[client.QueueLease]]{out}, nil
}

// queueDead lists dead letters with their events, as far as these are still on the log.
func (a *API) queueDead(ctx context.Context, c *call, in *struct {
	InQueue
	InPage
},
) (*outRaw, error) {
	after, p := decodeNumberCursor(listQueueDead, in.Cursor)
	if p != nil {
		return nil, p
	}
	q, err := a.Queues.Queue(ctx, c.tenant, in.Queue)
	if err != nil {
		return nil, err
	}
	list, err := a.Queues.DeadLetters(ctx, &q, after, in.most()+1)
	if err != nil {
		return nil, err
	}
	body := append(make([]byte, 0, 1<<10), `{"data":[`...)
	next := ""
	for i := range list {
		if i == in.most() || len(body) >= maxPageBytes {
			next = encodeNumberCursor(listQueueDead, list[i-1].Version)
			break
		}
		if i > 0 {
			body = append(body, ',')
		}
		// One by one: events are read without regard to their size, and the answer is bounded.
		events, err := a.Log.Events(ctx, c.tenant.ID, []int64{list[i].Version})
		if err != nil {
			return nil, err
		}
		body = appendDead(body, &list[i], events)
	}
	body = append(body, ']')
	if next != "" {
		body = append(body, `,"next":"`...)
		body = append(body, next...)
		body = append(body, '"')
	}
	return &outRaw{ContentType: typeJSON, Body: append(body, '}', '\n')}, nil
}

func appendDead(b []byte, d *event.QueueDead, events []event.Event) []byte {
	b = append(b, `{"version":`...)
	b = strconv.AppendInt(b, d.Version, 10)
	if len(events) > 0 {
		b = append(b, `,"event":`...)
		b = codec.AppendEvent(b, &events[0])
	}
	b = append(b, `,"deliveries":`...)
	b = strconv.AppendInt(b, int64(d.Deliveries), 10)
	b = append(b, `,"at":"`...)
	b = d.At.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"', '}')
}

func (a *API) retryQueueDead(ctx context.Context, c *call, in *struct {
	InQueue
	InOnce
	Body *client.DeadRetry
},
) (*outBody[client.DeadRetried], error) {
	var versions []int64
	if in.Body != nil {
		if versions = in.Body.Versions; versions != nil && len(versions) == 0 {
			return nil, invalid("versions", "must not be empty; leave it out for all")
		}
	}
	n, err := a.Queues.RetryDead(ctx, c.tenant.ID, in.Queue, versions)
	if err != nil {
		return nil, err
	}
	c.changed(nil, client.DeadRetried{Retried: n})
	return &outBody[client.DeadRetried]{client.DeadRetried{Retried: n}}, nil
}
