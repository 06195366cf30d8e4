package sqlite

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// addTestCaptures makes a bin and adds captures to it.
func addTestCaptures(t testing.TB, s *Store, bin string, n int) {
	t.Helper()
	if _, err := s.PutBin(t.Context(), event.Bin{ID: bin}, 0); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		c := event.Capture{Bin: bin, ID: fmt.Sprint(i), At: time.UnixMicro(int64(i)), Request: event.Request{Body: make([]byte, 1000)}}
		if _, err := s.AddCapture(t.Context(), c, event.MaxBinKept, false); err != nil {
			t.Fatal(err)
		}
	}
}

// checkTotals compares the running figures with what the file holds.
func checkTotals(t *testing.T, s *Store) (requests int64) {
	t.Helper()
	err := s.bins.reads.snapshot(t.Context(), func(c *conn) error {
		for figure, sum := range map[string]string{
			"SELECT requests FROM totals":                    "SELECT count(*) FROM captures",
			"SELECT bytes FROM totals":                       "SELECT coalesce((SELECT sum(bytes) FROM captures), 0) + coalesce((SELECT sum(bytes) FROM marks), 0)",
			"SELECT coalesce(sum(requests), 0) FROM figures": "SELECT count(*) FROM captures WHERE bin IN (SELECT n FROM bins)",
			"SELECT count(*) FROM figures":                   "SELECT count(*) FROM bins",
			"SELECT 0":                                       "SELECT count(*) FROM marks WHERE n NOT IN (SELECT n FROM captures)",
			"SELECT 0 ":                                      "SELECT count(*) FROM captures WHERE bin NOT IN (SELECT n FROM bins UNION SELECT n FROM deleted_bins)",
			"SELECT 0  ":                                     "SELECT count(*) FROM deleted_bins WHERE n NOT IN (SELECT bin FROM captures)",
			"SELECT 0   ":                                    "SELECT count(*) FROM cursors WHERE bin NOT IN (SELECT n FROM bins)",
		} {
			got, err := c.number(figure)
			if err != nil {
				return err
			}
			want, err := c.number(sum)
			if err != nil {
				return err
			}
			if got != want {
				t.Errorf("%s gives %d, but %s %d", figure, got, sum, want)
			}
		}
		var err error
		requests, err = c.number("SELECT requests FROM totals")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return requests
}

// checkCaptures counts the captures of the bin named bin.
func checkCaptures(t *testing.T, s *Store, want int) {
	t.Helper()
	st, err := s.BinStats(t.Context(), "bin")
	if err != nil || st.Requests != int64(want) {
		t.Errorf("the bin holds %+v, %d were acknowledged (%v)", st, want, err)
	}
	checkTotals(t, s)
}

// checkCapturesCopied counts the bins and captures of a copied folder.
func checkCapturesCopied(t *testing.T, dir string, bins, captures int) {
	t.Helper()
	c := openTest(t, dir, Options{})
	defer closeTest(t, c)
	list, err := c.Bins(t.Context(), 0, "", 1000)
	if err != nil || len(list) != bins {
		t.Errorf("after the crash %d bins are left of %d (%v)", len(list), bins, err)
	}
	if n := checkTotals(t, c); n != int64(captures) {
		t.Errorf("after the crash %d captures are left of %d", n, captures)
	}
}

// TestFiguresAgree holds the running figures to what the file holds through everything that changes them.
func TestFiguresAgree(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	defer closeTest(t, s)
	addTestCaptures(t, s, "a", 20)
	addTestCaptures(t, s, "b", 20)
	addTestCaptures(t, s, "empty", 0)
	steps := []func() error{
		func() error { return s.NoteCapture(t.Context(), "a", 3, "a note") },
		func() error {
			return s.AnswerCapture(t.Context(), "a", 3, event.Answer{Status: 200, Body: []byte("x")})
		},
		func() error { return s.NoteCapture(t.Context(), "a", 3, "") },
		func() error { _, err := s.DeleteCaptures(t.Context(), "a", []int64{3, 4, 99}); return err },
		func() error {
			_, err := s.AddCapture(t.Context(), event.Capture{Bin: "a", ID: "more"}, 7, false)
			return err
		},
		func() error { return s.NoteCapture(t.Context(), "b", 1, "gone soon") },
		func() error { return s.SetBinCursor(t.Context(), "b", "tunnel", 4) },
		func() error { return s.DeleteBin(t.Context(), "b", 0) },
		func() error { return s.DeleteBin(t.Context(), "empty", 0) },
		func() error { _, err := s.PutBin(t.Context(), event.Bin{ID: "b"}, 0); return err },
		func() error { _, err := s.TrimCaptures(t.Context(), time.UnixMicro(0), time.Time{}, 0, 7); return err },
		func() error {
			_, err := s.TrimCaptures(t.Context(), time.UnixMicro(0), time.Time{}, 2000, 70)
			return err
		},
	}
	for i, step := range steps {
		if err := step(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		checkTotals(t, s)
		if t.Failed() {
			t.Fatalf("after step %d", i)
		}
	}
}

// TestTrimCapturesInSteps trims more bytes than one transaction may.
func TestTrimCapturesInSteps(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	var mu sync.Mutex
	commits := 0
	s.Observe(func(store.Commit) {
		mu.Lock()
		defer mu.Unlock()
		commits++
	})
	addTestCaptures(t, s, "a", 20)
	addTestCaptures(t, s, "b", 20)
	const before = 2*(1+20) + 1
	if err := s.DeleteBin(t.Context(), "a", 0); err != nil {
		t.Fatal(err)
	}
	s.bins.trimBytes = 3000
	n, err := s.TrimCaptures(t.Context(), time.UnixMicro(0), time.UnixMicro(10), 0, 25)
	if err != nil || n != 25 {
		t.Errorf("%d captures were deleted (%v)", n, err)
	}
	n, err = s.TrimCaptures(t.Context(), time.UnixMicro(0), time.UnixMicro(10), 0, 25)
	if err != nil || n != 5 {
		t.Errorf("then %d captures were deleted (%v)", n, err)
	}
	if left := checkTotals(t, s); left != 10 {
		t.Errorf("%d captures are left", left)
	}
	closeTest(t, s)
	mu.Lock()
	defer mu.Unlock()
	if commits < before+10 {
		t.Errorf("it took %d transactions", commits-before)
	}
}

// TestBinsRecover loses the writer's connection amid a change: nothing of it remains, in the file and in memory.
func TestBinsRecover(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	defer closeTest(t, s)
	addTestCaptures(t, s, "a", 3)
	pulled := fmt.Errorf("a cable was pulled: %w", errIO)
	err := s.bins.w.update(t.Context(), func(c *conn) error {
		w := &captureWork{bins: s.bins, c: event.Capture{Bin: "a", ID: "lost"}, keep: 2, bytes: 5, record: packCapture(&event.Capture{})}
		if err := w.apply(c); err != nil || w.fail != nil {
			t.Errorf("the lost capture gave %v, %v", err, w.fail)
		}
		if err := s.bins.drop(c, 1, "a"); err != nil {
			return err
		}
		return pulled
	})
	if !errors.Is(err, errIO) {
		t.Fatalf("the error is %v", err)
	}
	if n := checkTotals(t, s); n != 3 {
		t.Errorf("%d captures are left", n)
	}
	c, err := s.AddCapture(t.Context(), event.Capture{Bin: "a", ID: "next"}, 10, false)
	if err != nil || c.Seq != 4 {
		t.Errorf("the next capture is %+v (%v)", c, err)
	}
	checkTotals(t, s)
}

// TestBinsDoNotWait captures while neither the log nor the state can be written.
func TestBinsDoNotWait(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	defer closeTest(t, s)
	release := make(chan struct{})
	var wg sync.WaitGroup
	for _, w := range []*writer{s.log.w, s.state.w} {
		held := make(chan struct{})
		wg.Go(func() {
			err := w.update(t.Context(), func(*conn) error {
				close(held)
				<-release
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		<-held
	}
	addTestCaptures(t, s, "a", 3)
	checkTotals(t, s)
	close(release)
	wg.Wait()
}

// TestFreedPagesAreUsedAgain fills a bin again and again: its file grows no more.
func TestFreedPagesAreUsedAgain(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	defer closeTest(t, s)
	if _, err := s.PutBin(t.Context(), event.Bin{ID: "a"}, 0); err != nil {
		t.Fatal(err)
	}
	var sizes []int64
	for round := range 6 {
		for i := range 20 {
			c := event.Capture{Bin: "a", ID: fmt.Sprint(round, "-", i), Request: event.Request{Body: make([]byte, 50_000)}}
			if _, err := s.AddCapture(t.Context(), c, 20, false); err != nil {
				t.Fatal(err)
			}
		}
		err := s.bins.reads.read(t.Context(), func(c *conn) error {
			n, err := c.pragmaInt("page_count", 0)
			sizes = append(sizes, n)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if last := sizes[len(sizes)-1]; last > sizes[1]+sizes[1]/10 {
		t.Errorf("the file has so many pages after each round: %v", sizes)
	}
}
