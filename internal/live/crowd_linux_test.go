package live

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posthornhq/posthorn/internal/bench"
)

func init() { runCrowd = listenAsCrowd }

// crowd is the process, which listens as the benchmark suite's crowd does.
type crowd struct {
	in  *json.Encoder
	out *json.Decoder
}

func startCrowd(tb testing.TB) *crowd {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), crowdVar+"=1", "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	return &crowd{json.NewEncoder(in), json.NewDecoder(out)}
}

// ask carries an order out and returns what was heard since the last reset.
func (c *crowd) ask(tb testing.TB, o bench.Order) bench.Heard {
	tb.Helper()
	var h bench.Heard
	if err := c.in.Encode(o); err != nil {
		tb.Fatal(err)
	}
	if err := c.out.Decode(&h); err != nil {
		tb.Fatal(err)
	}
	if h.Error != "" {
		tb.Fatal("crowd: ", h.Error)
	}
	return h
}

// open adds event streams.
func (c *crowd) open(tb testing.TB, count int, address string) {
	tb.Helper()
	c.ask(tb, bench.Order{Do: "open", Kind: "sse", Address: address, Path: "/", Count: count})
}

// listenAsCrowd is what the process does.
func listenAsCrowd() {
	if err := bench.RunCrowd(context.Background(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "crowd:", err)
		os.Exit(1)
	}
}

// mark is what the crowd counts: the number of an event, and when it was made.
func mark(n int) []byte {
	return fmt.Appendf(nil, `"posthorn_mark":"%016x%016x"`, n, time.Now().UnixNano())
}

// cpu is what this process has used.
func cpu() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resident is this process's memory, in bytes.
func resident(tb testing.TB) int {
	tb.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		tb.Fatal(err)
	}
	n, err := strconv.Atoi(string(bytes.Fields(b)[1]))
	if err != nil {
		tb.Fatal(err)
	}
	return n * os.Getpagesize()
}

// raiseFiles lets this process and its crowd open many files, where it may.
func raiseFiles(n uint64) {
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: n})
}
