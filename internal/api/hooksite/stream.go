package hooksite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/inspect"
)

// Times of streams.
const (
	pingInterval = 30 * time.Second // as smee.io
	nextWait     = 20 * time.Second // of one look for new requests
)

// stream gives what comes into a channel as server-sent events. An event's id is the request's number, so that who connects
// again gets what came meanwhile; smee.io itself forgets it.
func (a *API) stream(w http.ResponseWriter, r *http.Request, b *event.Bin) error {
	gone, err := a.callers.admit(a.Remote(r))
	if err != nil {
		return plain{err}
	}
	defer gone()
	leave, err := a.Bins.Join(b.ID)
	if err != nil {
		return plain{err}
	}
	defer leave()
	stats, err := a.Bins.Stats(r.Context(), b.ID)
	if err != nil {
		return plain{err}
	}
	a.prolong(r.Context(), b)
	after := stats.Last
	if id, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64); err == nil && id >= 0 && id < after {
		after = id
	}
	extra, stop := a.feeds.join(b.ID)
	defer stop()
	out := &sse{w: w, control: http.NewResponseController(w)}
	_ = out.control.SetReadDeadline(time.Time{}) // all is here; not supported: then there is no such limit
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
	h.Set("Access-Control-Allow-Origin", "*") // its name is the proof that the reader may
	if out.write([]byte("id: "+strconv.FormatInt(after, 10)+"\nevent: ready\ndata: {}\n\n")) != nil {
		return nil //nolint:nilerr // the caller is gone
	}
	a.follow(r.Context(), out, b.ID, after, extra)
	return nil
}

