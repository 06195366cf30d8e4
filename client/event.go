package client

import (
	"encoding/json"
	"time"
)

// Event is one immutable fact. Its attributes are those of CloudEvents 1.0, plus version, key and channels. To publish
// one, Type is enough.
type Event struct {
	ID              string          `json:"id,omitempty" doc:"Unique in the tenant; a second event with the same id is not stored. Absent when published: given by the server"`
	Source          string          `json:"source,omitempty" doc:"A URI-reference; absent when published: given by the server"`
	Type            string          `json:"type" doc:"Dotted, such as order.paid"`
	Subject         string          `json:"subject,omitempty" doc:"What it is about"`
	Time            time.Time       `json:"time,omitzero" doc:"When it happened; absent when published: now"`
	DataContentType string          `json:"datacontenttype,omitempty" doc:"The media type of data; absent: application/json"`
	DataSchema      string          `json:"dataschema,omitempty" doc:"A URI of the data's schema"`
	Data            json.RawMessage `json:"data,omitempty" doc:"The payload: any JSON. To publish another text it is a string, with its datacontenttype"`
	DataBase64      []byte          `json:"data_base64,omitempty" doc:"The payload when it is not JSON, in base 64; instead of data"`
	Version         int64           `json:"version,omitempty" readOnly:"true" doc:"Its number in the tenant's log: 1, 2, 3 … without gaps"`
	Key             string          `json:"key,omitempty" doc:"The ordering key; absent: the subject"`
	Channels        []string        `json:"channels,omitempty" doc:"Only endpoints that name one of these channels get it"`
	Extensions      map[string]any  `json:"extensions,omitempty" doc:"CloudEvents extension attributes: strings, booleans and integers"`
	// Origin is the request by which the event came in through a source: in the answer to GET of one event only.
	Origin *Origin `json:"origin,omitempty" readOnly:"true" doc:"The request by which it came in through a source: in the answer to GET of one event"`
}

// Receipt is the answer to one published event, given once it is durable.
type Receipt struct {
	ID      string `json:"id" doc:"The event's id"`
	Version int64  `json:"version" doc:"Its number in the tenant's log"`
}

// Receipts is the answer to a batch, in its order.
type Receipts struct {
	Events []Receipt `json:"events" doc:"A receipt for each event, in order"`
}

// Changes is a part of a tenant's log, in version order.
type Changes struct {
	Changes []Event `json:"changes" doc:"Events in version order; may be fewer than limit, also none, while next is not past head"`
	Next    int64   `json:"next" doc:"The start to ask with next"`
	Head    int64   `json:"head" doc:"The last version on the log"`
}

// Page is one page of a list.
type Page[T any] struct {
	Data []T    `json:"data" doc:"The page"`
	Next string `json:"next,omitempty" doc:"The cursor of the next page; absent on the last one"`
}
