package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

const (
	queuesPath = "/v1/tenants/{tenant}/queues"
	queuePath  = queuesPath + "/{queue}"
)

// InQueue is the queue of a path.
type InQueue struct {
	InTenant
	Queue string `path:"queue" doc:"The queue's name"`
}

// outPut is the answer to a PUT that makes or changes a resource.
type outPut[T any] struct {
	Status   int
	ETag     string `header:"ETag" doc:"The resource's version"`
	Location string `header:"Location" hidden:"true"`
	Body     T
}

func (a *API) queueRoutes() {
	register(a, operation{
		id: "list-queues", method: http.MethodGet, path: queuesPath, tag: "Queues", summary: "List queues", doc: "By name.", scope: scopeRead,
	}, a.listQueues)
	register(a, operation{
		id: "put-queue", method: http.MethodPut, path: queuePath, tag: "Queues", summary: "Make a queue, or replace its configuration",
		doc: "Fields left out go back to their defaults, but start, which is read at the making only. Leases that hold go on. " +
			"With If-None-Match: * the queue is made, never replaced: 412 when there is one of this name.",
		scope: scopeManage, tagged: true, creates: typeOf[client.Queue](), errors: []int{http.StatusGone},
	}, a.putQueue)
	register(a, operation{
		id: "get-queue", method: http.MethodGet, path: queuePath, tag: "Queues", summary: "Get a queue with its state",
		doc:   "The ETag changes with the state, too; If-Match looks at the configuration only.",
		scope: scopeRead, tagged: true,
	}, a.getQueue)
	register(a, operation{
		id: "delete-queue", method: http.MethodDelete, path: queuePath, tag: "Queues", summary: "Delete a queue",
		doc: "With its leases and dead letters; the events stay on the log.", scope: scopeManage, tagged: true,
	}, a.deleteQueue)
	post := func(id, path, summary, doc string) operation {
		return operation{id: id, method: http.MethodPost, path: queuePath + path, tag: "Queues", summary: summary, doc: doc, scope: scopeRead}
	}
	lease := post("lease-events", "/lease", "Lease events",
		"Each event is lent to one caller at a time, and given again when its lease ends without an ack. Without events that are due the answer "+
			"comes when there is one, at the end of wait at the latest; it is empty then. Without wait it may be empty before the log's end is "+
			"reached, when little of the log is selected.")
	lease.answer, lease.waits = typeOf[client.LeasedEvents](), true
	lease.unaudited = perEvent
	register(a, lease, a.leaseEvents)
	settle := func(id, path, summary, doc string) operation {
		o := post(id, path, summary, doc+" Receipts that did nothing are listed; the others are done, durably.")
		o.unaudited = perEvent
		return o
	}
	register(a, settle("ack-events", "/ack", "Acknowledge leased events", "They are done."), a.ackEvents)
	register(a, settle("nack-events", "/nack", "Give leased events back", "They are given again, after delay."), a.nackEvents)
	register(a, settle("extend-leases", "/extend", "Let leases hold longer", "From now on."), a.extendLeases)
	leases := post("list-queue-leases", "/leases", "List events whose leases hold", "In version order: until when, and who has them. "+
		"Tokens are not taken: they would show a web page's users who else works here.")
	leases.method, leases.keysOnly = http.MethodGet, true
	register(a, leases, a.queueLeases)
	dead := post("list-queue-dead-letters", "/dead", "List events that were leased too often without an ack", "In version order.")
	dead.method, dead.answer = http.MethodGet, typeOf[client.Page[client.QueueDeadLetter]]()
	register(a, dead, a.queueDead)
	retry := post("retry-queue-dead-letters", "/dead/retry", "Give dead letters again",
		"At most 1,000 of them, the oldest first, and no more than max_open allows; those whose events are no longer on the log go.")
	retry.scope = scopeManage
	register(a, retry, a.retryQueueDead)
}

func showQueue(q *event.Queue) client.Queue {
	deliveries := q.MaxDeliveries
	return client.Queue{
		Name: q.Name, Description: q.Description, Types: orNone(q.Select.Types), Subjects: orNone(q.Select.Subjects), Filter: q.Select.Filter,
		Order: string(q.Order), Visibility: client.Duration(q.Visibility), MaxDeliveries: &deliveries, MaxOpen: q.MaxOpen, Start: q.Start,
		Metadata: orEmpty(q.Metadata), Created: q.Created.UTC(), Updated: q.Updated.UTC(),
	}
}

func readQueue(name string, in *client.Queue) (event.Queue, error) {
	if in.Name != "" && in.Name != name {
		return event.Queue{}, invalid("name", "must be the name in the path, or left out")
	}
	q := event.Queue{
		Name: name, Description: in.Description, Select: event.Selection{Types: in.Types, Subjects: in.Subjects, Filter: in.Filter},
		Order: event.Order(in.Order), Visibility: time.Duration(in.Visibility), MaxDeliveries: event.DefaultMaxDeliveries, MaxOpen: in.MaxOpen,
		Start: in.Start, Metadata: in.Metadata,
	}
	if in.MaxDeliveries != nil {
		q.MaxDeliveries = *in.MaxDeliveries
	}
	return q, nil
}

