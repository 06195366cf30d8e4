package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/posthornhq/posthorn/internal/codec"
	"github.com/posthornhq/posthorn/internal/event"
)

// toCBOR writes a JSON message in CBOR, as an independent encoder would.
func toCBOR(t testing.TB, text string) []byte {
	t.Helper()
	var v any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	out, err := cbor.Marshal(numbers(v))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	}
	return v
}

func TestDecodeClient(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     ClientMessage
		field    string // of the fault
	}{
		{"subscribe", `{"type":"subscribe","id":"a"}`, ClientMessage{Type: "subscribe", ID: "a"}, ""},
		{
			"subscribe to some", `{"id":"a","types":["order.*"],"subjects":["order/1","user/*"],"filter":"true","start":7,"window":10,"type":"subscribe"}`,
			ClientMessage{Type: "subscribe", ID: "a", Start: 7, Window: 10, Selection: event.Selection{Types: []string{"order.*"}, Subjects: []string{"order/1", "user/*"}, Filter: "true"}},
			"",
		},
		{"null", `{"type":"subscribe","id":"a","start":null,"types":null,"filter":null,"window":null,"version":null}`, ClientMessage{Type: "subscribe", ID: "a"}, ""},
		{"unsubscribe", `{"type":"unsubscribe","id":"a"}`, ClientMessage{Type: "unsubscribe", ID: "a"}, ""},
		{"ack", `{"type":"ack","id":"a","version":0}`, ClientMessage{Type: "ack", ID: "a"}, ""},
		{"ping", `{"type":"ping"}`, ClientMessage{Type: "ping"}, ""},
		{"ping with ref", `{"type":"ping","ref":"€"}`, ClientMessage{Type: "ping", Ref: "€"}, ""},
		{"64 characters", `{"type":"ping","ref":"` + strings.Repeat("€", 64) + `"}`, ClientMessage{Type: "ping", Ref: strings.Repeat("€", 64)}, ""},
		{"publish", `{"type":"publish","ref":"1","event":{"type":"a"},"idempotency_key":"k"}`, ClientMessage{Type: "publish", Ref: "1", IdempotencyKey: "k"}, ""},
		{"publish many", `{"type":"publish","events":[{"type":"a"}]}`, ClientMessage{Type: "publish", Array: true}, ""},

		{"no type", `{}`, ClientMessage{}, "type"},
		{"unknown type", `{"type":"shout","ref":"1"}`, ClientMessage{Type: "shout", Ref: "1"}, "type"},
		{"type is a number", `{"type":1,"ref":"1"}`, ClientMessage{Ref: "1"}, "type"},
		{"unknown member", `{"type":"ping","to":"x","ref":"1"}`, ClientMessage{Type: "ping", Ref: "1"}, "to"},
		{"wrong case", `{"type":"ping","Ref":"1"}`, ClientMessage{Type: "ping"}, "Ref"},
		{"long name", `{"type":"ping","` + strings.Repeat("€", 40) + `":1}`, ClientMessage{Type: "ping"}, strings.Repeat("€", 21) + "…"},
		{"member of another", `{"type":"ping","id":"a"}`, ClientMessage{Type: "ping", ID: "a"}, "id"},
		{"no id", `{"type":"subscribe"}`, ClientMessage{Type: "subscribe"}, "id"},
		{"empty id", `{"type":"subscribe","id":""}`, ClientMessage{Type: "subscribe"}, "id"},
		{"long id", `{"type":"subscribe","id":"` + strings.Repeat("€", 65) + `"}`, ClientMessage{Type: "subscribe"}, "id"},
		{"no version", `{"type":"ack","id":"a"}`, ClientMessage{Type: "ack", ID: "a"}, "version"},
		{"negative version", `{"type":"ack","id":"a","version":-1}`, ClientMessage{Type: "ack", ID: "a", Version: -1}, "version"},
		{"version is a fraction", `{"type":"ack","id":"a","version":1.5}`, ClientMessage{Type: "ack", ID: "a"}, "version"},
		{"version is text", `{"type":"ack","id":"a","version":"1"}`, ClientMessage{Type: "ack", ID: "a"}, "version"},
		{"start 0", `{"type":"subscribe","id":"a","start":0}`, ClientMessage{Type: "subscribe", ID: "a"}, "start"},
		{"window 0", `{"type":"subscribe","id":"a","window":0}`, ClientMessage{Type: "subscribe", ID: "a"}, "window"},
		{"window too wide", `{"type":"subscribe","id":"a","window":10001}`, ClientMessage{Type: "subscribe", ID: "a"}, "window"},
		{"types is text", `{"type":"subscribe","id":"a","types":"x"}`, ClientMessage{Type: "subscribe", ID: "a"}, "types"},
		{"types of numbers", `{"type":"subscribe","id":"a","types":["a",1]}`, ClientMessage{Type: "subscribe", ID: "a"}, "types[1]"},
		{"too many types", `{"type":"subscribe","id":"a","types":["a"` + strings.Repeat(`,"a"`, 100) + `]}`, ClientMessage{Type: "subscribe", ID: "a"}, "types"},
		{"filter is a list", `{"type":"subscribe","id":"a","filter":[]}`, ClientMessage{Type: "subscribe", ID: "a"}, "filter"},
		{"publish nothing", `{"type":"publish","ref":"1"}`, ClientMessage{Type: "publish", Ref: "1"}, "event"},
		{"publish both", `{"type":"publish","event":{},"events":[]}`, ClientMessage{Type: "publish", Array: true}, "events"},
		{"event is a list", `{"type":"publish","event":[]}`, ClientMessage{Type: "publish"}, "event"},
		{"events is an object", `{"type":"publish","events":{}}`, ClientMessage{Type: "publish"}, "events"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for form, in := range map[Form][]byte{JSON: []byte(tt.in), CBOR: toCBOR(t, tt.in)} {
				m, err := DecodeClient(form, in)
				field := ""
				if e, ok := errors.AsType[*event.Error](err); ok && e.Kind == event.KindInvalid && len(e.Fields) == 1 {
					field = e.Fields[0].Field
				} else if err != nil {
					t.Errorf("%d: %v", form, err)
				}
				if field != tt.field {
					t.Errorf("%d: the fault is %q, want %q", form, field, tt.field)
				}
				if diff := cmp.Diff(tt.want, m, cmpopts.IgnoreUnexported(ClientMessage{}), cmpopts.IgnoreFields(ClientMessage{}, "Events")); diff != "" {
					t.Errorf("%d: (-want +got)\n%s", form, diff)
				}
			}
		})
	}
}

