package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

func testEvents(prefix string, n int) []event.Event {
	list := make([]event.Event, n)
	for i := range list {
		list[i] = event.Event{ID: fmt.Sprintf("%s-%d", prefix, i), Source: "/s", Type: "t", Time: time.UnixMicro(5).UTC(), Data: []byte(`{"n":1}`)}
	}
	return list
}

func appendTest(t testing.TB, s store.Store, list []event.Event) []event.Receipt {
	t.Helper()
	r, err := s.Append(t.Context(), time.UnixMicro(10), store.AppendRequest{Tenant: 1, Events: list})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func closeTest(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenInUse(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	if _, err := Open(dir, Options{}); !errors.Is(err, store.ErrInUse) {
		t.Errorf("a second opening gave %v", err)
	}
	closeTest(t, s)
	closeTest(t, openTest(t, dir, Options{}))
}

func TestOpenMakesPrivateFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := openTest(t, dir, Options{})
	defer closeTest(t, s)
	appendTest(t, s, testEvents("a", 1))
	for _, name := range []string{"", logName, stateName, binsName, lockName, logName + "-wal"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%q has the mode %v", name, info.Mode())
		}
	}
}

// TestOpenRefuses damages files in several ways; opening must name the file and change nothing.
func TestOpenRefuses(t *testing.T) {
	edit := func(f func(b []byte) []byte) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, f(b), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	put32 := func(at int, n uint32) func(t *testing.T, path string) {
		return edit(func(b []byte) []byte {
			binary.BigEndian.PutUint32(b[at:], n)
			return b
		})
	}
	tests := []struct {
		name   string
		damage func(t *testing.T, path string)
		want   error
	}{
		{"newer", put32(60, 99), store.ErrNewer},
		{"another program's", put32(68, 12345), store.ErrCorrupt},
		{"not a database", edit(func([]byte) []byte { return bytes.Repeat([]byte("hello "), 100) }), store.ErrCorrupt},
		{"cut in the header", edit(func(b []byte) []byte { return b[:50] }), store.ErrCorrupt},
		{"cut in half", edit(func(b []byte) []byte { return b[:len(b)/2/4096*4096] }), store.ErrCorrupt},
		{"garbled", edit(func(b []byte) []byte {
			copy(b[100:], bytes.Repeat([]byte{0xa5}, len(b)-100))
			return b
		}), store.ErrCorrupt},
		{"an empty table of numbers", edit(func(b []byte) []byte {
			copy(b[4096:], bytes.Repeat([]byte{0}, 4096))
			return b
		}), store.ErrCorrupt},
	}
	for _, file := range []string{logName, stateName, binsName} {
		for _, tt := range tests {
			t.Run(file+" "+tt.name, func(t *testing.T) {
				dir := t.TempDir()
				s := openTest(t, dir, Options{})
				appendTest(t, s, testEvents("a", 10))
				addTestCaptures(t, s, "bin", 10)
				closeTest(t, s)
				path := filepath.Join(dir, file)
				tt.damage(t, path)
				before := content(t, dir)
				_, err := Open(dir, Options{})
				if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), path) {
					t.Errorf("opening gave %v, want %v with the file named", err, tt.want)
				}
				for name, b := range content(t, dir) {
					if !bytes.Equal(b, before[name]) {
						t.Errorf("%s was changed", name)
					}
				}
			})
		}
	}
}

// content returns the data files of a folder; SQLite's shared memory is none.
func content(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	m := map[string][]byte{}
	for _, name := range []string{logName, stateName, binsName} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		m[name] = b
	}
	return m
}

