package e2e

import (
	"crypto/sha256"
	"maps"
	"slices"
	"testing"

	"github.com/posthornhq/posthorn/client"
)

// most is how many findings of one kind are printed.
const most = 5

// findings reports failures of one kind without flooding the log.
type findings struct {
	t testing.TB
	n map[string]int
}

func (f *findings) add(kind, format string, args ...any) {
	f.t.Helper()
	if f.n == nil {
		f.n = map[string]int{}
	}
	if f.n[kind]++; f.n[kind] <= most {
		f.t.Errorf(format, args...)
	}
}

func (f *findings) done() {
	f.t.Helper()
	for _, kind := range slices.Sorted(maps.Keys(f.n)) {
		if n := f.n[kind]; n > most {
			f.t.Errorf("%s: %d in all", kind, n)
		}
	}
}

// checkLog compares the log with what publishers were told: versions without gaps, every acknowledged event as it was
// acknowledged, nothing twice, nothing that nobody published.
func checkLog(t testing.TB, log []client.Event, b *book) {
	t.Helper()
	f := &findings{t: t}
	defer f.done()
	place := map[string]*client.Event{}
	ids := map[string]bool{}
	for i := range log {
		e := &log[i]
		if e.Version != int64(i)+1 {
			f.add("versions", "place %d of the log has version %d", i+1, e.Version)
		}
		if place[e.Subject] != nil {
			f.add("twice", "%s is on the log as version %d and %d", e.Subject, place[e.Subject].Version, e.Version)
		}
		if ids[e.ID] {
			f.add("id", "the id %s is on the log twice", e.ID)
		}
		place[e.Subject], ids[e.ID] = e, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.requests {
		found := 0
		for _, x := range r.facts {
			e := place[x.event.Subject]
			if e == nil {
				if x.acked {
					f.add("lost", "%s was acknowledged as %v and is not on the log", x.event.Subject, x.receipt)
				}
				continue
			}
			found++
			delete(place, x.event.Subject)
			if x.acked && (e.Version != x.receipt.Version || e.ID != x.receipt.ID) {
				f.add("receipt", "%s was acknowledged as %v and is version %d of %s", x.event.Subject, x.receipt, e.Version, e.ID)
			}
			if sha256.Sum256(e.Data) != x.data || e.Type != x.event.Type || e.Key != x.event.Key {
				f.add("content", "version %d is not what was published as %s", e.Version, e.Subject)
			}
		}
		if found != 0 && found != len(r.facts) {
			f.add("torn", "a request of %d events left %d on the log", len(r.facts), found)
		}
	}
	for subject := range place {
		f.add("strange", "nobody published %s", subject)
	}
}

// wanted returns the versions that an endpoint must get.
func wanted(log []client.Event, e *client.Endpoint) []int64 {
	var list []int64
	for i := range log {
		if matches(e.Types, log[i].Type) {
			list = append(list, log[i].Version)
		}
	}
	return list
}

// checkArrivals compares what a receiver took with the log: the right events, unchanged, under one webhook-id each, in
// the order promised. It returns the first arrivals of those that were taken again.
func checkArrivals(t testing.TB, log []client.Event, e *client.Endpoint, r *receiver) (again []arrival) {
	t.Helper()
	f := &findings{t: t}
	defer f.done()
	first := map[int64]arrival{}
	var newest int64
	newestOf := map[string]int64{}
	batches := map[string][32]byte{} // webhook-id of a batch → the events in it
	for _, a := range r.arrivals() {
		if a.version < 1 || a.version > int64(len(log)) {
			f.add("unknown", "%s got version %d, which is not on the log", r.name, a.version)
			continue
		}
		ev := &log[a.version-1]
		if !matches(e.Types, ev.Type) {
			f.add("match", "%s got %s, which it did not ask for", r.name, ev.Type)
		}
		if a.data != sha256.Sum256(ev.Data) {
			f.add("data", "%s got other data for version %d than was published", r.name, a.version)
		}
		if a.id != "" && a.id != ev.ID {
			f.add("id", "%s got version %d as %s, on the log it is %s", r.name, a.version, a.id, ev.ID)
		}
		was, repeated := first[a.version]
		switch {
		case !r.batch && a.webhook != ev.ID:
			f.add("webhook-id", "%s got version %d with the webhook-id %s, its id is %s", r.name, a.version, a.webhook, ev.ID)
		case r.batch && batches[a.webhook] == [32]byte{}:
			batches[a.webhook] = a.batch
		case r.batch && batches[a.webhook] != a.batch:
			f.add("webhook-id", "%s got two different batches with the webhook-id %s", r.name, a.webhook)
		}
		if repeated {
			if was.run == a.run {
				f.add("twice", "%s took version %d twice from run %d, without a kill between", r.name, a.version, a.run)
			}
			again = append(again, was)
			continue
		}
		first[a.version] = a
		switch e.Order {
		case "strict":
			if a.version < newest {
				f.add("order", "%s took version %d after %d", r.name, a.version, newest)
			}
			newest = max(newest, a.version)
		case "key":
			if a.version < newestOf[ev.Key] {
				f.add("order", "%s took version %d of %s after %d", r.name, a.version, ev.Key, newestOf[ev.Key])
			}
			newestOf[ev.Key] = max(newestOf[ev.Key], a.version)
		}
	}
	for _, v := range wanted(log, e) {
		if _, ok := first[v]; !ok {
			f.add("missing", "%s never got version %d", r.name, v)
		}
	}
	return again
}

// checkAttempts requires that the server recorded exactly one successful delivery of each event: it never sends one
// again that it has on record, so whatever arrived twice was on its way, or not yet recorded, when the server died.
func checkAttempts(t testing.TB, s *server, log []client.Event, e *client.Endpoint, name string) {
	t.Helper()
	f := &findings{t: t}
	defer f.done()
	delivered := map[int64]int{}
	for a, err := range s.client.EndpointAttempts(t.Context(), tenant, e.ID, client.PageSize(1000), client.Verdicts("delivered")) {
		if err != nil {
			t.Fatal(err)
		}
		versions := a.Versions
		if len(versions) == 0 {
			versions = []int64{a.Version}
		}
		for _, v := range versions {
			delivered[v]++
		}
	}
	for _, v := range wanted(log, e) {
		if delivered[v] != 1 {
			f.add("recorded", "%s: %d deliveries of version %d are on record", name, delivered[v], v)
		}
		delete(delivered, v)
	}
	for v := range delivered {
		f.add("recorded otherwise", "%s: a delivery of version %d is on record", name, v)
	}
	for d, err := range s.client.DeadLetters(t.Context(), tenant, e.ID) {
		if err != nil {
			t.Fatal(err)
		}
		f.add("dead", "%s: version %d was given up: %s", name, d.Version, d.Reason)
	}
}
