package agent

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Limits of what is recorded.
const (
	// MaxExchanges is how many exchanges are kept, MaxBytes how many bytes of memory they take in all; then the oldest go.
	MaxExchanges = 500
	MaxBytes     = 64 << 20
	// MaxBody is how much is kept of each body, in bytes.
	MaxBody = 1 << 20

	overhead = 1 << 10 // what an exchange takes without its texts, about
)

// State is how far an exchange has come.
type State string

// The states of an exchange.
const (
	Waiting   State = "waiting"   // for the target's answer
	Answering State = "answering" // the answer's body is coming
	Upgraded  State = "upgraded"  // a WebSocket, or the like, that is open
	Done      State = "done"      // all has passed, or the caller went away
	Failed    State = "failed"    // the target gave no answer: Error says why
)

// side is a direction of an exchange.
type side int

const (
	requestSide side = iota
	answerSide
)

// Message is a request or an answer as it was sent on.
type Message struct {
	// Header is in the order in which it came, of an answer sorted by name.
	Header []Field
	// Body is what was kept of it: not decompressed. Cut says that there was more; Size is how much passed, in bytes.
	Body []byte
	Cut  bool
	Size int64
	// declared is the Content-Length; -1: none.
	declared int64
}

// Exchange is a request and its answer. It is a copy that does not change.
type Exchange struct {
	// ID names it in the inspector; Seq counts from 1.
	ID  string
	Seq int64
	// Info is what the server said of it. ReplayOf is the ID of the exchange that it repeats, or "".
	Info     Info
	ReplayOf string
	// Method, Path (with the query) and Proto are what the target was asked.
	Method, Path, Proto string
	Request, Answer     Message
	// Status is 0 before the answer, and 502 when there was none.
	Status      int
	StatusText  string
	AnswerProto string
	State       State
	// Error is one of the constants such as ErrorRefused, or "".
	Error string
	// Upgrade says that the connection became something else than HTTP: bodies are counted, not kept.
	Upgrade bool
	Started time.Time
	// FirstByte is how long it took until the answer's head had come, Took until all had passed; 0 before.
	FirstByte, Took time.Duration

	rev  int64
	size int64
}

// Recorder keeps the last exchanges. Its methods are safe for concurrent use.
type Recorder struct {
	most  int
	bytes int64
	run   string // begins the IDs of this run

	mu      sync.Mutex
	list    []*Exchange // by Seq, without gaps
	last    int64       // the last Seq
	size    int64
	rev     int64
	changed chan struct{} // closed at the next change
}

// NewRecorder returns a recorder for at most so many exchanges and bytes.
func NewRecorder(exchanges int, size int64) *Recorder {
	var run [4]byte
	_, _ = rand.Read(run[:]) // never fails
	return &Recorder{most: exchanges, bytes: size, run: hex.EncodeToString(run[:]), changed: make(chan struct{})}
}

// idOf returns the ID of an exchange.
func (r *Recorder) idOf(seq int64) string { return r.run + "-" + strconv.FormatInt(seq, 10) }

// Changes is what is new since a revision.
type Changes struct {
	// Exchanges that changed, by Seq; bodies are left out.
	Exchanges []Exchange
	// Oldest is the Seq of the oldest one that is kept, or the next one's when none is: what is older has gone.
	Oldest int64
	// Last is how many there have been.
	Last int64
	// Rev is to be given next.
	Rev int64
}

// Changes returns what changed after a revision, 0 for everything, and what is closed when there is more.
func (r *Recorder) Changes(after int64) (Changes, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := Changes{Oldest: r.last + 1 - int64(len(r.list)), Last: r.last, Rev: r.rev}
	for _, e := range r.list {
		if e.rev > after {
			s := *e
			s.Request.Body, s.Answer.Body = nil, nil
			c.Exchanges = append(c.Exchanges, s)
		}
	}
	return c, r.changed
}

// Get returns an exchange by its ID.
func (r *Recorder) Get(id string) (Exchange, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	run, hexSeq, _ := strings.Cut(id, "-")
	seq, err := strconv.ParseInt(hexSeq, 10, 64)
	if e := r.find(seq); err == nil && run == r.run && e != nil {
		return *e, true
	}
	return Exchange{}, false
}

// List returns the newest exchanges that match, newest first, at most limit.
func (r *Recorder) List(limit int, match func(*Exchange) bool) []Exchange {
	r.mu.Lock()
	all := make([]Exchange, len(r.list))
	for i, e := range r.list {
		all[i] = *e
	}
	r.mu.Unlock()
	var list []Exchange
	for i := len(all) - 1; i >= 0 && len(list) < limit; i-- {
		if match == nil || match(&all[i]) {
			list = append(list, all[i])
		}
	}
	return list
}

// Clear forgets all exchanges. Those that are under way are not recorded any more.
func (r *Recorder) Clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list, r.size = nil, 0
	r.wake()
}

// touch tells those who wait that something beside the exchanges changed.
func (r *Recorder) touch() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wake()
}

// wake gives the next revision and tells those who wait. The lock is held.
func (r *Recorder) wake() {
	r.rev++
	close(r.changed)
	r.changed = make(chan struct{})
}

// find returns an exchange that is kept, or nil. The lock is held.
func (r *Recorder) find(seq int64) *Exchange {
	i := seq - (r.last + 1 - int64(len(r.list)))
	if i < 0 || i >= int64(len(r.list)) {
		return nil
	}
	return r.list[i]
}

// change changes an exchange, if it is still kept, and its revision.
func (r *Recorder) change(seq int64, f func(*Exchange)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.find(seq); e != nil {
		f(e)
		r.wake()
		e.rev = r.rev
	}
}

