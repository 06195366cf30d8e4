package codec

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	ce "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/posthornhq/posthorn/internal/event"
)

// drawEvent draws an event as DecodePublish may return it, in CloudEvents forms with id and source.
func drawEvent(t *rapid.T) event.Event {
	text := rapid.StringMatching(`[ -~äß€😀]{0,20}`)
	e := event.Event{
		ID:      rapid.StringMatching(`[!-~]([ -~]{0,10}[!-~])?`).Draw(t, "id"),
		Source:  rapid.SampledFrom([]string{"/s", "urn:x:1", "https://example.org/a?b=c#d", "a%20b"}).Draw(t, "source"),
		Type:    rapid.StringMatching(`[A-Za-z0-9_-]{1,5}(\.[A-Za-z0-9_-]{1,5}){0,3}`).Draw(t, "type"),
		Subject: text.Draw(t, "subject"),
		Key:     text.Draw(t, "key"),
		Schema:  rapid.SampledFrom([]string{"", "https://example.org/s"}).Draw(t, "schema"),
		Time:    time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "time")).UTC(),
	}
	channels := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-zß%"][a-z ]{0,5}[a-z]`), 0, 3, rapid.ID).Draw(t, "channels")
	e.Channels = append(e.Channels, channels...) // nil when there are none
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`x[a-z0-9]{1,8}`), 0, 3, rapid.ID).Draw(t, "extensions")
	slices.Sort(names)
	for _, n := range names {
		e.Extensions = append(e.Extensions, event.Extension{Name: n, Value: text.Draw(t, n)})
	}
	switch rapid.IntRange(0, 3).Draw(t, "data") {
	case 0:
		e.Data = []byte(rapid.SampledFrom([]string{`{"a":[1,2.50,{"b":null}]}`, `null`, `"x"`, `1e400`, `"\u00e4"`}).Draw(t, "json"))
	case 1:
		e.ContentType = "application/vnd.x+json; charset=utf-8"
		e.Data = []byte(`[ 1 ]`)
	case 2:
		e.ContentType = "text/plain"
		if b := rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "bytes"); len(b) > 0 {
			e.Data = b
		}
	}
	return e
}

func typedExtensions(t *rapid.T, e *event.Event) {
	for i := range e.Extensions {
		e.Extensions[i].Value = rapid.OneOf(rapid.Just(e.Extensions[i].Value), rapid.Just(any(true)),
			rapid.Map(rapid.Int32(), func(n int32) any { return n })).Draw(t, "value")
	}
}

func again(t *rapid.T, req Request, want event.Event) {
	events, _, err := DecodePublish(req, event.DefaultLimits())
	if err != nil {
		t.Fatalf("decoding %s: %v", req.Body, err)
	}
	if d := cmp.Diff(want, events[0]); d != "" {
		t.Fatalf("%s: %s", req.Body, d)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		binary := e
		contentType, extra, body, err := Encode(nil, Options{Envelope: event.EnvelopeCloudEventsBinary}, []*event.Event{&binary})
		if err != nil {
			t.Fatal(err)
		}
		again(t, Request{ContentType: contentType, SpecVersion: "1.0", Body: body, Headers: func(yield func(string, string) bool) {
			for _, h := range extra {
				if !yield(h.Name, h.Value) {
					return
				}
			}
		}}, binaryForm(e))

		typedExtensions(t, &e)
		again(t, Request{ContentType: "application/json", Body: AppendEvent(nil, &e)}, e)
		again(t, Request{ContentType: "application/cloudevents+json", Body: AppendCloudEvent(nil, &e)}, e)
		_, _, body, err = Encode(nil, Options{Envelope: event.EnvelopeCloudEvents, Batch: true}, []*event.Event{&e, &e})
		if err != nil {
			t.Fatal(err)
		}
		again(t, Request{ContentType: "application/cloudevents-batch+json", Body: body}, e)
	})
}

// binaryForm is what an event becomes in binary mode, where empty header values are left out and the content type is
// always there with data.
func binaryForm(e event.Event) event.Event {
	e.Extensions = slices.DeleteFunc(slices.Clone(e.Extensions), func(x event.Extension) bool { return x.Value == "" })
	if len(e.Extensions) == 0 {
		e.Extensions = nil
	}
	if e.Data != nil && e.ContentType == "" {
		e.ContentType = "application/json"
	}
	return e
}

