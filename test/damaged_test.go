package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/posthornhq/posthorn/client"
)

// exitFailure is the documented status of a server that cannot start.
const exitFailure = 1

// refused runs the server where it must not start: it ends by itself with the documented status and a short message
// that holds each of the words.
func (s *server) refused(words ...string) {
	s.t.Helper()
	line := s.command()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	cmd.SysProcAttr, cmd.Env = s.as, clean()
	err := cmd.Run()
	if ctx.Err() != nil {
		s.t.Fatalf("the server started, or does not end; it wrote:\n%s%s", &out, &errOut)
	}
	status := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		status = exit.ExitCode()
	}
	if status != exitFailure {
		s.t.Errorf("status %d, want %d: %v", status, exitFailure, err)
	}
	message := errOut.String()
	first, _, _ := strings.Cut(message, "\n")
	if !strings.HasPrefix(first, "posthorn: ") {
		s.t.Errorf("the first line is not the reason: %q", message)
	}
	for _, w := range words {
		if !strings.Contains(first, w) {
			s.t.Errorf("the reason does not name %q: %q", w, first)
		}
	}
	if n := strings.Count(message, "\n"); n > 3 {
		s.t.Errorf("the message has %d lines:\n%s", n, message)
	}
	if out.Len() > 0 {
		s.t.Errorf("it wrote to standard output: %q", &out)
	}
}

