package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// capture1 makes a small capture.
func capture1(bin, id string, at time.Time) event.Capture {
	return event.Capture{Bin: bin, ID: id, At: at, Request: event.Request{Head: []byte("POST /b HTTP/1.1\r\nHost: x\r\n"), Body: []byte("body of " + id)}}
}

func addCapture(t testing.TB, s store.Store, c event.Capture, keep int) event.Capture {
	t.Helper()
	return must[event.Capture](t)(s.AddCapture(t.Context(), c, keep, false))
}

// addCaptures adds n captures, a second apart.
func addCaptures(t testing.TB, s store.Store, bin string, n int) {
	t.Helper()
	for i := range n {
		addCapture(t, s, capture1(bin, fmt.Sprintf("%s-%04d", bin, i), clock(i)), 1000)
	}
}

func seqs(list []event.Capture) []int64 {
	out := make([]int64, len(list))
	for i := range list {
		out[i] = list[i].Seq
	}
	return out
}

// kept returns the numbers of all captures of a bin.
func kept(t testing.TB, s store.Store, bin string) []int64 {
	t.Helper()
	return seqs(must[[]event.Capture](t)(s.Captures(t.Context(), event.CaptureQuery{Bin: bin, Limit: 1000, MaxBytes: unbounded})))
}

func testCaptureFields(t *testing.T, s store.Store) {
	newBin(t, s, event.Bin{ID: "one"})
	full := event.Capture{
		Bin: "one", ID: "0199b3c4-1234-7abc-8def-0123456789ab", At: clock(5),
		Request: event.Request{
			Head: []byte("PUT /b/one/x?y HTTP/1.1\r\nHOST:  h\r\nX-A: 1\r\nx-a: \xff\r\n"), Body: bytes.Repeat([]byte{0, 13, 10, 255}, 3000),
			Remote: "192.0.2.1", URL: "https://h/b/one/x?y", Path: "/x?y",
		},
		Note: "n", Refused: "r", Answer: event.Answer{Status: 200, Reason: "s", Headers: []event.Header{{Name: "A", Value: "b"}}, Body: []byte("ok")},
	}
	got := addCapture(t, s, full, 10)
	full.Seq = 1
	same(t, "the answer", got, full)
	same(t, "by its seq", must[event.Capture](t)(s.Capture(t.Context(), "one", 1)), full)
	same(t, "by its id", must[event.Capture](t)(s.CaptureByID(t.Context(), "one", full.ID)), full)
	same(t, "the list", must[[]event.Capture](t)(s.Captures(t.Context(), event.CaptureQuery{Bin: "one", Limit: 5})), []event.Capture{full})
	empty := addCapture(t, s, event.Capture{Bin: "one", ID: "e", At: clock(6)}, 10)
	same(t, "an empty one", must[event.Capture](t)(s.Capture(t.Context(), "one", 2)), empty)
	same(t, "the figures", must[event.BinStats](t)(s.BinStats(t.Context(), "one")), event.BinStats{
		Requests: 2, Bytes: store.CaptureSize(&full) + store.CaptureSize(&empty), Last: 2, Newest: clock(6),
	})
	_, err := s.AddCapture(t.Context(), capture1("none", "x", clock(0)), 10, false)
	wantKind(t, err, event.KindNotFound)
	_, err = s.AddCapture(t.Context(), full, 10, false)
	wantKind(t, err, event.KindConflict)
	newBin(t, s, event.Bin{ID: "two"})
	other := full
	other.Bin = "two"
	same(t, "of another bin", addCapture(t, s, other, 10).Seq, int64(1))
	for _, find := range []func() (event.Capture, error){
		func() (event.Capture, error) { return s.Capture(t.Context(), "one", 3) },
		func() (event.Capture, error) { return s.Capture(t.Context(), "none", 1) },
		func() (event.Capture, error) { return s.CaptureByID(t.Context(), "two", "e") },
		func() (event.Capture, error) { return s.CaptureByID(t.Context(), "none", "e") },
	} {
		_, err := find()
		wantKind(t, err, event.KindNotFound)
	}
}

