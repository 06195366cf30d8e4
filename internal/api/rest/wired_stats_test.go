package rest_test

import (
	"context"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

// countedLog counts what is read of attempts.
type countedLog struct {
	rest.Log
	reads, seeks, rows int
}

func (l *countedLog) AttemptsOfEndpoint(ctx context.Context, e event.EndpointID, verdicts []event.Verdict, before int64, limit int) ([]event.Attempt, int64, error) {
	list, next, err := l.Log.AttemptsOfEndpoint(ctx, e, verdicts, before, limit)
	l.reads++
	l.rows += len(list)
	return list, next, err
}

func (l *countedLog) OutcomesOfEndpoint(ctx context.Context, e event.EndpointID, before int64, limit int) ([]event.Outcome, int64, error) {
	list, next, err := l.Log.OutcomesOfEndpoint(ctx, e, before, limit)
	l.reads++
	l.rows += len(list)
	return list, next, err
}

func (l *countedLog) AttemptAt(ctx context.Context, t time.Time) (int64, error) {
	l.seeks++
	return l.Log.AttemptAt(ctx, t)
}

// busy is a server with an endpoint that got n attempts evenly over a day, the last a minute ago, but none in the hours 10 to 12
// of it; every tenth takes 90 s, and those of its third hour fail.
func busy(t *testing.T, n int) (c *client.Client, l *countedLog, e *client.Endpoint, from time.Time) {
	t.Helper()
	l = &countedLog{}
	var m *storetest.Model
	c, _ = wired(t, func(r *rest.Config, model *storetest.Model) {
		m = model
		l.Log, r.Log = r.Log, l
	})
	_ = must[*client.Tenant](t)(c.CreateTenant(t.Context(), client.Tenant{Name: "acme"}))
	e = must[*client.Endpoint](t)(c.CreateEndpoint(t.Context(), "acme", client.Endpoint{URL: "https://example.com/in"}))
	id, _ := event.ParseEndpointID(e.ID)
	record := store.Record{Lease: must[[]store.Lease](t)(m.Acquire(t.Context(), "n", time.Now(), time.Hour))[0]}
	from = time.Now().Add(-24*time.Hour - time.Minute)
	for i := range n {
		hour := i * 24 / n
		if hour >= 10 && hour < 12 {
			continue
		}
		end := from.Add(24 * time.Hour * time.Duration(i) / time.Duration(n))
		a := event.Attempt{
			Tenant: 1, Endpoint: id, Versions: []int64{int64(i + 1)}, EventID: "e", Number: 1, Duration: 10 * time.Millisecond, Status: 200, Verdict: event.VerdictDelivered,
		}
		if i%10 == 0 {
			a.Duration = 90 * time.Second
		}
		if a.At = end.Add(-a.Duration); hour == 2 {
			a.Verdict, a.Status = event.VerdictFailed, 500
		}
		record.Attempts = append(record.Attempts, a)
	}
	if err := m.SaveRecord(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	return c, l, e, from
}

// TestSeriesOfBusyEndpoint: a series covers the whole window, however many attempts the newest part has, for a bounded price.
func TestSeriesOfBusyEndpoint(t *testing.T) {
	t.Parallel()
	c, l, e, from := busy(t, 60_000)
	day := time.Since(from)
	check := func(s *client.Stats, most, parts int) {
		t.Helper()
		if s.Complete || s.Attempts != most || len(s.Series) != parts {
			t.Fatalf("%d of %d attempts, %d parts", s.Attempts, most, len(s.Series))
		}
		for i, b := range s.Series {
			hour := b.At.Sub(from).Hours()
			end := hour + 24/float64(parts)
			switch {
			case hour >= 10 && end <= 12: // the gap
				if b.Attempts != 0 || b.Sampled || b.P50 != nil {
					t.Errorf("%d: %+v", i, b)
				}
			case hour > 12 && b.At.After(*s.From):
				if b.Sampled || i < parts-1 && b.Attempts < 60_000/parts-60_000/parts/10 {
					t.Errorf("%d: %+v", i, b)
				}
			case end < 10 || hour > 12:
				if !b.Sampled || b.Attempts < most/parts || b.P50 == nil || *b.P50 != 10 || hour >= 2 && end <= 3 && b.Delivered != 0 || hour > 3.1 && b.Failed != 0 {
					t.Errorf("%d: %+v", i, b)
				}
			}
		}
		// The newest, the cursor's one more, and of each part so many, one more, and what is beyond its beginning.
		if l.rows > 2*most+parts*(most/parts+2)+2000 || l.seeks > parts || l.reads > 10+3*parts {
			t.Errorf("%d rows in %d reads and %d seeks", l.rows, l.reads, l.seeks)
		}
		l.rows, l.seeks, l.reads = 0, 0, 0
	}
	check(must[*client.Stats](t)(c.EndpointStats(t.Context(), "acme", e.ID, client.StatsOptions{Window: day, Buckets: 96})), 10_000, 96)
	list := must[[]client.Stats](t)(c.EndpointsStats(t.Context(), "acme", []string{e.ID}, client.StatsOptions{Window: day, Buckets: 24}))
	check(&list[0], 1000, 24)
}

// TestUntilSeeks: attempts of long ago are found without reading all since, also those that ended after the time.
func TestUntilSeeks(t *testing.T) {
	t.Parallel()
	c, l, e, from := busy(t, 60_000)
	until := from.Add(3 * time.Hour)
	const hour = 60_000 / 24
	got, slow := 0, 0
	for a, err := range c.EndpointAttempts(t.Context(), "acme", e.ID, client.Since(until.Add(-time.Hour)), client.Until(until), client.PageSize(1000)) {
		if err != nil {
			t.Fatal(err)
		}
		if a.At.Before(until.Add(-time.Hour)) || !a.At.Before(until) {
			t.Fatalf("an attempt of %v", a.At)
		}
		if got++; a.At.Add(90*time.Second).After(until) && a.DurationMS > 1000 {
			slow++
		}
	}
	if got < hour-1 || got > hour+1 || slow < 5 {
		t.Errorf("%d attempts, %d of them slow ones at the end; want %d", got, slow, hour)
	}
	if l.rows > 8*hour {
		t.Errorf("%d rows were read", l.rows)
	}
}
