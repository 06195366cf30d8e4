package e2e

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// TestGracefulStop stops the server in order under load, again and again: nothing comes twice, and nothing is lost.
func TestGracefulStop(t *testing.T) {
	seed := setting(t, "E2E_SEED", rand.Uint64()) //nolint:gosec // it is logged, to be used again
	t.Logf("E2E_SEED=%d", seed)
	f := newField(t, seed, victims())
	f.publish()
	for range 4 {
		if !pause(t.Context(), time.Duration(f.rand.Int64N(int64(800*time.Millisecond)))) {
			t.Fatal("interrupted")
		}
		f.flush()
	}
	f.hush()
	log := f.server.changes()
	f.arrive(log)
	f.flush()
	checkLog(t, log, f.book)
	for i, e := range f.endpoints {
		if again := checkArrivals(t, log, e, f.receivers[i]); len(again) > 0 {
			t.Errorf("%s: %d deliveries came again after a stop in order, such as version %d", f.receivers[i].name, len(again), again[0].version)
		}
		checkAttempts(t, f.server, log, e, f.receivers[i].name)
	}
}

// TestStopWaits stops the server while a receiver has not answered yet: the delivery is finished first.
func TestStopWaits(t *testing.T) {
	s, r := slowField(t)
	release := r.block()
	defer release()
	publishTo(t, s, r, 3)
	s.terminate()
	eventually(t, "the server takes no new work", func() (bool, string) {
		_, _, err := s.get(t.Context(), "/readyz")
		return err != nil, "it still answers"
	})
	select {
	case <-s.done:
		t.Fatal("it ended before its deliveries did")
	default:
	}
	release()
	if status := s.ended(); status != 0 {
		t.Errorf("status %d, want 0", status)
	}
	s.start()
	once(t, s, r, 3)
}

// TestStopInTime stops the server while a receiver does not answer at all: it ends in the time it was given, and the
// next start sends what was left.
func TestStopInTime(t *testing.T) {
	s, r := slowField(t, "--shutdown-timeout", "300ms")
	release := r.block()
	defer release()
	publishTo(t, s, r, 3)
	s.stop()
	_, before := r.count()
	release()
	s.start()
	eventually(t, "what was left is sent again", func() (bool, string) {
		_, taken := r.count()
		return taken == before+3, fmt.Sprintf("%d arrivals, %d before the stop", taken, before)
	})
}

// slowField is a server with one endpoint.
func slowField(t *testing.T, args ...string) (*server, *receiver) {
	t.Helper()
	s := newServer(t, append(args, patient, unhasty)...)
	s.start()
	s.makeTenant()
	r := newReceiver(t, "only", &runCounter{}, conduct{}, 1)
	s.addEndpoint(client.Endpoint{URL: r.url})
	return s, r
}

// publishTo publishes n events and waits until the receiver has read them.
func publishTo(t testing.TB, s *server, r *receiver, n int) {
	t.Helper()
	for i := range n {
		if _, err := s.client.Publish(t.Context(), tenant, client.Event{Type: "order.paid", Data: fmt.Appendf(nil, "%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "requests arrive", func() (bool, string) {
		_, taken := r.count()
		return taken == n, fmt.Sprintf("%d of %d", taken, n)
	})
}

// once requires, after a start, that a next event arrives and that no earlier one does again.
func once(t testing.TB, s *server, r *receiver, n int) {
	t.Helper()
	last, err := s.client.Publish(t.Context(), tenant, client.Event{Type: "order.paid"})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the next event arrives", func() (bool, string) {
		return len(r.missing([]int64{last.Version})) == 0, "it does not"
	})
	s.stop() // whatever was still to be sent again has been sent
	seen := map[int64]int{}
	for _, a := range r.arrivals() {
		if seen[a.version]++; seen[a.version] > 1 {
			t.Errorf("version %d arrived twice", a.version)
		}
	}
	if len(seen) != n+1 {
		t.Errorf("%d events arrived, want %d", len(seen), n+1)
	}
}