// testCaptureBody keeps a body of 10 MiB and leaves it out of a page that has no room.
func testCaptureBody(t *testing.T, s store.Store) {
	newBin(t, s, event.Bin{ID: "one"})
	body := bytes.Repeat([]byte("0123456789abcde\n"), 10<<20/16)
	c := capture1("one", "large", clock(0))
	c.Body = body
	addCapture(t, s, c, 10)
	addCapture(t, s, capture1("one", "small", clock(1)), 10)
	if got := must[event.Capture](t)(s.Capture(t.Context(), "one", 1)); !bytes.Equal(got.Body, body) {
		t.Errorf("%d bytes came back of %d", len(got.Body), len(body))
	}
	noError(t, s.NoteCapture(t.Context(), "one", 1, "n"))
	if got := must[event.Capture](t)(s.Capture(t.Context(), "one", 1)); !bytes.Equal(got.Body, body) || got.Note != "n" {
		t.Errorf("with a note %d bytes came back of %d", len(got.Body), len(body))
	}
	page := func(newest bool, maxBytes int) []int64 {
		return seqs(must[[]event.Capture](t)(s.Captures(t.Context(), event.CaptureQuery{Bin: "one", Newest: newest, Limit: 10, MaxBytes: maxBytes})))
	}
	same(t, "no room for the second", page(false, 10<<20), []int64{1})
	same(t, "no room for the large one", page(true, 1<<20), []int64{2})
	same(t, "room for both", page(true, 11<<20), []int64{2, 1})
	same(t, "as much as by default", page(true, 0), []int64{2, 1})
	c.ID = "large2"
	addCapture(t, s, c, 10)
	same(t, "more than by default", page(true, 0), []int64{3, 2})
}

func testCaptureLists(t *testing.T, s store.Store) {
	newBin(t, s, event.Bin{ID: "other"})
	newBin(t, s, event.Bin{ID: "one"})
	addCaptures(t, s, "other", 3)
	addCaptures(t, s, "one", 10)
	same(t, "deleted", must[int](t)(s.DeleteCaptures(t.Context(), "one", []int64{4})), 1)
	for _, tt := range []struct {
		q    event.CaptureQuery
		want []int64
	}{
		{event.CaptureQuery{Limit: 3}, []int64{1, 2, 3}},
		{event.CaptureQuery{Limit: 0}, []int64{}},
		{event.CaptureQuery{Limit: 5000}, []int64{1, 2, 3, 5, 6, 7, 8, 9, 10}},
		{event.CaptureQuery{Limit: 3, After: 2}, []int64{3, 5, 6}},
		{event.CaptureQuery{Limit: 9, After: 2, Before: 6}, []int64{3, 5}},
		{event.CaptureQuery{Limit: 3, Newest: true}, []int64{10, 9, 8}},
		{event.CaptureQuery{Limit: 3, Newest: true, Before: 6}, []int64{5, 3, 2}},
		{event.CaptureQuery{Limit: 9, Newest: true, After: 2, Before: 6}, []int64{5, 3}},
		{event.CaptureQuery{Limit: 9, Since: clock(7)}, []int64{8, 9, 10}},
		{event.CaptureQuery{Limit: 9, Until: clock(2)}, []int64{1, 2}},
		{event.CaptureQuery{Limit: 2, Newest: true, Since: clock(2), Until: clock(7)}, []int64{7, 6}},
		{event.CaptureQuery{Limit: 9, MaxBytes: 1}, []int64{1}},
		{event.CaptureQuery{Limit: 9, MaxBytes: 700, After: 5}, []int64{6, 7}},
	} {
		q := tt.q
		q.Bin = "one"
		same(t, fmt.Sprintf("of %+v the list", tt.q), seqs(must[[]event.Capture](t)(s.Captures(t.Context(), q))), tt.want)
	}
	same(t, "without the bin", kept(t, s, "none"), []int64{})
}

