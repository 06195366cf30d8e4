package rest_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/overview"
	"github.com/posthornhq/posthorn/internal/store"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

// overviewStore reads the model as package app reads a store for overviews.
type overviewStore struct{ *storetest.Model }

func (s overviewStore) ReceivedAfter(ctx context.Context, tenant event.TenantID, after int64) (time.Time, error) {
	p, err := s.ReadTenant(ctx, tenant, after, 1, 1)
	if err != nil || len(p.Events) == 0 {
		return time.Time{}, err
	}
	return p.Events[0].Received, nil
}

// oneLane is an endpoint that is behind and penalised.
type oneLane struct{ m *storetest.Model }

func (l oneLane) Survey(event.TenantID, int) event.LaneSurvey {
	var s event.LaneSurvey
	list, err := l.m.Endpoints(context.Background(), 1, 0, 10)
	list = slices.DeleteFunc(list, func(e event.Endpoint) bool { return e.Disabled })
	if err != nil || len(list) == 0 {
		return s
	}
	s.Waiting, s.InFlight, s.Retries, s.Reasons = 1, 1, 2, map[string]int{"penalty": 1}
	s.Trouble = []event.LaneTrouble{{Endpoint: &list[0], Reason: event.AttentionPenalty, Since: time.Now().Add(-time.Minute), Failures: 3}}
	return s
}

