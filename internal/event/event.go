package event

import "time"

// TenantID numbers a tenant inside a store. It is never used again, also after the tenant is deleted.
type TenantID int64

// Event is one immutable fact on a tenant's log. Its attributes are those of CloudEvents 1.0
// (https://github.com/cloudevents/spec, version 1.0.2) plus Version, Key and Channels.
// Events that came out of a store are shared between readers and must not be changed.
type Event struct {
	// Seq is the event's place in its log partition: the cursor of followers. Given by the store.
	Seq int64
	// Tenant owns the event.
	Tenant TenantID
	// Version is the event's number in its tenant's log: 1, 2, 3 … without gaps. Given by the store.
	Version int64
	// ID is unique within the tenant; a second event with the same ID is not stored.
	ID string
	// Source is a URI-reference, never empty once ingested.
	Source string
	// Type is dotted, such as "order.paid"; see [CheckType].
	Type string
	// Subject is what the event is about, or empty.
	Subject string
	// Time is when it happened (UTC, µs).
	Time time.Time
	// Received is when it was appended (UTC, µs).
	Received time.Time
	// ContentType is the media type of Data (datacontenttype); empty means application/json.
	ContentType string
	// Schema is the dataschema URI, or empty.
	Schema string
	// Key is the ordering key as published; empty means the subject. Use [Event.OrderingKey].
	Key string
	// Channels restrict the event to endpoints that name one of them (see package match).
	Channels []string
	// Extensions are CloudEvents extension attributes in name order.
	Extensions []Extension
	// Data is the payload, byte-exact as published; nil when there is none.
	Data []byte
	// Origin is the request by which the event came in through a source; nil for others. Envelope EnvelopeOriginal sends it on.
	Origin *Request
}

// Extension is one CloudEvents extension attribute. Value is a string, a bool or an int32.
type Extension struct {
	Name  string
	Value any
}

// OrderingKey returns the key under which the event is ordered: Key, or the subject when there is none.
func (e *Event) OrderingKey() string {
	if e.Key != "" {
		return e.Key
	}
	return e.Subject
}

// IsJSON reports whether Data is JSON: by default, or by its media type (application/json or any +json).
func (e *Event) IsJSON() bool { return IsJSONType(e.ContentType) }

// Size is the number of bytes that the event holds in memory and roughly on disk.
func (e *Event) Size() int {
	n := len(e.Data) + len(e.ID) + len(e.Source) + len(e.Type) + len(e.Subject) + len(e.Schema) + len(e.Key) + 96
	for _, c := range e.Channels {
		n += len(c) + 16
	}
	for _, x := range e.Extensions {
		n += len(x.Name) + 32
		if s, ok := x.Value.(string); ok {
			n += len(s)
		}
	}
	return n + e.Origin.Size()
}

// Receipt is the answer to one published event.
type Receipt struct {
	ID      string
	Version int64
	// Duplicate is set when the event was on the log already: this is the first answer again.
	Duplicate bool
}
