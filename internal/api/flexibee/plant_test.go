package flexibee_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/api/flexibee"
	"github.com/posthornhq/posthorn/internal/control"
	"github.com/posthornhq/posthorn/internal/deliver"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/fanout"
	"github.com/posthornhq/posthorn/internal/guard"
	"github.com/posthornhq/posthorn/internal/match"
	"github.com/posthornhq/posthorn/internal/store"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

const rootKey = "phk_root-key-of-the-test-0123456789abcdef"

// patience bounds every wait; nothing waits for so long on purpose.
const patience = 30 * time.Second

type modelLog struct{ *storetest.Model }

func (l modelLog) Changes(ctx context.Context, tenant event.TenantID, after int64, limit, maxBytes int) ([]event.Event, int64, int64, error) {
	p, err := l.ReadTenant(ctx, tenant, after, limit, maxBytes)
	return p.Events, p.Oldest, p.Head, err
}

// plain seals nothing, but so that it can be seen whether something was sealed.
type plain struct{}

func (plain) Seal(text, _ []byte) ([]byte, error) { return append([]byte("sealed:"), text...), nil }

func (plain) Open(sealed, _ []byte) ([]byte, error) {
	text, ok := bytes.CutPrefix(sealed, []byte("sealed:"))
	if !ok {
		return nil, errors.New("not sealed")
	}
	return text, nil
}

type nobody struct{}

func (nobody) Disable(context.Context, *event.Endpoint, string, time.Time) error { return nil }

func (nobody) Attempted(event.TenantID, event.Verdict, int, time.Duration, time.Duration) {}

func (nobody) Expired(int64) {}

// changes tells the registry and the lanes, as package app does.
type changes struct {
	registry *fanout.Registry
	manager  *deliver.Manager
}

func (c changes) EndpointChanged(e *event.Endpoint) {
	c.registry.Put(e)
	c.manager.EndpointChanged(e)
}

func (c changes) EndpointExpected(e *event.Endpoint) { c.registry.Follow(e, false) }

func (c changes) EndpointBehind(e *event.Endpoint) {
	c.manager.EndpointBehind(e)
	c.registry.Put(e)
}

func (c changes) EndpointDeleted(tenant event.TenantID, id event.EndpointID) {
	c.registry.Remove(tenant, id)
	c.manager.EndpointDeleted(id)
	c.registry.Remove(tenant, id)
}

func (c changes) TenantDeleted(event.TenantID) {}

// plant is the interface over the real control plane and the real lanes, with a store in memory that outlives it.
type plant struct {
	t       *testing.T
	model   *storetest.Model
	control *control.Control
	manager *deliver.Manager
	server  *httptest.Server
	log     *lines
	tenant  event.TenantID
	n       int

	cancel context.CancelFunc
	wg     sync.WaitGroup
	sender *deliver.HTTPSender
}

// lines are what was logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newPlant(t *testing.T) *plant {
	t.Helper()
	p := &plant{t: t, model: storetest.NewModel(), log: &lines{}}
	p.start()
	t.Cleanup(func() {
		p.stop()
		transport.CloseIdleConnections()
	})
	tenant := must[event.Tenant](t)(p.control.CreateTenant(t.Context(), event.Tenant{Name: "firma"}))
	p.tenant = tenant.ID
	must[event.Tenant](t)(p.control.CreateTenant(t.Context(), event.Tenant{Name: "jina"}))
	return p
}

