package codec

import (
	"strconv"
	"strings"

	"github.com/posthornhq/posthorn/internal/event"
)

// Options say how events are encoded for an endpoint.
type Options struct {
	// Envelope is the form of the body; "" means standard.
	Envelope event.Envelope
	// Payload is full or thin; "" means full. Thin replaces the data, whatever the envelope, by the JSON object
	// {"id","type","subject","version","url"}; in the envelope flexibee it leaves the data out.
	Payload event.Payload
	// Format is event.FormatJSON, which "" means too, or in the envelope flexibee event.FormatXML.
	Format string
	// Batch makes the body a JSON array, also for one event, so that a receiver of batches sees one shape.
	Batch bool
	// EventURL gives the address where a thin payload's event can be read; nil leaves "url" out.
	EventURL func(*event.Event) string
}

// CheckFormat reports why s is not a format that [Encode] can make in an envelope, or "".
func CheckFormat(s string, envelope event.Envelope) string {
	switch {
	case s == "" || s == event.FormatJSON:
		return ""
	case envelope != event.EnvelopeFlexiBee:
		return "must be " + event.FormatJSON
	case s != event.FormatXML:
		return "must be " + event.FormatJSON + " or " + event.FormatXML
	}
	return ""
}

// Encode appends the body of a delivery to dst and returns it with its content type ("" when there is no body) and the
// headers that belong to it besides the content type, which only cloudevents-binary has; of original they are all of the
// request's, its content type among them, and the content type is "".
//
// The bodies are: standard, {"type","timestamp","data"}, in a batch with the event's "id" first; cloudevents, [AppendCloudEvent],
// in a batch application/cloudevents-batch+json; cloudevents-binary and raw, the data itself, in a raw batch an array of
// the data of each event (null for none); flexibee, a [ChangeList] that ends with the last of the events, so that it is the
// same whenever it is sent; original, the body of the event's Origin as it came, and raw for events without one.
//
// It fails with KindInvalid for an unknown envelope or format, for several events without Batch or in
// cloudevents-binary or original, for a raw batch with data that is not JSON, and for flexibee without any change of a record.
func Encode(dst []byte, o Options, events []*event.Event) (contentType string, headers []event.Header, body []byte, err error) {
	if reason := CheckFormat(o.Format, o.Envelope); reason != "" {
		return "", nil, dst, event.Invalid("format", reason)
	}
	if len(events) == 0 || len(events) > 1 && !o.Batch {
		return "", nil, dst, event.Invalid("batch", "several events share a request only in a batch")
	}
	switch o.Envelope {
	case event.EnvelopeStandard, "":
		return mediaJSON, nil, o.array(dst, events, o.standard), nil
	case event.EnvelopeCloudEvents:
		if o.Batch {
			return mediaCEBatch, nil, o.array(dst, events, o.cloud), nil
		}
		return mediaCE, nil, o.cloud(dst, events[0]), nil
	case event.EnvelopeCloudEventsBinary:
		if len(events) > 1 {
			return "", nil, dst, event.Invalid("envelope", "cloudevents-binary cannot hold several events")
		}
		contentType, body = o.raw(dst, events[0])
		return contentType, o.headers(events[0]), body, nil
	case event.EnvelopeRaw:
		if !o.Batch {
			contentType, body = o.raw(dst, events[0])
			return contentType, nil, body, nil
		}
		for _, e := range events {
			if !o.thin() && e.Data != nil && !e.IsJSON() {
				return "", nil, dst, event.Invalid("envelope", "raw data that is not JSON cannot share a request")
			}
		}
		return mediaJSON, nil, o.array(dst, events, o.element), nil
	case event.EnvelopeFlexiBee:
		return o.changes(dst, events)
	case event.EnvelopeOriginal:
		if len(events) > 1 {
			return "", nil, dst, event.Invalid("envelope", "original cannot hold several events")
		}
		contentType, headers, body = o.original(dst, events[0])
		return contentType, headers, body, nil
	}
	return "", nil, dst, event.Invalid("envelope", "is unknown")
}