func showQueueState(v *event.QueueView) *client.QueueState {
	s := &client.QueueState{
		Cursor: v.Cursor, Head: v.Head, Depth: v.Depth, Open: v.Open, Leased: v.Leased, Delayed: v.Delayed, Parked: v.Parked, Dead: v.Dead,
		Expired: v.Expired, Waiting: v.Waiting, Oldest: timePointer(v.Oldest),
	}
	if !v.Oldest.IsZero() {
		s.Age = client.Duration(max(0, time.Since(v.Oldest)).Truncate(time.Millisecond))
	}
	return s
}

func (a *API) listQueues(ctx context.Context, c *call, in *struct {
	InTenant
	InPage
	State bool `query:"state" doc:"With the queues' states"`
},
) (*outBody[client.Page[client.Queue]], error) {
	after, p := decodeCursor(listQueues, in.Cursor)
	if p != nil {
		return nil, p
	}
	list, err := a.Queues.Queues(ctx, c.tenant, after, in.most()+1)
	if err != nil {
		return nil, err
	}
	var failed error
	out := page(list, in.most(), func(q *event.Queue) client.Queue {
		shown := showQueue(q)
		if in.State && failed == nil {
			view, err := a.Queues.View(ctx, q)
			if event.KindOf(err) != event.KindNotFound { // deleted meanwhile
				failed = err
			}
			shown.State = showQueueState(&view)
		}
		return shown
	}, func(q *event.Queue) string { return encodeCursor(listQueues, q.Name) })
	if failed != nil {
		return nil, failed
	}
	return &outBody[client.Page[client.Queue]]{out}, nil
}

func (a *API) putQueue(ctx context.Context, c *call, in *struct {
	InQueue
	InMatch
	InOnlyNew
	InOnce
	Body client.Queue
},
) (*outPut[client.Queue], error) {
	q, err := readQueue(in.Queue, &in.Body)
	if err != nil {
		return nil, err
	}
	onlyNew, err := in.onlyNew()
	if err != nil {
		return nil, err
	}
	for range maxPatchTries {
		stored, err := a.Queues.Queue(ctx, c.tenant, in.Queue)
		switch {
		case event.KindOf(err) == event.KindNotFound && in.IfMatch != "":
			return nil, preconditionFailed()
		case event.KindOf(err) == event.KindNotFound:
			made, err := a.Queues.Create(ctx, c.tenant, q)
			if isExisting(err) {
				continue // another one made it meanwhile
			}
			if err != nil {
				return nil, err
			}
			c.changed(nil, showQueue(&made))
			return &outPut[client.Queue]{
				Status: http.StatusCreated, ETag: etag(made.Revision, nil), Body: showQueue(&made),
				Location: "/v1/tenants/" + c.tenant.Name + "/queues/" + made.Name,
			}, nil
		case err != nil:
			return nil, err
		case onlyNew:
			return nil, existsAlready("there is a queue of this name already")
		}
		rev, err := revision(in.IfMatch, stored.Revision)
		if err != nil {
			return nil, err
		}
		saved, err := a.Queues.Update(ctx, c.tenant, q, rev)
		if event.KindOf(err) == event.KindNotFound && in.IfMatch == "" {
			continue // another one deleted it meanwhile
		}
		if err != nil {
			return nil, err
		}
		c.changed(showQueue(&stored), showQueue(&saved))
		return &outPut[client.Queue]{Status: http.StatusOK, ETag: etag(saved.Revision, nil), Body: showQueue(&saved)}, nil
	}
	return nil, newProblem(http.StatusConflict, "already_exists", "the queue is being made and deleted by others; try again")
}

// isExisting reports whether a creation failed because there is such a thing already.
func isExisting(err error) bool {
	return event.KindOf(err) == event.KindConflict && problemOf(err).Code == "already_exists"
}

func (a *API) getQueue(ctx context.Context, c *call, in *struct {
	InQueue
	InNoneMatch
},
) (*outTagged[client.Queue], error) {
	q, err := a.Queues.Queue(ctx, c.tenant, in.Queue)
	if err != nil {
		return nil, err
	}
	view, err := a.Queues.View(ctx, &q)
	if err != nil {
		return nil, err
	}
	body := showQueue(&q)
	body.State = showQueueState(&view)
	age := body.State.Age
	body.State.Age = 0 // or every answer would have another ETag
	live, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	body.State.Age = age
	return &outTagged[client.Queue]{ETag: etag(q.Revision, live), Body: body}, nil
}

func (a *API) deleteQueue(ctx context.Context, c *call, in *struct {
	InQueue
	InMatch
	InOnce
},
) (*struct{}, error) {
	rev := int64(0)
	if in.IfMatch != "" {
		stored, err := a.Queues.Queue(ctx, c.tenant, in.Queue)
		if err != nil {
			return nil, err
		}
		if rev, err = revision(in.IfMatch, stored.Revision); err != nil {
			return nil, err
		}
	}
	return nil, a.Queues.Delete(ctx, c.tenant, in.Queue, rev)
}