// testCaptureKeep fills a bin: the oldest go, or what comes is refused.
func testCaptureKeep(t *testing.T, s store.Store) {
	newBin(t, s, event.Bin{ID: "one"})
	newBin(t, s, event.Bin{ID: "two"})
	addCaptures(t, s, "two", 2)
	for i := range 7 {
		addCapture(t, s, capture1("one", fmt.Sprint("c", i), clock(-i)), 3) // the oldest is the first that came, whatever its time
	}
	same(t, "kept", kept(t, s, "one"), []int64{5, 6, 7})
	_, err := s.AddCapture(t.Context(), capture1("one", "c", clock(0)), 3, true)
	wantKind(t, err, event.KindGone)
	if code := asError(err).Code; code != "bin_full" {
		t.Errorf("the code is %q", code)
	}
	same(t, "after a refusal", kept(t, s, "one"), []int64{5, 6, 7})
	same(t, "with room", must[event.Capture](t)(s.AddCapture(t.Context(), capture1("one", "d", clock(0)), 4, true)).Seq, int64(8))
	addCapture(t, s, capture1("one", "e", clock(9)), 2)
	same(t, "when fewer are kept", kept(t, s, "one"), []int64{8, 9})
	same(t, "deleted", must[int](t)(s.DeleteCaptures(t.Context(), "one", []int64{9, 8, 8, 77})), 2)
	same(t, "a number is not given twice", addCapture(t, s, capture1("one", "f", clock(3)), 2).Seq, int64(10))
	c := must[event.Capture](t)(s.Capture(t.Context(), "one", 10))
	same(t, "the figures", must[event.BinStats](t)(s.BinStats(t.Context(), "one")), event.BinStats{
		Requests: 1, Bytes: store.CaptureSize(&c), Last: 10, Newest: clock(3),
	})
	same(t, "the other bin", kept(t, s, "two"), []int64{1, 2})
	same(t, "without the bin", must[int](t)(s.DeleteCaptures(t.Context(), "none", []int64{1})), 0)
	for i := range event.DefaultBinKept - 1 {
		addCapture(t, s, capture1("two", fmt.Sprint("d", i), clock(i)), 0)
	}
	same(t, "kept when nothing is said", len(kept(t, s, "two")), event.DefaultBinKept)
}

