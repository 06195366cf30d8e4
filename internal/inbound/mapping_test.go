package inbound_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/inbound"
)

// taken makes a source that verifies nothing, sends one request and returns its event.
func taken(t *testing.T, src event.Source, target, body string, headers ...string) event.Event {
	t.Helper()
	src.Name, src.Provider = "form", "none"
	on := newStage(t, src, nil, nil)
	if target == "" {
		target = "/in/acme/form"
	}
	if w := on.send(t, "POST", target, body, headers...); w.Code != 200 {
		t.Fatalf("%d %s %+v", w.Code, w.Body, on.state(t, "form").LastRefused)
	}
	return on.last(t)
}

const multi = "--b\r\nContent-Disposition: form-data; name=\"Email\"\r\n\r\na@b.c\r\n" +
	"--b\r\nContent-Disposition: form-data; name=\"tag\"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; name=\"tag\"\r\n\r\ny\r\n" +
	"--b\r\nContent-Disposition: form-data; name=\"note\"; filename=\"n.txt\"\r\nContent-Type: text/plain\r\n\r\nhello\r\n" +
	"--b\r\nContent-Disposition: form-data; name=\"pic\"; filename=\"../p.png\"\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n--b--\r\n"

// TestData: what an event holds of a body when the source maps nothing.
func TestData(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 20) + strings.Repeat("]", 20)
	for _, tt := range []struct {
		name, contentType, body string
		data, is                string // is: the event's content type
	}{
		{"JSON", "application/json", `{ "a" : 1.50 }`, `{ "a" : 1.50 }`, ""},
		{"JSON with a charset", "application/json; charset=utf-8", `{"a":1e999}`, `{"a":1e999}`, ""},
		{"a scalar", "application/json", `"x"`, `"x"`, ""},
		{"JSON of a vendor", "application/vnd.github+json; v=3", `[1]`, `[1]`, "application/vnd.github+json"},
		{"20 levels", "application/json", deep, deep, ""},
		{"21 levels", "application/json", "[" + deep + "]", "[" + deep + "]", "text/plain; charset=utf-8"},
		{"JSON that ends early", "application/json", `{"a":`, `{"a":`, "text/plain; charset=utf-8"},
		{"two values", "application/json", `{} {}`, `{} {}`, "text/plain; charset=utf-8"},
		{"a name twice", "application/json", `{"a":1,"a":2}`, `{"a":1,"a":2}`, "text/plain; charset=utf-8"},
		{"no UTF-8", "application/json", "\"\xff\"", "\"\xff\"", "application/octet-stream"},
		{"nothing", "application/json", "", "", ""},
		{"JSON called text, as SNS does", "text/plain; charset=UTF-8", ` {"a":1}`, ` {"a":1}`, ""},
		{"JSON called a form, as curl does", "application/x-www-form-urlencoded", `{"a":"b&c=d"}`, `{"a":"b&c=d"}`, ""},
		{"JSON called nothing", "", `{"a":1}`, `{"a":1}`, ""},
		{"a number called nothing", "", `17`, `17`, "text/plain; charset=utf-8"},
		{"text", "text/plain; charset=utf-16", "hello", "hello", "text/plain; charset=utf-16"},
		{"bytes", "", "\xff\x00", "\xff\x00", "application/octet-stream"},
		{"XML", "application/xml", "<a>1</a>", "<a>1</a>", "application/xml"},
		{"bytes of a type", "image/png", "\x89PNG", "\x89PNG", "image/png"},
		{"a type that is none", "what is this", "x", "x", "text/plain; charset=utf-8"},
		{"a type without a slash", "text", "x", "x", "text/plain; charset=utf-8"},
		{"a type with a damaged parameter", "image/png; a", "\x89", "\x89", "application/octet-stream"},
		{
			"a form", "application/x-www-form-urlencoded", "b=2&a=1&b=%D1%8F+x&=e&c&data[merges][EMAIL]=m%40x&bad=%zz&u=%ff",
			`{"b":["2","я x"],"a":"1","":"e","c":"","data[merges][EMAIL]":"m@x","bad":"%zz","u":"` + "\uFFFD" + `"}`, "",
		},
		{"names that are the same once they are read", "application/x-www-form-urlencoded", "%ff=1&%fe=2", "{\"\uFFFD\":[\"1\",\"2\"]}", ""},
		{"a form with a payload", "application/x-www-form-urlencoded", "payload=%7B%22a%22%3A1%7D", `{"a":1}`, ""},
		{"a form with a payload and more", "application/x-www-form-urlencoded", "payload=%7B%7D&x=1", `{"payload":"{}","x":"1"}`, ""},
		{"a form with a payload that is no JSON", "application/x-www-form-urlencoded", "payload=%7B", `{"payload":"{"}`, ""},
		{
			"multipart", "multipart/form-data; boundary=b", multi,
			`{"Email":"a@b.c","tag":["x","y"],"note":{"filename":"n.txt","content_type":"text/plain","size":5,"text":"hello"},"pic":{"filename":"p.png","content_type":"image/png","size":4}}`, "",
		},
	} {
		var headers []string
		if tt.contentType != "" {
			headers = []string{"Content-Type", tt.contentType}
		}
		e := taken(t, event.Source{}, "", tt.body, headers...)
		if string(e.Data) != tt.data || e.ContentType != tt.is || e.Type != "form.received" || tt.body == "" && e.Data != nil {
			t.Errorf("%s: %q of %q, type %s", tt.name, e.Data, e.ContentType, e.Type)
		}
		if kept := e.Origin.Body == nil; kept != (tt.data == tt.body) || !kept && string(e.Origin.Body) != tt.body {
			t.Errorf("%s: origin %q", tt.name, e.Origin.Body)
		}
	}
}

