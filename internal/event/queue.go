package event

import "time"

// QueueID identifies a queue inside a store. A queue that is deleted and made again gets another one.
type QueueID int64

// NewQueueID returns a random queue id.
func NewQueueID() QueueID { return QueueID(randomID()) }

// Limits of a queue.
const (
	MinVisibility        = time.Second
	MaxVisibility        = 12 * time.Hour
	DefaultVisibility    = 30 * time.Second
	MaxMaxDeliveries     = 1000
	DefaultMaxDeliveries = 5
	MaxMaxOpen           = 10_000
	DefaultMaxOpen       = 1000
	// MaxLease is how many events one lease may ask for, and how many receipts one call may hold.
	MaxLease = 1000
	// MaxConsumer is the longest name of a worker, in bytes.
	MaxConsumer = 128
	// MaxLeaseWait is how long a lease may wait for an event.
	MaxLeaseWait = time.Minute
)

// Queue is a named pull consumer: its workers share the events that it selects. It is immutable once read from a store.
type Queue struct {
	ID     QueueID
	Tenant TenantID
	// Name is the handle in URLs, unique in its tenant: [a-z0-9][a-z0-9_-]{0,62}.
	Name        string
	Description string
	// Select narrows the log to the queue's events.
	Select Selection
	// Order is OrderNone or OrderKey: events of one key one at a time, in version order.
	Order Order
	// Visibility is how long a lease holds, unless it asks for another time.
	Visibility time.Duration
	// MaxDeliveries is how often an event is leased before it becomes a dead letter; 0: no bound.
	MaxDeliveries int
	// MaxOpen bounds the open items: those leased, delayed, or parked behind an earlier one of their key.
	MaxOpen int
	// Start is the first version that the queue looks at.
	Start    int64
	Metadata map[string]string
	Created  time.Time
	Updated  time.Time
	Revision int64 // counts changes, the source of the ETag
}

// QueueCursor is how far a queue has looked at its tenant's log, with what is counted about it.
type QueueCursor struct {
	// Version: every event up to it was looked at; those selected are done, open items, or dead letters.
	Version int64
	// Seq is a place in the partition up to which the tenant has no event after Version.
	Seq int64
	// Low and Floor say what the log has to keep for the queue: of the tenant only events with a version > Low, and so
	// none up to the Seq Floor.
	Low, Floor int64
	// Lease is the last lease number given.
	Lease int64
	// Expired counts versions that retention deleted before they were done.
	Expired int64
	// Open counts the open items, and Oldest is when the first of them was received; zero when there is none.
	Open   int
	Oldest time.Time
}

// QueueItem is an open event of a queue.
type QueueItem struct {
	Version, Seq int64
	// Key is a hash of the event's ordering key; 0 when it has none.
	Key uint64
	// Deliveries counts its leases.
	Deliveries int
	// Lease is the number of the lease that holds; 0 when none does.
	Lease int64
	// Until is when the lease ends, or, without one, when the item may be leased.
	Until    time.Time
	Received time.Time
	// Holder is whose the lease is; zero when none does.
	Holder LeaseHolder
}

// LeaseHolder is who leased an event.
type LeaseHolder struct {
	// Kind, ID and Name are the caller's, as the audit log names it: [APIKey.Kind], [APIKey.Who] and [APIKey.Name].
	Kind, ID, Name string
	// Consumer is what the worker calls itself, at most MaxConsumer bytes; empty when it does not.
	Consumer string
}

// QueueDead is a dead letter of a queue: an event that was leased too often without an ack.
type QueueDead struct {
	Version, Seq int64
	Key          uint64
	Deliveries   int
	Received, At time.Time
}

// QueueView is what people and programs are shown of a queue's state.
type QueueView struct {
	Cursor, Head, Depth, Dead, Expired int64
	// Open = Leased + Delayed + Parked.
	Open, Leased, Delayed, Parked int
	// Waiting counts leases that wait for an event.
	Waiting int
	// Oldest is when the oldest event not yet done was received; zero when all is done.
	Oldest time.Time
}

// LeaseAsk is what a worker asks a queue for.
type LeaseAsk struct {
	Max        int           // 1 to MaxLease
	Wait       time.Duration // 0 to MaxLeaseWait
	Visibility time.Duration // 0: the queue's
	By         LeaseHolder
}

// Leased is an event lent to a worker. The event is shared and must not be changed.
type Leased struct {
	Receipt    string
	Event      *Event
	Deliveries int
	Expires    time.Time
}

// ReceiptError says why a receipt did nothing: Code is "lease_lost" or "invalid_receipt".
type ReceiptError struct {
	// Index is the receipt's place in the call.
	Index int
	Code  string
}