func TestOpenMissingState(t *testing.T) {
	dir := t.TempDir()
	closeTest(t, openTest(t, dir, Options{}))
	if err := os.Remove(filepath.Join(dir, stateName)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("opening without %s gave %v", stateName, err)
	}
	if _, err := os.Stat(filepath.Join(dir, stateName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s was made", stateName)
	}
}

// TestOpenStateAhead refuses a state whose position its log never reached, such as files of two backups.
func TestOpenStateAhead(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	appendTest(t, s, testEvents("a", 5))
	leases, err := s.Acquire(t.Context(), "n", time.UnixMicro(0), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SaveRecord(t.Context(), store.Record{Lease: leases[0], Position: 5}); err != nil {
		t.Fatal(err)
	}
	closeTest(t, s)
	if err := os.Rename(filepath.Join(dir, logName), filepath.Join(dir, "kept")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("opening without %s gave %v", logName, err)
	}
	if _, err := os.Stat(filepath.Join(dir, logName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s was made", logName)
	}
	other := t.TempDir()
	closeTest(t, openTest(t, other, Options{}))
	if err := os.Rename(filepath.Join(other, logName), filepath.Join(dir, logName)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("opening gave %v", err)
	}
}

// TestOpenMakesBins opens a folder from before there were bins: they are made, and what else it holds stays.
func TestOpenMakesBins(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	appendTest(t, s, testEvents("a", 5))
	leases, err := s.Acquire(t.Context(), "n", time.UnixMicro(0), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SaveRecord(t.Context(), store.Record{Lease: leases[0], Position: 5}); err != nil {
		t.Fatal(err)
	}
	addTestCaptures(t, s, "lost", 1)
	closeTest(t, s)
	if err := os.Remove(filepath.Join(dir, binsName)); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, dir, Options{})
	defer closeTest(t, s)
	checkLog(t, s, 5)
	if _, err := s.Bin(t.Context(), "lost"); event.KindOf(err) != event.KindNotFound {
		t.Errorf("the lost bin gave %v", err)
	}
	addTestCaptures(t, s, "bin", 1)
}

// TestOpenBinsAlone refuses bins whose tenants were lost: new ones would get their numbers.
func TestOpenBinsAlone(t *testing.T) {
	for _, lost := range [][]string{{logName, stateName}, {logName}, {stateName}} {
		dir := t.TempDir()
		s := openTest(t, dir, Options{})
		addTestCaptures(t, s, "bin", 1)
		closeTest(t, s)
		for _, name := range lost {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Open(dir, Options{}); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("opening without %v gave %v", lost, err)
		}
		for _, name := range lost {
			if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s was made", name)
			}
		}
	}
}

// TestOpenHalfMade opens folders in which making the files was interrupted.
func TestOpenHalfMade(t *testing.T) {
	for _, empty := range [][]string{{stateName}, {stateName, logName}, {stateName, logName, binsName}} {
		dir := t.TempDir()
		for _, name := range empty {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s := openTest(t, dir, Options{})
		appendTest(t, s, testEvents("a", 1))
		closeTest(t, s)
	}
}

// TestCrash copies the files of an open store, as a crash leaves them, and opens the copy: every acknowledged event is
// there, also when the crash tore what was written after them.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	defer closeTest(t, s)
	leases, err := s.Acquire(t.Context(), "n", time.UnixMicro(0), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	total, captured := 0, 0
	for round := range 12 {
		total += len(appendTest(t, s, testEvents(fmt.Sprint(round), 1+round*round*20)))
		r := store.Record{Lease: leases[0], Position: int64(total), Attempts: []event.Attempt{{Tenant: 1, Endpoint: 1, Versions: []int64{int64(total)}}}}
		if err := s.SaveRecord(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		captured += 1 + round
		addTestCaptures(t, s, fmt.Sprint("bin", round), 1+round)
		copied := t.TempDir()
		for _, name := range []string{logName, logName + "-wal", stateName, stateName + "-wal", binsName, binsName + "-wal"} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(name, "-wal") && round%2 == 1 {
				b = append(b, bytes.Repeat([]byte{0x5a}, 5000)...) // a torn write
			}
			if err := os.WriteFile(filepath.Join(copied, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		checkCopy(t, copied, total, round+1)
		checkCapturesCopied(t, copied, round+1, captured)
	}
}

func checkCopy(t *testing.T, dir string, events, attempts int) {
	t.Helper()
	c := openTest(t, dir, Options{})
	defer closeTest(t, c)
	list, err := c.ReadPartition(t.Context(), 0, 0, events+1, noBound)
	if err != nil || len(list) != events {
		t.Fatalf("after the crash %d events are left of %d (%v)", len(list), events, err)
	}
	for i := range list {
		if list[i].Version != int64(i+1) {
			t.Fatalf("version %d in place of %d", list[i].Version, i+1)
		}
	}
	kept, _, err := c.AttemptsOfEndpoint(t.Context(), 1, nil, 0, 1000)
	if err != nil || len(kept) != attempts {
		t.Fatalf("after the crash %d attempts are left of %d (%v)", len(kept), attempts, err)
	}
	leases, err := c.Acquire(t.Context(), "n", time.UnixMicro(0), time.Minute)
	if err != nil || leases[0].Position != int64(events) || leases[0].Epoch != 2 {
		t.Fatalf("after the crash the lease is %+v (%v)", leases, err)
	}
}
