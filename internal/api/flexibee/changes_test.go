package flexibee_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

const declaration = `<?xml version="1.0" encoding="utf-8"?>` + "\n"

// get asks without any client's habits.
func (c *abra) get(path string) string {
	c.t.Helper()
	c.request(c.base+path, http.MethodGet, "")
	return string(c.body)
}

func TestChangesOfADay(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	c := p.client("changes")
	if c.status() {
		t.Errorf("on from the beginning: %s", c.body)
	}
	if c.perform("?start=0", http.MethodGet, ""); !strings.Contains(string(c.body), `"message":"Changelog is not enabled"`) || c.code != 400 {
		t.Errorf("before: %d %s", c.code, c.body)
	}
	if !c.enable() || !c.status() || !c.enable() {
		t.Errorf("enabled: %d %s", c.code, c.body)
	}
	if v := c.version(); v != 0 {
		t.Errorf("the version of an empty log is %d", v)
	}
	p.publish("cenik.create", "cenik/2", `{"external-ids":["ext:SHOP:1","code:HREBIK"]}`)
	p.publish("order.paid", "order/2", `{}`)
	p.publish("faktura-vydana.update", "faktura-vydana/7", ``)
	p.publish("cenik.delete", "cenik/2", `{"external-ids":[]}`)
	if v := c.version(); v != 4 {
		t.Errorf("the version is %d", v)
	}
	want := `{"winstrom":{"@globalVersion":"4","changes":[` +
		`{"@evidence":"cenik","@in-version":"1","@operation":"create","@timestamp":"2021-03-13 00:05:01.381237","id":"2","external-ids":["code:HREBIK","ext:SHOP:1"]},` +
		`{"@evidence":"faktura-vydana","@in-version":"3","@operation":"update","@timestamp":"2021-03-13 00:05:03.381237","id":"7","external-ids":[]},` +
		`{"@evidence":"cenik","@in-version":"4","@operation":"delete","@timestamp":"2021-03-13 00:05:04.381237","id":"2","external-ids":[]}],"next":"none"}}`
	if got := c.get("/c/firma/changes.json"); got != want || c.contentType != "application/json" {
		t.Errorf("%s\n%s\nwant\n%s", c.contentType, got, want)
	}
	want = declaration + `<winstrom version="1.0" globalVersion="4"><cenik in-version="1" operation="create" timestamp="2021-03-13 00:05:01.381237">` +
		`<id>2</id><id>code:HREBIK</id><id>ext:SHOP:1</id></cenik><next>3</next></winstrom>`
	if got := c.get("/c/firma/changes.xml?limit=1&add-global-version=true"); got != want || c.contentType != "application/xml" {
		t.Errorf("%s\n%s\nwant\n%s", c.contentType, got, want)
	}
	if !c.disable() || c.status() {
		t.Errorf("disabled: %d %s", c.code, c.body)
	}
	if got := c.get("/c/firma/changes.xml"); c.code != 400 ||
		got != declaration+`<winstrom version="1.0"><success>false</success><message>Changelog is not enabled</message></winstrom>` {
		t.Errorf("off: %d %s", c.code, got)
	}
}

func (c *abra) page(query string) (list []string, next string) {
	c.t.Helper()
	answer := c.perform(query, http.MethodGet, "")
	changes, _ := answer["changes"].([]any)
	for _, item := range changes {
		m, _ := item.(map[string]any)
		list = append(list, fmt.Sprint(m["@in-version"]))
	}
	next, _ = answer["next"].(string)
	return list, next
}

