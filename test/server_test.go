package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
)

const (
	rootKey = "e2e-root-key-0123456789abcdef"
	tenant  = "acme"
	// patience bounds every wait. It is long because a test must not fail for a slow machine.
	patience = 3 * time.Minute
	poll     = 10 * time.Millisecond
)

// tail keeps the last bytes that a process wrote, and whether it ever wrote of a panic or a data race.
type tail struct {
	mu    sync.Mutex
	buf   []byte
	alarm bool
}

const tailSize = 64 << 10

// Write keeps p.
func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alarm = l.alarm || bytes.Contains(p, []byte("panic: ")) || bytes.Contains(p, []byte("WARNING: DATA RACE"))
	if l.buf = append(l.buf, p...); len(l.buf) > 2*tailSize {
		l.buf = bytes.Clone(l.buf[len(l.buf)-tailSize:])
	}
	return len(p), nil
}

// String returns what is kept.
func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf)
}

// server is a posthorn that is started, killed and started again on one data folder and one address.
type server struct {
	t      testing.TB
	data   string
	addr   string
	args   []string             // more options
	wrap   []string             // a command that runs the server's
	as     *syscall.SysProcAttr // for refused: the user that runs it
	log    *tail
	client *client.Client

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	err  error         // of the process, once done is closed
}

// newServer prepares a server with more options; start runs it.
func newServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{t: t, data: filepath.Join(t.TempDir(), "data"), addr: freeAddress(t), args: args, log: &tail{}}
	var err error
	if s.client, err = client.New(s.url(), rootKey); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.kill()
		if s.log.alarm {
			t.Error("the server reports a panic or a data race")
		}
		if t.Failed() {
			t.Logf("the server's log ends with:\n%s", s.log)
		}
	})
	return s
}

func (s *server) url() string { return "http://" + s.addr }

// given are the ports that freeAddress has given out: none is given twice.
var given sync.Map

// freeAddress returns an address outside the range from which outgoing connections take their ports, so that it stays
// free while the server is down. No other test gets it: of this process by given, of another one on this machine because
// the same port of a second loopback address, where there is one, is held until the test ends.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		port := 20000 + rand.IntN(12000) //nolint:gosec // any port will do
		if _, taken := given.LoadOrStore(port, true); taken {
			continue
		}
		held, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.2:%d", port))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err == nil {
			t.Cleanup(func() { _ = held.Close() })
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return addr
	}
	t.Fatal("no free port")
	return ""
}

// command is the server's command line.
func (s *server) command() []string {
	line := append([]string{}, s.wrap...)
	line = append(line, program, "serve", "--listen", s.addr, "--data", s.data, "--root-key", rootKey,
		"--allow-targets", "127.0.0.0/8,::1/128", "--log-format", "text")
	return append(line, s.args...)
}

// clean is the environment without the variables of a posthorn that the developer uses.
func clean() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "POSTHORN_") })
}

// launch starts the process without waiting for it to be ready.
func (s *server) launch() {
	s.t.Helper()
	line := s.command()
	s.cmd = exec.Command(line[0], line[1:]...) //nolint:noctx // it is killed by signal
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.Env = clean()
	// The server must not outlive a test that is killed.
	s.cmd.SysProcAttr = orphanless()
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		s.err = cmd.Wait()
		close(done)
	}(s.cmd, s.done)
}

// start runs the server and waits until it can take work.
func (s *server) start() {
	s.t.Helper()
	s.launch()
	s.ready()
}

// ready waits until the server can take work.
func (s *server) ready() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		status, _, err := s.get(ctx, "/readyz")
		if err == nil && status == http.StatusOK {
			return
		}
		select {
		case <-s.done:
			s.t.Fatalf("the server ended by itself: %v\n%s", s.err, s.log)
		case <-time.After(poll):
		case <-ctx.Done():
			s.t.Fatalf("the server is not ready: status %d, %v", status, err)
		}
	}
}

var plain = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}

// get fetches a path without a key.
func (s *server) get(ctx context.Context, path string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url()+path, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	res, err := plain.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

// kill ends the process as a power cut would, and waits until it is gone.
func (s *server) kill() {
	if s.done == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended already
	<-s.done
	s.done = nil
}

// terminate asks the process to end in order.
func (s *server) terminate() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
}

// ended waits for the process to end by itself and returns its exit status.
func (s *server) ended() int {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(patience):
		s.t.Fatal("the server does not end")
	}
	s.done = nil
	if exit, ok := errors.AsType[*exec.ExitError](s.err); ok {
		return exit.ExitCode()
	}
	if s.err != nil {
		s.t.Fatal(s.err)
	}
	return 0
}

// stop ends the process in order and requires status 0.
func (s *server) stop() {
	s.t.Helper()
	s.terminate()
	if status := s.ended(); status != 0 {
		s.t.Fatalf("the server ended with status %d after SIGTERM", status)
	}
}

// makeTenant makes the tenant of the tests.
func (s *server) makeTenant() {
	s.t.Helper()
	if _, err := s.client.CreateTenant(s.t.Context(), client.Tenant{Name: tenant}); err != nil {
		s.t.Fatal(err)
	}
}

// addEndpoint makes an endpoint and returns its id and signing secret.
func (s *server) addEndpoint(e client.Endpoint) (id, secret string) {
	s.t.Helper()
	made, err := s.client.CreateEndpoint(s.t.Context(), tenant, e)
	if err != nil {
		s.t.Fatal(err)
	}
	shown, err := s.client.Secret(s.t.Context(), tenant, made.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	return made.ID, shown.Secret
}

// changes reads the whole log.
func (s *server) changes() []client.Event {
	s.t.Helper()
	var list []client.Event
	for start := int64(1); ; {
		page, err := s.client.Changes(s.t.Context(), tenant, start, client.PageSize(500))
		if err != nil {
			s.t.Fatal(err)
		}
		list = append(list, page.Changes...)
		if start = page.Next; start > page.Head {
			return list
		}
	}
}

// pause waits, or returns false when the context ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// eventually polls until a condition holds, and fails the test with what the last look said when it never does.
func eventually(t testing.TB, what string, look func() (ok bool, seen string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		ok, seen := look()
		if ok {
			return
		}
		if !pause(ctx, 5*poll) {
			t.Fatalf("%s: not within %v: %s", what, patience, seen)
		}
	}
}
