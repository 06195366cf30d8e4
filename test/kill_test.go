package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// patient is a retry schedule, an option of the server, that begins at once and does not end within a test: nothing may
// be given up.
const patient = "--retry-schedule=20ms,50ms,100ms,200ms,500ms,1s,1s,1s,1s,1s,1m,1m,1m,1m,1m,1m,1m,1m,1m,1m"

// unhasty is the longest timeout. An answer that comes in time on a machine that stands still for a minute would
// otherwise be taken for none, and its event come twice.
const unhasty = "--delivery-timeout=10m"

// unhastyStop gives a stop in order the time that slow receivers need on a busy machine.
const unhastyStop = "--shutdown-timeout=2m"

// unhurried is such a schedule for one endpoint.
var unhurried = []client.Duration{
	client.Duration(time.Second), client.Duration(time.Second), client.Duration(time.Second), client.Duration(2 * time.Second),
	client.Duration(2 * time.Second), client.Duration(5 * time.Second), client.Duration(time.Hour),
}

// victim is an endpoint and its receiver.
type victim struct {
	name     string
	endpoint client.Endpoint
	conduct  conduct
}

// some are the event types of endpoints that cannot keep up with all of them.
var some = []string{"github.push", "github.issues", "github.check_run", "github.pull_request", "github.release"}

// victims has each order with receivers that are well, flaky and slow, batches, and one that goes down for a while.
func victims() []victim {
	flaky := conduct{fail: 0.1, cut: 0.03}
	slow := conduct{slowFrom: 20 * time.Millisecond, slowTo: 150 * time.Millisecond}
	return []victim{
		{"none-well", client.Endpoint{Order: "none"}, conduct{}},
		{"none-flaky", client.Endpoint{Order: "none", Retries: unhurried}, flaky},
		{"none-slow", client.Endpoint{Order: "none", Concurrency: 32}, slow},
		{"none-down", client.Endpoint{Order: "none", Types: []string{"github.*"}}, conduct{}},
		{"key-well", client.Endpoint{Order: "key"}, conduct{}},
		{"key-flaky", client.Endpoint{Order: "key", Envelope: "cloudevents"}, flaky},
		{"key-slow", client.Endpoint{Order: "key", Concurrency: 32, Types: some}, slow},
		{"strict-well", client.Endpoint{Order: "strict"}, conduct{}},
		{"strict-flaky", client.Endpoint{Order: "strict"}, conduct{fail: 0.02}},
		{"strict-slow", client.Endpoint{Order: "strict", Types: some}, conduct{slowTo: 10 * time.Millisecond}},
		{"none-batch", batched("none", 20), flaky},
		{"key-batch", batched("key", 10), conduct{fail: 0.05}},
		{"strict-batch", batched("strict", 50), conduct{fail: 0.05, slowTo: 20 * time.Millisecond}},
	}
}

func batched(order string, size int) client.Endpoint {
	return client.Endpoint{Order: order, Envelope: "cloudevents", Batch: &client.Batch{Max: size, Wait: client.Duration(10 * time.Millisecond)}}
}

