package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/posthornhq/posthorn/internal/sink"
)

// Hidden commands that a run starts the binary with.
const (
	CommandSink = "bench-sink"
	CommandLoad = "bench-load"
	// CommandCrowd holds many connections that listen.
	CommandCrowd = "bench-crowd"
)

// stopWithin bounds how long a child may take to stop when it is asked to.
const stopWithin = 40 * time.Second

// RunSink serves a sink with its control interface on a free loopback port, writes its address to out as one line, and
// goes on until in ends or ctx does.
func RunSink(ctx context.Context, in io.Reader, out io.Writer) error {
	s, err := sink.New(sink.Options{Control: true})
	if err != nil {
		return err
	}
	if err := s.Start(ctx, "127.0.0.1:0"); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, s.URL()); err != nil {
		return fmt.Errorf("write address: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, in) // ends with the parent, whichever way that ends
		close(ended)
	}()
	select {
	case <-ctx.Done():
	case <-ended:
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = s.Stop(stop) // connections that the server still holds open end with this process
	return nil
}

// child is one process of the run.
type child struct {
	name   string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	errors *tail
	gone   chan struct{} // closed when the process has ended
	ended  error
}

// startChild starts the binary with arguments and an environment without our variables, except those given.
func startChild(ctx context.Context, executable, name string, environ []string, args ...string) (*child, error) {
	c := &child{name: name, errors: &tail{}, gone: make(chan struct{})}
	c.cmd = exec.CommandContext(ctx, executable, args...)
	c.cmd.Stderr = c.errors
	c.cmd.Env = append(cleanEnviron(os.Environ()), environ...)
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return c, nil
}

// watch waits for the end of a child whose output nobody reads any more.
func (c *child) watch() {
	go func() {
		_, _ = io.Copy(io.Discard, c.out)
		c.ended = c.cmd.Wait()
		close(c.gone)
	}()
}

// cleanEnviron drops our own variables: a measurement must not depend on the shell it is started from.
func cleanEnviron(environ []string) []string {
	var kept []string
	for _, e := range environ {
		if !strings.HasPrefix(e, "POSTHORN_") {
			kept = append(kept, e)
		}
	}
	return kept
}

// stop asks the process to end and waits for it.
func (c *child) stop() {
	_ = c.in.Close()
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.gone:
	case <-time.After(stopWithin):
		c.kill()
	}
}

// kill ends the process at once and waits for it.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.gone
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// failure explains the end of a child with the last lines it wrote.
func (c *child) failure(err error) error {
	text := strings.TrimSpace(c.errors.String())
	if text == "" {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return fmt.Errorf("%s: %w; it wrote: %s", c.name, err, text)
}

// tail keeps the last few kilobytes written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const tailSize = 4 << 10

// Write keeps the end of what was written.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if extra := len(t.kept) - tailSize; extra > 0 {
		t.kept = append(t.kept[:0], t.kept[extra:]...)
	}
	return len(p), nil
}

// String returns what is kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.Clone(t.kept))
}

// sinkProcess is the running sink.
type sinkProcess struct {
	*child
	url string
}

func startSink(ctx context.Context, executable string) (*sinkProcess, error) {
	c, err := startChild(ctx, executable, "sink", nil, CommandSink)
	if err != nil {
		return nil, err
	}
	line, err := c.out.ReadString('\n')
	c.watch()
	if err != nil {
		c.kill()
		return nil, c.failure(err)
	}
	return &sinkProcess{c, strings.TrimSpace(line)}, nil
}

// loadProcess is the running load generator.
type loadProcess struct {
	*child
	lines *bufio.Scanner
}

func startLoad(ctx context.Context, executable string) (*loadProcess, error) {
	c, err := startChild(ctx, executable, "load generator", nil, CommandLoad)
	if err != nil {
		return nil, err
	}
	return &loadProcess{c, bufio.NewScanner(c.out)}, nil
}

// run sends one load and waits for its result.
func (p *loadProcess) run(l Load, progress func(events int64)) (Sent, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return Sent{}, fmt.Errorf("load: %w", err)
	}
	if _, err := p.in.Write(append(text, '\n')); err != nil {
		return Sent{}, p.failure(err)
	}
	for p.lines.Scan() {
		var s Sent
		if err := json.Unmarshal(p.lines.Bytes(), &s); err != nil {
			return Sent{}, p.failure(err)
		}
		if !s.Done {
			progress(s.Events)
			continue
		}
		if s.Error != "" {
			return s, errors.New(s.Error)
		}
		return s, nil
	}
	return Sent{}, p.failure(errors.New("ended before its load was done"))
}

// crowdProcess is a running crowd of listeners.
type crowdProcess struct {
	*child
	answers *json.Decoder
}

func startCrowd(ctx context.Context, executable string) (*crowdProcess, error) {
	c, err := startChild(ctx, executable, "crowd", nil, CommandCrowd)
	if err != nil {
		return nil, err
	}
	return &crowdProcess{c, json.NewDecoder(c.out)}, nil
}

// tell gives the crowd an order and returns its answer.
func (p *crowdProcess) tell(o Order) (Heard, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return Heard{}, fmt.Errorf("order: %w", err)
	}
	if _, err := p.in.Write(append(text, '\n')); err != nil {
		return Heard{}, p.failure(err)
	}
	var h Heard
	if err := p.answers.Decode(&h); err != nil {
		return h, p.failure(err)
	}
	if h.Error != "" {
		return h, fmt.Errorf("crowd: %s", h.Error)
	}
	return h, nil
}

// serverProcess is a running server.
type serverProcess struct {
	*child
	api
}

// startServer starts a server on a data folder and waits until it is ready. It returns how long that took from the
// start of the process.
func startServer(ctx context.Context, executable, data, key string, options ...string) (*serverProcess, time.Duration, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, 0, err
	}
	start := time.Now()
	arguments := append([]string{
		"serve", "--listen", address, "--data", data, "--allow-targets", "127.0.0.0/8", "--log-level", "warn",
		"--retention-size", "0", "--max-endpoints", "200000",
	}, options...)
	c, err := startChild(ctx, executable, "server", []string{"POSTHORN_ROOT_KEY=" + key}, arguments...)
	if err != nil {
		return nil, 0, err
	}
	c.watch()
	s := &serverProcess{c, newAPI("http://"+address, key)}
	if err := s.waitReady(ctx); err != nil {
		s.stop()
		return nil, 0, s.failure(err)
	}
	return s, time.Since(start), nil
}

// freeAddress finds a free loopback port. Another process could take it before the server does; the server then says
// so and the run ends.
func freeAddress(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// waitReady asks every few milliseconds, so that the wait adds little to a short start.
func (s *serverProcess) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if status, err := s.status(ctx, "/readyz"); err == nil && status == http.StatusOK {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.gone:
			return errors.New("ended before it was ready")
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", ctx.Err())
		}
	}
}
