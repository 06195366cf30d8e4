package inspect

import (
	"sync"

	"github.com/posthornhq/posthorn/internal/event"
)

// held is the callers that wait for a client's answer.
type held struct {
	mu    sync.Mutex
	calls map[heldCall]chan event.Answer
}

type heldCall struct {
	bin string
	seq int64
}

func (h *held) init() { h.calls = map[heldCall]chan event.Answer{} }

// begin lets a caller wait: the channel gets one answer. end says whether none was given; after it none is taken.
func (h *held) begin(bin string, seq int64) (answer <-chan event.Answer, end func()) {
	k, ch := heldCall{bin, seq}, make(chan event.Answer, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls[k] = ch
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.calls[k] == ch {
			delete(h.calls, k)
		}
	}
}

// give passes an answer on; false when nobody waits.
func (h *held) give(bin string, seq int64, a event.Answer) bool {
	k := heldCall{bin, seq}
	h.mu.Lock()
	defer h.mu.Unlock()
	ch := h.calls[k]
	if ch == nil {
		return false
	}
	delete(h.calls, k)
	ch <- a // has room: the only one who sends has taken it out of the map
	return true
}

// waits reports whether a caller waits.
func (h *held) waits(bin string, seq int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls[heldCall{bin, seq}] != nil
}

// Held reports whether the caller of a capture waits for an answer.
func (s *Service) Held(bin string, seq int64) bool { return s.held.waits(bin, seq) }

// Answer gives the caller of a capture, who is held, its answer. A zero Status means 200. Errors: KindInvalid,
// KindConflict ("not_held") when nobody waits.
func (s *Service) Answer(bin string, seq int64, a event.Answer) error {
	if bad := CheckAnswer("", a); len(bad) > 0 {
		return &event.Error{Kind: event.KindInvalid, Code: "invalid", Detail: "the request is not valid", Fields: bad}
	}
	if !s.held.give(bin, seq, a) {
		return event.Errorf(event.KindConflict, "not_held", "no caller waits for the answer to this request")
	}
	return nil
}
