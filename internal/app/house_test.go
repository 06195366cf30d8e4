package app

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store/sqlite"
)

// fillBin makes a bin with n requests that came so long ago, each with so many bytes.
func fillBin(t *testing.T, a *App, b event.Bin, n, size int, ago time.Duration) {
	t.Helper()
	if _, err := a.store.PutBin(t.Context(), b, 0); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		c := event.Capture{Bin: b.ID, ID: fmt.Sprint(i), At: time.Now().Add(-ago), Request: event.Request{Body: make([]byte, size)}}
		if _, err := a.store.AddCapture(t.Context(), c, event.MaxBinKept, false); err != nil {
			t.Fatal(err)
		}
	}
}

func requests(t *testing.T, a *App, bin string) int64 {
	t.Helper()
	st, err := a.store.BinStats(t.Context(), bin)
	if event.KindOf(err) == event.KindNotFound {
		return -1
	}
	if err != nil {
		t.Fatal(err)
	}
	return st.Requests
}

// TestTrimCaptures deletes what is too old or too much, and what expired or was deleted.
func TestTrimCaptures(t *testing.T) {
	a, _ := newApp(t, "--captures-retention-age", "1h", "--captures-retention-size", "1MiB")
	fillBin(t, a, event.Bin{ID: "old"}, houseBatch+10, 10, 2*time.Hour)
	fillBin(t, a, event.Bin{ID: "large"}, 15, 100_000, time.Minute)
	fillBin(t, a, event.Bin{ID: "expired", Expires: time.Now().Add(-time.Second)}, 3, 10, time.Minute)
	fillBin(t, a, event.Bin{ID: "young", Expires: time.Now().Add(time.Hour)}, 3, 10, 0)
	if err := a.trimCaptures(t.Context()); err != nil {
		t.Fatal(err)
	}
	for bin, want := range map[string]int64{"old": 0, "large": 10, "expired": -1, "young": 3} {
		if n := requests(t, a, bin); n != want {
			t.Errorf("the bin %s holds %d requests, want %d", bin, n, want)
		}
	}
}

// TestTrimCapturesWithoutLimits keeps everything.
func TestTrimCapturesWithoutLimits(t *testing.T) {
	a, _ := newApp(t, "--captures-retention-age", "0", "--captures-retention-size", "0")
	fillBin(t, a, event.Bin{ID: "old"}, 3, 1_000_000, 10_000*time.Hour)
	if err := a.trimCaptures(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := requests(t, a, "old"); n != 3 {
		t.Errorf("the bin holds %d requests", n)
	}
}

// TestDropTenantWithBins deletes the bins of a deleted tenant, and nobody else's.
func TestDropTenantWithBins(t *testing.T) {
	a, tenant := newApp(t)
	fillBin(t, a, event.Bin{ID: "its", Tenant: tenant.ID}, 2, 10, 0)
	fillBin(t, a, event.Bin{ID: "other", Tenant: tenant.ID + 1}, 2, 10, 0)
	fillBin(t, a, event.Bin{ID: "nobody's"}, 2, 10, 0)
	if err := a.store.DeleteTenant(t.Context(), tenant.ID, 0); err != nil {
		t.Fatal(err)
	}
	for _, job := range []error{a.dropTenants(t.Context()), a.trimCaptures(t.Context())} {
		if job != nil {
			t.Fatal(job)
		}
	}
	for bin, want := range map[string]int64{"its": -1, "other": 2, "nobody's": 2} {
		if n := requests(t, a, bin); n != want {
			t.Errorf("the bin %s holds %d requests, want %d", bin, n, want)
		}
	}
	if list, err := a.store.DeletedTenants(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("still to delete: %v, %v", list, err)
	}
}

// TestBackupTakesBins copies a data folder with bins and opens the copy.
func TestBackupTakesBins(t *testing.T) {
	data, copied := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	s, err := sqlite.Open(data, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.PutBin(t.Context(), event.Bin{ID: "bin"}, 0)
	if err == nil {
		_, err = s.AddCapture(t.Context(), event.Capture{Bin: "bin", ID: "c", Request: event.Request{Body: []byte("body")}}, 1, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Backup(t.Context(), data, copied, nil); err != nil {
		t.Fatal(err)
	}
	if s, err = sqlite.Open(copied, sqlite.Options{}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if c, err := s.Capture(t.Context(), "bin", 1); err != nil || string(c.Body) != "body" {
		t.Errorf("the copy holds %+v, %v", c, err)
	}
}