// setting reads a number from the environment.
func setting(t testing.TB, name string, otherwise uint64) uint64 {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// field is a server with receivers and publishers around it.
type field struct {
	t         *testing.T
	server    *server
	runs      *runCounter
	rand      *rand.Rand
	receivers []*receiver
	endpoints []*client.Endpoint
	book      *book
	killed    []time.Time // when each run ended

	stop    chan struct{}
	working sync.WaitGroup
}

// newField starts a server with an endpoint for each victim.
func newField(t *testing.T, seed uint64, list []victim, args ...string) *field {
	t.Helper()
	f := &field{
		t: t, server: newServer(t, append(args, patient, unhasty, unhastyStop)...), runs: &runCounter{}, book: &book{}, stop: make(chan struct{}),
		rand: rand.New(rand.NewPCG(seed, 0)), //nolint:gosec // the tests are repeated by it
	}
	f.server.start()
	f.server.makeTenant()
	for _, v := range list {
		r := newReceiver(t, v.name, f.runs, v.conduct, seed)
		r.batch = v.endpoint.Batch != nil
		e := v.endpoint
		e.URL, e.Description = r.url, v.name
		id, secret := f.server.addEndpoint(e)
		e.ID = id
		r.verify(secret)
		f.receivers, f.endpoints = append(f.receivers, r), append(f.endpoints, &e)
	}
	return f
}

// publish starts some publishers of each manner.
func (f *field) publish() {
	f.t.Helper()
	list := payloads(f.t)
	for i := range 2 * len(manners) {
		m := manners[i%len(manners)]
		m.name = fmt.Sprintf("%s-%d", m.name, i/len(manners))
		p := &publisher{
			manner: m, t: f.t, client: f.server.client, payloads: list, book: f.book, rest: 80 * time.Millisecond,
			rand: rand.New(rand.NewPCG(f.rand.Uint64(), uint64(i))), //nolint:gosec // the tests are repeated by it
		}
		f.working.Go(func() { p.run(f.t.Context(), f.stop) })
	}
	f.t.Cleanup(f.hush)
}

// hush stops the publishers; each finishes its last request.
func (f *field) hush() {
	select {
	case <-f.stop:
	default:
		close(f.stop)
	}
	f.working.Wait()
}

// settle waits until the receivers have accepted every connection of the run that has ended, and begins the next one.
func (f *field) settle() {
	f.t.Helper()
	ended := time.Now()
	for _, r := range f.receivers {
		if err := r.settle(f.t.Context()); err != nil {
			f.t.Fatal(err)
		}
	}
	f.runs.Add(1)
	f.killed = append(f.killed, ended)
}

// arrive waits until every event has arrived at every endpoint that it is for, and nothing is under way.
func (f *field) arrive(log []client.Event) {
	f.t.Helper()
	for i, e := range f.endpoints {
		want := wanted(log, e)
		looks := 0
		eventually(f.t, f.receivers[i].name+" gets everything", func() (bool, string) {
			missing := f.receivers[i].missing(want)
			if len(missing) == 0 {
				return true, ""
			}
			state := f.state(e)
			if looks++; looks%40 == 0 && state.Waiting == "penalty" { // its penalty may be long by now
				if _, err := f.server.client.Retry(f.t.Context(), tenant, e.ID); err != nil {
					f.t.Fatal(err)
				}
			}
			return false, fmt.Sprintf("%d of %d are missing, the first is %d; state %+v", len(missing), len(want), missing[0], *state)
		})
	}
	for i, e := range f.endpoints {
		eventually(f.t, f.receivers[i].name+" comes to rest", func() (bool, string) {
			state := f.state(e)
			if state.Waiting == "penalty" {
				if _, err := f.server.client.Retry(f.t.Context(), tenant, e.ID); err != nil {
					f.t.Fatal(err)
				}
			}
			return state.Backlog == 0 && state.Retries == 0 && state.InFlight == 0, fmt.Sprintf("%+v", *state)
		})
	}
}

func (f *field) state(e *client.Endpoint) *client.EndpointState {
	f.t.Helper()
	shown, err := f.server.client.Endpoint(f.t.Context(), tenant, e.ID)
	if err != nil {
		f.t.Fatal(err)
	}
	if shown.State == nil {
		f.t.Fatalf("endpoint %s has no state", e.ID)
	}
	return shown.State
}

// flush makes the server save what it has delivered: results wait for a moment to share a commit.
func (f *field) flush() {
	f.t.Helper()
	f.server.stop()
	f.settle()
	f.server.start()
}

// TestKill kills the server at random moments under load and checks from outside that nothing was lost, nothing came
// out of order, and only what was on its way at a kill came twice.
func TestKill(t *testing.T) {
	seed := setting(t, "E2E_SEED", rand.Uint64()) //nolint:gosec // it is logged, to be used again
	rounds := int(setting(t, "E2E_KILLS", 20))
	t.Logf("E2E_SEED=%d", seed)
	f := newField(t, seed, victims())
	down := f.receivers[3]
	f.publish()
	for round := range rounds {
		down.down.Store(round%6 > 2)
		if !pause(t.Context(), time.Duration(f.rand.Int64N(int64(1200*time.Millisecond)))) {
			t.Fatal("interrupted")
		}
		f.server.kill()
		f.settle()
		// Sometimes it is killed again while it starts.
		if f.rand.IntN(5) == 0 {
			f.server.launch()
			pause(t.Context(), time.Duration(f.rand.Int64N(int64(200*time.Millisecond))))
			f.server.kill()
			f.settle()
		}
		f.server.start()
	}
	f.hush()
	down.down.Store(false)
	log := f.server.changes()
	f.arrive(log)
	f.flush()
	checkLog(t, log, f.book)
	if after := f.server.changes(); len(after) != len(log) {
		t.Errorf("the log had %d events, and %d after everything was at rest", len(log), len(after))
	}
	f.checkDeliveries(log)
	f.checkRepeats()
	t.Logf("%d kills, %d events on the log, %d acknowledged, %d requests repeated, %d given up",
		rounds, len(log), f.book.acked.Load(), f.book.repeats.Load(), f.book.lost.Load())
	if len(log) < 10*rounds {
		t.Errorf("only %d events in %d rounds: this was no load", len(log), rounds)
	}
}

// unsaved bounds the requests that may be made again after one kill, over all endpoints: those on their way, at most 16
// or 32 an endpoint, and those of one record commit. A record is closed at 1,024 attempts, while the one before it may
// still be on its way to the disk.
const unsaved = 13*32 + 2*1024

func (f *field) checkDeliveries(log []client.Event) {
	f.t.Helper()
	again := map[int64]int{} // requests, by the run that made them first
	var ages []time.Duration
	for i, e := range f.endpoints {
		repeated := checkArrivals(f.t, log, e, f.receivers[i])
		requests := map[string]int64{}
		for _, a := range repeated {
			requests[a.webhook] = a.run
			ages = append(ages, f.killed[a.run].Sub(a.at))
		}
		for _, run := range requests {
			again[run]++
		}
		checkAttempts(f.t, f.server, log, e, f.receivers[i].name)
		came, taken := f.receivers[i].count()
		f.t.Logf("%-12s %6d requests, %6d events taken for %6d, %5d of them again", f.receivers[i].name, came, taken, len(wanted(log, e)), len(repeated))
	}
	for run, n := range again {
		if n > unsaved {
			f.t.Errorf("%d requests of run %d were made again: more than %d", n, run, unsaved)
		}
	}
	if len(ages) > 0 {
		slices.Sort(ages)
		f.t.Logf("%d events came again, at most %d requests after one kill; half of them had come less than %v before it, the oldest %v",
			len(ages), slices.Max(slices.Collect(maps.Values(again))), ages[len(ages)/2], ages[len(ages)-1])
	}
}

// checkRepeats publishes requests that were acknowledged long ago once more: the answers are the same, and the log does
// not grow.
func (f *field) checkRepeats() {
	f.t.Helper()
	before := len(f.server.changes())
	p := &publisher{manner: manner{name: "again"}, t: f.t, client: f.server.client, book: f.book, rand: f.rand}
	sent := 0
	for i, r := range f.book.requests {
		if i%7 == 0 && r.facts[0].acked {
			p.deliver(f.t.Context(), r)
			sent++
		}
	}
	if after := len(f.server.changes()); after != before || sent == 0 {
		f.t.Errorf("%d requests sent again made %d events", sent, after-before)
	}
}
