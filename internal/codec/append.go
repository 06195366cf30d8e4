package codec

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/posthornhq/posthorn/internal/event"
)

// AppendEvent appends the API's JSON form of an event, on one line: id, source, type, subject, time, datacontenttype,
// dataschema, data (data_base64 when the data is not JSON), version, key, channels, extensions; what is empty is left
// out. Line breaks in JSON data become spaces. Without the version, the form can be published again.
func AppendEvent(dst []byte, e *event.Event) []byte {
	dst = append(dst, '{')
	dst = appendContext(dst, e)
	if bytes.IndexByte(e.Data, '\n') >= 0 || bytes.IndexByte(e.Data, '\r') >= 0 {
		dst = appendOneLine(dst, e)
	} else {
		dst = appendData(dst, e)
	}
	if e.Version != 0 {
		dst = append(dst, `,"version":`...)
		dst = strconv.AppendInt(dst, e.Version, 10)
	}
	dst = appendMember(dst, `,"key":`, e.Key)
	if len(e.Channels) > 0 {
		dst = append(dst, `,"channels":[`...)
		for i, c := range e.Channels {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, c)
		}
		dst = append(dst, ']')
	}
	if len(e.Extensions) > 0 {
		dst = append(dst, `,"extensions":{`...)
		start := len(dst)
		dst = appendExtensions(dst, e)
		dst = append(dst[:start], dst[start+1:]...) // the first comma
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// AppendCloudEvent appends an event as a CloudEvents 1.0 JSON object, with the data as it was published. The version,
// key and channels are the extensions posthornversion, partitionkey and posthornchannels.
func AppendCloudEvent(dst []byte, e *event.Event) []byte {
	dst = appendCloudContext(dst, e)
	dst = appendData(dst, e)
	return append(dst, '}')
}

// appendStandardBody appends the members of the Standard Webhooks envelope, {"type","timestamp","data"}; the timestamp is
// the event's time. Data that is not JSON is in "data_base64" with its "datacontenttype"; an event without data has
// "data":null.
func appendStandardBody(dst []byte, e *event.Event) []byte {
	dst = appendStandardHead(dst, e)
	switch {
	case e.Data == nil:
		dst = append(dst, `,"data":null`...)
	case e.IsJSON():
		dst = append(dst, `,"data":`...)
		dst = append(dst, e.Data...)
	default:
		dst = appendMember(dst, `,"datacontenttype":`, e.ContentType)
		dst = appendData(dst, e)
	}
	return append(dst, '}')
}

func appendStandardHead(dst []byte, e *event.Event) []byte {
	dst = append(dst, `"type":`...)
	dst = appendString(dst, e.Type)
	dst = append(dst, `,"timestamp":"`...)
	dst = appendTime(dst, e.Time)
	return append(dst, '"')
}

// appendThin appends what a thin payload holds of an event: {"id","type","subject","version","url"}.
func appendThin(dst []byte, e *event.Event, url string) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendString(dst, e.ID)
	dst = append(dst, `,"type":`...)
	dst = appendString(dst, e.Type)
	dst = appendMember(dst, `,"subject":`, e.Subject)
	dst = append(dst, `,"version":`...)
	dst = strconv.AppendInt(dst, e.Version, 10)
	dst = appendMember(dst, `,"url":`, url)
	return append(dst, '}')
}

// appendContext appends the attributes that all JSON forms share, beginning with type so that there is always one.
func appendContext(dst []byte, e *event.Event) []byte {
	if e.ID != "" {
		dst = append(dst, `"id":`...)
		dst = appendString(dst, e.ID)
		dst = append(dst, ',')
	}
	if e.Source != "" {
		dst = append(dst, `"source":`...)
		dst = appendString(dst, e.Source)
		dst = append(dst, ',')
	}
	dst = append(dst, `"type":`...)
	dst = appendString(dst, e.Type)
	dst = appendMember(dst, `,"subject":`, e.Subject)
	if !e.Time.IsZero() {
		dst = append(dst, `,"time":"`...)
		dst = appendTime(dst, e.Time)
		dst = append(dst, '"')
	}
	dst = appendMember(dst, `,"datacontenttype":`, e.ContentType)
	return appendMember(dst, `,"dataschema":`, e.Schema)
}

// appendCloudContext appends a CloudEvents object up to its data, left open.
func appendCloudContext(dst []byte, e *event.Event) []byte {
	dst = append(dst, `{"specversion":"1.0",`...)
	dst = appendContext(dst, e)
	if e.Version != 0 {
		dst = append(dst, `,"`+extVersion+`":"`...)
		dst = strconv.AppendInt(dst, e.Version, 10)
		dst = append(dst, '"')
	}
	dst = appendMember(dst, `,"`+extKey+`":`, e.Key)
	if len(e.Channels) > 0 {
		dst = appendMember(dst, `,"`+extChannels+`":`, strings.Join(e.Channels, ","))
	}
	return appendExtensions(dst, e)
}

func appendExtensions(dst []byte, e *event.Event) []byte {
	for i := range e.Extensions {
		x := &e.Extensions[i]
		dst = append(dst, ',')
		dst = appendString(dst, x.Name)
		dst = append(dst, ':')
		switch v := x.Value.(type) {
		case string:
			dst = appendString(dst, v)
		case bool:
			dst = strconv.AppendBool(dst, v)
		case int32:
			dst = strconv.AppendInt(dst, int64(v), 10)
		default:
			dst = append(dst, "null"...) // no other type comes in; null is the same as absent
		}
	}
	return dst
}

// appendData appends ,"data": or ,"data_base64":, or nothing without data.
func appendData(dst []byte, e *event.Event) []byte {
	switch {
	case e.Data == nil:
		return dst
	case e.IsJSON():
		dst = append(dst, `,"data":`...)
		return append(dst, e.Data...)
	}
	dst = append(dst, `,"data_base64":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, e.Data)
	return append(dst, '"')
}

// appendOneLine is appendData without line breaks. JSON has them between tokens only, never inside a string.
func appendOneLine(dst []byte, e *event.Event) []byte {
	if !e.IsJSON() {
		return appendData(dst, e)
	}
	start := len(dst)
	dst = appendData(dst, e)
	for i, c := range dst[start:] {
		if c == '\n' || c == '\r' {
			dst[start+i] = ' '
		}
	}
	return dst
}

// appendMember appends a name, given with its comma and colon, and a string; nothing when the string is empty.
func appendMember(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(dst, name...)
	return appendString(dst, value)
}

func appendTime(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, time.RFC3339Nano)
}

// appendString appends a JSON string.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			dst, _ = jsontext.AppendQuote(dst, s) // invalid UTF-8 cannot be stored; it would become U+FFFD
			return dst
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
