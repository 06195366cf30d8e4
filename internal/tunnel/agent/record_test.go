package agent

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// put records a whole exchange with bodies of the sizes.
func put(r *Recorder, path string, asked, answered int) int64 {
	seq := r.start("POST", path, "HTTP/1.1", &Info{})
	r.sending(seq, []Field{{"Host", "h"}})
	r.keep(seq, requestSide, bytes.Repeat([]byte("q"), asked))
	r.answered(seq, &http.Response{StatusCode: 200, Status: "200 OK", Proto: "HTTP/1.1", ContentLength: -1})
	r.keep(seq, answerSide, bytes.Repeat([]byte("a"), answered))
	r.finish(seq)
	return seq
}

func TestRingExchanges(t *testing.T) {
	r := NewRecorder(MaxExchanges, MaxBytes)
	for i := range MaxExchanges + 20 {
		put(r, fmt.Sprintf("/%d", i), 10, 10)
	}
	c, _ := r.Changes(0)
	if len(c.Exchanges) != MaxExchanges || c.Oldest != 21 || c.Exchanges[0].Path != "/20" || c.Last != MaxExchanges+20 {
		t.Errorf("%d are kept, from %d on", len(c.Exchanges), c.Oldest)
	}
	if _, ok := r.Get(r.idOf(20)); ok {
		t.Error("one that has gone is there")
	}
	if e, ok := r.Get(r.idOf(21)); !ok || e.Path != "/20" {
		t.Error("the oldest is not there")
	}
}

func TestRingBytes(t *testing.T) {
	const most = 1 << 20
	r := NewRecorder(MaxExchanges, most)
	for range 100 {
		put(r, "/", 100_000, 50_000)
	}
	c, _ := r.Changes(0)
	if len(c.Exchanges) < 3 || len(c.Exchanges) > most/150_000 {
		t.Errorf("%d exchanges of 150,000 bytes are kept in %d bytes", len(c.Exchanges), most)
	}
	// One that is larger than all room is kept alone.
	put(r, "/large", MaxBody, MaxBody)
	if list := r.List(10, nil); len(list) != 1 || len(list[0].Request.Body) != MaxBody {
		t.Errorf("%d are kept beside a large one", len(list))
	}
}

// TestRingBounds: whatever happens in whatever order, the bounds hold and the sum is that of what is kept.
func TestRingBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		exchanges, most := rapid.IntRange(1, 5).Draw(t, "exchanges"), rapid.Int64Range(5000, 50_000).Draw(t, "bytes")
		r := NewRecorder(exchanges, most)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			seq := rapid.Int64Range(0, r.last+1).Draw(t, "seq")
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0, 1:
				r.start("GET", "/"+strings.Repeat("p", rapid.IntRange(0, 3000).Draw(t, "path")), "HTTP/1.1", &Info{})
			case 2:
				r.keep(seq, side(rapid.IntRange(0, 1).Draw(t, "side")), make([]byte, rapid.IntRange(0, 10_000).Draw(t, "n")))
			case 3:
				r.sending(seq, []Field{{"N", "v"}})
			case 4:
				r.failed(seq, ErrorBroken)
			case 5:
				r.finish(seq)
			case 6:
				if rapid.IntRange(0, 9).Draw(t, "clear") == 0 {
					r.Clear()
				}
			}
			sum := int64(0)
			for i, e := range r.list {
				sum += e.size
				if want := r.last - int64(len(r.list)) + 1 + int64(i); e.Seq != want {
					t.Fatalf("the exchange at %d is %d, want %d", i, e.Seq, want)
				}
			}
			if sum != r.size || len(r.list) > exchanges || len(r.list) > 1 && r.size > most {
				t.Fatalf("%d exchanges of %d bytes, counted as %d; may be %d of %d", len(r.list), sum, r.size, exchanges, most)
			}
		}
	})
}

func TestChanges(t *testing.T) {
	r := NewRecorder(MaxExchanges, MaxBytes)
	c, more := r.Changes(0)
	if len(c.Exchanges) != 0 || c.Oldest != 1 {
		t.Errorf("at first %+v", c)
	}
	seq := r.start("GET", "/", "HTTP/1.1", &Info{})
	<-more
	c, more = r.Changes(c.Rev)
	if len(c.Exchanges) != 1 || c.Exchanges[0].State != Waiting {
		t.Errorf("begun: %+v", c)
	}
	r.keep(seq, requestSide, []byte("body")) // not worth to be told
	if again, _ := r.Changes(c.Rev); len(again.Exchanges) != 0 || again.Rev != c.Rev {
		t.Errorf("a piece of a body: %+v", again)
	}
	r.finish(seq)
	<-more
	if c, more = r.Changes(c.Rev); len(c.Exchanges) != 1 || c.Exchanges[0].State != Done || c.Exchanges[0].Request.Body != nil {
		t.Errorf("done: %+v", c)
	}
	r.Clear()
	<-more
	if c, _ = r.Changes(c.Rev); len(c.Exchanges) != 0 || c.Oldest != 2 {
		t.Errorf("cleared: %+v", c)
	}
	r.finish(seq) // of one that has gone
	if next := put(r, "/2", 1, 1); next != 2 {
		t.Errorf("the next is %d", next)
	}
}

// TestSnapshots: what was got does not change, whatever is recorded meanwhile (for the race detector).
func TestSnapshots(t *testing.T) {
	r := NewRecorder(3, MaxBytes)
	seq := r.start("GET", "/", "HTTP/1.1", &Info{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				r.keep(seq, answerSide, []byte("abc"))
				if e, ok := r.Get(r.idOf(seq)); ok && bytes.Count(e.Answer.Body, []byte("abc"))*3 != len(e.Answer.Body) {
					t.Error("a piece is torn")
				}
				r.List(5, func(e *Exchange) bool { return e.Contains("cab") })
			}
		})
	}
	wg.Wait()
	if e, _ := r.Get(r.idOf(seq)); e.Answer.Size != 4*200*3 {
		t.Errorf("%d bytes", e.Answer.Size)
	}
}

func TestContains(t *testing.T) {
	e := &Exchange{
		Method: "POST", Path: "/Orders?x=1", StatusText: "502 Bad Gateway", Error: ErrorRefused, Info: Info{ID: "github:1", Remote: "192.0.2.1"},
		Request: Message{Header: []Field{{"X-GitHub-Event", "Push"}}, Body: []byte(`{"Ref":"main"}`)}, Answer: Message{Body: []byte("No")},
	}
	for text, want := range map[string]bool{
		"post /ord": true, "x-github-event: push": true, `"REF"`: true, "bad gate": true, "no": true, "refused": true, "GITHUB:1": true, "192.0.2": true, "absent": false,
	} {
		if e.Contains(text) != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
}

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		if !g.enter() {
			t.Fatal("it is shut at first")
		}
		shut := make(chan struct{})
		go func() { g.shut(); close(shut) }()
		synctest.Wait()
		if g.enter() {
			t.Error("it is open while it is being shut")
		}
		select {
		case <-shut:
			t.Error("it did not wait")
		default:
		}
		g.leave()
		<-shut
	})
}
