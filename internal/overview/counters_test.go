package overview

import (
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// began is a whole number of slots after 1970.
var began = time.Unix(1_767_323_000, 0).UTC()

func TestBuckets(t *testing.T) {
	t.Parallel()
	last := -1
	for d := time.Duration(0); d < 60*24*time.Hour; d += 1 + d/40 {
		i := bucketOf(d, ageBucket)
		if i < last || i > last+1 {
			t.Fatalf("%v is in bucket %d, after %d", d, i, last)
		}
		last = i
		if i < ageBucket-1 && (d < lowest(i) || d >= lowest(i+1)) {
			t.Fatalf("%v is in bucket %d: %v to %v", d, i, lowest(i), lowest(i+1))
		}
		if width := lowest(i+1) - lowest(i); i >= sub && i < ageBucket-1 && width > d/8+1<<unitShift {
			t.Fatalf("bucket %d, of %v, is %v wide", i, d, width)
		}
	}
	if bucketOf(-time.Second, tookBucket) != 0 || bucketOf(1000*time.Hour, tookBucket) != tookBucket-1 {
		t.Error("durations out of range are not in the outer buckets")
	}
}

func TestPercentiles(t *testing.T) {
	t.Parallel()
	var all []time.Duration
	c := NewCounters(began)
	for i := range 5000 { // an exponential distribution
		d := time.Duration(-math.Log((float64(i)+0.5)/5000) * float64(20*time.Millisecond))
		all = append(all, d)
		c.Attempted(1, event.VerdictDelivered, 1, d, 2*d)
	}
	slices.Sort(all)
	var o event.Overview
	c.fill(&o, 0, began.Add(time.Second))
	for _, x := range []struct {
		got  time.Duration
		rank int
		of   time.Duration
	}{{o.Took.P50, 2500, 1}, {o.Took.P95, 4750, 1}, {o.Took.P99, 4950, 1}, {o.Age.P50, 2500, 2}} {
		want := all[x.rank-1] * x.of
		if diff := (x.got - want).Abs(); diff > want/8+32*time.Microsecond {
			t.Errorf("rank %d: got %v, want %v", x.rank, x.got, want)
		}
	}
	if !o.Took.Known || o.Attempts != 5000 || o.Succeeded != 5000 {
		t.Errorf("%+v", o.Figures)
	}
}

// TestFigures goes through twenty minutes of one tenant.
func TestFigures(t *testing.T) {
	t.Parallel()
	c := NewCounters(began)
	now := began
	step := func(seconds int, each func()) {
		for range seconds {
			each()
			now = now.Add(time.Second)
			c.sample(now)
		}
	}
	busy := func() {
		c.Published(7, 3)
		c.Attempted(7, event.VerdictDelivered, 2, 10*time.Millisecond, 20*time.Millisecond)
		c.Attempted(8, event.VerdictRetry, 1, time.Second, 2*time.Second)
	}
	step(10, busy)
	for _, tenant := range []event.TenantID{0, 7} {
		var o event.Overview
		c.fill(&o, tenant, now)
		retries := int64(10)
		if tenant == 7 {
			retries = 0
		}
		if o.Events != 30 || o.Delivered != 20 || o.Retry != retries || o.Attempts != 10+retries || o.Succeeded != 10 {
			t.Errorf("tenant %d: %+v", tenant, o.Figures)
		}
		if o.EventsPerSecond < 2.9 || o.EventsPerSecond > 3.1 || o.DeliveriesPerSecond < 1.9 || o.DeliveriesPerSecond > 2.1 {
			t.Errorf("tenant %d: %g events and %g deliveries a second", tenant, o.EventsPerSecond, o.DeliveriesPerSecond)
		}
		if !o.Start.Equal(now.Add(-window)) || o.Step != slotTime || len(o.Series) != slots {
			t.Fatalf("series of %d from %v", len(o.Series), o.Start)
		}
		last, before := o.Series[slots-1], o.Series[slots-3]
		if !last.Known || last.Events != 15 || last.Delivered != 10 || !last.Took.Known || tenant == 0 && before.Known {
			t.Errorf("tenant %d: %+v after %+v", tenant, last, before)
		}
	}
	step(int(window/time.Second), func() {})
	var o event.Overview
	c.fill(&o, 7, now)
	if o.Figures != (event.Figures{}) || o.EventsPerSecond != 0 || !o.Series[slots-1].Known || o.Series[slots-1].Took.Known {
		t.Errorf("after a quiet window: %+v", o.Figures)
	}
	busy()
	c.fill(&o, 7, now)
	if o.Events != 3 || o.Series[slots-1].Events != 0 {
		t.Errorf("what is new counts at once: %+v, but is in no slot yet: %+v", o.Figures, o.Series[slots-1])
	}
}

// TestLateSample: when the process slept, what was counted meanwhile is in one slot, and no slot is told twice.
func TestLateSample(t *testing.T) {
	t.Parallel()
	c := NewCounters(began)
	c.Published(1, 5)
	c.sample(began.Add(time.Hour))
	c.Published(1, 7)
	c.sample(began.Add(time.Hour - 10*time.Second)) // the clock was set back
	c.sample(began.Add(time.Hour + 5*time.Second))
	var o event.Overview
	c.fill(&o, 0, began.Add(time.Hour+5*time.Second))
	if o.Events != 7 || o.Series[slots-1].Events != 7 {
		t.Errorf("%+v", o.Figures)
	}
}

// TestClockSetBack: figures begin anew after the clock was set back, instead of standing still until it is where it was.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	c := NewCounters(began)
	c.Published(1, 3)
	c.sample(began.Add(slotTime))
	back := began.Add(-time.Hour)
	c.sample(back)
	c.Published(1, 5)
	c.sample(back.Add(slotTime))
	for _, tenant := range []event.TenantID{0, 1} {
		var o event.Overview
		c.fill(&o, tenant, back.Add(slotTime))
		last := o.Series[slots-1]
		if o.Events != 5 || !last.Known || last.Events != 5 || o.Series[slots-2].Known || !o.Since.Equal(back) || o.EventsPerSecond != 1 {
			t.Errorf("tenant %d: %+v, %+v since %v, %v a second", tenant, o.Figures, last, o.Since, o.EventsPerSecond)
		}
	}
}