// wiredOverview is wired with a service of overviews that works.
func wiredOverview(t *testing.T) (c *client.Client, server *httptest.Server, counters *overview.Counters, m *storetest.Model) {
	t.Helper()
	counters = overview.NewCounters(time.Now())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	c, server = wired(t, func(r *rest.Config, model *storetest.Model) {
		m = model
		h, ok := r.Streams.(overview.Streams)
		if !ok {
			t.Fatal("the hub does not count")
		}
		s := overview.New(overview.Config{
			Counters: counters, Lanes: oneLane{model}, Store: overviewStore{model}, Streams: h, Logger: slog.New(slog.DiscardHandler),
		})
		r.Overviews = s
		go func() { done <- s.Run(ctx) }()
		t.Cleanup(func() {
			s.Close()
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	})
	return c, server, counters, m
}

func TestWiredOverview(t *testing.T) {
	t.Parallel()
	c, server, counters, _ := wiredOverview(t)
	ctx := t.Context()
	_ = must[*client.Tenant](t)(c.CreateTenant(ctx, client.Tenant{Name: "acme"}))
	e := must[*client.Endpoint](t)(c.CreateEndpoint(ctx, "acme", client.Endpoint{URL: "https://example.com/in", Description: "d"}))
	other := must[*client.Endpoint](t)(c.CreateEndpoint(ctx, "acme", client.Endpoint{URL: "https://example.com/other"}))
	_ = must[*client.Endpoint](t)(c.Pause(ctx, "acme", other.ID))
	_ = must[client.Receipt](t)(c.Publish(ctx, "acme", client.Event{Type: "a"}))
	counters.Published(1, 4)
	counters.Attempted(1, event.VerdictDelivered, 1, 10*time.Millisecond, time.Second)
	counters.Attempted(1, event.VerdictRetry, 1, 30*time.Millisecond, time.Second)

	for _, tenant := range []string{"", "acme"} {
		o := must[*client.Overview](t)(c.Overview(ctx, tenant))
		if o.Events != 4 || o.Attempts != 2 || o.Delivered != 1 || o.Retry != 1 || o.SuccessRate == nil || *o.SuccessRate != 0.5 {
			t.Errorf("%q: %+v", tenant, o.Figures)
		}
		if o.LatencyMS == nil || o.LatencyMS.P99 < 27 || o.LatencyMS.P99 > 33 || o.DeliveryMS == nil || o.DeliveryMS.P50 < 900 || o.DeliveryMS.P50 > 1100 {
			t.Errorf("%q: %+v %+v", tenant, o.LatencyMS, o.DeliveryMS)
		}
		if o.Endpoints != 2 || o.Lanes.Waiting != 2 || o.Lanes.Reasons["paused"] != 1 || o.Lanes.Reasons["penalty"] != 1 || o.Lanes.Idle != 0 || o.InFlight != 1 || o.Retries != 2 {
			t.Errorf("%q: %+v", tenant, o)
		}
		if len(o.Attention) != 1 || o.Attention[0].Endpoint != e.ID || o.Attention[0].Tenant != "acme" || o.Attention[0].Reason != "penalty" || o.Attention[0].Backlog != 1 || o.Attention[0].OldestAt == nil {
			t.Errorf("%q: %+v", tenant, o.Attention)
		}
		if o.OldestBacklog == nil || o.OldestBacklog.Tenant != "acme" || o.OldestBacklog.Endpoint != e.ID || o.OldestBacklog.URL != e.URL {
			t.Errorf("%q: %+v", tenant, o.OldestBacklog)
		}
		s := &o.Series
		if len(s.Events) != 180 || len(s.P99) != 180 || s.StepMS != 5000 || s.Events[0] != nil || s.P50[0] != nil {
			t.Errorf("%q: %d steps of %d ms", tenant, len(s.Events), s.StepMS)
		}
	}
	fresh := must[*client.Tenant](t)(c.CreateTenant(ctx, client.Tenant{Name: "fresh"}))
	if o := must[*client.Overview](t)(c.Overview(ctx, fresh.Name)); o.Events != 0 || o.SuccessRate != nil || o.LatencyMS != nil {
		t.Errorf("%+v", o)
	}
	reader := must[*client.APIKey](t)(c.CreateAPIKey(ctx, client.APIKey{Name: "r", Tenant: "acme", Allow: []string{"read"}}))
	narrow := must[*client.Client](t)(client.New(server.URL, reader.Key))
	_ = must[*client.Overview](t)(narrow.Overview(ctx, "acme"))
	_, err := narrow.Overview(ctx, "")
	_ = problemOf(t, err, http.StatusForbidden)
	_, err = narrow.Overview(ctx, "fresh")
	_ = problemOf(t, err, http.StatusForbidden)
	for _, err := range narrow.WatchOverview(ctx, "") {
		_ = problemOf(t, err, http.StatusForbidden)
	}
}

func TestWiredWatchOverview(t *testing.T) {
	t.Parallel()
	c, _, counters, m := wiredOverview(t)
	ctx := t.Context()
	_ = must[*client.Tenant](t)(c.CreateTenant(ctx, client.Tenant{Name: "acme"}))
	var seen []string
	total := int64(0)
	for news, err := range c.WatchOverview(ctx, "acme") {
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case news.Overview != nil:
			seen = append(seen, "overview")
			// From now on something needs attention.
			if _, err := m.PutEndpoint(ctx, event.Endpoint{ID: 1 << 41, Tenant: 1, URL: "https://example.com/"}, 0, 0); err != nil {
				t.Fatal(err)
			}
		case news.Tick != nil:
			seen = append(seen, "tick")
			total += news.Tick.Events
			counters.Published(1, 7) // again and again: who is slow misses ticks
		case news.Attention != nil:
			seen = append(seen, "attention")
			if len(news.Attention.Data) != 1 || news.Attention.Data[0].Reason != "penalty" {
				t.Errorf("%+v", news.Attention)
			}
		}
		if total > 0 && slices.Contains(seen, "attention") {
			break
		}
	}
	if seen[0] != "overview" || slices.Contains(seen[1:], "overview") || total%7 != 0 {
		t.Errorf("%v, %d events", seen, total)
	}
}

func TestWiredStreams(t *testing.T) {
	t.Parallel()
	c, server := wired(t)
	ctx := t.Context()
	_ = must[*client.Tenant](t)(c.CreateTenant(ctx, client.Tenant{Name: "acme"}))
	hour := client.Duration(time.Hour)
	token := must[*client.Token](t)(c.CreateToken(ctx, "acme", client.TokenRequest{Allow: []string{"read"}, TTL: &hour}))
	_ = must[client.Receipt](t)(c.Publish(ctx, "acme", client.Event{Type: "a.b"}))
	s := open(t, server, "start=1&types=a.*&access_token="+token.Token, "")
	if id, _, _ := s.next(); id != "1" {
		t.Fatal(id)
	}
	second := open(t, server, "filter=data.n%20%3E%201&access_token="+token.Token, "")
	if second.status != http.StatusOK {
		t.Fatal(second.status)
	}
	var list []client.LiveStream
	for x, err := range c.Streams(ctx, "acme", client.PageSize(1)) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, x)
	}
	if len(list) != 2 || list[1].Filter != "data.n > 1" {
		t.Fatalf("%+v", list)
	}
	x := list[0]
	if !strings.HasPrefix(x.ID, "str_") || x.Kind != "sse" || x.Address != "127.0.0.1" || !strings.HasPrefix(x.UserAgent, "Go-http-client") ||
		x.By.Kind != "token" || x.By.ID == "" || strings.Contains(x.By.ID, token.Token) || x.Sent != 1 || x.Version != 1 || x.Head != 1 || x.Lag != 0 || x.Types[0] != "a.*" || x.Since.IsZero() {
		t.Errorf("%+v", x)
	}
	reader := must[*client.Client](t)(client.New(server.URL, token.Token))
	_ = problemOf(t, reader.EndStream(ctx, "acme", x.ID), http.StatusForbidden)
	if err := c.EndStream(ctx, "acme", x.ID); err != nil {
		t.Fatal(err)
	}
	for s.body.Scan() { // to its end
	}
	if err := s.body.Err(); err != nil {
		t.Errorf("the stream did not end in order: %v", err)
	}
	for _, id := range []string{x.ID, "str_zzz", "nonsense"} {
		_ = problemOf(t, c.EndStream(ctx, "acme", id), http.StatusNotFound)
	}
}

