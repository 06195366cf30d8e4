package ingest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 11, 21, 8, 30, 0, 123456789, time.UTC)

// fakeLog keeps what it is given and numbers it.
type fakeLog struct {
	mu       sync.Mutex
	requests []store.AppendRequest
	seen     map[string]event.Receipt
	err      error
}

func (f *fakeLog) Append(_ context.Context, _ time.Time, req store.AppendRequest) ([]event.Receipt, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return nil, f.err
	}
	if f.seen == nil {
		f.seen = make(map[string]event.Receipt)
	}
	f.requests = append(f.requests, req)
	receipts := make([]event.Receipt, len(req.Events))
	for i := range req.Events {
		id := req.Events[i].ID
		if first, ok := f.seen[id]; ok {
			first.Duplicate = true
			receipts[i] = first
			continue
		}
		receipts[i] = event.Receipt{ID: id, Version: int64(len(f.seen) + 1)}
		f.seen[id] = receipts[i]
	}
	return receipts, nil
}

type fakeCatalog map[string]func([]byte) error

func (f fakeCatalog) Validator(_ context.Context, _ event.TenantID, name string) (func([]byte) error, error) {
	return f[name], nil
}

type counter struct {
	published, duplicates, bytes int
	refused                      []string
}

func (c *counter) Published(_ event.TenantID, events, duplicates, bytes int) {
	c.published += events
	c.duplicates += duplicates
	c.bytes += bytes
}
func (c *counter) Refused(code string) { c.refused = append(c.refused, code) }

var acme = &event.Tenant{ID: 7, Name: "acme"}

func newService(t testing.TB, change func(*Options)) (*Service, *fakeLog) {
	t.Helper()
	log := &fakeLog{}
	o := Options{Store: log, Limits: event.DefaultLimits(), Now: func() time.Time { return start }}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s, log
}

func valid() event.Event {
	return event.Event{
		ID: "a1", Source: "/shop", Type: "order.paid", Subject: "order/42", Time: start, Data: []byte(`{"n":1}`),
		Channels: []string{"eu"}, Extensions: []event.Extension{{Name: "flag", Value: true}, {Name: "trace", Value: "x"}},
	}
}

func problemOf(t *testing.T, err error) *event.Error {
	t.Helper()
	problem, ok := errors.AsType[*event.Error](err)
	if !ok {
		t.Fatalf("error %v is not an *event.Error", err)
	}
	return problem
}