func TestNotOfTheForm(t *testing.T) {
	for form, list := range map[Form][]string{
		JSON: {
			"", " ", "null", "[]", `"x"`, "1", "{", `{"type"}`, `{"type":"ping"`, `{"type":"ping"} x`, `{"type":"ping"}{}`, `{"type":"ping","type":"ping"}`,
			`{"type":"publish","event":{"type":"a","type":"b"}}`, `{"type":"ping",}`, `{type:"ping"}`, "{\"type\":\"p\xff\"}", `{"ref":"\ud800"}`,
			strings.Repeat(`{"x":`, 20_000) + "1" + strings.Repeat("}", 20_000), "\ufeff{}",
		},
		CBOR: {
			"", "\xf6", "\x80", "\x64ping", "\xa1", "\xa1\x64type", "\xa0\x00", "\xa2\x64type\x64ping\x64type\x64ping", // twice a name
			"\xa1\x64type\x62p\xff", "\xa1\x01\x02", "\xa1\x44type\x64ping", // not UTF-8, a number and bytes as names
			"\xc1\xa0", "\xa1\x64type\xc0\x64ping", // tags
			"\xa1\x61x" + strings.Repeat("\x81", 20) + "\x00", // too deep
			"\xb9\xff\xff", "\xa1\x61x\x9a\xff\xff\xff\xff", "\xbf\xff\x00", // more than there is, something after the end
			"\xa1\x65event\xa1\x61x\x5b\x7f\xff\xff\xff\xff\xff\xff\xff", "\xa1\x62\xff\xff\x01",
		},
	} {
		for _, in := range list {
			_, err := DecodeClient(form, []byte(in))
			if e, ok := errors.AsType[*CloseError](err); !ok || e.Code != CloseInvalid {
				t.Errorf("%d: %.60q: %v", form, in, err)
			}
		}
	}
	// Indefinite lengths are of the form: common encoders write them.
	if m, err := DecodeClient(CBOR, []byte("\xbf\x64type\x7f\x62pi\x62ng\xff\x63ref\x61x\xff")); err != nil || m.Type != "ping" || m.Ref != "x" {
		t.Errorf("%+v, %v", m, err)
	}
}

func sample() *event.Event {
	return &event.Event{
		Version: 7, ID: "0197-é\"", Source: "/acme", Type: "order.paid", Subject: "order/42", Time: time.Date(2026, 11, 21, 8, 30, 0, 123_000, time.UTC),
		ContentType: "application/json", Schema: "https://example.com/s", Key: "k", Channels: []string{"a", "b"},
		Extensions: []event.Extension{{Name: "count", Value: int32(-300)}, {Name: "flag", Value: true}, {Name: "text", Value: "x"}, {Name: "unset", Value: false}},
		Data:       []byte("{\"a\" : 1,\n\"b\":[1.0]}"),
	}
}