func TestTicks(t *testing.T) {
	t.Parallel()
	c := NewCounters(began)
	c.Published(3, 100)
	c.watch(3, began)
	c.watch(3, began)
	for i := range 3 {
		c.Published(3, i)
		c.sample(began.Add(time.Duration(i+1) * time.Second))
		if got := c.tick(3).Events; got != int64(i) {
			t.Errorf("second %d: %d events", i, got)
		}
	}
	c.unwatch(3)
	c.Published(3, 9)
	c.sample(began.Add(4 * time.Second))
	if got := c.tick(3).Events; got != 9 {
		t.Errorf("with one watcher left: %d events", got)
	}
	c.unwatch(3)
	if got := c.tick(3); got != (event.Figures{}) {
		t.Errorf("without a watcher: %+v", got)
	}
	c.TenantDeleted(3)
	c.unwatch(3) // of nothing
}

// TestManyTenants: the number of meters is bounded, those that are busy or watched stay, and who looks gets one.
func TestManyTenants(t *testing.T) {
	t.Parallel()
	c := NewCounters(began)
	now := began
	c.watch(1, now)
	for id := range event.TenantID(maxTenants + 100) {
		c.Published(id+1, 1)
	}
	if n := len(*c.tenants.Load()); n != maxTenants {
		t.Fatalf("%d meters", n)
	}
	const late = maxTenants + 50
	if c.of(late) != nil {
		t.Fatal("a busy tenant lost its meter to one that nobody looks at")
	}
	var o event.Overview
	c.fill(&o, late, now)
	c.Published(late, 4)
	if c.fill(&o, late, now); o.Events != 4 || len(*c.tenants.Load()) != maxTenants {
		t.Errorf("who is looked at is counted from then on: %d events", o.Events)
	}
	for range quietSlots + 1 {
		now = now.Add(slotTime)
		c.Published(2, 1)
		c.sample(now)
	}
	for id := range event.TenantID(maxTenants) {
		c.Published(10_000+id, 1)
	}
	if c.of(1) == nil || c.of(2) == nil || c.of(10_000) == nil || len(*c.tenants.Load()) != maxTenants {
		t.Error("the watched and the busy tenant stay, the quiet ones go")
	}
}

func TestConcurrentCounting(t *testing.T) {
	t.Parallel()
	c := NewCounters(began)
	var g sync.WaitGroup
	const each, many = 2000, 8
	for i := range many {
		g.Go(func() {
			for n := range each {
				c.Published(event.TenantID(n%5+1), 1)
				c.Attempted(event.TenantID(n%5+1), event.VerdictFailed, 1, time.Duration(n)*time.Microsecond, 0)
				if i == 0 && n%100 == 0 {
					c.sample(began.Add(time.Duration(n/100) * time.Second))
				}
			}
		})
	}
	g.Wait()
	var all, one event.Overview
	c.fill(&all, 0, began.Add(20*time.Second))
	c.fill(&one, 1, began.Add(20*time.Second))
	if all.Events != each*many || all.Failed != each*many || all.Attempts != each*many || all.Succeeded != 0 || one.Events != each*many/5 {
		t.Errorf("%+v\n%+v", all.Figures, one.Figures)
	}
}

// BenchmarkEvent is what counting costs one event that is published alone and delivered alone, of one of 100 tenants: on one
// processor, and on all of them with nothing else to do, where they wait for each other.
func BenchmarkEvent(b *testing.B) {
	oneEvent := func(c *Counters, n int) {
		tenant := event.TenantID(n%100 + 1)
		c.Published(tenant, 1)
		c.Attempted(tenant, event.VerdictDelivered, 1, time.Duration(n)<<12, time.Duration(n)<<14)
	}
	b.Run("one", func(b *testing.B) {
		c := NewCounters(time.Now())
		for n := 0; b.Loop(); n++ {
			oneEvent(c, n)
		}
	})
	b.Run("all", func(b *testing.B) {
		c := NewCounters(time.Now())
		b.RunParallel(func(p *testing.PB) {
			for n := 0; p.Next(); n++ {
				oneEvent(c, n)
			}
		})
	})
}

// BenchmarkSample is what a second costs with all meters in use.
func BenchmarkSample(b *testing.B) {
	c := NewCounters(began)
	now := began
	for b.Loop() {
		b.StopTimer()
		for id := range event.TenantID(maxTenants) {
			c.Published(id+1, 1)
			c.Attempted(id+1, event.VerdictDelivered, 1, time.Millisecond, time.Second)
		}
		now = now.Add(slotTime)
		b.StartTimer()
		c.sample(now)
	}
}