// changes appends a list of the changes among events.
func (o *Options) changes(dst []byte, events []*event.Event) (contentType string, headers []event.Header, body []byte, err error) {
	l := ChangeList{Format: o.Format, Data: !o.thin()}
	for _, e := range events {
		l.Add(e)
	}
	if l.Len() == 0 {
		return "", nil, dst, event.Invalid("envelope", "flexibee holds changes of records only")
	}
	return l.ContentType(), nil, l.Append(dst, events[len(events)-1].Version, 0), nil
}

func (o *Options) thin() bool { return o.Payload == event.PayloadThin }

// array appends one event, or in a batch an array of events, each by f.
func (o *Options) array(dst []byte, events []*event.Event, f func([]byte, *event.Event) []byte) []byte {
	if !o.Batch {
		return f(dst, events[0])
	}
	dst = append(dst, '[')
	for i, e := range events {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = f(dst, e)
	}
	return append(dst, ']')
}

func (o *Options) standard(dst []byte, e *event.Event) []byte {
	dst = append(dst, '{')
	if o.Batch {
		dst = append(dst, `"id":`...)
		dst = appendString(dst, e.ID)
		dst = append(dst, ',')
	}
	if !o.thin() {
		return appendStandardBody(dst, e)
	}
	dst = appendStandardHead(dst, e)
	dst = append(dst, `,"data":`...)
	dst = o.appendThin(dst, e)
	return append(dst, '}')
}

func (o *Options) cloud(dst []byte, e *event.Event) []byte {
	if !o.thin() {
		return AppendCloudEvent(dst, e)
	}
	t := *e
	t.ContentType, t.Schema = mediaJSON, "" // of the thin data
	dst = appendCloudContext(dst, &t)
	dst = append(dst, `,"data":`...)
	dst = o.appendThin(dst, e)
	return append(dst, '}')
}

// raw appends the data as the body.
func (o *Options) raw(dst []byte, e *event.Event) (contentType string, body []byte) {
	switch {
	case o.thin():
		return mediaJSON, o.appendThin(dst, e)
	case e.Data == nil:
		return e.ContentType, dst
	case e.ContentType == "":
		return mediaJSON, append(dst, e.Data...)
	}
	return e.ContentType, append(dst, e.Data...)
}

// element appends the data as a JSON value.
func (o *Options) element(dst []byte, e *event.Event) []byte {
	switch {
	case o.thin():
		return o.appendThin(dst, e)
	case e.Data == nil:
		return append(dst, "null"...)
	}
	return append(dst, e.Data...)
}

func (o *Options) appendThin(dst []byte, e *event.Event) []byte {
	url := ""
	if o.EventURL != nil {
		url = o.EventURL(e)
	}
	return appendThin(dst, e, url)
}

// headers are the ce-* headers of binary mode, percent-encoded.
func (o *Options) headers(e *event.Event) []event.Header {
	h := make([]event.Header, 0, 10+len(e.Extensions))
	add := func(name, value string) {
		if value != "" {
			h = append(h, event.Header{Name: name, Value: encodeHeader(value)})
		}
	}
	add("ce-specversion", "1.0")
	add("ce-id", e.ID)
	add("ce-source", e.Source)
	add("ce-type", e.Type)
	add("ce-subject", e.Subject)
	if !e.Time.IsZero() {
		add("ce-time", string(appendTime(nil, e.Time)))
	}
	if !o.thin() {
		add("ce-dataschema", e.Schema)
	}
	if e.Version != 0 {
		add("ce-"+extVersion, strconv.FormatInt(e.Version, 10))
	}
	add("ce-"+extKey, e.Key)
	add("ce-"+extChannels, strings.Join(e.Channels, ","))
	for _, x := range e.Extensions {
		switch v := x.Value.(type) {
		case string:
			add("ce-"+x.Name, v)
		case bool:
			add("ce-"+x.Name, strconv.FormatBool(v))
		case int32:
			add("ce-"+x.Name, strconv.Itoa(int(v)))
		}
	}
	return h
}