// TestEventForms holds the CBOR form to the JSON form, member by member, read by another decoder.
func TestEventForms(t *testing.T) {
	binary := sample()
	binary.ContentType, binary.Data = "application/octet-stream", []byte{0, 1, 0xff}
	large := &event.Event{Version: math.MaxInt64, ID: "x", Type: "a.b", Source: "/", Data: []byte(`"` + strings.Repeat("x", 70_000) + `"`)}
	for name, e := range map[string]*event.Event{"full": sample(), "binary": binary, "large": large, "least": {ID: "x", Type: "a", Source: "/", Version: 1}} {
		var fromJSON, fromCBOR map[string]any
		if err := json.Unmarshal(eventMessage(JSON, "sub", e), &fromJSON); err != nil {
			t.Fatal(err)
		}
		mode, _ := cbor.DecOptions{DefaultMapType: nil, DupMapKey: cbor.DupMapKeyEnforcedAPF}.DecMode()
		encoded := eventMessage(CBOR, "sub", e)
		if err := mode.Unmarshal(encoded, &fromCBOR); err != nil {
			t.Fatal(err)
		}
		inner, _ := fromCBOR["event"].(map[any]any)
		if data, _ := inner["data"].([]byte); !bytes.Equal(data, e.Data) {
			t.Errorf("%s: the data is not what was published", name)
		}
		_, there := inner["data"]
		if there != (e.Data != nil) {
			t.Errorf("%s: data is %t", name, there)
		}
		delete(inner, "data")
		event, _ := fromJSON["event"].(map[string]any)
		delete(event, "data")
		delete(event, "data_base64")
		if diff := cmp.Diff(plain(fromJSON), plain(fromCBOR)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// plain makes values of the two decoders comparable.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[k] = plain(x)
		}
		return out
	case map[any]any:
		out := map[string]any{}
		for k, x := range v {
			out[fmt.Sprint(k)] = plain(x)
		}
		return out
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case uint64:
		return float64(v)
	case int64:
		return float64(v)
	}
	return v
}

func TestServerMessages(t *testing.T) {
	receipts := []event.Receipt{{ID: "a", Version: 1}, {ID: "b\n", Version: 70_000, Duplicate: true}}
	problem := []byte("{\"type\":\"about:blank\",\"status\":422,\"part\":0.5,\"none\":null,\"ok\":true,\n\"errors\":[{\"field\":\"type\",\"message\":\"must be\"}]}\n")
	for want, build := range map[string]func(Form) []byte{
		`{"type":"subscribed","id":"a","next":8,"head":7}`: func(f Form) []byte { return AppendSubscribed(nil, f, "a", 8, 7) },
		`{"type":"position","id":"a","next":8}`:            func(f Form) []byte { return AppendPosition(nil, f, "a", 8) },
		`{"type":"unsubscribed","id":"a\"b"}`:              func(f Form) []byte { return AppendUnsubscribed(nil, f, `a"b`) },
		`{"type":"pong"}`:                                  func(f Form) []byte { return AppendPong(nil, f, "") },
		`{"type":"pong","ref":"1"}`:                        func(f Form) []byte { return AppendPong(nil, f, "1") },
		`{"type":"published","ref":"1","events":[{"id":"a","version":1,"duplicate":false},{"id":"b\n","version":70000,"duplicate":true}]}`: func(f Form) []byte { return AppendPublished(nil, f, "1", receipts) },
		`{"type":"published","events":[]}`: func(f Form) []byte { return AppendPublished(nil, f, "", nil) },
		`{"type":"error","ref":"r","id":"i","problem":{"type":"about:blank","status":422,"part":0.5,"none":null,"ok":true,"errors":[{"field":"type","message":"must be"}]}}`: func(f Form) []byte {
			return AppendError(nil, f, "r", "i", problem)
		},
		`{"type":"error","problem":null}`: func(f Form) []byte { return AppendError(nil, f, "", "", []byte("{")) },
	} {
		if out := string(build(JSON)); out != want {
			t.Errorf("%s\nwant %s", out, want)
		}
		var fromJSON, fromCBOR any
		if err := json.Unmarshal([]byte(want), &fromJSON); err != nil {
			t.Fatal(err)
		}
		if err := cbor.Unmarshal(build(CBOR), &fromCBOR); err != nil {
			t.Fatalf("%s: %v", want, err)
		}
		if diff := cmp.Diff(plain(fromJSON), plain(fromCBOR)); diff != "" {
			t.Errorf("%s: %s", want, diff)
		}
	}
}