// TestConformance has the CloudEvents SDK read what this package writes, and this package what the SDK writes.
func TestConformance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		typedExtensions(t, &e)
		if e.IsJSON() && e.ContentType != "" {
			e.ContentType = "application/json" // the SDK takes no other type for JSON
		}
		if string(e.Data) == "1e400" {
			e.Data = []byte("1e40") // the SDK reads numbers as float64
		}
		e.Subject = strings.TrimSpace(e.Subject) // as the SDK does
		e.Version = rapid.Int64Range(1, 1<<40).Draw(t, "version")
		var theirs ce.Event
		if err := json.Unmarshal(AppendCloudEvent(nil, &e), &theirs); err != nil {
			t.Fatalf("%s: %v", AppendCloudEvent(nil, &e), err)
		}
		if err := theirs.Validate(); err != nil {
			t.Fatalf("%s: %v", AppendCloudEvent(nil, &e), err)
		}
		if theirs.ID() != e.ID || theirs.Source() != e.Source || theirs.Type() != e.Type || theirs.Subject() != e.Subject ||
			!theirs.Time().Equal(e.Time) || theirs.DataSchema() != e.Schema {
			t.Fatalf("they read %v of %s", theirs, AppendCloudEvent(nil, &e))
		}
		if e.Data != nil && string(e.Data) != "null" && !bytes.Equal(theirs.Data(), e.Data) {
			t.Fatalf("they read data %q, want %q", theirs.Data(), e.Data)
		}
		b, err := json.Marshal(theirs)
		if err != nil {
			t.Fatal(err)
		}
		e.Version = 0
		back, _, err := DecodePublish(Request{ContentType: "application/cloudevents+json", Body: b}, event.DefaultLimits())
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		ignore := cmp.FilterPath(func(p cmp.Path) bool {
			return p.String() == "Data" || p.String() == "ContentType" // the SDK writes JSON anew and names its type
		}, cmp.Ignore())
		if d := cmp.Diff(e, back[0], ignore); d != "" {
			t.Fatalf("%s: %s", b, d)
		}
	})
}