func TestPublishFillsWhatIsAbsent(t *testing.T) {
	t.Parallel()
	s, log := newService(t, nil)
	events := []event.Event{{Type: "order.paid"}, {Type: "order.paid", ID: "mine", Source: "urn:x", Time: start.In(time.FixedZone("", 3600))}}
	receipts, err := s.Publish(t.Context(), acme, events, "key-1", [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	req := log.requests[0]
	if req.Tenant != acme.ID || req.IdempotencyKey != "key-1" || req.Fingerprint != [32]byte{1} {
		t.Errorf("request %+v", req)
	}
	first, second := req.Events[0], req.Events[1]
	if first.Source != "/acme" || len(first.ID) != 36 || !first.Time.Equal(start.Truncate(time.Microsecond)) || first.Tenant != acme.ID {
		t.Errorf("first event %+v", first)
	}
	if second.Source != "urn:x" || second.ID != "mine" || second.Time.Location() != time.UTC || second.Time.Nanosecond() != 123456000 {
		t.Errorf("second event %+v", second)
	}
	if len(receipts) != 2 || receipts[0].ID != first.ID || receipts[1].Version != 2 {
		t.Errorf("receipts %+v", receipts)
	}
}

func TestPublishRefusesAttributes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1025)
	for _, test := range []struct {
		name, field string
		change      func(*event.Event)
	}{
		{"no type", "type", func(e *event.Event) { e.Type = "" }},
		{"type", "type", func(e *event.Event) { e.Type = "order..paid" }},
		{"reserved type", "type", func(e *event.Event) { e.Type = "posthorn.endpoint.disabled" }},
		{"long id", "id", func(e *event.Event) { e.ID = strings.Repeat("x", 257) }},
		{"control in id", "id", func(e *event.Event) { e.ID = "a\r\nb" }},
		{"C1 control in id", "id", func(e *event.Event) { e.ID = "a\u0085b" }},
		{"broken id", "id", func(e *event.Event) { e.ID = "a\xff" }},
		{"noncharacter in id", "id", func(e *event.Event) { e.ID = "a\ufffe" }},
		{"long source", "source", func(e *event.Event) { e.Source = long }},
		{"space in source", "source", func(e *event.Event) { e.Source = "/a b" }},
		{"percent in source", "source", func(e *event.Event) { e.Source = "/a%2" }},
		{"non-ASCII source", "source", func(e *event.Event) { e.Source = "/é" }},
		{"long subject", "subject", func(e *event.Event) { e.Subject = long }},
		{"line end in subject", "subject", func(e *event.Event) { e.Subject = "a\nb" }},
		{"long key", "key", func(e *event.Event) { e.Key = long }},
		{"NUL in key", "key", func(e *event.Event) { e.Key = "\x00" }},
		{"content type", "datacontenttype", func(e *event.Event) { e.ContentType = "json" }},
		{"line end in content type", "datacontenttype", func(e *event.Event) { e.ContentType = "text/plain\r\nx: y" }},
		{"long content type", "datacontenttype", func(e *event.Event) { e.ContentType = "text/" + long }},
		{"relative schema", "dataschema", func(e *event.Event) { e.Schema = "/schema" }},
		{"schema", "dataschema", func(e *event.Event) { e.Schema = "http://x/ y" }},
		{"scheme", "dataschema", func(e *event.Event) { e.Schema = "1x:y" }},
		{"year", "time", func(e *event.Event) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{"channels", "channels", func(e *event.Event) { e.Channels = make([]string, 11) }},
		{"empty channel", "channels[1]", func(e *event.Event) { e.Channels = []string{"a", ""} }},
		{"long channel", "channels[0]", func(e *event.Event) { e.Channels = []string{strings.Repeat("x", 129)} }},
		{"comma in channel", "channels[0]", func(e *event.Event) { e.Channels = []string{"a,b"} }},
		{"extension name", "extensions", func(e *event.Event) { e.Extensions[0].Name = "Flag" }},
		{"attribute as extension", "extensions", func(e *event.Event) { e.Extensions[0].Name = "data" }},
		{"extensions", "extensions", func(e *event.Event) { e.Extensions = make([]event.Extension, 33) }},
		{"extension order", "flag", func(e *event.Event) { e.Extensions[0], e.Extensions[1] = e.Extensions[1], e.Extensions[0] }},
		{"extension twice", "trace", func(e *event.Event) { e.Extensions[0].Name = "trace" }},
		{"extension type", "trace", func(e *event.Event) { e.Extensions[1].Value = 1.5 }},
		{"extension value", "trace", func(e *event.Event) { e.Extensions[1].Value = "\x07" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, log := newService(t, nil)
			bad := valid()
			test.change(&bad)
			for _, list := range [][]event.Event{{bad}, {valid(), bad}} {
				want := test.field
				if len(list) == 2 {
					want = "events[1]." + want
				}
				_, err := s.Publish(t.Context(), acme, slices.Clone(list), "", [32]byte{})
				problem := problemOf(t, err)
				if problem.Kind != event.KindInvalid || len(problem.Fields) != 1 || problem.Fields[0].Field != want {
					t.Errorf("got %v %+v, want field %s", problem, problem.Fields, want)
				}
			}
			if len(log.requests) != 0 {
				t.Error("something was stored")
			}
		})
	}
}

func TestPublishAcceptsLegalIDs(t *testing.T) {
	t.Parallel()
	s, _ := newService(t, nil)
	for _, id := range []string{"order.42", "a b", "é", strings.Repeat("x", 256), "urn:x/y?z=1"} {
		e := valid()
		e.ID = id
		receipts, err := s.Publish(t.Context(), acme, []event.Event{e}, "", [32]byte{})
		if err != nil || receipts[0].ID != id {
			t.Errorf("id %q: %+v, %v", id, receipts, err)
		}
	}
}

func TestPublishRefusesRequests(t *testing.T) {
	t.Parallel()
	big := valid()
	big.Data = make([]byte, 256<<10)
	half := valid()
	half.ID = ""
	half.Data = make([]byte, 255<<10)
	for _, test := range []struct {
		name, key, code, field string
		kind                   event.Kind
		events                 []event.Event
	}{
		{"empty", "", "invalid", "events", event.KindInvalid, nil},
		{"too many", "", "batch_too_large", "events", event.KindTooLarge, make([]event.Event, 1001)},
		{"too large", "", "batch_too_large", "events", event.KindTooLarge, slices.Repeat([]event.Event{half}, 17)},
		{"event too large", "", "event_too_large", "data", event.KindTooLarge, []event.Event{big}},
		{"long key", strings.Repeat("k", 256), "invalid", "Idempotency-Key", event.KindInvalid, []event.Event{valid()}},
		{"control in key", "a\nb", "invalid", "Idempotency-Key", event.KindInvalid, []event.Event{valid()}},
		{"non-ASCII key", "é", "invalid", "Idempotency-Key", event.KindInvalid, []event.Event{valid()}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			count := &counter{}
			s, log := newService(t, func(o *Options) { o.Observer = count })
			_, err := s.Publish(t.Context(), acme, test.events, test.key, [32]byte{})
			problem := problemOf(t, err)
			if problem.Kind != test.kind || problem.Code != test.code || problem.Fields[0].Field != test.field {
				t.Errorf("got %+v", problem)
			}
			if len(log.requests) != 0 || !slices.Equal(count.refused, []string{test.code}) {
				t.Errorf("%d requests, refused %v", len(log.requests), count.refused)
			}
		})
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	calls := 0
	s, log := newService(t, func(o *Options) {
		o.Catalog = fakeCatalog{"order.paid": func(data []byte) error {
			calls++
			if string(data) == "1" {
				return &event.Error{Kind: event.KindInvalid, Code: "schema_violation", Fields: []event.FieldError{{Field: "data/a", Message: "must be string"}}}
			}
			return nil
		}}
	})
	free := event.Event{Type: "other", ContentType: "text/plain", Data: []byte("x")}
	good := event.Event{Type: "order.paid", Data: []byte("2")}
	if _, err := s.Publish(t.Context(), acme, []event.Event{free, good, good}, "", [32]byte{}); err != nil || calls != 2 {
		t.Fatalf("%v after %d calls", err, calls)
	}
	bad := event.Event{Type: "order.paid", Data: []byte("1")}
	_, err := s.Publish(t.Context(), acme, []event.Event{good, free, bad}, "", [32]byte{})
	if p := problemOf(t, err); p.Code != "schema_violation" || p.Fields[0].Field != "events[2].data/a" {
		t.Errorf("got %+v", p)
	}
	text := event.Event{Type: "order.paid", ContentType: "text/plain", Data: []byte("x")}
	_, err = s.Publish(t.Context(), acme, []event.Event{text}, "", [32]byte{})
	if p := problemOf(t, err); p.Kind != event.KindInvalid || p.Fields[0].Field != "datacontenttype" {
		t.Errorf("got %+v", p)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Publish(ctx, acme, []event.Event{good}, "", [32]byte{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if len(log.requests) != 1 {
		t.Errorf("%d requests", len(log.requests))
	}
}

// publishing returns a service that publishes n events for a tenant at a time.
func publishing(t *testing.T, now *time.Time, change func(*Options)) (*Service, func(*event.Tenant, int) error) {
	t.Helper()
	s, _ := newService(t, func(o *Options) {
		o.Now = func() time.Time { return *now }
		change(o)
	})
	return s, func(tenant *event.Tenant, n int) error {
		events := make([]event.Event, n)
		for i := range events {
			events[i].Type = "a"
		}
		_, err := s.Publish(t.Context(), tenant, events, "", [32]byte{})
		return err
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	now := start
	s, publish := publishing(t, &now, func(o *Options) { o.Rate, o.Burst = 10, 20 })
	if err := publish(acme, 20); err != nil {
		t.Fatalf("the burst does not fit: %v", err)
	}
	p := problemOf(t, publish(acme, 5))
	if p.Kind != event.KindRateLimited || p.Code != "rate_limited" || p.RetryAfter != 500*time.Millisecond {
		t.Fatalf("got %+v", p)
	}
	now = now.Add(p.RetryAfter)
	if err := publish(acme, 5); err != nil {
		t.Errorf("after RetryAfter: %v", err)
	}
	other := &event.Tenant{ID: 8, Name: "other"}
	if err := publish(other, 20); err != nil {
		t.Errorf("another tenant is held back: %v", err)
	}
	// The tenant's own rate stands over the default, and a change of it holds at once.
	fast := *acme
	fast.PublishRate = 1000
	now = now.Add(20 * time.Millisecond)
	if err := publish(&fast, 20); err == nil {
		t.Error("what was used up came back by a change of the rate")
	}
	now = now.Add(20 * time.Millisecond)
	if err := publish(&fast, 20); err != nil {
		t.Errorf("own rate: %v", err)
	}
	s.TenantDeleted(acme.ID)
	if err := publish(acme, 20); err != nil {
		t.Errorf("a dropped limiter is still there: %v", err)
	}
}

// TestSmallRate: a rate far below the size of a batch bites from the first second, and a whole batch still fits.
func TestSmallRate(t *testing.T) {
	t.Parallel()
	for _, perSecond := range []float64{2, 0.5} {
		now := start
		_, publish := publishing(t, &now, func(*Options) {})
		slow := &event.Tenant{ID: 9, Name: "slow", PublishRate: perSecond}
		passed := 0
		for publish(slow, 1) == nil {
			passed++
		}
		if want := max(1, int(perSecond)); passed != want {
			t.Errorf("rate %g: %d events passed at once, want %d", perSecond, passed, want)
		}
		const batch = 1000
		p := problemOf(t, publish(slow, batch))
		if full := time.Duration(float64(passed) / perSecond * float64(time.Second)); p.RetryAfter != full {
			t.Errorf("rate %g: a batch waits %s, want %s", perSecond, p.RetryAfter, full)
		}
		now = now.Add(p.RetryAfter)
		if err := publish(slow, batch); err != nil {
			t.Fatalf("rate %g: a whole batch does not fit: %v", perSecond, err)
		}
		p = problemOf(t, publish(slow, 1))
		if want := time.Duration(float64(batch-passed+1) / perSecond * float64(time.Second)); p.RetryAfter != want {
			t.Errorf("rate %g: the debt lasts %s, want %s", perSecond, p.RetryAfter, want)
		}
		now = now.Add(p.RetryAfter - time.Millisecond)
		if publish(slow, 1) == nil {
			t.Errorf("rate %g: the debt ended early", perSecond)
		}
		now = now.Add(time.Millisecond)
		if err := publish(slow, 1); err != nil {
			t.Errorf("rate %g: the debt does not end: %v", perSecond, err)
		}
	}
}

// TestLeastRate: a wait that no clock can hold is told as a long one.
func TestLeastRate(t *testing.T) {
	t.Parallel()
	now := start
	_, publish := publishing(t, &now, func(o *Options) { o.Rate = 1e-300 })
	if err := publish(acme, 3); err != nil {
		t.Fatal(err)
	}
	if p := problemOf(t, publish(acme, 1)); p.RetryAfter != longestWait {
		t.Errorf("got %+v", p)
	}
}

func TestStoreErrors(t *testing.T) {
	t.Parallel()
	conflict := event.Errorf(event.KindConflict, "idempotency_key_reused", "reused")
	for _, test := range []struct {
		err   error
		kind  event.Kind
		code  string
		retry time.Duration
	}{
		{fmt.Errorf("wrapped: %w", store.ErrFull), event.KindFull, "storage_full", 5 * time.Second},
		{fmt.Errorf("wrapped: %w", store.ErrClosed), event.KindUnavailable, "shutting_down", time.Second},
		{conflict, event.KindConflict, "idempotency_key_reused", 0},
		{errors.New("disk on fire"), event.KindInternal, "internal", 0},
	} {
		count := &counter{}
		s, log := newService(t, func(o *Options) { o.Observer = count })
		log.err = test.err
		_, err := s.Publish(t.Context(), acme, []event.Event{valid()}, "", [32]byte{})
		if event.KindOf(err) != test.kind || !errors.Is(err, test.err) || count.refused[0] != test.code {
			t.Errorf("%v gives %v, refused %v", test.err, err, count.refused)
		}
		if p, ok := errors.AsType[*event.Error](err); ok && p.RetryAfter != test.retry {
			t.Errorf("%v: retry after %v", test.err, p.RetryAfter)
		}
	}
}

func TestObserver(t *testing.T) {
	t.Parallel()
	count := &counter{}
	s, _ := newService(t, func(o *Options) { o.Observer = count })
	e := event.Event{ID: "1", Source: "/", Type: "a", Data: []byte("12345")}
	for range 2 {
		if _, err := s.Publish(t.Context(), acme, []event.Event{e}, "", [32]byte{}); err != nil {
			t.Fatal(err)
		}
	}
	if count.published != 1 || count.duplicates != 1 || count.bytes != 16 || count.refused != nil {
		t.Errorf("got %+v", count)
	}
}

func TestPublishOperational(t *testing.T) {
	t.Parallel()
	s, log := newService(t, func(o *Options) { o.Rate = 1e-9 })
	e := event.Event{ID: "disabled-ep_1-3", Type: "posthorn.endpoint.disabled", Data: []byte(`{}`)}
	first, err := s.PublishOperational(t.Context(), acme.ID, e)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.PublishOperational(t.Context(), acme.ID, e)
	if err != nil || !again.Duplicate || again.Version != first.Version {
		t.Errorf("again: %+v, %v", again, err)
	}
	if got := log.requests[0].Events[0]; got.Source != OperationalSource || got.Tenant != acme.ID || got.Time.IsZero() {
		t.Errorf("stored %+v", got)
	}
	for field, bad := range map[string]event.Event{"type": {ID: "1", Type: "order.paid"}, "id": {Type: "posthorn.x"}} {
		_, err := s.PublishOperational(t.Context(), acme.ID, bad)
		if p := problemOf(t, err); p.Kind != event.KindInvalid || p.Fields[0].Field != field {
			t.Errorf("%s: %+v", field, p)
		}
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		var ids idSource
		last := ""
		for range rapid.IntRange(1, 50).Draw(t, "n") {
			id := ids.next(now)
			if len(id) != 36 || id[14] != '7' || !strings.ContainsRune("89ab", rune(id[19])) || id[8] != '-' || id[23] != '-' {
				t.Fatalf("%s is not a UUID of version 7", id)
			}
			var ms int64
			if _, err := fmt.Sscanf(strings.ReplaceAll(id, "-", "")[:12], "%x", &ms); err != nil || ms != now.UnixMilli() {
				t.Fatalf("%s holds %d ms, want %d (%v)", id, ms, now.UnixMilli(), err)
			}
			if id <= last {
				t.Fatalf("%s does not follow %s", id, last)
			}
			last = id
		}
	})
}

func TestIDsNeverCountOverTheEnd(t *testing.T) {
	t.Parallel()
	ids := idSource{time: 1, random: math.MaxUint64 >> 3}
	last := ids.random
	for range 1000 {
		ids.next(start)
		if ids.random <= last || ids.random >= 1<<62 {
			t.Fatalf("%x after %x", ids.random, last)
		}
		last = ids.random
	}
}

func TestPublishIsSafeAtOnce(t *testing.T) {
	t.Parallel()
	s, log := newService(t, func(o *Options) { o.Rate = 1e6 })
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			tenant := &event.Tenant{ID: event.TenantID(i%2 + 1), Name: "t"}
			for range 50 {
				if _, err := s.Publish(t.Context(), tenant, []event.Event{{Type: "a"}, {Type: "b"}}, "", [32]byte{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if len(log.seen) != 800 {
		t.Errorf("%d different ids of 800", len(log.seen))
	}
}

type nullLog struct{ receipts []event.Receipt }

func (n nullLog) Append(_ context.Context, _ time.Time, req store.AppendRequest) ([]event.Receipt, error) {
	return n.receipts[:len(req.Events)], nil
}

func BenchmarkPublish(b *testing.B) {
	for _, size := range []int{1, 100} {
		for name, perSecond := range map[string]float64{"unlimited": 0, "limited": 1e9} {
			b.Run(fmt.Sprintf("%d/%s", size, name), func(b *testing.B) {
				s, _ := newService(b, func(o *Options) {
					o.Store, o.Rate, o.Now = nullLog{make([]event.Receipt, size)}, perSecond, time.Now
					o.Catalog = fakeCatalog{}
				})
				data := []byte(`{"order":42,"total":"12.50","items":[{"sku":"a","n":1}]}`)
				events := make([]event.Event, size)
				b.ReportAllocs()
				for b.Loop() {
					for i := range events {
						events[i] = event.Event{Type: "order.paid", Subject: "order/42", Data: data}
					}
					if _, err := s.Publish(b.Context(), acme, events, "", [32]byte{}); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/event")
			})
		}
	}
}

func BenchmarkID(b *testing.B) {
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		var ids idSource
		ids.next(now)
	}
}
