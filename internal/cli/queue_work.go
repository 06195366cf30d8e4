package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// queueWorkCmd runs a command for each event of a queue.
type queueWorkCmd struct {
	queueName
	Exec        string         `help:"What the shell runs for each event: the event is on its standard input as JSON; POSTHORN_EVENT_ID, _TYPE, _SUBJECT, _VERSION and POSTHORN_DELIVERIES tell more." required:"" placeholder:"COMMAND"`
	Concurrency int            `help:"How many commands run at once, 1 to 1,000." default:"1"`
	Prefetch    int            `help:"How many events more are leased ahead." default:"0"`
	Visibility  time.Duration  `help:"How long a lease holds; it is extended while the command runs." default:"30s"`
	Timeout     time.Duration  `help:"Kill a command that runs for longer." placeholder:"DURATION"`
	Delay       *time.Duration `help:"When a failed event is given again; without it after about 1s, then twice as long each time, at most 5m." placeholder:"DURATION"`
	Drain       time.Duration  `help:"How long commands may go on when this one is told to stop." default:"30s"`
	Count       int            `help:"Stop after so many acks." placeholder:"N"`
	Consumer    string         `help:"What the worker is called in the list of leases; the host's name and the process's number without it." placeholder:"NAME"`
	Quiet       bool           `help:"Tell of failures only." short:"q"`
}

// killWait is how long a command that was told to end may take.
const killWait = 5 * time.Second

// Run works until it is interrupted.
func (x *queueWorkCmd) Run(c *console) error {
	q, err := x.handle(c)
	if err != nil {
		return err
	}
	if x.Count < 0 {
		return usagef("--count must not be negative")
	}
	ctx, stop := context.WithCancel(c.ctx)
	defer stop()
	w := &queueWorker{c: c, x: x, stop: stop, out: c.out}
	if c.json {
		w.out = c.err // the results have the standard output
	}
	o := client.WorkOptions{
		Concurrency: x.Concurrency, Prefetch: x.Prefetch, Visibility: x.Visibility, Timeout: x.Timeout, Drain: x.Drain,
		Consumer: x.Consumer, OnDone: w.done, OnError: w.failed,
	}
	if o.Consumer == "" {
		host, _ := os.Hostname() // without one the number has to do
		o.Consumer = shortened(host, 60) + ":" + fmt.Sprint(os.Getpid())
	}
	if x.Count > 0 && x.Prefetch == 0 {
		o.Concurrency = min(o.Concurrency, x.Count)
	}
	if x.Drain == 0 {
		o.Drain = 1 // 0 would be the default
	}
	if x.Delay != nil {
		o.Backoff = func(int) time.Duration { return *x.Delay }
	}
	return q.Work(ctx, w.run, o)
}

// queueWorker runs commands and tells of them.
type queueWorker struct {
	c    *console
	x    *queueWorkCmd
	out  io.Writer // of the commands
	stop func()
	acks int // used by done only

	mu     sync.Mutex
	away   bool // a failure was told and nothing went well since
	writes sync.Mutex
}

// run runs the command for one event.
func (w *queueWorker) run(ctx context.Context, e client.LeasedEvent) error {
	w.mu.Lock()
	w.away = false
	full := w.x.Count > 0 && w.acks >= w.x.Count
	w.mu.Unlock()
	if full {
		return client.RetryIn(0, errEnough)
	}
	var in bytes.Buffer
	enc := json.NewEncoder(&in)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e.Event); err != nil {
		return err
	}
	shell, flag := "sh", "-c"
	if runtime.GOOS == "windows" {
		shell, flag = "cmd", "/C"
	}
	cmd := exec.CommandContext(ctx, shell, flag, w.x.Exec)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &lockedWriter{&w.writes, w.out}, &lockedWriter{&w.writes, w.c.err}
	cmd.WaitDelay = killWait
	cmd.Env = os.Environ()
	for _, v := range [][2]string{
		{"POSTHORN_EVENT_ID", e.Event.ID},
		{"POSTHORN_EVENT_TYPE", e.Event.Type},
		{"POSTHORN_EVENT_SUBJECT", e.Event.Subject},
		{"POSTHORN_EVENT_VERSION", fmt.Sprint(e.Event.Version)},
		{"POSTHORN_DELIVERIES", fmt.Sprint(e.Deliveries)},
	} {
		if !strings.ContainsRune(v[1], 0) { // an environment cannot hold it
			cmd.Env = append(cmd.Env, v[0]+"="+v[1])
		}
	}
	return cmd.Run()
}

var errEnough = errors.New("not begun: --count is reached")

// workLine is a result as JSON.
type workLine struct {
	Version    int64  `json:"version"`
	ID         string `json:"id"`
	Type       string `json:"type"`
	Deliveries int    `json:"deliveries"`
	Done       bool   `json:"done"`
	Error      string `json:"error,omitempty"`
}

// done tells of an event that was settled.
func (w *queueWorker) done(e client.LeasedEvent, err error) {
	if err == nil {
		w.mu.Lock()
		w.acks++
		enough := w.acks == w.x.Count
		w.mu.Unlock()
		if enough {
			w.stop()
		}
	}
	if err == nil && w.x.Quiet {
		return
	}
	w.writes.Lock()
	defer w.writes.Unlock()
	if w.c.json {
		line := workLine{Version: e.Event.Version, ID: e.Event.ID, Type: e.Event.Type, Deliveries: e.Deliveries, Done: err == nil}
		if err != nil {
			line.Error = err.Error()
		}
		_ = w.c.writeLine(line)
		return
	}
	result := w.c.errPaint(green, "done")
	if err != nil {
		result = w.c.errPaint(red, "failed: "+clean(strings.TrimPrefix(err.Error(), "client: ")))
	}
	_, _ = fmt.Fprintf(w.c.err, "%7d  %s  %s\n", e.Event.Version, clean(e.Event.Type), result)
}

// failed tells once that the server cannot be asked, until an event has come again.
func (w *queueWorker) failed(err error) {
	w.mu.Lock()
	told := w.away
	w.away = true
	w.mu.Unlock()
	if told {
		return
	}
	w.writes.Lock()
	defer w.writes.Unlock()
	_, _ = fmt.Fprintf(w.c.err, "%s\n", w.c.errPaint(yellow, clean(w.c.explain(err).Message)+"; trying again"))
}

// lockedWriter lets several commands write to one place.
type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