func TestPages(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	c := p.client("changes")
	c.enable()
	for i := range 30 {
		p.publish([]string{"cenik.update", "adresar.update", "order.paid"}[i%3], []string{"cenik/1", "adresar/1", "order/1"}[i%3], "")
	}
	for _, tt := range []struct{ query, want, next string }{
		{"?start=29", "29", "none"},
		{"?start=30", "", "none"},
		{"?start=31", "", "none"},
		{"?start=9223372036854775807", "", "none"},
		{"?start=4&limit=2", "4 5", "7"},
		{"?start=5&limit=2", "5 7", "8"}, // inclusive, and over a gap
		{"?start=0&limit=0", "", "1"},
		{"?start=30&limit=0", "", "none"},
		{"?limit=3&evidence=adresar", "2 5 8", "11"},
		{"?limit=3&evidence=adresar&evidence=cenik", "1 2 4", "5"},
		{"?start=27&evidence=adresar", "29", "none"},
		{"?evidence=smlouva", "", "none"},
		{"?start=25&evidence=&limit=", "25 26 28 29", "none"},
	} {
		list, next := c.page(tt.query)
		if got := strings.Join(list, " "); got != tt.want || next != tt.next || c.globalVersion != 30 || c.code != 200 {
			t.Errorf("%s: %q, next %q, global version %d; want %q, %q", tt.query, got, next, c.globalVersion, tt.want, tt.next)
		}
	}
	// A client that pages until there is no more sees every change once.
	for _, limit := range []int{1, 3, 7, 100} {
		var seen []string
		for start := "0"; start != "none"; {
			var list []string
			list, start = c.page(fmt.Sprintf("?start=%s&limit=%d", start, limit))
			seen = append(seen, list...)
		}
		if len(seen) != 20 || seen[0] != "1" || seen[19] != "29" {
			t.Errorf("by %d: %q", limit, seen)
		}
	}
}

func TestPagesHaveBounds(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	c := p.client("changes")
	c.enable()
	var other []event.Event
	for range 50_000 {
		other = append(other, p.event("order.paid", "order/1", ""))
	}
	p.publishAll(other...)
	p.cenik(1200)
	list, next := c.page("?start=1")
	if len(list) != 0 || next != "50001" { // it was looked at enough
		t.Errorf("%d changes, next %s", len(list), next)
	}
	for limit, want := range map[string]int{"": 100, "?limit=1000": 1000, "?limit=100000": 1000} {
		if list, _ := c.page(strings.Replace("?start=50001&"+strings.TrimPrefix(limit, "?"), "&&", "&", 1)); len(list) != want {
			t.Errorf("limit %q: %d changes", limit, len(list))
		}
	}
	// What one answer holds is bounded too.
	large := `{"external-ids":["` + strings.Repeat("x", 200<<10) + `"]}`
	var heavy []event.Event
	for range 60 {
		heavy = append(heavy, p.event("cenik.update", "cenik/1", large))
	}
	p.publishAll(heavy...)
	list, next = c.page("?start=51201&limit=1000")
	if len(list) < 40 || len(list) > 45 || next != strconv.Itoa(51201+len(list)) {
		t.Errorf("%d large changes, next %s", len(list), next)
	}
}

