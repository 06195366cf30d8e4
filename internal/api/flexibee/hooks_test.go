package flexibee_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// hook returns the only hook that is there.
func (c *abra) hook() map[string]any {
	c.t.Helper()
	list := c.records("")
	if len(list) != 1 {
		c.t.Fatalf("%d hooks: %s", len(list), c.body)
	}
	return list[0]
}

// idle waits until a hook has nothing left to do.
func (p *plant) idle(id event.EndpointID) event.LaneView {
	p.t.Helper()
	e := event.Endpoint{ID: id, Tenant: p.tenant}
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		v, err := p.manager.View(p.t.Context(), &e)
		if err != nil {
			p.t.Fatal(err)
		}
		if v.InFlight == 0 && v.Backlog == 0 && v.State != "backlog" || v.State == "waiting" {
			return v
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("still %+v", v)
		}
	}
	return event.LaneView{}
}

func (p *plant) only() event.EndpointID {
	p.t.Helper()
	list := must[[]event.Endpoint](p.t)(p.model.Endpoints(p.t.Context(), p.tenant, 0, 10))
	if len(list) != 1 {
		p.t.Fatalf("%d endpoints", len(list))
	}
	return list[0].ID
}

// A client registers, looks, receives, and goes.
func TestLifeOfAHook(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	x := newReceiver(t)
	hooks := p.client("hooks")
	if hooks.register(x.URL+"/hook", nil) || !strings.Contains(string(hooks.body), "Changelog is not enabled") {
		t.Errorf("with the changelog off: %d %s", hooks.code, hooks.body)
	}
	p.client("changes").enable()
	p.cenik(3)
	if !hooks.register(x.URL+"/hook", url.Values{"secKey": {"tajny token"}, "skipUrlTest": {"false"}}) {
		t.Fatalf("%d %s", hooks.code, hooks.body)
	}
	test := x.wait(t, count(1))[0]
	if want := `{"winstrom":{"@globalVersion":"3","changes":[],"next":"none"}}`; test.body != want || test.path != "/hook" ||
		test.header.Get("Content-Type") != "application/json" || test.header.Get("X-FB-Hook-SecKey") != "tajny token" {
		t.Errorf("the test was %+v", test)
	}
	if hooks.register(x.URL+"/hook", nil) {
		t.Error("registered twice by one client")
	}
	id := fmt.Sprint(int64(p.only()))
	want := map[string]any{"id": id, "url": x.URL + "/hook", "dataFormat": "JSON", "lastVersion": "3", "penalty": "0", "secKey": "tajny token"}
	if got := hooks.hook(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("listed %v, want %v", got, want)
	}

	p.publish("order.paid", "order/1", `{"not":"a change"}`)
	p.publish("adresar.update", "adresar/4435", `{"external-ids":["code:TEST5"]}`)
	got := x.wait(t, count(2))[1]
	if body := `{"winstrom":{"@globalVersion":"5","changes":[{"@evidence":"adresar","@in-version":"5","@operation":"update",` +
		`"@timestamp":"2021-03-13 00:05:05.381237","id":"4435","external-ids":["code:TEST5"]}],"next":"none"}}`; got.body != body {
		t.Errorf("%s\nwant\n%s", got.body, body)
	}
	if got.header.Get("X-FB-Hook-SecKey") != "tajny token" || got.header.Get("Webhook-Signature") != "" || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("%v", got.header)
	}
	p.idle(p.only())
	if v := hooks.hook()["lastVersion"]; v != "5" {
		t.Errorf("last version %v", v)
	}

	stored := must[event.Endpoint](t)(p.model.Endpoint(t.Context(), p.tenant, p.only()))
	if !bytes.HasPrefix(stored.Sealed, []byte("sealed:")) || strings.Contains(fmt.Sprintf("%+v", stored.Metadata), "tajny") || strings.Contains(p.log.String(), "tajny") {
		t.Error("the secret is not sealed")
	}
	reader := p.client("hooks")
	reader.key = p.key(p.tenant, event.AllowRead)
	if _, shown := reader.hook()["secKey"]; shown {
		t.Error("the secret is shown to one who may only read")
	}

	hooks.perform(id, http.MethodDelete, "")
	if hooks.code != 200 || len(hooks.records("")) != 0 {
		t.Errorf("%d %s", hooks.code, hooks.body)
	}
	if hooks.perform(id+".xml", http.MethodDelete, "xml"); hooks.code != 404 {
		t.Errorf("deleted twice: %d %s", hooks.code, hooks.body)
	}
}

