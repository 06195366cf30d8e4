package deliver

import "sort"

// window counts, for each event that the follower has offered, the live lanes that have not settled it. The events before
// the first unsettled one are settled for every endpoint: that is the position which is saved.
type window struct {
	slots []slot // ascending Seq; slots[0] is unsettled
	last  int64  // Seq of the last event offered
	bytes int
}

type slot struct {
	seq     int64
	pending int
	bytes   int
}

// begin adds an event that has pending live lanes.
func (w *window) begin(seq int64, pending, bytes int) {
	w.last = seq
	if pending == 0 && len(w.slots) == 0 {
		return
	}
	w.slots = append(w.slots, slot{seq, pending, bytes})
	w.bytes += bytes
}

// done settles the event for one lane.
func (w *window) done(seq int64) {
	i := sort.Search(len(w.slots), func(i int) bool { return w.slots[i].seq >= seq })
	if i == len(w.slots) || w.slots[i].seq != seq {
		return
	}
	w.slots[i].pending--
	n := 0
	for n < len(w.slots) && w.slots[n].pending == 0 {
		w.bytes -= w.slots[n].bytes
		n++
	}
	if n == 0 {
		return
	}
	w.slots = w.slots[n:] // append moves the rest to a new array when this one is used up
}

// position is the Seq up to which everything is settled.
func (w *window) position() int64 {
	if len(w.slots) == 0 {
		return w.last
	}
	return w.slots[0].seq - 1
}

// middle is the Seq of the slot half way.
func (w *window) middle() int64 { return w.slots[len(w.slots)/2].seq }
