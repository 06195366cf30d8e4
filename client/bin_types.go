package client

import (
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

// Bin is a URL that captures what is sent to it.
type Bin struct {
	ID          string `json:"id,omitempty" required:"true" readOnly:"true" doc:"Given by the server; who knows it can send"`
	Tenant      string `json:"tenant,omitempty" doc:"Whose it is; of a bin that belongs to nobody absent. Read at the making, where only admin keys may name another than their own"`
	Alias       string `json:"alias,omitempty" doc:"Another name for it in addresses: 3 to 128 of A-Z, a-z, 0-9, _ and -"`
	Description string `json:"description,omitempty" doc:"For people"`
	URL         string `json:"url,omitempty" required:"true" readOnly:"true" doc:"Where callers send to, by any method, and everything below it"`
	// Answer is what callers get; nil: 200 without a body, or the status that the path names, as in /404.
	Answer *BinAnswer `json:"answer,omitempty" doc:"What callers get; absent: 200 without a body, or the status that the path after the bin's address names, as in /404"`
	Delay  Duration   `json:"delay,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" patternDescription:"a duration such as 2s" example:"2s" doc:"How long a caller waits for it, at most 30s; default 0s"`
	Hold   Duration   `json:"hold,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" patternDescription:"a duration such as 30s" example:"30s" doc:"How long a caller is held until a client gives its answer, at most 60s; default 0s: it is not"`
	CORS   bool       `json:"cors" required:"false" doc:"Let web pages of any origin send"`
	Keep   int        `json:"keep,omitempty" minimum:"1" maximum:"10000" doc:"How many requests are kept; default 500"`
	Refuse bool       `json:"refuse" required:"false" doc:"What happens to one request more: true: it is refused with 410; false: the oldest one goes"`
	// Expires is when the bin goes. TTL says it as a time from now, when written; 0: never.
	Expires  *time.Time        `json:"expires,omitempty" doc:"When the bin goes, with what is in it, at most in 365 days; default: in 7 days"`
	TTL      *Lifetime         `json:"ttl,omitempty" pattern:"^([0-9]+d)?([0-9]+(\\.[0-9]+)?(ms|s|m|h))*$" patternDescription:"a duration such as 7d or 12h" example:"7d" doc:"Instead of expires: how long from now; 0s: the bin stays. Shown as 0s of a bin that stays"`
	Tunnel   string            `json:"tunnel,omitempty" doc:"The tunnel to which requests are forwarded, and kept for while it is away"`
	Metadata map[string]string `json:"metadata,omitzero" doc:"Yours to use"`
	Stats    *BinStats         `json:"stats,omitempty" readOnly:"true" doc:"What is in it: in answers to GET"`
	Created  time.Time         `json:"created,omitzero" required:"true" readOnly:"true" doc:"When it was made"`
	Updated  time.Time         `json:"updated,omitzero" required:"true" readOnly:"true" doc:"When it was last changed"`

	// ETag is the version read, sent as If-Match by updates when not empty.
	ETag string `json:"-"`
}

// BinAnswer is an answer for callers of a bin.
type BinAnswer struct {
	Status     int               `json:"status,omitempty" minimum:"0" maximum:"599" doc:"200 to 599; default 200"`
	Headers    map[string]string `json:"headers,omitzero" doc:"Headers; those of the connection, cookies and others that would reach beyond the bin cannot be set"`
	Body       string            `json:"body,omitempty" doc:"The body as text, at most 1 MiB"`
	BodyBase64 string            `json:"body_base64,omitempty" doc:"The body in base 64; instead of body"`
}

// BinStats are figures about a bin.
type BinStats struct {
	Requests int64      `json:"requests" doc:"How many requests are in it"`
	Bytes    int64      `json:"bytes" doc:"How many bytes they have, about"`
	Last     int64      `json:"last" doc:"The number of the last request that came; 0: none did"`
	Newest   *time.Time `json:"newest,omitempty" doc:"When it came"`
}

// NameValue is a header line, a field of a form, or a pair of a query. Names may be repeated.
type NameValue struct {
	Name  string `json:"name" doc:"As it was sent"`
	Value string `json:"value" doc:"Its value"`
}

// BinRequest is a request that a bin captured.
type BinRequest struct {
	ID     string    `json:"id" doc:"The caller got it as X-Request-Id"`
	Seq    int64     `json:"seq" doc:"Its number in the bin: ascending from 1, never given twice"`
	Bin    string    `json:"bin" doc:"The bin's id"`
	At     time.Time `json:"at" doc:"When it arrived"`
	Method string    `json:"method" doc:"The method"`
	Target string    `json:"target" doc:"The path and query as sent"`
	Proto  string    `json:"proto" doc:"The protocol, such as HTTP/1.1"`
	URL    string    `json:"url" doc:"The address that was called"`
	// Path is what of the target follows the bin's address.
	Path       string      `json:"path" doc:"What of the target follows the bin's address: empty, or begins with / or ?"`
	Remote     string      `json:"remote" doc:"The caller's IP address"`
	Query      []NameValue `json:"query" doc:"The query's pairs in their order"`
	Headers    []NameValue `json:"headers" doc:"The header lines in their order, case and number"`
	Body       *string     `json:"body,omitempty" doc:"The body, where it is UTF-8"`
	BodyBase64 string      `json:"body_base64,omitempty" doc:"The body in base 64, where it is not"`
	Size       int         `json:"size" doc:"The body's bytes"`
	// BodyOmitted says that Body, BodyBase64, Form and Files were left out, as [MaxBody] asks.
	BodyOmitted bool        `json:"body_omitted,omitempty" doc:"The body, and what is read from it, was left out as max_body asked; it is at …/body"`
	Form        []NameValue `json:"form,omitempty" doc:"The fields of a form"`
	Files       []BinFile   `json:"files,omitempty" doc:"The files of a form; their content is at …/files/{n}, counted from 0"`
	Note        string      `json:"note" doc:"What people wrote about it"`
	Refused     string      `json:"refused,omitempty" doc:"Why the source whose bin this is refused it"`
	Held        bool        `json:"held,omitempty" doc:"Its caller waits for an answer"`
	Answer      *BinReply   `json:"answer,omitempty" doc:"What its caller got; absent: nothing yet"`
}

// Content returns the body's bytes; an error when it was left out: [BinHandle.Body] reads it.
func (r *BinRequest) Content() ([]byte, error) {
	if r.BodyOmitted {
		return nil, errBodyOmitted
	}
	return contentOf(r.Body, r.BodyBase64)
}

var errBodyOmitted = errors.New("client: the body was left out, as it was asked for")

// BinChange is what happens to captured requests after they came: they are deleted, or one gets a note or an answer.
type BinChange struct {
	Seqs    []int64 `json:"seqs" doc:"Their numbers"`
	Deleted bool    `json:"deleted,omitempty" doc:"They are gone"`
	Note    *string `json:"note,omitempty" doc:"What was written about it"`
	Status  *int    `json:"status,omitempty" doc:"The status of the answer that its caller got; 0: it got none"`
}

// BinFile is an uploaded file.
type BinFile struct {
	Name        string `json:"name" doc:"The field's name"`
	Filename    string `json:"filename" doc:"What its sender calls the file; not to be used as a path"`
	ContentType string `json:"content_type" doc:"What its sender says that it is"`
	Size        int    `json:"size" doc:"Its bytes"`
}

// BinReply is what a caller got.
type BinReply struct {
	Status     int         `json:"status" doc:"The HTTP status; 0: there was none"`
	Reason     string      `json:"reason,omitempty" doc:"Why there was none"`
	Headers    []NameValue `json:"headers" doc:"Those that were set"`
	Body       *string     `json:"body,omitempty" doc:"The body, where it is UTF-8; at most 4 KiB of it"`
	BodyBase64 string      `json:"body_base64,omitempty" doc:"The body in base 64, where it is not"`
}

// Content returns the body's bytes.
func (r *BinReply) Content() ([]byte, error) { return contentOf(r.Body, r.BodyBase64) }

func contentOf(text *string, encoded string) ([]byte, error) {
	if text != nil {
		return []byte(*text), nil
	}
	body, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("client: decode a body: %w", err)
	}
	return body, nil
}

// BinNote is what people write about a request.
type BinNote struct {
	Note string `json:"note" doc:"At most 4 KiB"`
}

// BinReplay says where to send a request again.
type BinReplay struct {
	URL      string `json:"url" doc:"Where to, http or https; the address is checked as an endpoint's is"`
	KeepPath bool   `json:"keep_path,omitempty" doc:"With the path and query that followed the bin's address"`
}

// BinReplayed is the answer to a request that was sent again.
type BinReplayed struct {
	Status     int         `json:"status" doc:"The HTTP status"`
	Headers    []NameValue `json:"headers" doc:"The answer's headers"`
	Body       *string     `json:"body,omitempty" doc:"The answer's body, where it is UTF-8; at most 64 KiB of it"`
	BodyBase64 string      `json:"body_base64,omitempty" doc:"The answer's body in base 64, where it is not"`
	Duration   Duration    `json:"duration" doc:"How long it took"`
}

// Content returns the body's bytes.
func (r *BinReplayed) Content() ([]byte, error) { return contentOf(r.Body, r.BodyBase64) }

// BinDeleted says how many requests were deleted.
type BinDeleted struct {
	Deleted int `json:"deleted" doc:"How many"`
}
