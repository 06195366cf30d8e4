package inbound

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/receiver"
)

// waiting is a caller's wait for an endpoint's answer; nil when there is none to wait for.
type waiting struct {
	release func()
	answers <-chan event.Answer
	cancel  func()
	timer   *time.Timer
}

// await begins to wait, before the event is published: an answer that comes at once is not missed. The error is KindUnavailable when too
// many wait; for the answer of a tunnel nobody waits then.
func (x *exchange) await(e *event.Event) (*waiting, error) {
	if x.s.Awaiter == nil {
		return nil, nil
	}
	endpoint := x.source.source.Sync
	if endpoint == 0 {
		var ok bool
		if endpoint, ok = x.s.Awaiter.Answering(x.tenant.ID, x.source.source.Name); !ok {
			return nil, nil
		}
	}
	release, ok := x.s.Hold()
	switch {
	case ok:
	case x.source.source.Sync == 0: // somebody's laptop must not cost events
		return nil, nil
	default:
		return nil, &event.Error{Kind: event.KindUnavailable, Code: "busy", Detail: "too many callers wait for an answer", RetryAfter: time.Second}
	}
	if e.ID == "" {
		e.ID = newID(x.start)
	}
	w := &waiting{release: release, timer: time.NewTimer(x.source.syncWait())}
	w.answers, w.cancel = x.s.Awaiter.Await(x.tenant.ID, endpoint, e.ID)
	// The request is read to its end; while the caller waits it has nothing more to send in time.
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Time{}) // not supported: then there is no such limit
	return w, nil
}

func (w *waiting) end() {
	if w == nil {
		return
	}
	w.timer.Stop()
	w.cancel()
	w.release()
}

// answer returns what the endpoint answered; nil when it did not in time, or could not be reached.
func (w *waiting) answer(ctx context.Context) *receiver.Answer {
	if w == nil {
		return nil
	}
	select {
	case a := <-w.answers:
		if a.Status < 200 || a.Status > 999 {
			return nil
		}
		out := receiver.Answer{Status: a.Status, Header: http.Header{}, Body: a.Body}
		for _, h := range a.Headers {
			if passes(h.Name) {
				out.Header.Add(h.Name, h.Value)
			}
		}
		return &out
	case <-w.timer.C:
	case <-ctx.Done():
	}
	return nil
}

// heldBack are headers that are about this server rather than about an answer of somebody else's.
var heldBack = []string{
	"Content-Length", "Date", "Server", "Set-Cookie", "Set-Cookie2", "Clear-Site-Data", "Strict-Transport-Security", "Content-Security-Policy",
	"X-Content-Type-Options", "Service-Worker-Allowed", "Alt-Svc", "Public-Key-Pins", "Refresh", "Link", "Nel", "Report-To", "Reporting-Endpoints",
}

// passes reports whether a header of an answer may be one of a source's.
func passes(name string) bool {
	return !event.OfConnection(name) && !slices.Contains(heldBack, http.CanonicalHeaderKey(name))
}

// newID makes a UUID of version 7 (RFC 9562, 5.7).
func newID(now time.Time) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(max(0, now.UnixMilli())))
	copy(b[:6], ms[2:])
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	var text [36]byte
	hex.Encode(text[:8], b[:4])
	hex.Encode(text[9:13], b[4:6])
	hex.Encode(text[14:18], b[6:8])
	hex.Encode(text[19:23], b[8:10])
	hex.Encode(text[24:], b[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}
