package client

import "time"

// Queue is a named place from which workers pull events: each event goes to one of them at a time.
type Queue struct {
	Name          string            `json:"name,omitempty" required:"false" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" patternDescription:"1 to 63 of a-z, 0-9, _ and -, not starting with _ or -" doc:"The handle in URLs; it cannot be changed, and may be left out of a body"`
	Description   string            `json:"description,omitempty" doc:"For people"`
	Types         []string          `json:"types,omitzero" doc:"Patterns of event types such as order.paid, order.* (one more segment) and order.** (any number more); empty: every type"`
	Subjects      []string          `json:"subjects,omitzero" doc:"Subjects, or beginnings of subjects when they end in *; empty: every subject"`
	Filter        string            `json:"filter,omitempty" doc:"A CEL expression over the event's attributes and data that must be true"`
	Order         string            `json:"order,omitempty" enum:"none,key" doc:"none: oldest first, as far as they are there. key: events of one key one at a time, in version order. Default none"`
	Visibility    Duration          `json:"visibility,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" patternDescription:"a duration such as 30s or 5m" example:"30s" doc:"How long a lease holds, 1s to 12h; default 30s"`
	MaxDeliveries *int              `json:"max_deliveries,omitempty" minimum:"0" maximum:"1000" doc:"After how many leases without an ack an event becomes a dead letter; 0: never. Default 5"`
	MaxOpen       int               `json:"max_open,omitempty" minimum:"1" maximum:"10000" doc:"The most events that may be leased, delayed or parked at once. Default 1,000"`
	Start         int64             `json:"start,omitempty" minimum:"1" doc:"The first version; absent at the making: what comes. It cannot be changed"`
	Metadata      map[string]string `json:"metadata,omitzero" doc:"Yours to use"`
	State         *QueueState       `json:"state,omitempty" readOnly:"true" doc:"How far it is: in the answer to GET of one queue, and in lists with state=true"`
	Created       time.Time         `json:"created,omitzero" required:"true" readOnly:"true" doc:"When it was made"`
	Updated       time.Time         `json:"updated,omitzero" required:"true" readOnly:"true" doc:"When it was last changed"`

	// ETag is the version read, sent as If-Match by updates when not empty.
	ETag string `json:"-"`
}

// QueueState is how far a queue is.
type QueueState struct {
	Cursor int64 `json:"cursor" doc:"Every version up to it was looked at"`
	Head   int64 `json:"head" doc:"The log's last version"`
	// Depth is an upper bound of what is still to be done: from the next event to be given on it counts events whether selected or
	// not. That event is looked for among some thousand; when none of them is one, it counts those after them.
	Depth   int64 `json:"depth" doc:"The open events, and those from the next one to be given on, selected or not (an upper bound)"`
	Open    int   `json:"open" doc:"Events given out or to be given again: leased, delayed and parked"`
	Leased  int   `json:"leased" doc:"Events whose lease holds"`
	Delayed int   `json:"delayed" doc:"Open events that wait to be given, at once or after their delay"`
	Parked  int   `json:"parked" doc:"Open events that wait behind an earlier one of their key"`
	Dead    int64 `json:"dead" doc:"Dead letters"`
	// Expired counts versions that retention deleted before they were done.
	Expired int64      `json:"expired" doc:"Versions that retention deleted before they were done"`
	Waiting int        `json:"waiting" doc:"Leases that wait for an event"`
	Oldest  *time.Time `json:"oldest,omitempty" doc:"When the oldest event not yet done was received"`
	Age     Duration   `json:"age" doc:"The time since then; 0s when all is done"`
}

// LeaseRequest asks a queue for events.
type LeaseRequest struct {
	Max        int      `json:"max,omitempty" minimum:"1" maximum:"1000" doc:"The most events; default 1"`
	Wait       Duration `json:"wait,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" patternDescription:"a duration such as 20s" example:"20s" doc:"How long to wait for an event when none is due, at most 60s; default 0s"`
	Visibility Duration `json:"visibility,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" patternDescription:"a duration such as 30s" example:"30s" doc:"How long the leases hold, 1s to 12h; default: the queue's"`
	Consumer   string   `json:"consumer,omitempty" maxLength:"128" doc:"What the worker calls itself, such as its host: shown in the list of leases; at most 128 bytes"`
}