// TestEncode checks the exact bodies.
func TestEncode(t *testing.T) {
	e := &event.Event{
		ID: "e-1", Source: "/s", Type: "order.paid", Subject: "order/42", Version: 7, Data: []byte("{\n\"a\": 1.0}"),
		Time: time.Date(2026, 11, 21, 8, 30, 0, 0, time.UTC), Key: "k", Channels: []string{"x", "y"},
	}
	text := &event.Event{ID: "e-2", Source: "/s", Type: "t", ContentType: "text/plain", Data: []byte("hi"), Time: e.Time, Version: 8}
	empty := &event.Event{ID: "e-3", Source: "/s", Type: "t", Time: e.Time, Version: 9}
	url := func(e *event.Event) string { return "https://h/" + e.ID }
	const thin = `{"id":"e-1","type":"order.paid","subject":"order/42","version":7,"url":"https://h/e-1"}`
	tests := []struct {
		name        string
		o           Options
		events      []*event.Event
		media, body string
	}{
		{"standard", Options{}, []*event.Event{e}, "application/json", "{\"type\":\"order.paid\",\"timestamp\":\"2026-11-21T08:30:00Z\",\"data\":{\n\"a\": 1.0}}"},
		{"standard text", Options{}, []*event.Event{text}, "application/json", `{"type":"t","timestamp":"2026-11-21T08:30:00Z","datacontenttype":"text/plain","data_base64":"aGk="}`},
		{"standard batch", Options{Batch: true}, []*event.Event{e, empty}, "application/json", "[{\"id\":\"e-1\",\"type\":\"order.paid\",\"timestamp\":\"2026-11-21T08:30:00Z\",\"data\":{\n\"a\": 1.0}},{\"id\":\"e-3\",\"type\":\"t\",\"timestamp\":\"2026-11-21T08:30:00Z\",\"data\":null}]"},
		{"standard thin", Options{Payload: "thin", EventURL: url}, []*event.Event{e}, "application/json", `{"type":"order.paid","timestamp":"2026-11-21T08:30:00Z","data":` + thin + `}`},
		{"cloudevents", Options{Envelope: "cloudevents"}, []*event.Event{e}, "application/cloudevents+json", "{\"specversion\":\"1.0\",\"id\":\"e-1\",\"source\":\"/s\",\"type\":\"order.paid\",\"subject\":\"order/42\",\"time\":\"2026-11-21T08:30:00Z\",\"posthornversion\":\"7\",\"partitionkey\":\"k\",\"posthornchannels\":\"x,y\",\"data\":{\n\"a\": 1.0}}"},
		{"cloudevents thin", Options{Envelope: "cloudevents", Payload: "thin"}, []*event.Event{text}, "application/cloudevents+json", `{"specversion":"1.0","id":"e-2","source":"/s","type":"t","time":"2026-11-21T08:30:00Z","datacontenttype":"application/json","posthornversion":"8","data":{"id":"e-2","type":"t","version":8}}`},
		{"cloudevents batch", Options{Envelope: "cloudevents", Batch: true}, []*event.Event{empty}, "application/cloudevents-batch+json", `[{"specversion":"1.0","id":"e-3","source":"/s","type":"t","time":"2026-11-21T08:30:00Z","posthornversion":"9"}]`},
		{"raw", Options{Envelope: "raw"}, []*event.Event{text}, "text/plain", "hi"},
		{"raw JSON", Options{Envelope: "raw"}, []*event.Event{e}, "application/json", "{\n\"a\": 1.0}"},
		{"raw empty", Options{Envelope: "raw"}, []*event.Event{empty}, "", ""},
		{"raw batch", Options{Envelope: "raw", Batch: true}, []*event.Event{e, empty}, "application/json", "[{\n\"a\": 1.0},null]"},
		{"raw thin", Options{Envelope: "raw", Payload: "thin", EventURL: url}, []*event.Event{e}, "application/json", thin},
		{"raw thin batch", Options{Envelope: "raw", Payload: "thin", Batch: true}, []*event.Event{text}, "application/json", `[{"id":"e-2","type":"t","version":8}]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			media, extra, body, err := Encode([]byte("before"), tt.o, tt.events)
			if err != nil || extra != nil || media != tt.media {
				t.Fatalf("media %q, headers %v, error %v", media, extra, err)
			}
			if got := strings.TrimPrefix(string(body), "before"); got != tt.body {
				t.Errorf("got  %s\nwant %s", got, tt.body)
			}
		})
	}
}

func TestEncodeRefuses(t *testing.T) {
	text := &event.Event{Type: "t", ContentType: "text/plain", Data: []byte("hi")}
	for field, o := range map[string]Options{
		"format":   {Format: "xml"},
		"batch":    {Envelope: "raw"},
		"envelope": {Envelope: "cloudevents-binary", Batch: true},
	} {
		_, _, _, err := Encode(nil, o, []*event.Event{text, text})
		wantError(t, err, event.KindInvalid, field, "")
	}
	_, _, _, err := Encode(nil, Options{Envelope: "raw", Batch: true}, []*event.Event{text})
	wantError(t, err, event.KindInvalid, "envelope", "not JSON")
	_, _, _, err = Encode(nil, Options{Envelope: "soap"}, []*event.Event{text})
	wantError(t, err, event.KindInvalid, "envelope", "unknown")
	_, _, _, err = Encode(nil, Options{}, nil)
	wantError(t, err, event.KindInvalid, "batch", "")
}

// TestBinaryHeaders checks the encoding of header values and that no line break can get out.
func TestBinaryHeaders(t *testing.T) {
	e := &event.Event{ID: "a b", Source: "/s", Type: "t", Subject: "Euro € \"%\"\r\n", Version: 3}
	_, got, _, err := Encode(nil, Options{Envelope: event.EnvelopeCloudEventsBinary}, []*event.Event{e})
	if err != nil {
		t.Fatal(err)
	}
	want := []event.Header{
		{Name: "ce-specversion", Value: "1.0"},
		{Name: "ce-id", Value: "a%20b"},
		{Name: "ce-source", Value: "/s"},
		{Name: "ce-type", Value: "t"},
		{Name: "ce-subject", Value: "Euro%20%E2%82%AC%20%22%25%22%0D%0A"},
		{Name: "ce-posthornversion", Value: "3"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestAppendEvent checks the API's form, which is one line whatever the data's layout.
func TestAppendEvent(t *testing.T) {
	e := &event.Event{
		ID: "e-1", Source: "/s", Type: "a.b", Subject: "ä\"", Version: 7, Key: "k", Channels: []string{"x", "y"}, Data: []byte("{\r\n\"a\":\n1}"),
		Time: time.Date(2026, 11, 21, 8, 30, 0, 1000, time.UTC), Extensions: []event.Extension{{Name: "x", Value: int32(-1)}, {Name: "y", Value: false}},
	}
	const want = `{"id":"e-1","source":"/s","type":"a.b","subject":"ä\"","time":"2026-11-21T08:30:00.000001Z","data":{  "a": 1},` +
		`"version":7,"key":"k","channels":["x","y"],"extensions":{"x":-1,"y":false}}`
	if got := string(AppendEvent(nil, e)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		string(sample()), `[{"type":"a","data":{"a":[1,2 3]}}]`, `{"type":"a","data_base64":"eA==","datacontenttype":"text/plain"}`,
		`{"specversion":"1.0","id":"1","source":"/","type":"a","x":1,"y":true,"time":"2026-01-01T00:00:00Z","data":null}`,
		`[{"specversion":"1.0","id":"1","source":"/","type":"a","partitionkey":"k","posthornchannels":"a,b"}]`, `{"\u0074ype":"\ud83d\ude00"}`,
	} {
		f.Add(0, []byte(s))
		f.Add(1, []byte(s))
		f.Add(2, []byte(s))
	}
	f.Fuzz(func(t *testing.T, media int, body []byte) {
		medias := []string{mediaJSON, mediaCE, mediaCEBatch}
		first := Request{ContentType: medias[uint(media)%3], Body: body}
		events, array, err := DecodePublish(first, event.DefaultLimits())
		if err != nil {
			return
		}
		var out []byte
		for i := range events {
			out = append(out, ',')
			if first.ContentType == mediaJSON {
				out = AppendEvent(out, &events[i])
			} else {
				out = AppendCloudEvent(out, &events[i])
			}
		}
		if out = out[1:]; array {
			out = append(append([]byte{'['}, out...), ']')
		}
		limits := event.DefaultLimits()
		limits.MaxEvent, limits.MaxBatchBytes = 2*limits.MaxEvent, 2*limits.MaxBatchBytes // base64 and escapes may grow
		second, _, err := DecodePublish(Request{ContentType: first.ContentType, Body: out}, limits)
		if err != nil {
			t.Fatalf("%q became %q: %v", body, out, err)
		}
		for i := range events { // the API's form has no line breaks
			events[i].Data, second[i].Data = oneLine(&events[i]), oneLine(&second[i])
		}
		if d := cmp.Diff(events, second); d != "" {
			t.Fatalf("%q became %q: %s", body, out, d)
		}
	})
}

func oneLine(e *event.Event) []byte {
	if e.IsJSON() {
		return bytes.Map(func(r rune) rune {
			if r == '\n' || r == '\r' {
				return ' '
			}
			return r
		}, e.Data)
	}
	return e.Data
}

func FuzzDecodeBinary(f *testing.F) {
	f.Add("1", "/s", "a.b", "x%20y", "text/plain", []byte("hi"))
	f.Add("1", "/s", "a.b", `"q\"q"`, "", []byte{})
	f.Add("1", "/s", "a.b", "%E2%82%AC", "application/json", []byte(`{"a":1}`))
	f.Fuzz(func(t *testing.T, id, source, typ, subject, contentType string, body []byte) {
		events, _, err := DecodePublish(Request{
			ContentType: contentType, SpecVersion: "1.0", Body: body,
			Headers: headers("ce-id", id, "ce-source", source, "ce-type", typ, "ce-subject", subject, "ce-ext", subject),
		}, event.DefaultLimits())
		if err != nil || strings.HasPrefix(contentType, prefixCE) {
			return
		}
		media, extra, out, err := Encode(nil, Options{Envelope: event.EnvelopeCloudEventsBinary}, []*event.Event{&events[0]})
		if err != nil {
			t.Fatal(err)
		}
		pairs := make([]string, 0, 2*len(extra))
		for _, h := range extra {
			pairs = append(pairs, h.Name, h.Value)
		}
		second, _, err := DecodePublish(Request{ContentType: media, SpecVersion: "1.0", Body: out, Headers: headers(pairs...)}, event.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(binaryForm(events[0]), second[0]); d != "" {
			t.Fatal(d)
		}
	})
}