// follow writes until the caller or the bin is gone, or the server stops.
func (a *API) follow(ctx context.Context, out *sse, bin string, after int64, extra <-chan *passed) {
	ctx, cancel := context.WithCancel(ctx)
	type given struct {
		capture *event.Capture
		written chan struct{}
	}
	captures, done := make(chan given), make(chan struct{})
	go func() {
		defer close(done)
		a.pump(ctx, bin, after, func(c *event.Capture) bool {
			g := given{c, make(chan struct{})}
			select {
			case captures <- g:
			case <-ctx.Done():
				return false
			}
			select {
			case <-g.written:
				return true
			case <-ctx.Done():
				return false
			}
		})
	}()
	defer func() {
		cancel()
		<-done
	}()
	ping := time.NewTicker(pingInterval)
	defer ping.Stop()
	for {
		var err error
		select {
		case g := <-captures:
			err = out.write([]byte("id: "+strconv.FormatInt(g.capture.Seq, 10)+"\ndata: "), message(g.capture), []byte("\n\n"))
			close(g.written)
		case p := <-extra:
			err = out.write([]byte("data: "), p.text, []byte("\n\n"))
			a.feeds.done(p)
		case <-ping.C:
			err = out.write([]byte("event: ping\ndata: {}\n\n"))
		case <-done:
			return
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// pump calls f with each capture of a bin after a number, as they come, until f returns false, the bin is gone, or the
// server stops. f returns when the capture was written. Much at once is given only to a few readers at a time: the others
// let go of what they read, and read it again when it is their turn.
func (a *API) pump(ctx context.Context, bin string, after int64, f func(c *event.Capture) bool) {
	for ctx.Err() == nil {
		list, err := a.Bins.Next(ctx, bin, after, nextWait)
		if err != nil {
			return
		}
		if sizeOf(list) <= heavySize {
			if after = each(list, after, f); after < 0 {
				return
			}
			continue
		}
		list = nil
		select {
		case a.heavy <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if list, err = a.Bins.Next(ctx, bin, after, 0); err == nil {
			after = each(list, after, f)
		}
		<-a.heavy
		if err != nil || after < 0 {
			return
		}
	}
}

func sizeOf(list []event.Capture) int {
	n := 0
	for i := range list {
		n += list[i].Size()
	}
	return n
}

// each gives captures one by one and returns the number of the last; -1 when f wants no more.
func each(list []event.Capture, after int64, f func(c *event.Capture) bool) int64 {
	for i := range list {
		if !f(&list[i]) {
			return -1
		}
		after = list[i].Seq
	}
	return after
}

// prolong lets a channel of nobody's that is read, and ends soon, live on.
func (a *API) prolong(ctx context.Context, b *event.Bin) {
	now := a.Clock().UTC()
	if !isChannel(b) || b.Tenant != 0 || b.Expires.IsZero() || b.Expires.Sub(now) > channelLife-24*time.Hour {
		return
	}
	longer := *b
	longer.Expires = now.Add(channelLife)
	// Another may have changed it at this moment; then that one, or the next reader, sees to it.
	_, _ = a.Bins.Update(ctx, longer, b.Revision)
}

// sse writes server-sent events, each within [writeTime].
type sse struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (s *sse) write(parts ...[]byte) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(writeTime)) // not supported: then there is no such limit
	for _, text := range parts {
		if _, err := s.w.Write(text); err != nil {
			return err
		}
	}
	return s.control.Flush()
}

// message is a request as smee.io passes it on: its headers, names in lower case, with body, query and timestamp beside them.
func message(c *event.Capture) []byte {
	all := map[string]any{}
	for _, h := range c.Headers() {
		name := strings.ToLower(h.Name)
		if have, ok := all[name].(string); ok {
			all[name] = have + ", " + h.Value
			continue
		}
		all[name] = h.Value
	}
	query := grouped(inspect.Parameters(&c.Request))
	if query == nil {
		query = map[string]any{}
	}
	all["body"], all["query"], all["timestamp"] = bodyOf(c), query, c.At.UnixMilli()
	text, err := json.Marshal(all)
	if err != nil {
		return []byte("{}") // strings and valid JSON always marshal
	}
	return text
}

// bodyOf is the body as a program there has it: the value of JSON, an object of a form's fields, else text. Bytes that are
// no text become U+FFFD; the request in the bin has them.
func bodyOf(c *event.Capture) any {
	kind, _, err := mime.ParseMediaType(c.Header("Content-Type"))
	if err == nil && (kind == "application/x-www-form-urlencoded" || kind == "multipart/form-data") {
		fields, _ := inspect.Form(&c.Request)
		if all := grouped(fields); all != nil {
			return all
		}
		return map[string]any{}
	}
	if utf8.Valid(c.Body) && json.Valid(c.Body) && kind != "text/plain" {
		var flat bytes.Buffer
		if json.Compact(&flat, c.Body) == nil {
			return json.RawMessage(flat.Bytes())
		}
	}
	if len(c.Body) == 0 {
		return map[string]any{}
	}
	return string(c.Body)
}

// maxRedelivered bounds a message that is passed on again, in bytes.
const maxRedelivered = 16 << 20

// redeliver passes a message on to those who listen now, as it is. It is not kept.
func (a *API) redeliver(w http.ResponseWriter, r *http.Request, b *event.Bin) error {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRedelivered))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return plain{event.Errorf(event.KindTooLarge, "too_large", "the message may have at most 16 MiB")}
	}
	if err != nil {
		return plain{event.Errorf(event.KindMalformed, "malformed", "the body ended before it was complete")}
	}
	var flat bytes.Buffer
	text = bytes.TrimSpace(text)
	if len(text) == 0 || text[0] != '{' || !utf8.Valid(text) || json.Compact(&flat, text) != nil {
		return plain{event.Errorf(event.KindMalformed, "malformed_json", "the message must be a JSON object")}
	}
	if !a.feeds.give(b.ID, flat.Bytes()) {
		return plain{&event.Error{Kind: event.KindUnavailable, Code: "busy", Detail: "many messages are on their way; try again later", RetryAfter: 5 * time.Second}}
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// maxPassed bounds the messages that are being passed on, in bytes: who reads slowly keeps them in memory.
const maxPassed = 64 << 20

// passed is a message on its way to some readers.
type passed struct {
	text []byte
	left int // readers that have not written it; guarded by feeds.mu
}

// feeds are the readers of channels that get what is passed on again.
type feeds struct {
	mu   sync.Mutex
	size int // bytes of the messages that are on their way
	bins map[string]map[chan *passed]bool
}

func (f *feeds) init() { f.bins = map[string]map[chan *passed]bool{} }

// join adds a reader, who calls done after each message.
func (f *feeds) join(bin string) (messages <-chan *passed, leave func()) {
	ch := make(chan *passed, 4)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bins[bin] == nil {
		f.bins[bin] = map[chan *passed]bool{}
	}
	f.bins[bin][ch] = true
	return ch, func() {
		f.mu.Lock()
		delete(f.bins[bin], ch)
		if len(f.bins[bin]) == 0 {
			delete(f.bins, bin)
		}
		f.mu.Unlock()
		close(ch) // nobody gives any more
		for p := range ch {
			f.done(p)
		}
	}
}

// give passes a message to all readers; one that has four of them to write still does without. It is false, and nobody gets the
// message, when too much is on its way.
func (f *feeds) give(bin string, text []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.size+len(text) > maxPassed {
		return false
	}
	p := &passed{text: text}
	for ch := range f.bins[bin] {
		select {
		case ch <- p:
			p.left++
		default:
		}
	}
	if p.left > 0 {
		f.size += len(text)
	}
	return true
}

// done says that a reader needs a message no more.
func (f *feeds) done(p *passed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.left--; p.left == 0 {
		f.size -= len(p.text)
	}
}