// LeasedEvents is the answer to a lease; empty when no event was due.
type LeasedEvents struct {
	Events []LeasedEvent `json:"events" doc:"The events, oldest first"`
}

// LeasedEvent is an event lent to a worker.
type LeasedEvent struct {
	Receipt string `json:"receipt" doc:"Settles the lease: for ack, nack and extend"`
	Event   Event  `json:"event" doc:"The event"`
	// Deliveries counts the leases of this event, this one included.
	Deliveries int       `json:"deliveries" doc:"How often the event was leased, this time included"`
	Expires    time.Time `json:"expires" doc:"When the lease ends"`
}

// AckRequest names leases whose events are done.
type AckRequest struct {
	Receipts []string `json:"receipts" minItems:"1" maxItems:"1000" doc:"From the answers to leases"`
}

// NackRequest gives events back.
type NackRequest struct {
	Receipts []string `json:"receipts" minItems:"1" maxItems:"1000" doc:"From the answers to leases"`
	Delay    Duration `json:"delay,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" patternDescription:"a duration such as 10s" example:"10s" doc:"How long to wait before they are given again, at most 12h; default 0s"`
}

// ExtendRequest lets leases hold longer.
type ExtendRequest struct {
	Receipts   []string `json:"receipts" minItems:"1" maxItems:"1000" doc:"From the answers to leases"`
	Visibility Duration `json:"visibility,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" patternDescription:"a duration such as 60s" example:"60s" doc:"How long they hold from now, 1s to 12h; default: the queue's"`
}

// Settled is the answer to ack and nack.
type Settled struct {
	Done   int            `json:"done" doc:"How many leases were settled"`
	Errors []ReceiptError `json:"errors" doc:"The receipts that were not, and why"`
}

// Extended is the answer to extend.
type Extended struct {
	Done    int            `json:"done" doc:"How many leases hold longer"`
	Errors  []ReceiptError `json:"errors" doc:"The receipts that were not, and why"`
	Expires time.Time      `json:"expires" doc:"When those leases end"`
}

// ReceiptError says why a receipt did nothing.
type ReceiptError struct {
	Receipt string `json:"receipt" doc:"As it was sent"`
	// Code is lease_lost (the lease has ended or was settled) or invalid_receipt (not one of this queue's).
	Code   string `json:"code" enum:"lease_lost,invalid_receipt" doc:"lease_lost: the lease has ended or was settled. invalid_receipt: not one of this queue's"`
	Detail string `json:"detail" doc:"One sentence for people"`
}

// QueueLease is an event whose lease holds, with who has it.
type QueueLease struct {
	Version    int64     `json:"version" doc:"The event's version"`
	ID         string    `json:"id,omitempty" doc:"The event's id; absent when it is no longer on the log, as are type and subject"`
	Type       string    `json:"type,omitempty" doc:"The event's type"`
	Subject    string    `json:"subject,omitempty" doc:"The event's subject"`
	Deliveries int       `json:"deliveries" doc:"How often it was leased, this time included"`
	Expires    time.Time `json:"expires" doc:"When the lease ends"`
	By         *Caller   `json:"by,omitempty" doc:"Whose key or token leased it; absent of leases from before an upgrade"`
	Consumer   string    `json:"consumer,omitempty" doc:"What the worker calls itself"`
}

// QueueDeadLetter is an event that was leased too often without an ack.
type QueueDeadLetter struct {
	Version    int64     `json:"version" doc:"The event's version"`
	Event      *Event    `json:"event,omitempty" doc:"The event; absent when it is no longer on the log"`
	Deliveries int       `json:"deliveries" doc:"How often it was leased"`
	At         time.Time `json:"at" doc:"When it became a dead letter"`
}

// DeadRetry asks to give dead letters again.
type DeadRetry struct {
	Versions []int64 `json:"versions,omitempty" maxItems:"1000" doc:"Which; absent: all, the oldest first, as many as may be open"`
}

// DeadRetried is the answer to it.
type DeadRetried struct {
	Retried int `json:"retried" doc:"How many are given again; the others stay dead letters"`
}
