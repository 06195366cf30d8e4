package match

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/posthornhq/posthorn/internal/event"
)

func drawEndpoint(t *rapid.T) *event.Endpoint {
	e := &event.Endpoint{
		ID: event.EndpointID(rapid.Int64Range(1, 12).Draw(t, "id")), Start: rapid.Int64Range(0, 2).Draw(t, "start"),
		Types: rapid.SliceOfN(rapid.SampledFrom([]string{
			"*", "**", "a", "a.b", "a.*", "a.**", "*.b", "*.*", "a.*.c", "posthorn.*", "posthorn.**", "posthorn.a", "b.**", "*.**",
		}), 0, 4).Draw(t, "types"),
		Channels: rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3).Draw(t, "channels"),
	}
	if rapid.Bool().Draw(t, "filtered") {
		e.Filter = drawSource(t, 2)
	}
	return e
}

func ids(list []*event.Endpoint) []event.EndpointID {
	out := make([]event.EndpointID, 0, len(list))
	for _, e := range list {
		out = append(out, e.ID)
	}
	slices.Sort(out)
	return out
}

// TestIndexIsScan compares the index with a scan over Matches, through puts, replacements and removals.
func TestIndexIsScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := NewIndex()
		model := map[event.EndpointID]*event.Endpoint{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			e := drawEndpoint(t)
			if rapid.IntRange(0, 3).Draw(t, "remove") == 0 {
				x.Remove(e.ID)
				delete(model, e.ID)
			} else {
				x.Put(e)
				model[e.ID] = e
			}
			ev := drawEvent(t)
			var want []*event.Endpoint
			for _, e := range model {
				if Matches(e, ev) {
					want = append(want, e)
				}
			}
			if d := cmp.Diff(ids(want), ids(x.Match(ev, nil))); d != "" {
				t.Fatalf("%+v: %s", ev, d)
			}
			if x.Len() != len(model) {
				t.Fatalf("Len is %d, want %d", x.Len(), len(model))
			}
		}
		for id := range model {
			x.Remove(id)
		}
		if len(x.subs)+len(x.exact)+len(x.wild.next) != 0 || x.wild.any != nil || x.wild.rest != nil || !x.all.free.empty() || len(x.all.channels) != 0 {
			t.Fatalf("an emptied index keeps %+v", x)
		}
	})
}

// TestMatchesIsDefinition compares Matches with CEL alone and the words of the documentation.
func TestMatchesIsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e, ev := drawEndpoint(t), drawEvent(t)
		want := ev.Version > e.Start && matchTypes(e.Types, ev.Type)
		if len(e.Channels) > 0 {
			want = want && slices.ContainsFunc(e.Channels, func(c string) bool { return slices.Contains(ev.Channels, c) })
		}
		if e.Filter != "" {
			v := newView(ev)
			defer v.release()
			want = want && newProgram(e.Filter, 1_000_000).eval(v) == Match
		}
		if got := Matches(e, ev); got != want {
			t.Fatalf("%+v, %+v: got %v", e, ev, got)
		}
	})
}

// TestManyPlaces has an endpoint with more patterns, channels and values than it is filed under.
func TestManyPlaces(t *testing.T) {
	e := &event.Endpoint{ID: 1, Filter: `data.customer in ["c123", "c124"]`}
	for i := range 60 {
		e.Types = append(e.Types, fmt.Sprintf("order.t%d", i))
		e.Channels = append(e.Channels, fmt.Sprintf("ch%d", i))
	}
	for _, patterns := range []int{1, 3, 60} {
		e := *e
		e.Types = append(e.Types[:patterns:patterns], "order.*", "order.**")
		x := NewIndex()
		x.Put(&e)
		if n := len(x.subs[1].slots); n > maxPlaces {
			t.Errorf("%d places", n)
		}
		ev := sampleEvent()
		for want, channels := range [][]string{{"x"}, {"x", "ch3", "ch7"}} {
			ev.Channels = channels
			if got := x.Match(ev, nil); len(got) != want || Matches(&e, ev) != (want == 1) {
				t.Errorf("%d patterns, channels %v: got %v", patterns, channels, ids(got))
			}
		}
		x.Remove(1)
		if len(x.exact)+len(x.wild.next) != 0 {
			t.Errorf("places are left: %+v", x)
		}
	}
}

func TestIndexConcurrent(t *testing.T) {
	x := NewIndex()
	always := &event.Endpoint{ID: 1, Types: []string{"order.*"}, Filter: `data.customer == "c123" && size(data.tags) == 2`}
	x.Put(always)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 300 {
				id := event.EndpointID(2 + w*300 + i)
				x.Put(&event.Endpoint{ID: id, Types: []string{"order.*", "a.b"}, Channels: []string{"q"}, Filter: `data.customer == "c1"`})
				if got := x.Match(sampleEvent(), nil); len(got) != 1 || got[0] != always {
					t.Errorf("got %v", ids(got))
				}
				x.Remove(id)
			}
		})
	}
	wg.Wait()
}