func TestMap(t *testing.T) {
	t.Parallel()
	const body = `{"id":12345678901234567890,"n":7,"s":"x","kind":"order.paid","at":1795249800,"ms":1795249800123,"list":[{"a":"1"},{"a":"2"}],"f":1.5,"inner":"{\"q\":[1,2]}","b64":"aGk="}`
	base := time.Date(2026, 11, 21, 8, 30, 0, 0, time.UTC)
	for _, tt := range []struct {
		name string
		m    event.SourceMap
		want func(e *event.Event) (got, want any)
	}{
		{"type", event.SourceMap{Type: `body.kind`}, func(e *event.Event) (any, any) { return e.Type, "order.paid" }},
		{"no type", event.SourceMap{Type: `body.?none.orValue("")`}, func(e *event.Event) (any, any) { return e.Type, "form.received" }},
		{"an optional type", event.SourceMap{Type: `body.?none`}, func(e *event.Event) (any, any) { return e.Type, "form.received" }},
		{"id", event.SourceMap{ID: `body.n`}, func(e *event.Event) (any, any) { return e.ID, "form:7" }},
		{"a large id", event.SourceMap{ID: `body.id`}, func(e *event.Event) (any, any) { return e.ID, "form:12345678901234567890" }},
		{"an odd id", event.SourceMap{ID: `"я"`}, func(e *event.Event) (any, any) {
			return e.ID, "form:" + digest("я")
		}},
		{"subject", event.SourceMap{Subject: `"a\n" + body.s`}, func(e *event.Event) (any, any) { return e.Subject, "ax" }},
		{"key", event.SourceMap{Key: `string(body.n)`}, func(e *event.Event) (any, any) { return e.Key, "7" }},
		{"seconds", event.SourceMap{Time: `body.at`}, func(e *event.Event) (any, any) { return e.Time, base }},
		{"milliseconds", event.SourceMap{Time: `string(body.ms)`}, func(e *event.Event) (any, any) { return e.Time, base.Add(123 * time.Millisecond) }},
		{"RFC 3339", event.SourceMap{Time: `"2026-11-21T09:30:00+01:00"`}, func(e *event.Event) (any, any) { return e.Time, base }},
		{"a timestamp", event.SourceMap{Time: `timestamp(body.at)`}, func(e *event.Event) (any, any) { return e.Time, base }},
		{"data", event.SourceMap{Data: `{"z": body.list.map(x, int(x.a)), "a": [body.f, body.n, true, null], "id": body.id}`}, func(e *event.Event) (any, any) {
			return string(e.Data), `{"a":[1.5,7,true,null],"id":12345678901234567890,"z":[1,2]}`
		}},
		{"data of any kind", event.SourceMap{Data: `body.list[1].a`}, func(e *event.Event) (any, any) { return string(e.Data), `"2"` }},
		{"functions", event.SourceMap{Data: `[" Ab ".trim().lowerAscii(), "a-b".split("-").join("+"), "aXb".replace("X","--"), "héllo".substring(1,3), json.decode(body.inner).q[1], string(base64.decode(body.b64)), "ab".upperAscii(), "abc".substring(1)]`}, func(e *event.Event) (any, any) {
			return string(e.Data), `["ab","a+b","a--b","él",2,"hi","AB","bc"]`
		}},
		{"the request", event.SourceMap{Data: `[method, path, query.a, query.b, headers["x-twice"], text.size() > 10]`}, func(e *event.Event) (any, any) {
			return string(e.Data), `["POST","/more/x",["1","2"],"3","one, two",true]`
		}},
		{"fields", event.SourceMap{Fields: map[string]string{"email": "list.1.a", "n": "n", "id": "id", "src": "=website", "none": "x.y", "eq": "==", "out": "list.2.a", "deep": "s.t"}}, func(e *event.Event) (any, any) {
			return string(e.Data), `{"email":"2","eq":"=","id":12345678901234567890,"n":7,"src":"website"}`
		}},
	} {
		e := taken(t, event.Source{Map: tt.m}, "/in/acme/form/more/x?a=1&a=2&b=3", body, "Content-Type", "application/json", "X-Twice", "one", "X-Twice", "two")
		if got, want := tt.want(&e); got != want {
			t.Errorf("%s: %v, want %v", tt.name, got, want)
		}
		if (tt.m.Data != "" || tt.m.Fields != nil) && (!e.IsJSON() || string(e.Origin.Body) != body) {
			t.Errorf("%s: %q %q", tt.name, e.ContentType, e.Origin.Body)
		}
	}
}

