package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/posthornhq/posthorn/internal/sink"
)

// Order is what a crowd of listeners is told to do, one JSON value an order.
type Order struct {
	// Do is "open", "reset", "state" or "close".
	Do string `json:"do"`
	// Kind of the connections to open: kindSSE, kindSocket or kindPoll.
	Kind string `json:"kind,omitempty"`
	// Address is the server's, host:port; Path what to ask for; Key the bearer key.
	Address string `json:"address,omitempty"`
	Path    string `json:"path,omitempty"`
	Key     string `json:"key,omitempty"`
	// Count is how many connections to add.
	Count int `json:"count,omitempty"`
	// Start is where polls begin, 0: at the oldest.
	Start int64 `json:"start,omitempty"`
}

// Ways to listen.
const (
	kindSSE    = "sse"
	kindSocket = "websocket"
	kindPoll   = "long poll"
)

// Heard is the crowd's answer to an order: what its connections have heard since the last reset.
type Heard struct {
	// Open is how many connections are open and, for those that are not polls, have had their first bytes.
	Open int `json:"open"`
	// Closed is how many ended that should not have.
	Closed int `json:"closed"`
	// Messages counts events; Bytes what was read.
	Messages int64 `json:"messages"`
	Bytes    int64 `json:"bytes"`
	// Reads is how many reads these came in: several messages may share one.
	Reads int64 `json:"reads"`
	// Whole is how many connections heard each of the numbers from 0 to Most-1 once, as far as count, sum and sum of
	// squares tell, where Most is the most that any one heard.
	Whole int   `json:"whole"`
	Most  int64 `json:"most"`
	// Last is when the last event was read, Latency from publish to read.
	Last    time.Time    `json:"last,omitzero"`
	Latency sink.Latency `json:"latency"`
	Error   string       `json:"error,omitempty"`
}

// RunCrowd holds many connections that listen, until in ends or ctx does. It reads an [Order] a line and answers each with
// a line of [Heard].
func RunCrowd(ctx context.Context, in io.Reader, out io.Writer) error {
	c, err := newCrowd()
	if err != nil {
		return err
	}
	defer c.close()
	orders := make(chan Order)
	go func() {
		defer close(orders)
		for lines := bufio.NewScanner(in); lines.Scan(); {
			var o Order
			if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
				o = Order{Do: err.Error()}
			}
			select {
			case orders <- o:
			case <-ctx.Done():
				return
			}
		}
	}()
	answers := json.NewEncoder(out)
	for ctx.Err() == nil {
		select {
		case o, ok := <-orders:
			if !ok {
				return nil
			}
			if err := answers.Encode(c.obey(o)); err != nil {
				return fmt.Errorf("write answer: %w", err)
			}
		default:
			if err := c.listen(20 * time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

// obey carries an order out.
func (c *crowd) obey(o Order) Heard {
	var err error
	switch o.Do {
	case "open":
		err = c.open(o)
	case "reset":
		c.reset()
	case "state":
	case "close":
		c.closeAll()
	default:
		err = errors.New("no such order: " + o.Do)
	}
	h := c.heard()
	if err != nil {
		h.Error = err.Error()
	}
	return h
}

// tally is what one connection has heard.
type tally struct {
	count, sum, squares int64
	carry               [markLen]byte // the end of what was read, where a mark may have begun
	carried             uint8
}

// mark is what comes before the digits of a mark, and markLen its whole length.
const (
	mark    = `"posthorn_mark":"`
	markLen = len(mark) + 32
)

// latencies counts delays in buckets of a tenth of a millisecond, up to a minute.
type latencies struct {
	buckets []uint32
	samples int64
	max     time.Duration
}

const bucketWidth = 100 * time.Microsecond

func (l *latencies) add(d time.Duration) {
	if l.buckets == nil {
		l.buckets = make([]uint32, time.Minute/bucketWidth)
	}
	l.buckets[min(max(int(d/bucketWidth), 0), len(l.buckets)-1)]++
	l.samples++
	l.max = max(l.max, d)
}

func (l *latencies) quantile(q float64) time.Duration {
	seen := int64(0)
	for i, n := range l.buckets {
		if seen += int64(n); n > 0 && float64(seen) >= q*float64(l.samples) {
			return time.Duration(i+1) * bucketWidth
		}
	}
	return 0
}

func (l *latencies) summary() sink.Latency {
	return sink.Latency{P50: l.quantile(.5), P90: l.quantile(.9), P99: l.quantile(.99), Max: l.max, Samples: int(l.samples)}
}
