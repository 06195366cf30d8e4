package codec

import (
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posthornhq/posthorn/internal/event"
)

func headers(pairs ...string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i := 0; i < len(pairs); i += 2 {
			if !yield(pairs[i], pairs[i+1]) {
				return
			}
		}
	}
}

func decodeOne(t *testing.T, req Request) event.Event {
	t.Helper()
	events, array, err := DecodePublish(req, event.DefaultLimits())
	if err != nil {
		t.Fatalf("DecodePublish: %v", err)
	}
	if array || len(events) != 1 {
		t.Fatalf("got %d events, array %v, want one", len(events), array)
	}
	return events[0]
}

func TestDecodePlain(t *testing.T) {
	got := decodeOne(t, Request{ContentType: "Application/JSON; charset=UTF-8", Body: []byte(` {
		"type": "order.paid", "subject": "order\/42", "id": "e-1", "source": "/shop", "time": "2026-11-21T09:30:00.1234567+01:00",
		"dataschema": "https://example.org/order.json", "key": "k", "channels": ["a", "b", "a"], "extensions": {"b": true, "a": 7},
		"\u0064ata": { "n" : 1.30e20,  "big": 12345678901234567890 } } `)})
	want := event.Event{
		Type: "order.paid", Subject: "order/42", ID: "e-1", Source: "/shop", Time: time.Date(2026, 11, 21, 8, 30, 0, 123456000, time.UTC),
		Schema: "https://example.org/order.json", Key: "k", Channels: []string{"a", "b"},
		Extensions: []event.Extension{{Name: "a", Value: int32(7)}, {Name: "b", Value: true}},
		Data:       []byte(`{ "n" : 1.30e20,  "big": 12345678901234567890 }`),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestDecodeArray(t *testing.T) {
	events, array, err := DecodePublish(Request{
		ContentType: "application/json",
		Body:        []byte(`[{"type":"a"},{"type":"b","data":null},{"type":"c","data":"x","datacontenttype":"text/plain"}]`),
	}, event.DefaultLimits())
	if err != nil || !array {
		t.Fatalf("array %v, err %v", array, err)
	}
	want := []event.Event{{Type: "a"}, {Type: "b", Data: []byte("null")}, {Type: "c", Data: []byte("x"), ContentType: "text/plain"}}
	if d := cmp.Diff(want, events); d != "" {
		t.Error(d)
	}
}

func TestDecodeStructured(t *testing.T) {
	got := decodeOne(t, Request{ContentType: "application/cloudevents+json", SpecVersion: "1.0", Body: []byte(`{"specversion":"1.0",
		"id":"A 234","source":"https://example.com/cloudevents/pull","type":"com.example.pr","subject":null,"comexampleothervalue":5,
		"partitionkey":"k1","posthornchannels":"x, y","posthornversion":"9","datacontenttype":"text/xml","data_base64":"PGEvPg=="}`)})
	want := event.Event{
		ID: "A 234", Source: "https://example.com/cloudevents/pull", Type: "com.example.pr", Key: "k1", Channels: []string{"x", "y"},
		ContentType: "text/xml", Data: []byte("<a/>"), Extensions: []event.Extension{{Name: "comexampleothervalue", Value: int32(5)}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestDecodeBinary(t *testing.T) {
	got := decodeOne(t, Request{
		ContentType: "application/json", SpecVersion: "1.0", Body: []byte(" {\"a\":1}\n"),
		Headers: headers("Ce-Specversion", "1.0", "ce-id", "1", "CE-SOURCE", "/s", "ce-type", "t", "Accept", "x",
			"ce-subject", "Euro%20%E2%82%AC%20%25", "ce-myext", `"a \"b\""`, "ce-time", "2026-01-01T00:00:00Z", "ce-partitionkey", "p"),
	})
	want := event.Event{
		ID: "1", Source: "/s", Type: "t", Subject: "Euro € %", Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Key: "p",
		ContentType: "application/json", Extensions: []event.Extension{{Name: "myext", Value: `a "b"`}}, Data: []byte(`{"a":1}`),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	got = decodeOne(t, Request{SpecVersion: "1.0", Body: []byte{0xff}, Headers: headers("ce-id", "1", "ce-source", "/s", "ce-type", "t")})
	if got.ContentType != "application/octet-stream" || string(got.Data) != "\xff" {
		t.Errorf("got %q %q", got.ContentType, got.Data)
	}
}

// TestDecodeRefuses holds every refusal to its kind, the field that it names and a part of its message.
func TestDecodeRefuses(t *testing.T) {
	const (
		plain = "application/json"
		ce    = "application/cloudevents+json"
		batch = "application/cloudevents-batch+json"
	)
	long := strings.Repeat("x", 1025)
	deep := strings.Repeat("[", 21) + strings.Repeat("]", 21)
	tests := []struct {
		name, media, body string
		kind              event.Kind
		field, message    string
	}{
		{"media type", "text/plain", `{}`, event.KindMediaType, "", "application/cloudevents+json"},
		{"no media type", "", `{}`, event.KindMediaType, "", "no Content-Type"},
		{"charset", plain + "; charset=latin1", `{}`, event.KindMediaType, "", "UTF-8"},
		{"cloudevents xml", "application/cloudevents+xml", `{}`, event.KindMediaType, "", "accepted are"},
		{"empty", plain, " ", event.KindMalformed, "", "body is empty"},
		{"cut off", plain, `{"type":"a"`, event.KindMalformed, "", "unexpected end"},
		{"comma", plain, "{\"type\":\"a\",\n \"data\":[1, 2 3]}", event.KindMalformed, "", "line 2, column 15 (byte 27): expected ',' or ']'"},
		{"colon", plain, `{"type" "a"}`, event.KindMalformed, "", "expected ':'"},
		{"trailing", plain, `{"type":"a"} {"type":"b"}`, event.KindMalformed, "", "column 14 (byte 13): expected nothing more"},
		{"duplicate", plain, `{"type":"a","type":"b"}`, event.KindMalformed, "", "repeated"},
		{"duplicate in data", plain, `{"type":"a","data":{"x":1,"x":2}}`, event.KindMalformed, "", "repeated"},
		{"invalid UTF-8", plain, "{\"type\":\"a\xff\"}", event.KindMalformed, "", "UTF-8"},
		{"escape", plain, `{"type":"\x"}`, event.KindMalformed, "", "escape"},
		{"number name", plain, `{1:2}`, event.KindMalformed, "", "member name"},
		{"not an object", plain, `"a"`, event.KindInvalid, "event", "must be an object"},
		{"no object in array", plain, `[1]`, event.KindInvalid, "events[0]", "must be an object"},
		{"no events", plain, `[]`, event.KindInvalid, "events", "at least one"},
		{"type missing", plain, `[{"type":"a"},{}]`, event.KindInvalid, "events[1].type", "required"},
		{"type null", plain, `{"type":null}`, event.KindInvalid, "type", "required"},
		{"type wrong", plain, `[{"type":"a b"}]`, event.KindInvalid, "events[0].type", "letters"},
		{"type number", plain, `{"type":1}`, event.KindInvalid, "type", "string"},
		{"unknown", plain, `{"type":"a","knd":1}`, event.KindInvalid, "knd", "unknown"},
		{"version", plain, `{"type":"a","version":1}`, event.KindInvalid, "version", "server"},
		{"id empty", plain, `{"type":"a","id":""}`, event.KindInvalid, "id", "empty"},
		{"id with line break", plain, `{"type":"a","id":"a\r\nb"}`, event.KindInvalid, "id", "ASCII"},
		{"id with space", plain, `{"type":"a","id":"a "}`, event.KindInvalid, "id", "space"},
		{"source", plain, `{"type":"a","source":"a b"}`, event.KindInvalid, "source", "URI"},
		{"source escape", plain, `{"type":"a","source":"/%zz"}`, event.KindInvalid, "source", "URI"},
		{"schema relative", plain, `{"type":"a","dataschema":"/x"}`, event.KindInvalid, "dataschema", "absolute"},
		{"subject control", plain, `{"type":"a","subject":"a\u0000"}`, event.KindInvalid, "subject", "control"},
		{"subject long", plain, `{"type":"a","subject":"` + long + `"}`, event.KindInvalid, "subject", "1024"},
		{"time", plain, `{"type":"a","time":"2026-11-21"}`, event.KindInvalid, "time", "RFC 3339"},
		{"time hour", plain, `{"type":"a","time":"2026-11-21T3:04:05Z"}`, event.KindInvalid, "time", "RFC 3339"},
		{"time year", plain, `{"type":"a","time":"9999-12-31T23:59:59-01:00"}`, event.KindInvalid, "time", "9999"},
		{"content type", plain, `{"type":"a","datacontenttype":"x\ny"}`, event.KindInvalid, "datacontenttype", "media type"},
		{"channels", plain, `{"type":"a","channels":"x"}`, event.KindInvalid, "channels", "array"},
		{"channel", plain, `{"type":"a","channels":["x",1]}`, event.KindInvalid, "channels[1]", "string"},
		{"channel comma", plain, `{"type":"a","channels":["x,y"]}`, event.KindInvalid, "channels[0]", "comma"},
		{"channel long", plain, `{"type":"a","channels":["` + long[:129] + `"]}`, event.KindInvalid, "channels[0]", "128"},
		{"channels many", plain, `{"type":"a","channels":["1","2","3","4","5","6","7","8","9","10","11"]}`, event.KindInvalid, "channels[10]", "10 channels"},
		{"both data", plain, `{"type":"a","data":1,"data_base64":"MQ=="}`, event.KindInvalid, "data_base64", "together"},
		{"base64", plain, `{"type":"a","data_base64":"MQ"}`, event.KindInvalid, "data_base64", "base64"},
		{"base64 not JSON", plain, `{"type":"a","data_base64":"e30gfQ=="}`, event.KindMalformed, "data_base64", "expected nothing more"},
		{"text data", plain, `{"type":"a","datacontenttype":"text/plain","data":{}}`, event.KindInvalid, "data", "string"},
		{"deep", plain, `[{"type":"a","data":` + deep + `}]`, event.KindInvalid, "events[0].data", "20 levels"},
		{"very deep", plain, `{"type":"a","data":` + strings.Repeat("[", 200_000), event.KindInvalid, "data", "20 levels"},
		{"reserved extension", plain, `{"type":"a","extensions":{"id":"x"}}`, event.KindInvalid, "extensions.id", "attribute"},
		{"event too large", plain, `[{"type":"a"},{"type":"a","data":"` + strings.Repeat("x", 256<<10) + `"}]`, event.KindTooLarge, "events[1]", "262144"},
		{"batch too large", plain, strings.Repeat(" ", 4<<20+1), event.KindTooLarge, "body", "4194304"},
		{"too many", plain, "[" + strings.Repeat(`{"type":"a"},`, 1000) + `{"type":"a"}]`, event.KindTooLarge, "events", "1000"},
		{"no specversion", ce, `{"id":"1","source":"/","type":"a"}`, event.KindInvalid, "specversion", "required"},
		{"old specversion", ce, `{"specversion":"0.3"}`, event.KindInvalid, "specversion", "1.0"},
		{"no id", ce, `{"specversion":"1.0","source":"/","type":"a"}`, event.KindInvalid, "id", "required"},
		{"no source", batch, `[{"specversion":"1.0","id":"1","type":"a"}]`, event.KindInvalid, "events[0].source", "required"},
		{"array in structured", ce, `[]`, event.KindInvalid, "event", "must be an object"},
		{"object in batch", batch, `{}`, event.KindInvalid, "events", "must be an array"},
		{"extension name", ce, `{"specversion":"1.0","My_Ext":1}`, event.KindInvalid, "My_Ext", "lower-case"},
		{"extension float", ce, `{"specversion":"1.0","ext":1.5}`, event.KindInvalid, "ext", "32-bit"},
		{"extension big", ce, `{"specversion":"1.0","ext":2147483648}`, event.KindInvalid, "ext", "32-bit"},
		{"extension object", ce, `{"specversion":"1.0","ext":{}}`, event.KindInvalid, "ext", "32-bit"},
		{"key number", ce, `{"specversion":"1.0","partitionkey":5}`, event.KindInvalid, "partitionkey", "string"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := DecodePublish(Request{ContentType: tt.media, Body: []byte(tt.body)}, event.DefaultLimits())
			wantError(t, err, tt.kind, tt.field, tt.message)
		})
	}
}

func TestDecodeBinaryRefuses(t *testing.T) {
	base := []string{"ce-id", "1", "ce-source", "/s", "ce-type", "t"}
	tests := []struct {
		name, media, body string
		headers           []string
		kind              event.Kind
		field, message    string
	}{
		{"percent", "", "", append(base, "ce-subject", "100%"), event.KindInvalid, "ce-subject", "percent-encoded"},
		{"UTF-8", "", "", append(base, "ce-subject", "%FF"), event.KindInvalid, "ce-subject", "UTF-8"},
		{"control", "", "", append(base, "ce-subject", "a%0D%0Ab"), event.KindInvalid, "subject", "control"},
		{"repeated", "", "", append(base, "ce-x", "1", "Ce-X", "2"), event.KindInvalid, "ce-x", "repeated"},
		{"repeated id", "", "", append(base, "ce-id", "1"), event.KindInvalid, "ce-id", "repeated"},
		{"content type", "", "", append(base, "ce-datacontenttype", "text/plain"), event.KindInvalid, "ce-datacontenttype", "Content-Type"},
		{"bad content type", "a b", "x", base, event.KindInvalid, "content-type", "media type"},
		{"no type", "", "", base[:4], event.KindInvalid, "type", "required"},
		{"JSON", "application/json", `{"a"}`, base, event.KindMalformed, "body", "expected ':'"},
		{"long", "", "", append(base, "ce-x", strings.Repeat("x", 1025)), event.KindInvalid, "ce-x", "1024"},
		{"size", "text/plain", strings.Repeat("x", 256<<10), base, event.KindTooLarge, "event", "262144"},
		{"deep", "application/json", strings.Repeat("[", 30) + strings.Repeat("]", 30), base, event.KindInvalid, "data", "20"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := DecodePublish(Request{
				ContentType: tt.media, SpecVersion: "1.0", Headers: headers(tt.headers...), Body: []byte(tt.body),
			}, event.DefaultLimits())
			wantError(t, err, tt.kind, tt.field, tt.message)
		})
	}
}

func wantError(t *testing.T, err error, kind event.Kind, field, message string) {
	t.Helper()
	e, ok := errors.AsType[*event.Error](err)
	if !ok {
		t.Fatalf("got error %v, want an event.Error", err)
	}
	if e.Kind != kind {
		t.Errorf("kind %d, want %d: %v", e.Kind, kind, err)
	}
	if !strings.Contains(e.Error(), message) {
		t.Errorf("error %q does not say %q", e.Error(), message)
	}
	if field != "" && (len(e.Fields) != 1 || e.Fields[0].Field != field) {
		t.Errorf("fields %v, want %s", e.Fields, field)
	}
}

// TestErrorsHoldNoPayload breaks a body at every byte and looks for its data in the error.
func TestErrorsHoldNoPayload(t *testing.T) {
	const body = `{"type":"a","subject":"SECRETVALUE","data":{"SECRETNAME":["SECRETVALUE",12345,true]}}`
	for i := range len(body) {
		for _, c := range []byte{'}', '"', 'S', 0, ' ', '\\'} {
			b := []byte(body)
			b[i] = c
			_, _, err := DecodePublish(Request{ContentType: "application/json", Body: b}, event.DefaultLimits())
			if err != nil && (strings.Contains(err.Error(), "ECRET") || strings.Contains(err.Error(), "2345")) {
				t.Fatalf("byte %d as %q: %v", i, c, err)
			}
		}
	}
}

// TestDepth finds the limit to the level, with brackets inside strings to mislead the quick count.
func TestDepth(t *testing.T) {
	for depth := range 30 {
		for _, inner := range []string{"1", `"[[[[{{{{[[[[{{{{[[[[{{{{\"[["`, `{"[[[[[[[[[[[[[[[[[[[[[[[[[[":"\\"}`} {
			body := strings.Repeat("[", depth) + inner + strings.Repeat("]", depth)
			levels := depth
			if inner[0] == '{' {
				levels++
			}
			_, _, err := DecodePublish(Request{
				ContentType: "application/json", Body: []byte(`{"type":"a","data":` + body + `}`),
			}, event.DefaultLimits())
			if (err != nil) != (levels > 20) {
				t.Errorf("%d levels of %s: %v", levels, inner, err)
			}
		}
	}
}