func TestHooksInXML(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	x := newReceiver(t)
	p.client("changes").enable()
	hooks := p.client("hooks")
	hooks.request(p.server.URL+"/c/firma/hooks.xml?format=XML&url="+url.QueryEscape(x.URL+"/a?b=1&c=2"), http.MethodPost, "")
	id := fmt.Sprint(int64(p.only()))
	if want := declaration + `<winstrom version="1.0"><success>true</success><result><id>` + id + `</id></result></winstrom>`; string(hooks.body) != want || hooks.code != 200 {
		t.Errorf("%d %s", hooks.code, hooks.body)
	}
	if got := x.wait(t, count(1))[0]; got.body != declaration+`<winstrom version="1.0" globalVersion="0"><next>none</next></winstrom>` || got.header.Get("Content-Type") != "application/xml" {
		t.Errorf("the test was %+v", got)
	}
	p.publish("cenik.update", "cenik/2", `{"external-ids":["code:HREBIK"]}`)
	if got := x.wait(t, count(2))[1]; got.header.Get("Content-Type") != "application/xml" || got.body != declaration+
		`<winstrom version="1.0" globalVersion="1"><cenik in-version="1" operation="update" timestamp="2021-03-13 00:05:01.381237"><id>2</id><id>code:HREBIK</id></cenik><next>none</next></winstrom>` {
		t.Errorf("%+v", got)
	}
	p.idle(p.only())
	for _, path := range []string{"/c/firma/hooks/", "/c/firma/hooks.xml", "/c/firma/hooks/" + id + ".xml"} {
		want := declaration + `<winstrom version="1.0"><hook><id>` + id + `</id><url>` + x.URL + `/a?b=1&amp;c=2</url><dataFormat>XML</dataFormat>` +
			`<lastVersion>1</lastVersion><penalty>0</penalty><secKey></secKey></hook></winstrom>`
		if got := hooks.get(path); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
}

func TestRegistrationsThatAreRefused(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	x := newReceiver(t)
	p.client("changes").enable()
	p.cenik(5)
	hooks := p.client("hooks")
	for _, tt := range []struct{ query, message string }{
		{"", "url must be given"},
		{"url=" + x.URL, "format must be XML or JSON"},
		{"url=" + x.URL + "&format=CSV", "format must be XML or JSON"},
		{"url=ftp://x&format=XML", "url "},
		{"url=http://u:p@127.0.0.1/&format=XML", "url "},
		{"url=http://169.254.169.254/&format=XML", "url "},
		{"url=%20&format=XML", "url "},
		{"url=" + x.URL + "&format=XML&lastVersion=6", "lastVersion must be 0 to the global version, 5"},
		{"url=" + x.URL + "&format=XML&lastVersion=-1", "lastVersion must be"},
		{"url=" + x.URL + "&format=XML&lastVersion=abc", "lastVersion must be"},
		{"url=" + x.URL + "&format=XML&skipUrlTest=perhaps", "skipUrlTest must be true or false"},
		{"url=" + x.URL + "&format=XML&secKey=a%0d%0ab", "secKey its value must be printable"},
		{"url=" + x.URL + "&format=XML&secKey=" + strings.Repeat("x", 9000), "at most"},
		{"url=" + x.URL + "&format=XML&evidence=a.b", "evidence must be the name"},
		{"url=" + x.URL + "&format=XML&evidence=%3Cx%3E", "evidence must be the name"},
		{"url=" + x.URL + "&format=XML&filter=data.", "filter "},
		{"url=" + x.URL + "&format=XML&filter=1", "filter "},
		{"url=" + x.URL + "&format=XML&stateChange=" + strings.Repeat("x", 200), "stateChange must be at most"},
		{"url=" + x.URL + "&format=XML&withData=x", "withData must be"},
	} {
		for _, format := range []string{"json", "xml"} {
			hooks.request(p.server.URL+"/c/firma/hooks."+format+"?"+tt.query, http.MethodPut, format)
			if hooks.code != 400 || !strings.Contains(string(hooks.body), tt.message) {
				t.Errorf("%s: %d %s", tt.query, hooks.code, hooks.body)
			}
			wellFormed(t, hooks)
		}
	}
	x.answer(500)
	hooks.perform("?format=XML&url="+x.URL, http.MethodPut, "")
	if hooks.code != 400 || !strings.Contains(string(hooks.body), "answered 500") {
		t.Errorf("%d %s", hooks.code, hooks.body)
	}
	x.Close()
	hooks.perform("?format=XML&url="+x.URL, http.MethodPut, "")
	if hooks.code != 400 || !strings.Contains(string(hooks.body), "could not be reached: connection refused") {
		t.Errorf("%d %s", hooks.code, hooks.body)
	}
	if len(hooks.records("")) != 0 {
		t.Error("something was registered")
	}
	hooks.perform("?format=XML&skipUrlTest=true&url="+x.URL, http.MethodPut, "")
	if hooks.code != 200 || len(hooks.records("")) != 1 {
		t.Errorf("%d %s", hooks.code, hooks.body)
	}
}

// lastVersion replays the history, merged and in order, and what comes meanwhile after it.
func TestHookFromThePast(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	x := newReceiver(t)
	p.client("changes").enable()
	p.cenik(700)
	hooks := p.client("hooks")
	if !hooks.register(x.URL, url.Values{"lastVersion": {"100"}, "skipUrlTest": {"true"}}) {
		t.Fatalf("%d %s", hooks.code, hooks.body)
	}
	last := p.cenik(50)
	got := x.wait(t, func(list []notice) bool { return len(versions(t, list)) >= 650 })
	var want []int64
	for v := int64(101); v <= last; v++ {
		want = append(want, v)
	}
	if list := versions(t, got); !slices.Equal(list, want) {
		t.Errorf("%d changes: %v", len(list), list)
	}
	if len(got) > 8 {
		t.Errorf("%d notifications", len(got))
	}
	for i := range got {
		if n := len(versions(t, got[i:i+1])); n > 200 {
			t.Errorf("%d changes in a notification", n)
		}
	}
}

// A receiver that is down costs no change, and a call ends the wait for it.
func TestReceiverDownAndUp(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	x := newReceiver(t)
	p.client("changes").enable()
	hooks := p.client("hooks")
	if !hooks.register(x.URL, nil) {
		t.Fatalf("%d %s", hooks.code, hooks.body)
	}
	id := p.only()
	x.answer(503)
	p.cenik(250)
	x.wait(t, count(2))
	if v := p.idle(id); v.State != "waiting" || v.Waiting != "penalty" {
		t.Errorf("%+v", v)
	}
	if h := hooks.hook(); h["penalty"] != "120" || h["lastVersion"] != "0" {
		t.Errorf("%v", h)
	}
	x.answer(204)
	for _, method := range []string{http.MethodPut, http.MethodPost} {
		if hooks.perform(fmt.Sprint(int64(id))+"/retry", method, ""); hooks.code != 200 {
			t.Errorf("%d %s", hooks.code, hooks.body)
		}
	}
	got := x.wait(t, func(list []notice) bool { return len(versions(t, list[2:])) >= 250 })
	if list := versions(t, got[2:]); !slices.IsSorted(list) || len(slices.Compact(list)) != 250 {
		t.Errorf("%v", list)
	}
	p.idle(id)
	if h := hooks.hook(); h["penalty"] != "0" || h["lastVersion"] != "250" {
		t.Errorf("%v", h)
	}
}

// A crash in between loses nothing; what had been sent and not recorded comes again.
func TestHookOverACrash(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	x := newReceiver(t)
	p.client("changes").enable()
	p.cenik(300)
	hooks := p.client("hooks")
	x.answer(500)
	if !hooks.register(x.URL, url.Values{"lastVersion": {"0"}, "skipUrlTest": {"true"}}) {
		t.Fatalf("%d %s", hooks.code, hooks.body)
	}
	x.wait(t, count(1))
	p.crash()
	p.cenik(10)
	x.answer(200)
	hooks = p.client("hooks") // at its new address
	hooks.perform(fmt.Sprint(int64(p.only()))+"/retry", http.MethodPut, "")
	got := x.wait(t, func(list []notice) bool {
		all := versions(t, list)
		return slices.Contains(all, 310) && len(all) >= 310
	})
	seen := map[int64]bool{}
	for _, v := range versions(t, got[1:]) {
		seen[v] = true
	}
	for v := int64(1); v <= 310; v++ {
		if !seen[v] {
			t.Errorf("version %d is missing", v)
		}
	}
}

// The road map: only some evidences, only what a filter lets through, only changes of a state, and with data.
func TestRoadMap(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	x := newReceiver(t)
	p.client("changes").enable()
	hooks := p.client("hooks")
	for path, more := range map[string]url.Values{
		"/evidence": {"evidence": {"faktura-vydana", "banka"}},
		"/filter":   {"filter": {`data.sumCelkem > 1000.0`}, "evidence": {"faktura-vydana"}},
		"/state":    {"stateChange": {"stavUhrK"}, "evidence": {"faktura-vydana"}},
		"/data":     {"withData": {"true"}, "evidence": {"banka"}},
	} {
		more["skipUrlTest"] = []string{"true"}
		if !hooks.register(x.URL+path, more) {
			t.Fatalf("%s: %d %s", path, hooks.code, hooks.body)
		}
	}
	p.publish("cenik.update", "cenik/1", `{"sumCelkem":5000}`)
	p.publish("faktura-vydana.update", "faktura-vydana/1", `{"sumCelkem":5000.5,"changed":["popis"]}`)
	p.publish("faktura-vydana.update", "faktura-vydana/1", `{"sumCelkem":10,"stavUhrK":"uhrazeno","previous":{"stavUhrK":"neuhrazeno"}}`)
	p.publish("faktura-vydana.delete", "faktura-vydana/1", `{"sumCelkem":10}`)
	p.publish("banka.create", "banka/1", `{"castka":1.50,"external-ids":["code:B"],"ucet":{"kod":"X"}}`)
	want := map[string]string{"/evidence": "[2 3 4 5]", "/filter": "[2]", "/state": "[3 4]", "/data": "[5]"}
	by := func(list []notice, path string) []notice {
		return slices.DeleteFunc(slices.Clone(list), func(n notice) bool { return n.path != path })
	}
	got := x.wait(t, func(list []notice) bool {
		for path, versionsWanted := range want {
			if fmt.Sprint(versions(t, by(list, path))) != versionsWanted {
				return false
			}
		}
		return true
	})
	if body := by(got, "/data")[0].body; !strings.Contains(body, `"external-ids":["code:B"],"data":{"castka":1.50,"external-ids":["code:B"],"ucet":{"kod":"X"}}}`) {
		t.Error(body)
	}
	shown := hooks.get("/c/firma/hooks.json")
	for _, part := range []string{
		`"evidence":["faktura-vydana","banka"]`, `"filter":"data.sumCelkem \u003e 1000.0"`, `"stateChange":["stavUhrK"]`, `"withData":"true"`,
	} {
		if !strings.Contains(shown, part) {
			t.Errorf("%s is not in %s", part, shown)
		}
	}
}

// While the changelog is off hooks rest, and go on from where they were.
func TestHooksRestWithTheChangelog(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	x := newReceiver(t)
	log := p.client("changes")
	log.enable()
	hooks := p.client("hooks")
	if !hooks.register(x.URL, url.Values{"skipUrlTest": {"true"}}) {
		t.Fatalf("%d %s", hooks.code, hooks.body)
	}
	paused := must[event.Tenant](t)(p.model.Tenant(t.Context(), "firma"))
	other, err := p.control.CreateEndpoint(t.Context(), &paused, event.Endpoint{URL: x.URL + "/native", Disabled: true}, event.Secrets{})
	if err != nil {
		t.Fatal(err)
	}
	log.disable()
	p.cenik(3)
	log.enable()
	if got := x.wait(t, count(1)); fmt.Sprint(versions(t, got)) != "[1 2 3]" {
		t.Errorf("%v", got)
	}
	if e := must[event.Endpoint](t)(p.model.Endpoint(t.Context(), p.tenant, other.ID)); !e.Disabled {
		t.Error("an endpoint that is no hook was resumed")
	}
	if got := hooks.records(""); len(got) != 1 {
		t.Errorf("%d hooks are listed", len(got))
	}
	hooks.perform(fmt.Sprint(int64(other.ID)), http.MethodDelete, "")
	if hooks.code != 404 {
		t.Errorf("an endpoint that is no hook was deleted: %d", hooks.code)
	}
}