// TestCBORIntegers uses the vectors of RFC 8949, appendix A.
func TestCBORIntegers(t *testing.T) {
	for n, want := range map[int64]string{
		0: "00", 23: "17", 24: "1818", 100: "1864", 1000: "1903e8", 1_000_000: "1a000f4240", 1_000_000_000_000: "1b000000e8d4a51000",
		-1: "20", -10: "29", -100: "3863", -1000: "3903e7", math.MinInt64: "3b7fffffffffffffff",
	} {
		if out := hex.EncodeToString(appendCBORInt(nil, n)); out != want {
			t.Errorf("%d: %s, want %s", n, out, want)
		}
	}
}

func decodeEvents(t testing.TB, form Form, message []byte, limits event.Limits) ([]event.Event, error) {
	t.Helper()
	m, err := DecodeClient(form, message)
	if err != nil {
		t.Fatal(err)
	}
	events, err := m.DecodeEvents(limits)
	clear(message) // the events must hold nothing of it
	return events, err
}

func TestDecodeEvents(t *testing.T) {
	e := sample()
	e.Version, e.ID = 0, "0197"
	limits := event.DefaultLimits()
	message := append([]byte(`{"type":"publish","event":`), codec.AppendEvent(nil, e)...)
	events, err := decodeEvents(t, JSON, append(message, '}'), limits)
	if err != nil {
		t.Fatal(err)
	}
	flat := *e
	flat.Data = bytes.ReplaceAll(e.Data, []byte("\n"), []byte(" "))
	if diff := cmp.Diff([]event.Event{flat}, events); diff != "" {
		t.Errorf("JSON: %s", diff)
	}
	message = appendCBORMember([]byte{cborMap | 2}, "type", "publish")
	message = appendCBOREvent(appendCBORText(message, "event"), e)
	if events, err = decodeEvents(t, CBOR, message, limits); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]event.Event{*e}, events); diff != "" {
		t.Errorf("CBOR: %s", diff)
	}
	big := &event.Event{Type: "a", ContentType: "image/png", Data: bytes.Repeat([]byte{0xff}, limits.MaxEvent-100)}
	message = appendCBORMember([]byte{cborMap | 2}, "type", "publish")
	message = append(appendCBORText(message, "events"), cborArray|2)
	message = appendCBOREvent(appendCBOREvent(message, big), e)
	if events, err = decodeEvents(t, CBOR, message, limits); err != nil || len(events) != 2 || !bytes.Equal(events[0].Data, big.Data) {
		t.Errorf("a large event: %v", err)
	}
}

