package live

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/bench"
	"github.com/posthornhq/posthorn/internal/event"
)

// stamped is an event of about 700 bytes with its number and when it was made.
func stamped(n int) event.Event {
	ev := note("order.paid", "order/1")
	ev.Data = fmt.Appendf(nil, `{%s,"pad":"%0400d"}`, mark(n), 1)
	return ev
}

func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// BenchmarkDeliver measures what an event costs for each of many subscribers of one topic, in another process on the same
// machine: LIVE_CONNS of them (1,000), LIVE_RATE events a second (100), for LIVE_SECONDS (5); and what memory each takes while
// it is idle. LIVE_GOROUTINES reads each with a goroutine.
func BenchmarkDeliver(b *testing.B) {
	conns, rate, seconds := number("LIVE_CONNS", 1000), number("LIVE_RATE", 100), number("LIVE_SECONDS", 5)
	raiseFiles(100_000)
	log := newLog()
	cfg := config(log)
	cfg.goroutines = os.Getenv("LIVE_GOROUTINES") != ""
	h := newHub(b, cfg)
	addr := serveHub(b, h, rootKey)
	c := startCrowd(b)
	before := resident(b)
	c.open(b, conns, addr)
	runtime.GC()
	<-time.After(time.Second)
	idle := resident(b) - before
	debug.FreeOSMemory()
	freed := resident(b) - before
	c.ask(b, bench.Order{Do: "reset"})
	start, used := time.Now(), cpu()
	sent := 0
	for time.Since(start) < time.Duration(seconds)*time.Second {
		log.append(acme.ID, stamped(sent))
		sent++
		<-time.After(time.Until(start.Add(time.Duration(sent) * time.Second / time.Duration(rate))))
	}
	var got bench.Heard
	for deadline := time.Now().Add(5 * time.Second); ; <-time.After(50 * time.Millisecond) {
		got = c.ask(b, bench.Order{Do: "state"})
		if got.Messages >= int64(sent*conns) || time.Now().After(deadline) {
			break
		}
	}
	used = cpu() - used
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(used.Microseconds())/float64(got.Messages), "CPU-µs/message")
	b.ReportMetric(float64(got.Messages)/time.Since(start).Seconds(), "messages/s")
	b.ReportMetric(float64(got.Messages)/float64(got.Reads), "messages/read")
	b.ReportMetric(float64(int64(sent*conns)-got.Messages), "missing")
	b.ReportMetric(float64(conns-got.Whole), "incomplete")
	b.ReportMetric(float64(got.Latency.P50.Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(got.Latency.P99.Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(idle)/float64(conns)/1024, "KiB/conn")
	b.ReportMetric(float64(freed)/float64(conns)/1024, "KiB-freed/conn")
}
