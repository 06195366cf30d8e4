package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// badWork breaks its group in a way that concerns it alone: a constraint that fails.
type badWork struct{}

func (badWork) apply(c *conn) error { return c.exec("INSERT INTO totals VALUES (2, 0, 0, 0)") }
func (badWork) size() (int, int)    { return 1, 1 }
func (badWork) lazy() bool          { return true }

// TestWriterIsolates commits works that break the transaction together with good ones.
func TestWriterIsolates(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{LogDelay: 20 * time.Millisecond})
	defer closeTest(t, s)
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			if i%3 == 0 {
				if err := s.log.w.do(t.Context(), badWork{}); err == nil {
					t.Error("a failed constraint was not told")
				}
				return
			}
			if _, err := s.Append(t.Context(), time.UnixMicro(1), store.AppendRequest{Tenant: 1, Events: testEvents(fmt.Sprint(i), 2)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	checkLog(t, s, 80)
}

// TestWriterRecovers loses the writer's connection: the callers of that commit hear of it, the next one works.
func TestWriterRecovers(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	defer closeTest(t, s)
	appendTest(t, s, testEvents("a", 2))
	err := s.log.w.update(t.Context(), func(c *conn) error {
		if err := c.exec("DELETE FROM events"); err != nil {
			return err
		}
		return fmt.Errorf("a cable was pulled: %w", errIO)
	})
	if !errors.Is(err, errIO) {
		t.Fatalf("the error is %v", err)
	}
	if r := appendTest(t, s, testEvents("b", 1)); r[0].Version != 3 {
		t.Errorf("the next version is %d, want 3", r[0].Version)
	}
	checkLog(t, s, 3)
}

// TestWriterGroups counts commits: many callers share few.
func TestWriterGroups(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	var mu sync.Mutex
	commits, callers, most := 0, 0, 0
	s.Observe(func(c store.Commit) {
		mu.Lock()
		defer mu.Unlock()
		commits++
		callers += c.Callers
		most = max(most, c.Callers)
	})
	var wg sync.WaitGroup
	for c := range 50 {
		wg.Go(func() {
			for i := range 10 {
				if _, err := s.Append(t.Context(), time.UnixMicro(1), store.AppendRequest{Tenant: 1, Events: testEvents(fmt.Sprintf("%d-%d", c, i), 1)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	closeTest(t, s) // a commit is told of after its callers have gone on
	mu.Lock()
	defer mu.Unlock()
	if callers != 500 || commits > 250 || most < 2 {
		t.Errorf("%d callers were committed in %d commits, at most %d together", callers, commits, most)
	}
}

// TestCheckpoint writes more than the write-ahead log may hold and looks at its length.
func TestCheckpoint(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	defer closeTest(t, s)
	longest := int64(0)
	for i := range 30 {
		list := testEvents(fmt.Sprint(i), 10)
		for k := range list {
			list[k].Data = make([]byte, 200_000)
		}
		appendTest(t, s, list)
		info, err := os.Stat(filepath.Join(dir, logName+"-wal"))
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, info.Size()/4096)
	}
	if longest < checkpointPages || longest > 2*checkpointPages {
		t.Errorf("the write-ahead log grew to %d pages", longest)
	}
}

// TestTailAgrees compares reads from memory with reads from the file, with a tail that holds only some of the log.
func TestTailAgrees(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{TailBytes: 3000})
	defer closeTest(t, s)
	check := func() {
		t.Helper()
		s.log.tail.mu.RLock()
		floor, bytes := s.log.tail.floor, s.log.tail.bytes
		s.log.tail.mu.RUnlock()
		if bytes > 3000 || bytes < 0 {
			t.Fatalf("the tail holds %d bytes", bytes)
		}
		for _, after := range []int64{0, floor - 1, floor, floor + 3, s.log.totals.lastSeq} {
			var want []event.Event
			err := s.log.reads.read(t.Context(), func(c *conn) (err error) {
				want, err = scanEvents(c, 7, 900, selectEvents+"WHERE seq > ? ORDER BY seq LIMIT 7", after)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.ReadPartition(t.Context(), 0, after, 7, 900)
			if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("after %d: %v, the file has %v (%v)", after, got, want, err)
			}
		}
	}
	for i := range 40 {
		appendTest(t, s, testEvents(fmt.Sprint(i), 1+i%4))
		if i%10 == 9 {
			if _, err := s.TrimLog(t.Context(), store.TrimPolicy{MaxBytes: 1, Keep: 1 << 60}, 25); err != nil {
				t.Fatal(err)
			}
		}
		check()
	}
	if _, err := s.DeleteTenantEvents(t.Context(), 1, 5); err != nil {
		t.Fatal(err)
	}
	check()
}

// TestManyLanes saves and loads 10,000 lanes with their retries.
func TestManyLanes(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	leases, err := s.Acquire(t.Context(), "n", time.UnixMicro(0), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	r := store.Record{Lease: leases[0]}
	for i := range 10_000 {
		k := event.LaneKey{Endpoint: event.EndpointID(i + 1)}
		r.Lanes = append(r.Lanes, event.LaneState{LaneKey: k, Cursor: int64(i), Backlog: true})
		r.Retries = append(r.Retries, event.Retry{LaneKey: k, Versions: []int64{int64(i + 1)}})
	}
	if err := s.SaveRecord(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	closeTest(t, s)
	s = openTest(t, dir, Options{})
	defer closeTest(t, s)
	lanes, retries, err := s.LoadLanes(t.Context(), leases[0])
	if err != nil || len(lanes) != 10_000 || len(retries) != 10_000 {
		t.Errorf("%d lanes and %d retries were loaded (%v)", len(lanes), len(retries), err)
	}
}

// TestDeleteTenantInBatches deletes a tenant that has more than one batch of endpoints.
func TestDeleteTenantInBatches(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	defer closeTest(t, s)
	tenant, err := s.PutTenant(t.Context(), event.Tenant{Name: "a"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	const n = purgeBatch + 10
	err = s.state.w.update(t.Context(), func(c *conn) error {
		for i := range n {
			if err := c.exec("INSERT INTO endpoints (id, tenant, revision, body) VALUES (?, ?, 1, ?)", i+1, int64(tenant.ID), packEndpoint(&event.Endpoint{})); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteTenant(t.Context(), tenant.ID, 1); err != nil {
		t.Fatal(err)
	}
	list, err := s.DeletedEndpoints(t.Context(), 2*n)
	if err != nil || len(list) != n {
		t.Errorf("%d endpoints are noted for deletion, want %d (%v)", len(list), n, err)
	}
	left, err := s.EndpointsByID(t.Context(), []event.EndpointID{1, n})
	if err != nil || len(left) != 0 {
		t.Errorf("%d endpoints are left (%v)", len(left), err)
	}
}