// prints returns a hash of every file in a folder, without those that hold nothing: SQLite's shared memory, and
// write-ahead logs without content.
func prints(t testing.TB, dir string) map[string]string {
	t.Helper()
	list := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, "-shm") || strings.HasSuffix(path, "-wal") && len(b) == 0 {
			return nil
		}
		h := sha256.Sum256(b)
		info, err := d.Info()
		list[strings.TrimPrefix(path, dir)] = info.Mode().String() + " " + hex.EncodeToString(h[:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// filled is a server that has stopped in order, with an endpoint and some events in its folder.
func filled(t *testing.T) *server {
	t.Helper()
	s := newServer(t)
	s.start()
	s.makeTenant()
	r := newReceiver(t, "any", &runCounter{}, conduct{}, 1)
	s.addEndpoint(client.Endpoint{URL: r.url})
	var batch []client.Event
	for _, p := range payloads(t)[:60] {
		batch = append(batch, client.Event{Type: p.kind, Data: p.data})
	}
	if _, err := s.client.PublishBatch(t.Context(), tenant, batch); err != nil {
		t.Fatal(err)
	}
	eventually(t, "everything arrives", func() (bool, string) {
		_, taken := r.count()
		return taken == len(batch), ""
	})
	s.stop()
	return s
}

// change rewrites a file.
func change(t testing.TB, path string, f func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, f(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDamaged starts servers on folders that they must not touch: each says why in a line and leaves every byte.
func TestDamaged(t *testing.T) {
	good := filled(t)
	garbage := func(b []byte) []byte {
		r := rand.NewChaCha8([32]byte{1})
		_, _ = r.Read(b) // never fails
		return b
	}
	text := func([]byte) []byte { return []byte("this is not a database\n") }
	stub := func(b []byte) []byte { return b[:50] }
	half := func(b []byte) []byte { return b[:len(b)/2/4096*4096] }
	newer := func(b []byte) []byte { // https://www.sqlite.org/fileformat2.html#user_version
		binary.BigEndian.PutUint32(b[60:], 1000)
		return b
	}
	foreign := func(b []byte) []byte {
		copy(b[68:], "ABCD")
		return b
	}
	schema := func(b []byte) []byte { // the tables' definitions, on the first page
		clear(b[100:4096])
		return b
	}
	for _, c := range []struct {
		name  string
		how   func([]byte) []byte
		words []string
	}{
		{"garbage", garbage, []string{"not a database"}},
		{"text", text, []string{"cut short"}},
		{"cut in its header", stub, []string{"cut short"}},
		{"cut in half", half, []string{"damaged"}},
		{"newer", newer, []string{"newer"}},
		{"of another program", foreign, []string{"another program"}},
		{"without a schema", schema, []string{"damaged"}},
	} {
		for _, file := range []string{"log.db", "state.db", "bins.db"} {
			t.Run(file+" "+c.name, func(t *testing.T) {
				t.Parallel()
				s := copied(t, good)
				change(t, filepath.Join(s.data, file), c.how)
				before := prints(t, s.data)
				s.refused(append(c.words, filepath.Join(s.data, file))...)
				same(t, before, prints(t, s.data))
			})
		}
	}
	for _, file := range []string{"log.db", "state.db"} {
		t.Run(file+" missing", func(t *testing.T) {
			t.Parallel()
			s := copied(t, good)
			if err := os.Remove(filepath.Join(s.data, file)); err != nil {
				t.Fatal(err)
			}
			before := prints(t, s.data)
			s.refused(filepath.Join(s.data, file))
			same(t, before, prints(t, s.data))
		})
	}
	t.Run("another encryption key", func(t *testing.T) {
		t.Parallel()
		s, other := copied(t, good), newServer(t)
		other.start()
		other.stop()
		key, err := os.ReadFile(filepath.Join(other.data, "encryption.key"))
		if err != nil {
			t.Fatal(err)
		}
		change(t, filepath.Join(s.data, "encryption.key"), func([]byte) []byte { return key })
		before := prints(t, s.data)
		s.refused("encryption key")
		same(t, before, prints(t, s.data))
	})
	t.Run("an encryption key that is damaged", func(t *testing.T) {
		t.Parallel()
		s := copied(t, good)
		change(t, filepath.Join(s.data, "encryption.key"), func(b []byte) []byte { return b[:len(b)/2] })
		before := prints(t, s.data)
		s.refused("encryption.key")
		same(t, before, prints(t, s.data))
	})
	t.Run("no encryption key", func(t *testing.T) {
		t.Parallel()
		s := copied(t, good)
		if err := os.Remove(filepath.Join(s.data, "encryption.key")); err != nil {
			t.Fatal(err)
		}
		before := prints(t, s.data)
		s.refused("encryption key")
		same(t, before, prints(t, s.data))
	})
	t.Run("untouched", func(t *testing.T) { // the copies are good as long as nobody damages them
		t.Parallel()
		s := copied(t, good)
		s.start()
		if n := len(s.changes()); n != 60 {
			t.Errorf("%d events, want 60", n)
		}
		s.stop()
	})
}

// copied is a server on a copy of another's folder.
func copied(t *testing.T, from *server) *server {
	t.Helper()
	s := newServer(t)
	if err := os.CopyFS(s.data, os.DirFS(from.data)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(s.data, "encryption.key"), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func same(t testing.TB, before, after map[string]string) {
	t.Helper()
	if !maps.Equal(before, after) {
		t.Errorf("the folder was changed.\nbefore: %v\nafter:  %v", before, after)
	}
}

// TestInUse starts a second server on the folder of one that runs.
func TestInUse(t *testing.T) {
	first := newServer(t)
	first.start()
	first.makeTenant()
	second := newServer(t)
	second.data = first.data
	second.refused(first.data, "in use")
	if _, err := first.client.Publish(t.Context(), tenant, client.Event{Type: "still.there"}); err != nil {
		t.Errorf("the first server no longer works: %v", err)
	}
	first.stop()
	second.start() // the folder is free again, also for others
	if n := len(second.changes()); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	second.kill()
	second.start() // and after a kill
}

// TestTakenPort starts a server on a port where another program listens.
func TestTakenPort(t *testing.T) {
	s := filled(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	before := prints(t, s.data)
	s.refused(s.addr, "in use")
	same(t, before, prints(t, s.data))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.start()
}

// TestUnwritable starts servers on folders where they may not or cannot write.
func TestUnwritable(t *testing.T) {
	t.Run("a file", func(t *testing.T) {
		s := newServer(t)
		if err := os.WriteFile(s.data, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s.refused(s.data, "not a directory")
	})
	t.Run("without permission", func(t *testing.T) {
		s := newServer(t)
		// As root every folder can be written to, so the server runs as nobody.
		if os.Getuid() == 0 {
			s.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			dir, err := os.MkdirTemp("", "posthorn-e2e-") //nolint:usetesting // t.TempDir is for its owner only
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			s.data = filepath.Join(dir, "data")
			if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the folder is empty
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(s.data, 0o555); err != nil { //nolint:gosec // the folder is empty
			t.Fatal(err)
		}
		s.refused(s.data, "permission denied")
		if left := prints(t, s.data); len(left) > 0 {
			t.Errorf("it left %v", left)
		}
	})
}
