package rest

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

const (
	// maxPoll is the longest that a request for changes may wait for one.
	maxPoll = time.Minute
	// maxKeep bounds how long proxies may keep a page that is full.
	maxKeep = time.Hour
	// scanChunk is how many events a filtered part of the log is read by.
	scanChunk = 500
)

// feed is one request for changes.
type feed struct {
	api      *API
	call     *call
	listener Listener
	fits     func(*event.Event) bool // nil: all
	limit    int
	seen     string // If-None-Match
}

// part is one reading of the log.
type part struct {
	eventWriter
	next, head int64
}

// tag is the part's ETag. Versions never change, so that the place reached and the head say whether an answer is the same.
func (p *part) tag() string { return fmt.Sprintf(`"c%d-%d"`, p.next, p.head) }

// changes answers a request for a part of the log, after waiting for one if it asks so.
func (a *API) changes(w http.ResponseWriter, r *http.Request, c *call) error {
	q := readQuery(r)
	f := feed{api: a, call: c, listener: q.listener(c), limit: int(q.number("limit", 1, 1000, 100)), seen: r.Header.Get("If-None-Match")}
	wait := q.wait("wait", maxPoll)
	if p := q.problem(); p != nil {
		return p
	}
	var err error
	if f.fits, err = a.selector(&f.listener); err != nil {
		return err
	}
	if wait > 0 {
		unhurried(w)
	}
	p, err := f.poll(r, wait)
	if err != nil {
		return err
	}
	if keep := f.keep(&p); keep > 0 {
		w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(keep)+", immutable")
		w.Header().Add("Vary", "Authorization, Cookie")
	}
	body := append(p.bytes(), `],"next":`...)
	body = strconv.AppendInt(body, p.next, 10)
	body = append(body, `,"head":`...)
	body = strconv.AppendInt(body, p.head, 10)
	out := &answer{header: http.Header{"Content-Type": {typeJSON}, "Etag": {p.tag()}}}
	_, _ = out.body.Write(append(body, '}', '\n')) // never fails (package bytes)
	out.send(w, r)
	return nil
}

// keep is for how long proxies may keep a part, in seconds: 0 unless it is full and so can never change, and not longer
// than the token is good.
func (f *feed) keep(p *part) int {
	if p.count < f.limit || f.listener.Start == 0 || f.call.open && !f.call.cookie {
		return 0 // a token in the query is part of the address, by which proxies would keep it, too
	}
	keep := maxKeep
	if ends := f.call.key.Expires; !ends.IsZero() {
		keep = min(keep, time.Until(ends))
	}
	return int(max(0, keep) / time.Second)
}

// poll reads the log, and while there is nothing to give and time is left, waits and reads again. Nothing of what was read
// is held while it waits.
func (f *feed) poll(r *http.Request, wait time.Duration) (part, error) {
	if ends := f.call.key.Expires; wait > 0 && !ends.IsZero() {
		wait = min(wait, time.Until(ends)) // a key sees nothing after its end
	}
	until := time.Now().Add(wait)
	after := f.listener.Start - 1
	var before part // what the last reading came to, without its events
	for {
		p, err := f.read(r.Context(), after)
		if err != nil {
			return p, err
		}
		left := time.Until(until)
		same := p.next == before.next && p.head == before.head // woken for nothing: the server stops
		if same || left <= 0 || wait <= 0 || !f.waits(&p) {
			return p, nil
		}
		if p.count == 0 {
			after = p.next - 1
		}
		before = part{next: p.next, head: p.head}
		p = part{}
		if err := f.wait(r, before.next-1, left); err != nil {
			return before, err
		}
	}
}

// waits reports whether it is worth waiting for more than a part holds: nothing is selected up to the head, or nothing is
// new to the caller.
func (f *feed) waits(p *part) bool {
	if p.next <= p.head || p.full() {
		return false
	}
	return p.count == 0 || noneMatch(f.seen, p.tag())
}

// wait returns when there may be more after a version, or time is up. Who may no longer read gets an error.
func (f *feed) wait(r *http.Request, after int64, left time.Duration) error {
	ctx := r.Context()
	if f.api.Live == nil {
		return noLive()
	}
	if err := f.api.Live.Wait(ctx, r, f.listener, after, left); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	_, _, err := f.api.authorize(ctx, f.call.credential, f.call.tenant.Name, &changesOperation)
	return err
}

// read reads events after a version; a negative one is the beginning of what is kept.
func (f *feed) read(ctx context.Context, after int64) (part, error) {
	p := part{eventWriter: eventWriter{fits: f.fits, limit: f.limit, open: `{"changes":[`}}
	chunk := f.limit
	if f.fits != nil {
		chunk = max(chunk, scanChunk)
	}
	placed := after >= 0
	after = max(after, 0)
	for {
		list, oldest, head, err := f.api.Log.Changes(ctx, f.call.tenant.ID, after, chunk, maxPageBytes)
		if err != nil {
			return p, err
		}
		if after+1 < oldest {
			if placed {
				return p, event.Gone("start", oldest)
			}
			after = oldest - 1
		}
		if after > head {
			return p, event.Beyond("start", head)
		}
		placed = true
		for i := range list {
			if !p.add(&list[i]) {
				break
			}
			after = list[i].Version
		}
		if p.next, p.head = after+1, head; len(list) == 0 || p.full() || f.fits == nil || after >= head {
			return p, nil
		}
	}
}
