package live

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() { runCrowd = listenAsCrowd }

// crowdReport is what a crowd has heard since the last report.
type crowdReport struct {
	Open, Closed    int
	Messages, Bytes int64
	Reads           int64
	P50, P99, Max   time.Duration
	CPU             time.Duration
}

// crowd is the process.
type crowd struct {
	cmd *exec.Cmd
	in  *json.Encoder
	out *json.Decoder
}

type crowdOrder struct {
	Open    int
	Address string
	Path    string
	Head    string
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
	return &crowd{cmd, json.NewEncoder(in), json.NewDecoder(out)}
}

// ask carries an order out and returns the report.
func (c *crowd) ask(tb testing.TB, o crowdOrder) crowdReport {
	tb.Helper()
	var r crowdReport
	if err := c.in.Encode(o); err != nil {
		tb.Fatal(err)
	}
	if err := c.out.Decode(&r); err != nil {
		tb.Fatal(err)
	}
	return r
}

// listenAsCrowd reads orders and answers each with a report, until there are no more.
func listenAsCrowd() {
	ep, err := unix.EpollCreate1(0)
	check(err)
	orders := make(chan crowdOrder)
	go func() {
		lines := json.NewDecoder(bufio.NewReader(os.Stdin))
		for {
			var o crowdOrder
			if lines.Decode(&o) != nil {
				os.Exit(0)
			}
			orders <- o
		}
	}()
	var open atomic.Int64
	var report crowdReport
	var delays []time.Duration
	buf := make([]byte, 256<<10)
	events := make([]unix.EpollEvent, 512)
	files := map[int32]*os.File{}
	for {
		select {
		case o := <-orders:
			for range o.Open {
				c, err := net.Dial("tcp", o.Address) //nolint:noctx // a test's process
				check(err)
				_, err = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", o.Path, o.Head)
				check(err)
				f, err := c.(*net.TCPConn).File() //nolint:errcheck // it is
				check(err)
				check(c.Close())
				fd := int32(f.Fd())
				check(unix.SetNonblock(int(fd), true))
				n := 0
				for first := make([]byte, 4096); n == 0; { // wait for the first bytes
					if n, err = unix.Read(int(fd), first); err == unix.EAGAIN { //nolint:errorlint // bare
						n = 0
						p := []unix.PollFd{{Fd: fd, Events: unix.POLLIN}}
						_, _ = unix.Poll(p, 5000)
					}
				}
				files[fd] = f
				check(unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: unix.EPOLLIN, Fd: fd}))
				open.Add(1)
			}
			slices.Sort(delays)
			if n := len(delays); n > 0 {
				report.P50, report.P99, report.Max = delays[n/2], delays[n*99/100], delays[n-1]
			}
			var u unix.Rusage
			check(unix.Getrusage(unix.RUSAGE_SELF, &u))
			report.CPU = time.Duration(u.Utime.Nano() + u.Stime.Nano())
			report.Open = int(open.Load())
			check(json.NewEncoder(os.Stdout).Encode(report))
			report, delays = crowdReport{}, delays[:0]
		default:
		}
		n, _ := unix.EpollWait(ep, events, 20)
		for _, e := range events[:max(n, 0)] {
			k, _ := unix.Read(int(e.Fd), buf)
			if k <= 0 {
				_ = files[e.Fd].Close()
				delete(files, e.Fd)
				report.Closed++
				open.Add(-1)
				continue
			}
			report.Reads++
			report.Bytes += int64(k)
			now := time.Now().UnixNano()
			for b := buf[:k]; ; {
				i := bytes.Index(b, []byte(`"t":`))
				if i < 0 || len(b) < i+23 {
					break
				}
				at, _ := strconv.ParseInt(string(b[i+4:i+23]), 10, 64)
				if len(delays) < 1<<20 {
					delays = append(delays, time.Duration(now-at))
				}
				report.Messages++
				b = b[i+23:]
			}
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "crowd:", err)
		os.Exit(1)
	}
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