func TestFieldsOfForms(t *testing.T) {
	t.Parallel()
	fields := event.Source{Map: event.SourceMap{Fields: map[string]string{"email": "data[merges][EMAIL]", "first": "name.first", "tags": "tag", "second": "tag.1"}}}
	e := taken(t, fields, "", "data[merges][EMAIL]=a%40b&name.first=Ann&tag=x&tag=y", "Content-Type", "application/x-www-form-urlencoded")
	if string(e.Data) != `{"email":"a@b","first":"Ann","second":"y","tags":["x","y"]}` {
		t.Errorf("%s", e.Data)
	}
	xml := event.Source{Map: event.SourceMap{Fields: map[string]string{"mail": "Envelope.Body.order.mail", "id": "Envelope.Body.order.@id", "sum": "Envelope.Body.order.sum", "items": "Envelope.Body.order.item"}}}
	e = taken(t, xml, "", `<?xml version="1.0"?><s:Envelope xmlns:s="urn:x"><s:Body><order id="7"><mail> a@b </mail><sum cur="EUR">12</sum><item>1</item><item>2</item></order></s:Body></s:Envelope>`,
		"Content-Type", "text/xml; charset=utf-8")
	if string(e.Data) != `{"id":"7","items":["1","2"],"mail":"a@b","sum":"12"}` {
		t.Errorf("%s", e.Data)
	}
}

// TestEmptyBodyMapped: what a map makes of a request without a body is not taken for its body.
func TestEmptyBodyMapped(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "form", Provider: "none", Map: event.SourceMap{Data: `query`}}, nil, nil)
	if w := on.send(t, "GET", "/in/acme/form?a=1", ""); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	e := on.last(t)
	if string(e.Data) != `{"a":"1"}` || e.Origin.Body == nil || len(on.s.Shown(t.Context(), acme, &e).Body) != 0 {
		t.Errorf("%s %q", e.Data, e.Origin.Body)
	}
}

