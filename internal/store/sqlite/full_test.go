package sqlite

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// TestFullDisk fills a small file system (where one can be mounted) and files that may not grow, and makes room again.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if grow, ok := mountSmall(t, dir, 4<<20); ok {
		testFull(t, dir, grow, true)
	}
	testFull(t, t.TempDir(), nil, false)
}

func testFull(t *testing.T, dir string, grow func(), mounted bool) {
	t.Helper()
	s := openTest(t, dir, Options{})
	t.Cleanup(func() { closeTest(t, s) })
	if !mounted {
		limit := func(pages int) {
			for _, w := range []*writer{s.log.w, s.state.w, s.bins.w} {
				if err := w.update(t.Context(), func(c *conn) error { return c.pragmas(fmt.Sprintf("max_page_count=%d", pages)) }); err != nil {
					t.Fatal(err)
				}
			}
		}
		limit(200)
		grow = func() { limit(1_000_000) }
	}
	leases, err := s.Acquire(t.Context(), "n", time.UnixMicro(0), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutBin(t.Context(), event.Bin{ID: "bin"}, 0); err != nil {
		t.Fatal(err)
	}
	acked := 0
	big := make([]byte, 20_000)
	for i := range 1000 {
		list := testEvents(fmt.Sprint(i), 5)
		for k := range list {
			list[k].Data = big
		}
		var r []event.Receipt
		if r, err = s.Append(t.Context(), time.UnixMicro(1), store.AppendRequest{Tenant: 1, Events: list}); err != nil {
			if len(big) == 0 {
				break
			}
			big = big[:len(big)/4] // smaller ones may still fit
		}
		acked += len(r)
	}
	if !errors.Is(err, store.ErrFull) || acked == 0 {
		t.Fatalf("after %d events the error is %v", acked, err)
	}
	if mounted {
		if err := s.Ready(t.Context()); !errors.Is(err, store.ErrFull) {
			t.Errorf("on a full disk Ready gave %v", err)
		}
		fillState(t, s, leases[0])
	}
	captured := fillBins(t, s)
	checkLog(t, s, acked)
	checkCaptures(t, s, captured)

	grow()
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("with space again Ready gave %v", err)
	}
	acked += len(appendTest(t, s, testEvents("again", 3)))
	if err := s.SaveRecord(t.Context(), store.Record{Lease: leases[0], Position: 1}); err != nil {
		t.Errorf("with space again SaveRecord gave %v", err)
	}
	if c, err := s.AddCapture(t.Context(), event.Capture{Bin: "bin", ID: "again"}, event.MaxBinKept, false); err != nil || c.Seq != int64(captured+1) {
		t.Errorf("with space again AddCapture gave %+v, %v", c, err)
	}
	checkLog(t, s, acked)
	checkCaptures(t, s, captured+1)
}

// fillBins adds captures until the disk is full for them too, and returns how many were acknowledged.
func fillBins(t *testing.T, s *Store) (acked int) {
	t.Helper()
	for i := range 10_000 {
		c := event.Capture{Bin: "bin", ID: fmt.Sprint(i), Request: event.Request{Body: make([]byte, 4000)}}
		_, err := s.AddCapture(t.Context(), c, event.MaxBinKept, false)
		if errors.Is(err, store.ErrFull) {
			return acked
		}
		if err != nil {
			t.Fatal(err)
		}
		acked++
	}
	t.Error("the disk was never full")
	return acked
}

// fillState saves attempts until the disk is full for them too.
func fillState(t *testing.T, s *Store, l store.Lease) {
	t.Helper()
	for i := range 10_000 {
		a := event.Attempt{Tenant: 1, Endpoint: 1, Versions: []int64{int64(i)}, Body: make([]byte, 4000)}
		err := s.SaveRecord(t.Context(), store.Record{Lease: l, Attempts: []event.Attempt{a, a, a, a}})
		if errors.Is(err, store.ErrFull) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Error("the disk was never full")
}

func checkLog(t *testing.T, s *Store, want int) {
	t.Helper()
	var list []event.Event
	err := s.log.reads.read(t.Context(), func(c *conn) (err error) {
		list, err = scanEvents(c, want+1, noBound, selectEvents+"ORDER BY seq LIMIT ?", want+1)
		return err
	})
	if err != nil || len(list) != want {
		t.Fatalf("the log holds %d events, %d were acknowledged (%v)", len(list), want, err)
	}
	for i := range list {
		if list[i].Version != int64(i+1) {
			t.Fatalf("version %d in place of %d", list[i].Version, i+1)
		}
	}
}