func TestDecodeEventsRefuses(t *testing.T) {
	limits := event.DefaultLimits()
	limits.MaxBatch = 2
	for _, tt := range []struct {
		name, in, field, code string
	}{
		{"no type", `{"event":{}}`, "event.type", "invalid"},
		{"unknown", `{"event":{"type":"a","colour":"red"}}`, "event.colour", "invalid"},
		{"version", `{"event":{"type":"a","version":1}}`, "event.version", "invalid"},
		{"number", `{"event":{"type":1}}`, "event.type", "invalid"},
		{"empty id", `{"event":{"type":"a","id":""}}`, "event.id", "invalid"},
		{"time", `{"event":{"type":"a","time":"yesterday"}}`, "event.time", "invalid"},
		{"channels", `{"event":{"type":"a","channels":"x"}}`, "event.channels", "invalid"},
		{"channel", `{"event":{"type":"a","channels":["x",1]}}`, "event.channels[1]", "invalid"},
		{"extensions", `{"event":{"type":"a","extensions":[]}}`, "event.extensions", "invalid"},
		{"extension name", `{"event":{"type":"a","extensions":{"A":1}}}`, "event.A", "invalid"},
		{"extension is large", `{"event":{"type":"a","extensions":{"a":4294967296}}}`, "event.a", "invalid"},
		{"second", `{"events":[{"type":"a"},{"type":""}]}`, "events[1].type", "invalid"},
		{"not an object", `{"events":[{"type":"a"},1]}`, "events[1]", "invalid"},
		{"none", `{"events":[]}`, "events", "invalid"},
		{"three", `{"events":[{"type":"a"},{"type":"a"},{"type":"a"}]}`, "events", "batch_too_large"},
		{"large", `{"event":{"type":"a","subject":"` + strings.Repeat("x", 300_000) + `"}}`, "event", "event_too_large"},
	} {
		in := `{"type":"publish",` + tt.in[1:]
		for form, message := range map[Form][]byte{JSON: []byte(in), CBOR: toCBOR(t, in)} {
			_, err := decodeEvents(t, form, message, limits)
			e, ok := errors.AsType[*event.Error](err)
			if !ok || len(e.Fields) != 1 || e.Fields[0].Field != tt.field || e.Code != tt.code {
				if tt.name == "large" && ok && e.Fields[0].Field == "event.subject" {
					continue // the attribute is too long before the event is
				}
				t.Errorf("%s, form %d: %v", tt.name, form, err)
			}
		}
	}
	for name, in := range map[string]string{
		"text": "\xa2\x64type\x67publish\x65event\xa2\x64type\x61a\x64data\x61x", "base64": "\xa2\x64type\x67publish\x65event\xa2\x64type\x61a\x6bdata_base64\x60",
	} {
		if _, err := decodeEvents(t, CBOR, []byte(in), limits); event.KindOf(err) != event.KindInvalid {
			t.Errorf("data as %s: %v", name, err)
		}
	}
	_, err := decodeEvents(t, CBOR, []byte("\xa2\x64type\x67publish\x65event\xa2\x64type\x61a\x64data\x41{"), limits)
	if event.KindOf(err) != event.KindMalformed {
		t.Errorf("data that is not JSON: %v", err)
	}
	_, err = decodeEvents(t, CBOR, []byte("\xa2\x64type\x67publish\x65event\xa1\x64type\x61\xff"), limits)
	if e, ok := errors.AsType[*CloseError](err); !ok || e.Code != CloseInvalid {
		t.Errorf("text that is not UTF-8: %v", err)
	}
	// What is in data stays in data.
	events, err := decodeEvents(t, CBOR, []byte("\xa2\x64type\x67publish\x65event\xa3\x64type\x61a\x6fdatacontenttype\x63a/b\x64data\x4f1,\"type\":\"evil\""), limits)
	if err != nil || events[0].Type != "a" || string(events[0].Data) != `1,"type":"evil"` {
		t.Errorf("%+v, %v", events, err)
	}
}

func TestFingerprint(t *testing.T) {
	a, _ := DecodeClient(JSON, []byte(`{"type":"publish","ref":"1","event":{"type":"a"}}`))
	b, _ := DecodeClient(JSON, []byte(`{"type":"publish","ref":"2","event":{"type":"a"}}`))
	c, _ := DecodeClient(JSON, []byte(`{"type":"publish","ref":"1","event":{"type":"b"}}`))
	if a.Fingerprint() != b.Fingerprint() || a.Fingerprint() == c.Fingerprint() {
		t.Error("the fingerprint must be that of the events")
	}
}

func fuzzClient(f *testing.F, form Form) {
	limits := event.DefaultLimits()
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		m, err := DecodeClient(form, in)
		if !bytes.Equal(before, in) {
			t.Fatal("the message was changed")
		}
		if err != nil {
			_, isClose := errors.AsType[*CloseError](err)
			if !isClose && event.KindOf(err) != event.KindInvalid {
				t.Fatalf("%v is neither", err)
			}
			return
		}
		if _, ok := schemas[m.Type]; !ok || m.Start < 0 || m.Version < 0 || m.Window < 0 || m.Window > MaxWindow {
			t.Fatalf("%+v", m)
		}
		if m.Type != Publish {
			return
		}
		events, err := m.DecodeEvents(limits)
		if err != nil {
			_, isClose := errors.AsType[*CloseError](err)
			if !isClose && event.KindOf(err) == event.KindInternal {
				t.Fatalf("%v has no kind", err)
			}
			return
		}
		for i := range events {
			if event.CheckType(events[i].Type) != "" {
				t.Fatalf("the type %q", events[i].Type)
			}
		}
	})
}

func FuzzJSON(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	fuzzClient(f, JSON)
}

func FuzzCBOR(f *testing.F) {
	for _, s := range seeds {
		f.Add(toCBOR(f, s))
	}
	fuzzClient(f, CBOR)
}

var seeds = []string{
	`{"type":"subscribe","id":"a","start":1,"types":["order.*"],"subjects":["x"],"filter":"true","window":5}`,
	`{"type":"ack","id":"a","version":5}`,
	`{"type":"publish","ref":"1","event":{"type":"a","id":"x","data":null,"extensions":{"a":1,"b":true,"c":"d"},"channels":["x"]}}`,
	`{"type":"publish","events":[{"type":"a","time":"2026-11-21T08:30:00Z"},{"type":"b","key":"k"}]}`,
	`{"type":"ping","ref":"x"}`,
}