// TestMapFails: a request that the map does not fit is refused, so that it is seen and sent again, and what is said of it holds nothing
// of the request.
func TestMapFails(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("y", 200<<10)
	for _, tt := range []struct {
		name, contentType, body string
		m                       event.SourceMap
		status                  int
		says                    string
	}{
		{"what is not there", "application/json", `{"secret":1}`, event.SourceMap{Subject: `body.none`}, 422, "map.subject"},
		{"text of a list", "application/json", `{"a":[]}`, event.SourceMap{ID: `body.a`}, 422, "map.id"},
		{"accept of a number", "application/json", `{"a":1}`, event.SourceMap{Accept: `body.a`}, 422, "map.accept"},
		{"a type of ours", "application/json", `{}`, event.SourceMap{Type: `"posthorn.test"`}, 422, "posthorn."},
		{"a time that is none", "application/json", `{"secret":"tomorrow"}`, event.SourceMap{Time: `body.secret`}, 422, "map.time"},
		{"a time too far", "application/json", `{}`, event.SourceMap{Time: `1e300`}, 422, "map.time"},
		{"infinite", "application/json", `{"a":1e999}`, event.SourceMap{Data: `body.a`}, 422, "map.data"},
		{"too deep", "application/json", strings.Repeat("[", 20) + strings.Repeat("]", 20), event.SourceMap{Data: `[body]`}, 422, "map.data"},
		{"a map that is no object", "application/json", `{}`, event.SourceMap{Data: `{1: 2, "1": 3}`}, 422, "map.data"},
		{"costs too much", "text/plain", long, event.SourceMap{Data: `text.split("").map(x, text.contains(x))`}, 422, "map.data"},
		{"grows", "text/plain", long, event.SourceMap{Data: `text.replace("y", text)`}, 422, "map.data"},
		{"doubles", "text/plain", long, event.SourceMap{Data: `[text+text, text+text, text+text, text+text, text+text].map(a, a + a).map(a, a + a).map(a, a + a)`}, 422, "map.data"},
		{"JSON in JSON that is none", "application/json", `{"a":"{"}`, event.SourceMap{Data: `json.decode(body.a)`}, 422, "map.data"},
		{"a body that is damaged", "application/json", `{"a":`, event.SourceMap{Subject: `body.a`}, 400, "JSON"},
		{"fields of a body that is damaged", "application/json", `{"a":1,"a":2}`, event.SourceMap{Fields: map[string]string{"a": "a"}}, 400, "JSON"},
		{"no boundary", "multipart/form-data", multi, event.SourceMap{}, 400, "multipart"},
		{"no parts", "multipart/form-data; boundary=c", multi, event.SourceMap{}, 400, "multipart"},
		{"too many fields", "application/x-www-form-urlencoded", strings.Repeat("a&", 10_001), event.SourceMap{}, 400, "fields"},
		{"a document type", "application/xml", `<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>`, event.SourceMap{Data: `body`}, 400, "document type"},
		{"an entity", "application/xml", `<a>&x;</a>`, event.SourceMap{Data: `body`}, 400, "XML"},
		{"deep XML", "application/xml", strings.Repeat("<a>", 21) + strings.Repeat("</a>", 21), event.SourceMap{Data: `body`}, 400, "deep"},
		{"long XML", "application/xml", "<a>" + strings.Repeat("<b/>", 10_000) + "</a>", event.SourceMap{Data: `body`}, 400, "too many"},
		{"two roots", "application/xml", `<a/><b/>`, event.SourceMap{Data: `body`}, 400, "XML"},
		{"an attribute twice", "application/xml", `<a x="1" x="2"/>`, event.SourceMap{Data: `body`}, 400, "XML"},
		{"XML that ends early", "application/xml", `<a><b></b>`, event.SourceMap{Data: `body`}, 400, "XML"},
		{"an encoding", "application/xml", `<?xml version="1.0" encoding="utf-7"?><a/>`, event.SourceMap{Data: `body`}, 400, "XML"},
	} {
		on := newStage(t, event.Source{Name: "form", Provider: "none", Map: tt.m}, nil, nil)
		w := on.send(t, "POST", "/in/acme/form", tt.body, "Content-Type", tt.contentType)
		r := on.state(t, "form").LastRefused
		if w.Code != tt.status || len(on.events) != 0 || !strings.Contains(r.Detail, tt.says) {
			t.Errorf("%s: %d %+v", tt.name, w.Code, r)
		}
		if strings.Contains(r.Detail, "secret") || strings.Contains(r.Detail, "tomorrow") || strings.Contains(r.Detail, "yyy") {
			t.Errorf("%s: %s", tt.name, r.Detail)
		}
	}
	// XML that nobody reads is only kept.
	if e := taken(t, event.Source{}, "", `<!DOCTYPE a><a/>`, "Content-Type", "application/xml"); e.ContentType != "application/xml" {
		t.Errorf("%+v", e)
	}
}

