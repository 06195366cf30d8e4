package codec

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/internal/event"
)

func at(t testing.TB, s string) time.Time {
	t.Helper()
	when, err := time.Parse("2006-01-02 15:04:05.999999", s)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

// The list of a FlexiBee server that a receiver of its hooks kept as a fixture.
func adresar(t testing.TB) *event.Event {
	return &event.Event{
		Version: 3656477, Type: "adresar.update", Subject: "adresar/4435", Time: at(t, "2021-03-12 23:59:55.586215"),
		Data: []byte(`{"external-ids":["code:TEST5"]}`),
	}
}

// The example of FlexiBee's documentation: versions have gaps, and one event is no change of a record.
func documented(t testing.TB) []*event.Event {
	return []*event.Event{
		{Version: 3, Type: "faktura-vydana.create", Subject: "faktura-vydana/1", Time: at(t, "2019-01-01 00:00:00.0")},
		{Version: 4, Type: "order.paid", Subject: "order/1", Time: at(t, "2019-01-02 00:00:00.0")},
		{Version: 5, Type: "faktura-vydana.update", Subject: "faktura-vydana/1", Time: at(t, "2019-06-07 12:34:56.7"), Data: []byte(`{"kod":"VF1","external-ids":["ext:SHOP:9","code:VF1-0001/2012"]}`)},
		{Version: 8, Type: "cenik.delete", Subject: "cenik/2"},
	}
}

func list(format string, data bool, events ...*event.Event) *ChangeList {
	l := &ChangeList{Format: format, Data: data}
	for _, e := range events {
		l.Add(e)
	}
	return l
}

func TestChangesAsFlexiBeeGivesThem(t *testing.T) {
	const head = `<?xml version="1.0" encoding="utf-8"?>` + "\n"
	for name, tt := range map[string]struct {
		list       *ChangeList
		head, next int64
		want       string
	}{
		"fixture, JSON": {
			list("json", false, adresar(t)), 3656477, 0,
			`{"winstrom":{"@globalVersion":"3656477","changes":[{"@evidence":"adresar","@in-version":"3656477","@operation":"update",` +
				`"@timestamp":"2021-03-12 23:59:55.586215","id":"4435","external-ids":["code:TEST5"]}],"next":"none"}}`,
		},
		"fixture, XML": {
			list("xml", false, adresar(t)), 3656477, 0,
			head + `<winstrom version="1.0" globalVersion="3656477"><adresar in-version="3656477" operation="update" ` +
				`timestamp="2021-03-12 23:59:55.586215"><id>4435</id><id>code:TEST5</id></adresar><next>none</next></winstrom>`,
		},
		"documentation, JSON": {
			list("", false, documented(t)...), 9, 9,
			`{"winstrom":{"@globalVersion":"9","changes":[` +
				`{"@evidence":"faktura-vydana","@in-version":"3","@operation":"create","@timestamp":"2019-01-01 00:00:00.0","id":"1","external-ids":[]},` +
				`{"@evidence":"faktura-vydana","@in-version":"5","@operation":"update","@timestamp":"2019-06-07 12:34:56.7","id":"1","external-ids":["code:VF1-0001/2012","ext:SHOP:9"]},` +
				`{"@evidence":"cenik","@in-version":"8","@operation":"delete","id":"2","external-ids":[]}],"next":"9"}}`,
		},
		"documentation, XML": {
			list("xml", false, documented(t)...), 9, 9,
			head + `<winstrom version="1.0" globalVersion="9">` +
				`<faktura-vydana in-version="3" operation="create" timestamp="2019-01-01 00:00:00.0"><id>1</id></faktura-vydana>` +
				`<faktura-vydana in-version="5" operation="update" timestamp="2019-06-07 12:34:56.7"><id>1</id><id>code:VF1-0001/2012</id><id>ext:SHOP:9</id></faktura-vydana>` +
				`<cenik in-version="8" operation="delete"><id>2</id></cenik><next>9</next></winstrom>`,
		},
		"empty, JSON": {list("json", false), 8, 0, `{"winstrom":{"@globalVersion":"8","changes":[],"next":"none"}}`},
		"empty, XML":  {list("xml", false), 8, 0, head + `<winstrom version="1.0" globalVersion="8"><next>none</next></winstrom>`},
		"data, JSON": {
			list("json", true, documented(t)[2]), 5, 0,
			`{"winstrom":{"@globalVersion":"5","changes":[{"@evidence":"faktura-vydana","@in-version":"5","@operation":"update",` +
				`"@timestamp":"2019-06-07 12:34:56.7","id":"1","external-ids":["code:VF1-0001/2012","ext:SHOP:9"],` +
				`"data":{"kod":"VF1","external-ids":["ext:SHOP:9","code:VF1-0001/2012"]}}],"next":"none"}}`,
		},
		"data, XML": {
			list("xml", true, documented(t)[2]), 5, 0,
			head + `<winstrom version="1.0" globalVersion="5"><faktura-vydana in-version="5" operation="update" timestamp="2019-06-07 12:34:56.7">` +
				`<id>1</id><id>code:VF1-0001/2012</id><id>ext:SHOP:9</id><kod>VF1</kod></faktura-vydana><next>none</next></winstrom>`,
		},
	} {
		if got := string(tt.list.Append(nil, tt.head, tt.next)); got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, tt.want)
		}
	}
}

