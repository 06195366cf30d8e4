package overview

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Buckets of durations: eight to each doubling from 131 µs on, 16 µs wide below. A percentile is off by an eighth at most,
// and by half of that on average.
const (
	unitShift  = 14 // 2^14 ns
	subBits    = 3
	sub        = 1 << subBits
	tookBucket = 184 // to 4.5 minutes; what took longer is in the last one
	ageBucket  = 296 // to 52 days
)

// bucketOf returns the bucket of a duration, of n.
func bucketOf(d time.Duration, n int) int {
	u := uint64(max(d, 0)) >> unitShift
	if u < sub {
		return int(u)
	}
	shift := bits.Len64(u) - subBits - 1
	return min(shift*sub+int(u>>shift), n-1)
}

// lowest returns the shortest duration of a bucket.
func lowest(i int) time.Duration {
	if i < 2*sub {
		return time.Duration(i) << unitShift
	}
	shift := i/sub - 1
	return time.Duration(i-shift*sub) << (shift + unitShift)
}

// count is how often a bucket was met. Slots keep those that were.
type count struct {
	bucket uint16
	n      uint32
}

// newCounts returns what was counted since was, which is brought up to date. It goes over all buckets: for the sampler.
func newCounts(now []atomic.Uint32, was []uint32) []count {
	var out []count
	for i := range now {
		v := now[i].Load()
		if v != was[i] {
			out = append(out, count{uint16(i), v - was[i]})
			was[i] = v
		}
	}
	return out
}

// sums adds slots up.
type sums struct {
	n    []uint64
	each uint64
}

func (s *sums) add(list []count) {
	for _, c := range list {
		s.n[c.bucket] += uint64(c.n)
		s.each += uint64(c.n)
	}
}

// percentiles are those of what was added up.
func (s *sums) percentiles() event.Percentiles {
	if s.each == 0 {
		return event.Percentiles{}
	}
	return event.Percentiles{Known: true, P50: s.percentile(50), P95: s.percentile(95), P99: s.percentile(99)}
}

// percentile goes by the nearest rank, and within a bucket as if what is in it were spread evenly.
func (s *sums) percentile(p uint64) time.Duration {
	rank := (s.each*p + 99) / 100
	for i, n := range s.n {
		if rank > n {
			rank -= n
			continue
		}
		low := lowest(i)
		return low + time.Duration(float64(lowest(i+1)-low)*(float64(rank)-0.5)/float64(n))
	}
	return 0
}