// FlexiBee forgets nothing. What retention has deleted is as if it had never been, but the answer says where it begins.
func TestStartsBeforeWhatIsKept(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	c := p.client("changes")
	c.enable()
	p.cenik(10)
	if _, err := p.model.TrimLog(t.Context(), store.TrimPolicy{Before: time.Now().Add(time.Hour), Keep: 6}, 6); err != nil {
		t.Fatal(err)
	}
	list, next := c.page("?start=2&limit=2")
	if strings.Join(list, " ") != "7 8" || next != "9" || c.header.Get("Posthorn-Oldest") != "7" {
		t.Errorf("%q, next %q, %v", list, next, c.header)
	}
	if list, _ = c.page("?start=7"); len(list) != 4 || c.header.Get("Posthorn-Oldest") != "" {
		t.Errorf("%q, %v", list, c.header)
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	c := p.client("changes")
	c.enable()
	for _, tt := range []struct {
		path, accept, want string
		code               int
	}{
		{"changes.xml", "application/json", "application/xml", 200},
		{"changes.json", "application/xml", "application/json", 200},
		{"changes", "", "application/xml", 200},
		{"changes/", "", "application/xml", 200},
		{"changes", "*/*", "application/xml", 200},
		{"changes", "application/json", "application/json", 200},
		{"changes", "application/json, text/plain, */*", "application/json", 200},
		{"changes", "text/json", "application/json", 200},
		{"changes", "application/xml;q=0.5, application/json;q=0.6", "application/json", 200},
		{"changes", "text/xml, application/json;q=0.9", "application/xml", 200},
		{"changes", "application/*;q=0.2, application/json;q=0", "application/xml", 200},
		{"changes", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/xml", 200},
		{"changes", "image/png", "application/xml", 406},
		{"changes", "application/xml;q=0, application/json;q=x", "application/xml", 406},
		{"changes.pdf", "", "application/xml", 406},
		{"changes.xml.gz", "", "application/xml", 406},
		{"changes/status.csv", "*/*", "application/xml", 406},
	} {
		r := c.newRequest(http.MethodGet, "/c/firma/"+tt.path)
		r.SetBasicAuth("", rootKey)
		if tt.accept != "" {
			r.Header.Set("Accept", tt.accept)
		}
		if c.send(r); c.code != tt.code || c.contentType != tt.want {
			t.Errorf("%s, %s: %d %s", tt.path, tt.accept, c.code, c.contentType)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	reader := p.key(p.tenant, event.AllowRead)
	manager := p.key(p.tenant, event.AllowManage)
	publisher := p.key(p.tenant, event.AllowPublish)
	stranger := p.key(p.tenant+1, event.AllowManage)
	c := p.client("changes")
	c.enable()
	for _, tt := range []struct {
		key, method, path string
		code              int
		message           string
	}{
		{"", "GET", "/c/firma/changes.xml", 401, "password"},
		{"", "GET", "/c/firma/nothing.xml", 401, "password"},
		{"wrong", "GET", "/c/firma/changes.json", 401, ""},
		{reader, "GET", "/c/firma/changes.xml", 200, ""},
		{reader, "HEAD", "/c/firma/changes.xml", 200, ""},
		{reader, "GET", "/c/firma/hooks/", 200, ""},
		{reader, "PUT", "/c/firma/changes/enable.xml", 403, "may not manage"},
		{reader, "PUT", "/c/firma/hooks.xml?url=http://127.0.0.1/&format=XML", 403, "may not manage"},
		{manager, "POST", "/c/firma/changes/enable.json", 200, ""},
		{manager, "GET", "/c/firma/changes.json", 200, ""},
		{publisher, "GET", "/c/firma/changes.json", 403, "may not read"},
		{stranger, "GET", "/c/firma/changes.json", 403, "not for this company"},
		{stranger, "GET", "/c/nikdo/changes.json", 403, "not for this company"},
		{rootKey, "GET", "/c/nikdo/changes.json", 404, "no such tenant"},
		{rootKey, "GET", "/c/firma/", 404, "no such"},
		{rootKey, "GET", "/c/firma", 404, "no such"},
		{rootKey, "GET", "/c/", 404, "no such"},
		{rootKey, "GET", "/c//changes.xml", 404, "no such"},
		{rootKey, "GET", "/c/firma/cenik.xml", 404, "no such"},
		{rootKey, "GET", "/c/firma/changes/other.xml", 404, "no such"},
		{rootKey, "GET", "/c/firma/changes/status/x", 404, "no such"},
		{rootKey, "GET", "/c/firma/hooks/1/2/retry", 404, "no such"},
		{rootKey, "GET", "/c/firma/hooks/abc", 404, "no such hook"},
		{rootKey, "DELETE", "/c/firma/hooks/17.xml", 404, "no such hook"},
		{rootKey, "DELETE", "/c/firma/hooks/-1", 404, "no such hook"},
		{rootKey, "PUT", "/c/firma/hooks/99999999999999999999/retry", 404, "no such hook"},
		{rootKey, "DELETE", "/c/firma/changes.xml", 405, "takes GET, HEAD"},
		{rootKey, "GET", "/c/firma/changes/enable.xml", 405, "takes PUT, POST"},
		{rootKey, "PATCH", "/c/firma/hooks.json", 405, "takes GET, HEAD, PUT, POST"},
		{rootKey, "OPTIONS", "/c/firma/hooks.json", 204, ""},
		{rootKey, "GET", "/c/firma/changes.xml?start=-1", 400, "start must be a whole number"},
		{rootKey, "GET", "/c/firma/changes.xml?start=1e3", 400, "start must be"},
		{rootKey, "GET", "/c/firma/changes.xml?start=99999999999999999999", 400, "start must be"},
		{rootKey, "GET", "/c/firma/changes.json?limit=x", 400, "limit must be"},
		{rootKey, "GET", "/c/firma/changes.json?start=%zz", 400, "query string"},
		{rootKey, "GET", "/c/firma/changes.json?a;b", 400, "query string"},
		{rootKey, "GET", "/c/firma/changes.json?" + strings.Repeat("evidence=a&", 101), 400, "at most 100"},
	} {
		c.key = tt.key
		c.request(p.server.URL+tt.path, tt.method, "")
		if c.code != tt.code || !strings.Contains(string(c.body), tt.message) {
			t.Errorf("%s %s: %d %s, want %d and %q", tt.method, tt.path, c.code, c.body, tt.code, tt.message)
		}
		if challenge := c.header.Get("WWW-Authenticate"); (c.code == 401) != strings.HasPrefix(challenge, "Basic ") {
			t.Errorf("%s %s: challenge %q", tt.method, tt.path, challenge)
		}
		if (c.code == 405 || c.code == 204) == (c.header.Get("Allow") == "") {
			t.Errorf("%s %s: allows %q", tt.method, tt.path, c.header.Get("Allow"))
		}
		if c.code >= 400 && len(c.body) > 0 {
			wellFormed(t, c)
		}
	}
}

// wellFormed requires an answer that says in its format that there was no success.
func wellFormed(t *testing.T, c *abra) {
	t.Helper()
	if c.contentType == "application/json" {
		if !strings.HasPrefix(string(c.body), `{"winstrom":{"@version":"1.0","success":"false","message":"`) {
			t.Errorf("%s", c.body)
		}
		return
	}
	if got := toArray(t, c.body); got["success"] != "false" || got["message"] == "" || c.contentType != "application/xml" {
		t.Errorf("%s %s", c.contentType, c.body)
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	c := p.client("changes")
	if c.send(c.newRequest(http.MethodGet, "/c/firma/changes/status.json", "Authorization", "bearer  "+rootKey)); c.code != 200 {
		t.Errorf("%d %s", c.code, c.body)
	}
}

// A browser shows the page, and its buttons come back to it; another site's page cannot press them.
func TestControlPage(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	c := p.client("changes")
	ask := func(method, path, key string, header ...string) {
		t.Helper()
		r := c.newRequest(method, path, header...)
		r.SetBasicAuth("u", key)
		r.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
		c.send(r)
	}
	const control = "/c/firma/changes/control"
	if ask("POST", "/c/firma/changes/enable", rootKey, "Sec-Fetch-Site", "cross-site"); c.code != 403 {
		t.Errorf("another site's page: %d", c.code)
	}
	if ask("GET", control, rootKey); c.code != 200 || !strings.Contains(string(c.body), "<strong>off</strong>") ||
		!strings.HasPrefix(c.contentType, "text/html") || !strings.Contains(c.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%d %v %s", c.code, c.header, c.body)
	}
	if ask("POST", "/c/firma/changes/enable", rootKey, "Sec-Fetch-Site", "same-origin"); c.code != 303 || c.header.Get("Location") != control {
		t.Errorf("%d %v", c.code, c.header)
	}
	hooks := p.client("hooks")
	address := "http://127.0.0.1:1/?a=<script>"
	hooks.perform("?"+url.Values{"url": {address}, "format": {"XML"}, "skipUrlTest": {"true"}}.Encode(), http.MethodPut, "")
	ask("GET", control, rootKey)
	if got := string(c.body); !strings.Contains(got, "<strong>on</strong>") || strings.Contains(got, "<script>") ||
		!strings.Contains(got, "?a=&lt;script&gt;") || !strings.Contains(got, `/retry"><button>`) {
		t.Errorf("%d %s", hooks.code, got)
	}
	if ask("GET", control, p.key(p.tenant, event.AllowRead)); strings.Contains(string(c.body), "<button>") {
		t.Errorf("buttons for a reader: %s", c.body)
	}
}

// What fails within is logged, and not told.
func TestFailuresAreHidden(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	c := p.client("changes")
	c.enable()
	if err := p.model.Close(); err != nil {
		t.Fatal(err)
	}
	got := c.get("/c/firma/changes.json")
	if c.code != 500 || strings.Contains(got, "store") || !strings.Contains(p.log.String(), "store: closed") {
		t.Errorf("%d %s; log %s", c.code, got, p.log)
	}
	p.model.Reopen()
}