// grow counts what an exchange takes more, and lets the oldest go. The lock is held.
func (r *Recorder) grow(e *Exchange, n int64) {
	e.size += n
	r.size += n
	for len(r.list) > 1 && (len(r.list) > r.most || r.size > r.bytes) {
		r.size -= r.list[0].size
		r.list[0] = nil
		r.list = r.list[1:]
	}
}

// start begins an exchange and returns its Seq.
func (r *Recorder) start(method, path, proto string, info *Info) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	e := &Exchange{
		ID: r.idOf(r.last), Seq: r.last, Info: *info,
		Method: method, Path: path, Proto: proto, State: Waiting, Started: time.Now(),
		Request: Message{declared: -1}, Answer: Message{declared: -1},
	}
	r.list = append(r.list, e)
	r.grow(e, overhead+int64(len(path)+len(info.URL)+len(info.ID)))
	r.wake()
	e.rev = r.rev
	return e.Seq
}

// sending notes the header with which a request is sent on.
func (r *Recorder) sending(seq int64, header []Field) {
	r.change(seq, func(e *Exchange) {
		e.Request.Header = header
		e.Request.declared = declared(header)
		r.grow(e, fieldsSize(header))
	})
}

// answered notes an answer's head.
func (r *Recorder) answered(seq int64, res *http.Response) {
	header := fields(res.Header)
	r.change(seq, func(e *Exchange) {
		e.Status, e.StatusText, e.AnswerProto = res.StatusCode, res.Status, res.Proto
		e.State, e.FirstByte = Answering, time.Since(e.Started)
		e.Answer.Header, e.Answer.declared = header, res.ContentLength
		if e.Upgrade = res.StatusCode == http.StatusSwitchingProtocols; e.Upgrade {
			e.State = Upgraded
		}
		r.grow(e, fieldsSize(header))
	})
}

// failed notes that there was no answer.
func (r *Recorder) failed(seq int64, kind string) {
	r.change(seq, func(e *Exchange) {
		e.State, e.Error = Failed, kind
		if e.Status == 0 && kind != ErrorCanceled {
			e.Status, e.StatusText = http.StatusBadGateway, "502 Bad Gateway"
		}
	})
}

// finish notes that all has passed.
func (r *Recorder) finish(seq int64) {
	r.change(seq, func(e *Exchange) {
		e.Took = max(time.Since(e.Started), 1)
		if e.State != Failed {
			e.State = Done
		}
		// Who goes away, or answers before the whole body, leaves the rest unread.
		if n := e.Request.declared; !e.Upgrade && n > e.Request.Size {
			e.Request.Cut = true
		}
		if n := e.Answer.declared; !e.Upgrade && n > e.Answer.Size && e.Method != http.MethodHead && e.Status != http.StatusNotModified {
			e.Answer.Cut = true
		}
	})
}

// replays notes which exchange one repeats.
func (r *Recorder) replays(seq int64, of string) {
	r.change(seq, func(e *Exchange) { e.ReplayOf = of })
}

// keep keeps a piece of a body, up to MaxBody. It makes no revision: bodies are asked for by themselves.
func (r *Recorder) keep(seq int64, s side, p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.find(seq)
	if e == nil {
		return
	}
	m := e.message(s)
	m.Size += int64(len(p))
	if room := MaxBody - len(m.Body); len(p) > room {
		p, m.Cut = p[:room], true
	}
	before := cap(m.Body)
	m.Body = append(m.Body, p...)
	r.grow(e, int64(cap(m.Body)-before))
}

// count counts what passed a connection that was upgraded.
func (r *Recorder) count(seq int64, s side, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.find(seq); e != nil {
		e.message(s).Size += int64(n)
	}
}

func (e *Exchange) message(s side) *Message {
	if s == requestSide {
		return &e.Request
	}
	return &e.Answer
}

// Finished reports whether nothing more will happen.
func (e *Exchange) Finished() bool { return e.State == Done || e.State == Failed }

// Contains reports whether a text, in any case, is anywhere in the exchange.
func (e *Exchange) Contains(text string) bool {
	lower := strings.ToLower(text)
	for _, s := range []string{e.Method + " " + e.Path, e.StatusText, e.Error, e.Info.Remote, e.Info.ID, e.Info.URL} {
		if strings.Contains(strings.ToLower(s), lower) {
			return true
		}
	}
	for _, m := range []*Message{&e.Request, &e.Answer} {
		for _, f := range m.Header {
			if strings.Contains(strings.ToLower(f.Name+": "+f.Value), lower) {
				return true
			}
		}
		if bytes.Contains(bytes.ToLower(m.Body), []byte(lower)) {
			return true
		}
	}
	return false
}

// RawRequest returns the request as it was sent on; of a chunked body, only what was in the chunks.
func (e *Exchange) RawRequest() []byte {
	return raw(fmt.Sprintf("%s %s %s", e.Method, e.Path, e.Proto), &e.Request)
}

// RawAnswer returns the answer, nil when there was none.
func (e *Exchange) RawAnswer() []byte {
	if e.AnswerProto == "" {
		return nil
	}
	return raw(e.AnswerProto+" "+e.StatusText, &e.Answer)
}

func raw(line string, m *Message) []byte {
	var b bytes.Buffer
	b.WriteString(line + "\r\n")
	for _, f := range m.Header {
		b.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(m.Body)
	return b.Bytes()
}

func fieldsSize(list []Field) int64 {
	n := 0
	for _, f := range list {
		n += len(f.Name) + len(f.Value) + 32
	}
	return int64(n)
}

func declared(header []Field) int64 {
	for _, f := range header {
		if strings.EqualFold(f.Name, "Content-Length") {
			if n, err := strconv.ParseInt(f.Value, 10, 64); err == nil {
				return n
			}
		}
	}
	return -1
}