func TestChangesDataInXML(t *testing.T) {
	for data, want := range map[string]string{
		`{"a":1.50,"b":true,"c":null,"d":"x<&>\"y"}`:          `<a>1.50</a><b>true</b><c></c><d>x&lt;&amp;&gt;&#34;y</d>`,
		`{"a":[1,[2,3],{"b":4},[]]}`:                          `<a>1</a><a><a>2</a><a>3</a></a><a><b>4</b></a><a></a>`,
		`{"a":[],"o":{}}`:                                     `<o></o>`,
		`{"two words":1,"1":2,"xmlns":3,"a:b":4,"\"":5,"":6}`: `<member name="two words">1</member><member name="1">2</member><member name="xmlns">3</member><member name="a:b">4</member><member name="&#34;">5</member><member name="">6</member>`,
		`{"id":9,"external-ids":["x"],"o":{"id":9}}`:          `<id>x</id><o><id>9</id></o>`,
		`{"a":"\u0000\u0007\ud83d\ude00\ufffe\n"}`:            "<a>\ufffd\ufffd😀\ufffd&#10;</a>",
		`[1,2]`:  `<data>1</data><data>2</data>`,
		`"text"`: `<data>text</data>`,
		`null`:   `<data></data>`,
		` { } `:  ``,
		`{"external-ids":"code:A","external-ids":["b"]}`: `<id>code:A</id>`,
		`{"external-ids":[1,{"x":["code:no"]},"ext:a"]}`: `<id>ext:a</id>`,
	} {
		got := string(list("xml", true, &event.Event{Version: 1, Type: "x.update", Subject: "x/1", Data: []byte(data)}).body)
		got = strings.TrimSuffix(strings.TrimPrefix(got, `<x in-version="1" operation="update"><id>1</id>`), `</x>`)
		if got != want {
			t.Errorf("%s:\n%s\nwant\n%s", data, got, want)
		}
		wellFormed(t, got)
	}
	raw := &event.Event{Version: 1, Type: "x.update", Subject: "x/1", ContentType: "text/plain", Data: []byte("<x>")}
	if got := string(list("xml", true, raw).body); !strings.Contains(got, `<data encoding="base64">PHg+</data>`) {
		t.Error(got)
	}
	if got := string(list("json", true, raw).body); !strings.Contains(got, `"data_base64":"PHg+"`) {
		t.Error(got)
	}
}

func wellFormed(t *testing.T, body string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader("<r>" + body + "</r>"))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%q is not well-formed: %v", body, err)
		}
	}
}

// Whatever ids and data hold, both forms can be read, and hold the same ids.
func FuzzChanges(f *testing.F) {
	for _, data := range []string{`{}`, `{"external-ids":["code:A","</id>"]}`, `{"a<b":{"c":[[[]]]}}`, `[null]`, `"]]>"`, `{"&":"\u0001"}`, `{"external-ids":[`} {
		f.Add("a/1", data)
	}
	f.Fuzz(func(t *testing.T, id, data string) {
		if !utf8.ValidString(id) {
			return
		}
		e := &event.Event{Version: 1, Type: "x.update", Subject: "x/" + id}
		if json.Valid([]byte(data)) {
			e.Data = []byte(data)
		} else {
			e.Data, e.ContentType = []byte(data), "text/plain"
		}
		if _, ok := e.RecordChange(); !ok {
			return
		}
		var asXML struct {
			Changes []struct {
				IDs []string `xml:"id"`
			} `xml:"x"`
			Next string `xml:"next"`
		}
		body := list("xml", true, e).Append(nil, 1, 0)
		if err := xml.Unmarshal(body, &asXML); err != nil || len(asXML.Changes) != 1 || asXML.Next != "none" {
			t.Fatalf("%s: %v", body, err)
		}
		var asJSON struct {
			Winstrom struct {
				Changes []struct {
					ID  string   `json:"id"`
					IDs []string `json:"external-ids"`
				} `json:"changes"`
			} `json:"winstrom"`
		}
		body = list("json", true, e).Append(nil, 1, 0)
		if err := json.Unmarshal(body, &asJSON); err != nil || len(asJSON.Winstrom.Changes) != 1 {
			t.Fatalf("%s: %v", body, err)
		}
		if c := asJSON.Winstrom.Changes[0]; c.ID != id || len(c.IDs)+1 != len(asXML.Changes[0].IDs) {
			t.Fatalf("%q and %q", c, asXML.Changes[0].IDs)
		}
	})
}

func TestEncodeChanges(t *testing.T) {
	o := Options{Envelope: event.EnvelopeFlexiBee, Payload: event.PayloadThin, Format: "xml", Batch: true}
	contentType, headers, body, err := Encode(nil, o, documented(t))
	if err != nil || contentType != "application/xml" || headers != nil {
		t.Fatal(contentType, headers, err)
	}
	if want := string(list("xml", false, documented(t)...).Append(nil, 8, 0)); string(body) != want {
		t.Errorf("%s\nwant\n%s", body, want)
	}
	o.Format, o.Payload = "", event.PayloadFull
	if contentType, _, body, err = Encode(nil, o, documented(t)[2:3]); err != nil || contentType != "application/json" || !strings.Contains(string(body), `"data":{"kod"`) {
		t.Errorf("%s %s %v", contentType, body, err)
	}
	if _, _, _, err = Encode(nil, o, documented(t)[1:2]); event.KindOf(err) != event.KindInvalid {
		t.Error("what is no change was sent", err)
	}
	o.Format = "csv"
	if _, _, _, err = Encode(nil, o, documented(t)); event.KindOf(err) != event.KindInvalid {
		t.Error(err)
	}
	if _, _, _, err = Encode(nil, Options{Format: "xml"}, documented(t)[:1]); event.KindOf(err) != event.KindInvalid {
		t.Error("a standard envelope in XML", err)
	}
}