// testCaptureCallers adds captures from many callers at once: each gets its own number.
func testCaptureCallers(t *testing.T, s store.Store) {
	newBin(t, s, event.Bin{ID: "one"})
	newBin(t, s, event.Bin{ID: "two"})
	const callers, each = 20, 10
	var mu sync.Mutex
	got := map[string][]int64{}
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for k := range each {
				bin := []string{"one", "two"}[(i+k)%2]
				c, err := s.AddCapture(t.Context(), capture1(bin, fmt.Sprint(i, "-", k), clock(i)), 30, false)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				got[bin] = append(got[bin], c.Seq)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for bin, list := range got {
		slices.Sort(list)
		for i, seq := range list {
			if seq != int64(i+1) {
				t.Fatalf("of %s the %dth number is %d", bin, i+1, seq)
			}
		}
		same(t, "kept", kept(t, s, bin), list[len(list)-30:])
	}
}

func testCaptureMarks(t *testing.T, s store.Store) {
	newBin(t, s, event.Bin{ID: "one"})
	addCaptures(t, s, "one", 2)
	c := must[event.Capture](t)(s.Capture(t.Context(), "one", 1))
	check := func() {
		t.Helper()
		same(t, "the capture", must[event.Capture](t)(s.Capture(t.Context(), "one", 1)), c)
		list := must[[]event.Capture](t)(s.Captures(t.Context(), event.CaptureQuery{Bin: "one", Limit: 9}))
		same(t, "the list", list[0], c)
		same(t, "the bytes", must[event.BinStats](t)(s.BinStats(t.Context(), "one")).Bytes, store.CaptureSize(&c)+store.CaptureSize(&list[1]))
	}
	noError(t, s.NoteCapture(t.Context(), "one", 1, "first"))
	c.Note = "first"
	check()
	long := strings.Repeat("x", event.MaxAnswerKept)
	noError(t, s.AnswerCapture(t.Context(), "one", 1, event.Answer{Status: 200, Headers: []event.Header{{Name: "A", Value: "b"}}, Body: []byte(long + "y")}))
	c.Answer = event.Answer{Status: 200, Headers: []event.Header{{Name: "A", Value: "b"}}, Body: []byte(long)}
	check()
	noError(t, s.NoteCapture(t.Context(), "one", 1, ""))
	c.Note = ""
	check()
	noError(t, s.AnswerCapture(t.Context(), "one", 1, event.Answer{Status: 0, Reason: "nobody answered"}))
	c.Answer = event.Answer{Reason: "nobody answered"}
	check()
	for _, bin := range []string{"one", "none"} {
		wantKind(t, s.NoteCapture(t.Context(), bin, 3, "x"), event.KindNotFound)
		wantKind(t, s.AnswerCapture(t.Context(), bin, 3, event.Answer{}), event.KindNotFound)
	}
	same(t, "deleted", must[int](t)(s.DeleteCaptures(t.Context(), "one", []int64{1, 2})), 2)
	same(t, "the bytes left", must[event.BinStats](t)(s.BinStats(t.Context(), "one")).Bytes, int64(0))
	again := capture1("one", "again", clock(0))
	again.Answer = event.Answer{Status: 200, Body: []byte(long + "y")}
	again = addCapture(t, s, again, 10)
	same(t, "an answer that it came with", string(must[event.Capture](t)(s.Capture(t.Context(), "one", again.Seq)).Answer.Body), long)
}

func testTrimCaptures(t *testing.T, s store.Store) {
	for i, id := range []string{"a", "b", "c", "d"} {
		b := event.Bin{ID: id}
		if i < 2 {
			b.Expires = clock(10 + i)
		}
		newBin(t, s, b)
		addCaptures(t, s, id, 5)
	}
	trim := func(now, before time.Time, maxBytes int64, limit int) int {
		t.Helper()
		return must[int](t)(s.TrimCaptures(t.Context(), now, before, maxBytes, limit))
	}
	same(t, "nothing to do", trim(clock(10), time.Time{}, 0, 100), 0)
	same(t, "an expired bin, and some of what it held", trim(clock(11), time.Time{}, 0, 3), 3)
	_, err := s.Bin(t.Context(), "a")
	wantKind(t, err, event.KindNotFound)
	same(t, "the rest of it", trim(clock(11), time.Time{}, 0, 100), 3)
	same(t, "the next one", len(kept(t, s, "b")), 5)

	noError(t, s.DeleteBin(t.Context(), "b", 0))
	same(t, "out of reach", len(kept(t, s, "b")), 0)
	_, err = s.CaptureByID(t.Context(), "b", "b-0001")
	wantKind(t, err, event.KindNotFound)
	newBin(t, s, event.Bin{ID: "b"})
	same(t, "of one made again", len(kept(t, s, "b")), 0)
	same(t, "its first", addCapture(t, s, capture1("b", "b-0001", clock(50)), 10).Seq, int64(1))
	same(t, "of the deleted one", trim(clock(0), time.Time{}, 0, 4)+trim(clock(0), time.Time{}, 0, 4)+trim(clock(0), time.Time{}, 0, 4), 5)
	same(t, "of one made again", kept(t, s, "b"), []int64{1})

	same(t, "by age", trim(clock(0), clock(2), 0, 3), 3)
	same(t, "the rest by age", trim(clock(0), clock(2), 0, 3), 1)
	same(t, "what is left", [][]int64{kept(t, s, "b"), kept(t, s, "c"), kept(t, s, "d")}, [][]int64{{1}, {3, 4, 5}, {3, 4, 5}})

	noError(t, s.NoteCapture(t.Context(), "b", 1, strings.Repeat("n", 1000)))
	total := int64(0)
	for _, bin := range []string{"b", "c", "d"} {
		total += must[event.BinStats](t)(s.BinStats(t.Context(), bin)).Bytes
	}
	same(t, "within the size", trim(clock(0), time.Time{}, total, 100), 0)
	same(t, "one over", trim(clock(0), time.Time{}, total-1, 100), 1)
	same(t, "the oldest went", [][]int64{kept(t, s, "b"), kept(t, s, "c"), kept(t, s, "d")}, [][]int64{{1}, {4, 5}, {3, 4, 5}})
	same(t, "two at most", trim(clock(0), time.Time{}, 1, 2), 2)
	same(t, "all but none over", trim(clock(0), time.Time{}, 1300, 100), 3)
	same(t, "the newest is left", [][]int64{kept(t, s, "b"), kept(t, s, "c"), kept(t, s, "d")}, [][]int64{{1}, {}, {}})
	same(t, "everything", trim(clock(0), time.Time{}, 1, 100), 1)
	st := must[event.BinStats](t)(s.BinStats(t.Context(), "c"))
	same(t, "the figures of an empty one", st, event.BinStats{Last: 5, Newest: clock(4)})
	same(t, "goes on counting", addCapture(t, s, capture1("c", "x", clock(0)), 10).Seq, int64(6))
}

// testBinsReopen opens a store with bins again.
func testBinsReopen(t *testing.T, open Open) {
	dir := t.TempDir()
	s := open(t, dir)
	tenant := newTenant(t, s, "acme").ID
	source := must[event.Source](t)(s.PutSource(t.Context(), fullSource(tenant), 0))
	bin := must[event.Bin](t)(s.PutBin(t.Context(), fullBin(), 0))
	newBin(t, s, event.Bin{ID: "gone"})
	addCaptures(t, s, "gone", 3)
	addCaptures(t, s, bin.ID, 4)
	noError(t, s.NoteCapture(t.Context(), bin.ID, 2, "n"))
	noError(t, s.SetBinCursor(t.Context(), bin.ID, "laptop", 3))
	noError(t, s.DeleteBin(t.Context(), "gone", 0))
	must[int](t)(s.DeleteCaptures(t.Context(), bin.ID, []int64{4}))
	before := must[[]event.Capture](t)(s.Captures(t.Context(), event.CaptureQuery{Bin: bin.ID, Limit: 10}))
	stats := must[event.BinStats](t)(s.BinStats(t.Context(), bin.ID))
	noError(t, s.Close())

	s = open(t, dir)
	defer func() { noError(t, s.Close()) }()
	same(t, "the source", must[event.Source](t)(s.Source(t.Context(), tenant, source.Name)), source)
	same(t, "the bin", must[event.Bin](t)(s.Bin(t.Context(), bin.Alias)), bin)
	same(t, "the captures", must[[]event.Capture](t)(s.Captures(t.Context(), event.CaptureQuery{Bin: bin.ID, Limit: 10})), before)
	same(t, "the figures", must[event.BinStats](t)(s.BinStats(t.Context(), bin.ID)), stats)
	same(t, "the cursor", must[int64](t)(s.BinCursor(t.Context(), bin.ID, "laptop")), int64(3))
	same(t, "the next number", addCapture(t, s, capture1(bin.ID, "next", clock(9)), 10).Seq, int64(5))
	same(t, "of the deleted bin", must[int](t)(s.TrimCaptures(t.Context(), clock(0), time.Time{}, 0, 10)), 3)
	same(t, "kept", kept(t, s, bin.ID), []int64{1, 2, 3, 5})
	same(t, "a new one", addCapture(t, s, capture1(newBin(t, s, event.Bin{ID: "new"}).ID, "x", clock(9)), 10).Seq, int64(1))
}
