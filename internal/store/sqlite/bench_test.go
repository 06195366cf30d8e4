package sqlite

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

var benchData = []byte(`{"order":"` + strings.Repeat("x", 680) + `"}`)

// uuid7 makes ids that ascend with i as UUIDv7 do with time.
func uuid7(i int) string {
	return fmt.Sprintf("0199b3c4-%04x-7%03x-8%03x-%012x", i>>16&0xffff, i>>4&0xfff, i&0xfff, uint64(i)*0x9e3779b97f4a7c15>>16)
}

func benchEvent(i int) event.Event {
	return event.Event{
		ID: uuid7(i), Source: "/shop/checkout", Type: "order.paid", Subject: fmt.Sprintf("order/%d", i),
		Time: time.UnixMicro(1_760_000_000_000_000 + int64(i)).UTC(), Data: benchData,
	}
}

func openBench(b *testing.B, o Options) *Store {
	b.Helper()
	s, err := Open(b.TempDir(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// BenchmarkAppend appends single events from so many callers at once.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 64, 256, 1024} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := openBench(b, Options{})
			var commits, jobs int
			s.Observe(func(c store.Commit) { commits++; jobs += c.Callers })
			next := make(chan int, 4*callers)
			var wg sync.WaitGroup
			b.ReportAllocs()
			before := cpuTime()
			b.ResetTimer()
			for range callers {
				wg.Go(func() {
					for i := range next {
						req := store.AppendRequest{Tenant: 1, Events: []event.Event{benchEvent(i)}}
						if _, err := s.Append(context.Background(), time.UnixMicro(int64(i)), req); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for i := range b.N {
				next <- i
			}
			close(next)
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/event")
			b.ReportMetric(float64(jobs)/float64(commits), "events/commit")
		})
	}
}

// BenchmarkAppendBatch appends requests of 256 events from one caller.
func BenchmarkAppendBatch(b *testing.B) {
	s := openBench(b, Options{})
	b.ReportAllocs()
	before := cpuTime()
	b.ResetTimer()
	for i := 0; i < b.N; i += 256 {
		list := make([]event.Event, 256)
		for k := range list {
			list[k] = benchEvent(i + k)
		}
		if _, err := s.Append(b.Context(), time.UnixMicro(int64(i)), store.AppendRequest{Tenant: 1, Events: list}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/event")
}

func fill(b *testing.B, s *Store, n int) {
	b.Helper()
	for i := 0; i < n; i += 1000 {
		list := make([]event.Event, 1000)
		for k := range list {
			list[k] = benchEvent(i + k)
		}
		if _, err := s.Append(b.Context(), time.UnixMicro(int64(i)), store.AppendRequest{Tenant: 1, Events: list}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadPartition reads events in seq order, from the file and from memory.
func BenchmarkReadPartition(b *testing.B) {
	for _, tail := range []bool{false, true} {
		b.Run(fmt.Sprintf("tail=%t", tail), func(b *testing.B) {
			o := Options{TailBytes: 1}
			if tail {
				o.TailBytes = 256 << 20
			}
			s := openBench(b, o)
			const n = 100_000
			fill(b, s, n)
			b.ReportAllocs()
			before := cpuTime()
			b.ResetTimer()
			after := int64(0)
			for i := 0; i < b.N; {
				list, err := s.ReadPartition(b.Context(), 0, after, 1000, 1<<20)
				if err != nil {
					b.Fatal(err)
				}
				if len(list) == 0 {
					after = 0
					continue
				}
				i += len(list)
				after = list[len(list)-1].Seq
			}
			b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/event")
		})
	}
}

// BenchmarkReadTenant reads events in version order.
func BenchmarkReadTenant(b *testing.B) {
	s := openBench(b, Options{})
	const n = 100_000
	fill(b, s, n)
	b.ReportAllocs()
	before := cpuTime()
	b.ResetTimer()
	after := int64(0)
	for i := 0; i < b.N; {
		p, err := s.ReadTenant(b.Context(), 1, after, 1000, 1<<20)
		if err != nil {
			b.Fatal(err)
		}
		if len(p.Events) == 0 {
			after = 0
			continue
		}
		i += len(p.Events)
		after = p.Events[len(p.Events)-1].Version
	}
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/event")
}

// BenchmarkSaveRecord saves attempts of 1,000 endpoints, so many a record.
func BenchmarkSaveRecord(b *testing.B) {
	for _, batch := range []int{1, 64, 256, 1024, 4096} {
		b.Run(fmt.Sprintf("attempts=%d", batch), func(b *testing.B) {
			s := openBench(b, Options{})
			leases, err := s.Acquire(b.Context(), "bench", time.UnixMicro(0), time.Minute)
			if err != nil {
				b.Fatal(err)
			}
			endpoints := make([]event.EndpointID, 1000)
			for i := range endpoints {
				endpoints[i] = event.NewEndpointID()
			}
			b.ReportAllocs()
			before := cpuTime()
			b.ResetTimer()
			for i := 0; i < b.N; i += batch {
				r := store.Record{Lease: leases[0], Position: int64(i), Attempts: make([]event.Attempt, batch)}
				for k := range r.Attempts {
					r.Attempts[k] = event.Attempt{
						Tenant: 1, Endpoint: endpoints[(i+k)*7919%1000], Versions: []int64{int64(i + k)}, EventID: uuid7(i + k), Number: 1,
						At: time.UnixMicro(int64(i)), Duration: 3 * time.Millisecond, Status: 200, Verdict: event.VerdictDelivered,
						Headers: []event.Header{{Name: "content-type", Value: "text/plain"}, {Name: "content-length", Value: "2"}}, Body: []byte("ok"),
					}
				}
				if err := s.SaveRecord(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/attempt")
		})
	}
}

// BenchmarkAddCapture adds captures with 1 KiB of body from 64 callers, to a bin with room and to one that is full.
func BenchmarkAddCapture(b *testing.B) {
	const callers = 64
	for _, keep := range []int{event.MaxBinKept, 100} {
		b.Run(fmt.Sprintf("keep=%d", keep), func(b *testing.B) {
			s := openBench(b, Options{})
			if _, err := s.PutBin(b.Context(), event.Bin{ID: "bin"}, 0); err != nil {
				b.Fatal(err)
			}
			var commits, jobs int
			s.Observe(func(c store.Commit) { commits++; jobs += c.Callers })
			request := event.Request{
				Head:   []byte("POST /b/bin HTTP/1.1\r\nHost: example.com\r\nContent-Type: application/json\r\nContent-Length: 1024\r\n"),
				Body:   []byte(strings.Repeat("x", 1024)),
				Remote: "192.0.2.1", URL: "https://example.com/b/bin",
			}
			next := make(chan int, 4*callers)
			var wg sync.WaitGroup
			b.ReportAllocs()
			before := cpuTime()
			b.ResetTimer()
			for range callers {
				wg.Go(func() {
					for i := range next {
						c := event.Capture{Bin: "bin", ID: uuid7(i), At: time.UnixMicro(int64(i)), Request: request}
						if _, err := s.AddCapture(context.Background(), c, keep, false); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for i := range b.N {
				next <- i
			}
			close(next)
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/capture")
			b.ReportMetric(float64(jobs)/float64(commits), "captures/commit")
		})
	}
}