// TestIndexLooksUp makes sure that a large tenant's index does not look at endpoints that an event is not for: a lookup
// among 20,000 must not evaluate more than a handful of filters.
func TestIndexLooksUp(t *testing.T) {
	x := NewIndex()
	for i := range 20_000 {
		x.Put(&event.Endpoint{
			ID: event.EndpointID(i + 1), Types: []string{"order.paid"},
			Filter: fmt.Sprintf(`data.missing == 1 && data.customer == "c%d"`, i), // an evaluated one is counted as failed
		})
	}
	before, _ := Failures()
	x.Match(sampleEvent(), nil)
	if after, _ := Failures(); after-before > 1 {
		t.Errorf("%d filters were evaluated", after-before)
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	x := NewIndex()
	x.Put(&event.Endpoint{ID: 1, Types: []string{"order.*"}, Filter: `data.customer == "c123"`})
	x.Put(&event.Endpoint{ID: 2})
	ev := sampleEvent()
	dst := make([]*event.Endpoint, 0, 4)
	if n := testing.AllocsPerRun(100, func() { dst = x.Match(ev, dst[:0]) }); n > 0.5 {
		t.Errorf("%v allocations", n)
	}
	if len(dst) != 2 {
		t.Errorf("got %v", ids(dst))
	}
}

// benchData is a body of about 600 bytes with the customer in its middle.
var benchData = fmt.Appendf(nil, `{"id":4711,"number":"2026-004711","status":"paid","lines":[{"sku":"TEA-250","name":"Tea, 250 g","quantity":2,"price":9.95},`+
	`{"sku":"POT-1","name":"Teapot","quantity":1,"price":110.00}],"customer":"c77","notes":"%0300d"}`, 1)

func BenchmarkMatch(b *testing.B) {
	shapes := map[string]func(i int, e *event.Endpoint){
		"types":    func(i int, e *event.Endpoint) { e.Types = []string{fmt.Sprintf("order.t%d", i)} },
		"channels": func(i int, e *event.Endpoint) { e.Channels = []string{fmt.Sprintf("ch%d", i)} },
		"filters":  func(i int, e *event.Endpoint) { e.Filter = fmt.Sprintf(`data.customer == "c%d"`, i) },
		"mixed": func(i int, e *event.Endpoint) {
			e.Filter = fmt.Sprintf(`data.customer == "c%d" && data.lines.exists(l, l.quantity > 1)`, i)
		},
		"nothing": func(i int, e *event.Endpoint) {
			e.Types, e.Filter = []string{"order.*", "invoice.**"}, fmt.Sprintf(`data.customer == "none%d"`, i)
		},
	}
	for _, name := range []string{"types", "channels", "filters", "mixed", "nothing"} {
		for _, n := range []int{1, 1000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				endpoints := make([]*event.Endpoint, n)
				for i := range n {
					e := &event.Endpoint{ID: event.EndpointID(i + 1), Types: []string{"order.t77"}}
					k := i
					if n == 1 {
						k = 77
					}
					shapes[name](k, e)
					endpoints[i] = e
				}
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				x := NewIndex()
				for _, e := range endpoints {
					x.Put(e)
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				ev := &event.Event{Type: "order.t77", Version: 1, Channels: []string{"ch77"}, Data: benchData}
				want := 1
				if name == "nothing" {
					want = 0
				}
				var dst []*event.Endpoint
				b.ReportAllocs()
				b.ResetTimer()
				for b.Loop() {
					if dst = x.Match(ev, dst[:0]); len(dst) != want {
						b.Fatalf("got %d", len(dst))
					}
				}
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "B/endpoint")
			})
		}
	}
}

func BenchmarkPut(b *testing.B) {
	for _, source := range []string{"", `data.customer == "c%d"`, `data.customer == "c%d" && data.lines.exists(l, l.quantity > 1)`} {
		b.Run(source, func(b *testing.B) {
			x := NewIndex()
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				i++
				e := &event.Endpoint{ID: event.EndpointID(i), Types: []string{"order.paid"}}
				if source != "" {
					e.Filter = fmt.Sprintf(source, i)
				}
				x.Put(e)
			}
		})
	}
}

func BenchmarkFilter(b *testing.B) {
	ev := sampleEvent()
	for _, source := range []string{
		`subject == "order/42"`, `data.customer == "c123" && data.total > 100`, `data.customer.contains("c1")`, `data.tags.exists(t, t == "b")`,
	} {
		b.Run(source, func(b *testing.B) {
			f := parseFilter(source)
			b.ReportAllocs()
			for b.Loop() {
				if f.Eval(ev) != Match {
					b.Fatal("no match")
				}
			}
		})
	}
}

func BenchmarkCompileFilter(b *testing.B) {
	for b.Loop() {
		if _, err := CompileFilter(`data.customer == "c1" && data.total > 100`, event.DefaultLimits()); err != nil {
			b.Fatal(err)
		}
	}
}