func (p *plant) start() {
	p.t.Helper()
	t := p.t
	logger := slog.New(slog.NewTextHandler(p.log, nil))
	checks := guard.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil)
	var err error
	p.control, err = control.New(control.Options{
		Store: p.model, Sealer: plain{}, Limits: event.DefaultLimits(),
		CheckURL: func(url string) error { _, err := checks.CheckURL(url, 2048); return err },
		CheckPattern: func(s string) error {
			if why := match.CheckPattern(s); why != "" {
				return errors.New(why)
			}
			return nil
		},
		CheckFilter: func(s string) error { _, err := match.CompileFilter(s, event.DefaultLimits()); return err },
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.control.EnsureRootKey(t.Context(), rootKey); err != nil {
		t.Fatal(err)
	}
	leases := must[[]store.Lease](t)(p.model.Acquire(t.Context(), "test", time.Now(), time.Minute))
	registry := fanout.NewRegistry(p.model)
	p.sender = deliver.NewHTTPSender(checks, nil)
	p.manager = deliver.New(deliver.Config{
		Lease: leases[0], Log: p.model, State: p.model, Sender: p.sender, Owner: nobody{}, Opener: p.control, Observer: nobody{},
		Follow: registry.Follow, Matches: match.Matches, Logger: logger, UserAgent: "Posthorn/test", Timeout: 30 * time.Second,
		Retries: []time.Duration{time.Second}, DisableAfter: time.Hour, MaxInFlight: 64, MaxProbes: 32, RecordDelay: time.Millisecond,
	})
	p.control.Listen(changes{registry, p.manager})
	if err := p.manager.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	follower := &fanout.Follower{
		Partition: leases[0].Partition, Position: leases[0].Position, Log: p.model, Registry: registry, Lanes: p.manager, Logger: logger,
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.wg.Go(func() { _ = follower.Run(ctx) })
	p.server = httptest.NewServer(flexibee.New(flexibee.Config{
		Auth: p.control, Control: p.control, Delivery: p.manager, Log: modelLog{p.model}, Logger: logger,
	}))
}

func (p *plant) stop() {
	p.t.Helper()
	p.server.Close()
	p.cancel()
	p.wg.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.manager.Stop(ctx); err != nil {
		p.t.Error(err)
	}
	p.sender.Close()
}

// crash ends the lanes so that what they know and have not saved is lost, and starts anew.
func (p *plant) crash() {
	p.t.Helper()
	p.model.Reopen()
	must[[]store.Lease](p.t)(p.model.Acquire(p.t.Context(), "other", time.Now(), time.Minute))
	p.stop()
	p.model.Reopen()
	p.start()
}

// must returns v, or ends the test.
func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// key makes an API key of a company with permissions.
func (p *plant) key(tenant event.TenantID, allow ...event.Permission) string {
	p.t.Helper()
	_, text, err := p.control.CreateAPIKey(p.t.Context(), event.APIKey{Name: "k", Tenant: tenant, Allow: allow})
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

// publish appends one event.
func (p *plant) publish(typ, subject, data string) {
	p.t.Helper()
	p.publishAll(p.event(typ, subject, data))
}

func (p *plant) event(typ, subject, data string) event.Event {
	p.n++
	ev := event.Event{
		ID: strconv.Itoa(p.n), Source: "/test", Type: typ, Subject: subject,
		Time: time.Date(2021, 3, 13, 0, 5, p.n%60, 381237000, time.UTC),
	}
	if data != "" {
		ev.Data = []byte(data)
	}
	return ev
}

func (p *plant) publishAll(list ...event.Event) int64 {
	p.t.Helper()
	receipts := must[[]event.Receipt](p.t)(p.model.Append(p.t.Context(), time.Now(), store.AppendRequest{Tenant: p.tenant, Events: list}))
	return receipts[len(receipts)-1].Version
}

// cenik publishes n updates of the price list.
func (p *plant) cenik(n int) int64 {
	p.t.Helper()
	var list []event.Event
	for range n {
		list = append(list, p.event("cenik.update", fmt.Sprintf("cenik/%d", p.n+1), `{"external-ids":["code:HREBIK"]}`))
	}
	return p.publishAll(list...)
}

// abra is a client that does what php-abraflexi does: its addresses, methods and headers, and what it makes of answers.
type abra struct {
	t                       *testing.T
	base, company, evidence string
	key                     string
	format                  string // of addresses and headers where a call does not say
	code                    int    // of the last answer
	contentType             string
	header                  http.Header
	body                    []byte
	globalVersion           int
}

func (p *plant) client(evidence string) *abra {
	return &abra{t: p.t, base: p.server.URL, company: "firma", evidence: evidence, key: rootKey, format: "json"}
}

var contentTypes = map[string]string{"json": "application/json", "xml": "application/xml"}

// request is doCurlRequest: a body always, against answers 411, and headers by the format.
func (c *abra) request(address, method, format string) {
	c.t.Helper()
	var body io.Reader
	if method != http.MethodGet && method != http.MethodHead {
		body = strings.NewReader("")
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, address, body)
	if err != nil {
		c.t.Fatal(err)
	}
	if contentTypes[format] != "" {
		r.Header.Set("Accept", contentTypes[format])
		r.Header.Set("Content-Type", contentTypes[format])
	}
	if c.key != "" {
		r.SetBasicAuth("winstrom", c.key)
	}
	c.send(r)
}

// transport follows no redirect.
var transport = &http.Transport{ResponseHeaderTimeout: patience}

// send keeps what is answered.
func (c *abra) send(r *http.Request) {
	c.t.Helper()
	answer, err := transport.RoundTrip(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	c.body = must[[]byte](c.t)(io.ReadAll(answer.Body))
	c.code, c.contentType, c.header = answer.StatusCode, answer.Header.Get("Content-Type"), answer.Header
}

// newRequest is for what no client does.
func (c *abra) newRequest(method, path string, header ...string) *http.Request {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// perform is performRequest: the suffix goes after the evidence, with a slash unless it begins with ? or ;.
func (c *abra) perform(suffix, method, format string) map[string]any {
	c.t.Helper()
	address := c.base + "/c/" + c.company + "/" + c.evidence
	if suffix != "" && !strings.ContainsRune("/;?", rune(suffix[0])) {
		address += "/"
	}
	if format == "" {
		format = c.format
	}
	c.request(address+suffix, method, format)
	if len(c.body) == 0 {
		return nil
	}
	decoded := map[string]any{}
	switch c.contentType {
	case "application/json":
		if err := json.Unmarshal(c.body, &decoded); err != nil {
			c.t.Fatalf("%s: %v", c.body, err)
		}
		if w, ok := decoded["winstrom"].(map[string]any); ok {
			decoded = w
		}
	case "application/xml":
		decoded = toArray(c.t, c.body)
		if c.evidence == "changes" {
			decoded = map[string]any{"changes": decoded}
		}
	default:
		c.t.Fatalf("answer of %s: %s", c.contentType, c.body)
	}
	if v, ok := decoded["@globalVersion"].(string); ok {
		c.globalVersion, _ = strconv.Atoi(v)
	}
	return decoded
}

type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []element  `xml:",any"`
	Text     string     `xml:",chardata"`
}

// toArray is xml2array: attributes with an @ before them; a child without children is its text, and of several of one name
// the last; others are lists.
func toArray(t *testing.T, body []byte) map[string]any {
	t.Helper()
	var root element
	if err := xml.Unmarshal(body, &root); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return root.array()
}

func (e *element) array() map[string]any {
	out := map[string]any{}
	for _, a := range e.Attrs {
		out["@"+a.Name.Local] = a.Value
	}
	for i := range e.Children {
		c := &e.Children[i]
		if len(c.Children) == 0 {
			out[c.XMLName.Local] = c.Text
			continue
		}
		list, _ := out[c.XMLName.Local].([]any)
		out[c.XMLName.Local] = append(list, c.array())
	}
	return out
}

// records is getFlexiData: what is under the evidence's name, as a list.
func (c *abra) records(query string) []map[string]any {
	c.t.Helper()
	answer := c.perform(query, http.MethodGet, "")
	var list []map[string]any
	switch v := answer[c.evidence].(type) {
	case []any:
		for _, item := range v {
			m, ok := item.(map[string]any)
			if !ok {
				c.t.Fatalf("%s", c.body)
			}
			list = append(list, m)
		}
	case nil:
		c.t.Fatalf("nothing under %s: %s", c.evidence, c.body)
	}
	return list
}

func (c *abra) enable() bool {
	c.perform("enable.xml", http.MethodPost, "xml")
	return c.code == 200
}

func (c *abra) disable() bool {
	c.perform("disable.xml", http.MethodPost, "xml")
	return c.code == 200
}

func (c *abra) status() bool {
	answer := c.perform("status.xml", http.MethodGet, "xml")
	inner, _ := answer["changes"].(map[string]any)
	return c.code == 200 && inner["success"] == "true"
}

func (c *abra) version() int {
	c.records("?detail=custom%3Aid&start=0&limit=0")
	return c.globalVersion
}

// register is Hooks::register: it refuses an address that is there already by itself.
func (c *abra) register(address string, more url.Values) bool {
	for _, hook := range c.records("?limit=0&detail=full") {
		if hook["url"] == address {
			return false
		}
	}
	query := url.Values{"url": {address}, "format": {strings.ToUpper(c.format)}}
	maps.Copy(query, more)
	c.perform("?"+query.Encode(), http.MethodPut, "")
	return c.code == 200
}

// notice is one notification as a receiver got it.
type notice struct {
	path   string
	header http.Header
	body   string
}

// receiver keeps notifications and answers as it is told.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	got    []notice
	more   chan struct{}
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	x := &receiver{status: http.StatusOK, more: make(chan struct{})}
	x.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		x.got = append(x.got, notice{r.URL.Path, r.Header, string(body)})
		close(x.more)
		x.more = make(chan struct{})
		w.WriteHeader(x.status)
	}))
	t.Cleanup(x.Close)
	return x
}

func (x *receiver) answer(status int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.status = status
}

// wait returns what has come once enough says so.
func (x *receiver) wait(t *testing.T, enough func([]notice) bool) []notice {
	t.Helper()
	deadline := time.After(patience)
	for {
		x.mu.Lock()
		got, more := x.got, x.more
		x.mu.Unlock()
		if enough(got) {
			return got
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("%d notifications came: %+v", len(got), got)
		}
	}
}

func count(n int) func([]notice) bool { return func(got []notice) bool { return len(got) >= n } }

// versions are those of all changes in notifications in JSON, in the order of arrival.
func versions(t *testing.T, list []notice) []int64 {
	t.Helper()
	var all []int64
	for _, n := range list {
		var body struct {
			Winstrom struct {
				Changes []struct {
					Version string `json:"@in-version"`
				} `json:"changes"`
			} `json:"winstrom"`
		}
		if err := json.Unmarshal([]byte(n.body), &body); err != nil {
			t.Fatalf("%s: %v", n.body, err)
		}
		for _, c := range body.Winstrom.Changes {
			v, err := strconv.ParseInt(c.Version, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, v)
		}
	}
	return all
}