func TestXML(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`<a/>`:                                 `{"a":""}`,
		`<a> x &lt;&#1103; </a>`:               `{"a":"x <я"}`,
		`<a x="1"/>`:                           `{"a":{"@x":"1"}}`,
		`<a x="1"> t </a>`:                     `{"a":{"@x":"1","#text":"t"}}`,
		`<a><b>1</b>t<b>2</b><c/></a>`:         `{"a":{"b":["1","2"],"c":"","#text":"t"}}`,
		`<!-- c --><a><![CDATA[<b>]]></a>`:     `{"a":"<b>"}`,
		`<n:a xmlns:n="u" n:x="1" xmlns="v"/>`: `{"a":{"@x":"1"}}`,
		"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>": `{"a":"é"}`,
	} {
		e := taken(t, event.Source{Map: event.SourceMap{Data: `body`}}, "", in, "Content-Type", "application/soap+xml")
		if got := string(e.Data); !sameJSON(t, got, want) {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestTypes(t *testing.T) {
	t.Parallel()
	src := event.Source{Name: "shop", Provider: "token"}
	for in, want := range map[string]string{
		"orders/create": "shop.orders_create", "a..b.": "shop.a.b", ".a": "shop.a", "": "shop.received", "...": "shop.received", "я x": "shop.__x",
		strings.Repeat("a", 500): "shop." + strings.Repeat("a", 251),
	} {
		on := newStage(t, src, []string{"s"}, map[string]string{"type_header": "X-Event", "id_header": "X-ID"})
		if w := on.send(t, "POST", "/in/acme/shop", "{}", "Authorization", "Bearer s", "X-Event", in); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if e := on.last(t); e.Type != want || event.CheckType(e.Type) != "" {
			t.Errorf("%q: %q", in, e.Type)
		}
	}
	// A source called posthorn does not make events of Posthorn's own.
	on := newStage(t, event.Source{Name: "posthorn", Provider: "none"}, nil, nil)
	if w := on.send(t, "POST", "/in/acme/posthorn", "{}"); w.Code != 200 || on.last(t).Type != "none.received" {
		t.Errorf("%d %+v", w.Code, on.events)
	}
}

func TestDedupe(t *testing.T) {
	t.Parallel()
	for dedupe, want := range map[string][2]string{
		event.DedupeID:   {"shop:same", "shop:same"},
		event.DedupeBody: {"shop:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "shop:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
		event.DedupeNone: {"given-1", "given-2"},
	} {
		on := newStage(t, event.Source{Name: "shop", Provider: "none", Dedupe: dedupe}, nil, map[string]string{"id_header": "X-ID"})
		for range 2 {
			if w := on.send(t, "POST", "/in/acme/shop", "{}", "X-ID", "same"); w.Code != 200 {
				t.Fatal(w.Code)
			}
		}
		if len(on.events) == 2 != (want[0] != want[1]) || on.events[0].ID != want[0] || on.events[len(on.events)-1].ID != want[1] {
			t.Errorf("%s: %+v", dedupe, on.events)
		}
	}
	on := newStage(t, event.Source{Name: "shop", Provider: "none"}, nil, map[string]string{"id_header": "X-ID"})
	for _, id := range []string{strings.Repeat("x", 300), "я", ""} {
		if w := on.send(t, "POST", "/in/acme/shop", "{}", "X-ID", id); w.Code != 200 {
			t.Fatal(w.Code)
		}
		if e := on.last(t); id != "" && len(e.ID) != 5+64 || id == "" && !strings.HasPrefix(e.ID, "given") {
			t.Errorf("%q: %q", id, e.ID)
		}
	}
}

// TestMapSeesNoCookies: of the server's own cookies, which a browser sends by itself, an expression sees what is kept of them.
func TestMapSeesNoCookies(t *testing.T) {
	t.Parallel()
	src := event.Source{Name: "a", Provider: "none", Map: event.SourceMap{Data: `headers`}}
	on := newStage(t, src, nil, nil, func(c *inbound.Config) {
		c.Arrived = func(r *http.Request, prefix string) event.Request {
			req := arrived(r, prefix)
			req.Head = bytes.ReplaceAll(req.Head, []byte("hush"), []byte("****"))
			return req
		}
	})
	on.send(t, "GET", "/in/acme/a", "", "Cookie", "posthorn_token=hush; b=c", "X-A", "1")
	if got := string(on.last(t).Data); got != `{"cookie":"posthorn_token=****; b=c","x-a":"1"}` {
		t.Error(got)
	}
}