func TestWiredStats(t *testing.T) {
	t.Parallel()
	var m *storetest.Model
	c, _ := wired(t, func(_ *rest.Config, model *storetest.Model) { m = model })
	ctx := t.Context()
	_ = must[*client.Tenant](t)(c.CreateTenant(ctx, client.Tenant{Name: "acme"}))
	e := must[*client.Endpoint](t)(c.CreateEndpoint(ctx, "acme", client.Endpoint{URL: "https://example.com/in"}))
	quiet := must[*client.Endpoint](t)(c.CreateEndpoint(ctx, "acme", client.Endpoint{URL: "https://example.com/quiet"}))
	id, _ := event.ParseEndpointID(e.ID)
	lease := must[[]store.Lease](t)(m.Acquire(ctx, "n", time.Now(), time.Hour))[0]
	record := store.Record{Lease: lease}
	const n = 1500
	for i := range n { // the oldest nearly an hour ago
		a := event.Attempt{
			Tenant: 1, Endpoint: id, Versions: []int64{int64(i + 1)}, EventID: "e", Number: 1, At: time.Now().Add(time.Duration(i-n) * 2 * time.Second).Add(-time.Second),
			Duration: time.Duration(i%10+1) * time.Millisecond, Status: 200, Verdict: event.VerdictDelivered,
		}
		if i%3 == 0 {
			a.Verdict, a.Status = event.VerdictRetry, 0
		}
		record.Attempts = append(record.Attempts, a)
	}
	if err := m.SaveRecord(ctx, record); err != nil {
		t.Fatal(err)
	}
	hour := client.StatsOptions{Window: time.Hour, Buckets: 12}
	one := must[*client.Stats](t)(c.EndpointStats(ctx, "acme", e.ID, hour))
	sum, failed := 0, 0
	for i, b := range one.Series {
		sum += b.Attempts
		failed += b.Failed
		if i > 0 && b.At.Sub(one.Series[i-1].At).Round(time.Second) != 5*time.Minute || (b.P50 == nil) != (b.Delivered == 0) || b.P50 != nil && (*b.P50 < 1 || *b.P99 > 10) {
			t.Errorf("%d: %+v", i, b)
		}
	}
	if !one.Complete || one.Attempts != n || len(one.Series) != 12 || sum != n || failed != n/3 || one.Series[0].Attempts != 0 || one.Series[10].Attempts < 149 || one.Series[10].Attempts > 151 {
		t.Errorf("%+v", one)
	}
	if plain := must[*client.Stats](t)(c.Stats(ctx, "acme", e.ID, time.Hour)); plain.Series != nil || plain.Endpoint != "" || plain.Attempts != n {
		t.Errorf("%+v", plain)
	}
	list := must[[]client.Stats](t)(c.EndpointsStats(ctx, "acme", []string{quiet.ID, "ep_0000000000001", e.ID}, hour))
	if len(list) != 2 || list[0].Endpoint != quiet.ID || len(list[0].Series) != 12 || list[0].Attempts != 0 || list[1].Endpoint != e.ID {
		t.Fatalf("%+v", list)
	}
	// Of 1,500 the newest 1,000 are counted; of the parts before them 1,000/12 each.
	cut := list[1]
	if cut.Complete || cut.Attempts != 1000 || len(cut.Series) != 12 {
		t.Errorf("%+v", cut)
	}
	for i, b := range cut.Series {
		of := one.Series[i].Attempts
		whole := b.At.Add(-time.Second).After(*cut.From) || of <= 83
		switch {
		case whole && (b.Sampled || b.Attempts < of-1 || b.Attempts > of+1),
			!whole && (!b.Sampled || b.Attempts < 83 || b.Attempts >= of || b.Delivered < b.Attempts/2 || b.P50 == nil):
			t.Errorf("%d: %+v of %d", i, b, of)
		}
	}
	// Who asks again soon gets the same; who asks for something else does not.
	again := must[[]client.Stats](t)(c.EndpointsStats(ctx, "acme", []string{e.ID}, hour))
	if !again[0].Series[0].At.Equal(list[1].Series[0].At) {
		t.Errorf("counted again: %v, %v", again[0].Series[0].At, list[1].Series[0].At)
	}
	if other := must[[]client.Stats](t)(c.EndpointsStats(ctx, "acme", []string{e.ID}, client.StatsOptions{Window: time.Minute})); other[0].Series != nil || other[0].Attempts > 31 {
		t.Errorf("%+v", other)
	}
	_, err := c.EndpointsStats(ctx, "acme", make([]string, 51), hour)
	_ = problemOf(t, err, http.StatusUnprocessableEntity)
	_, err = c.EndpointsStats(ctx, "acme", nil, hour)
	_ = problemOf(t, err, http.StatusUnprocessableEntity)
	_, err = c.EndpointStats(ctx, "acme", e.ID, client.StatsOptions{Buckets: 201})
	_ = problemOf(t, err, http.StatusUnprocessableEntity)
}
