package live

import (
	"strconv"
	"strings"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/match"
)

// Listener is who listens and to what.
type Listener struct {
	Tenant *event.Tenant
	// Key is the API key or token; its Only narrows what is seen, its Expires ends the connection.
	Key *event.APIKey
	// Ask is the selection that is wanted.
	Ask event.Selection
	// Start is the first version wanted; 0: those to come.
	Start int64
	// Unnamed leaves the event's type out of server-sent events.
	Unnamed bool
}

// wish is a compiled selection: what is asked for of what is allowed.
type wish struct {
	key      string
	match    func(*event.Event) bool // nil: every event
	subjects []string                // nothing else is selected; nil: it cannot be said
	shown    event.Selection         // what is asked for, or what may be seen where nothing is
}

// wish compiles what a listener asks for and may see. One that a group of the feed has compiled already is taken from there;
// f may be nil. Errors are KindInvalid and name the field.
func (h *Hub) wish(f *feed, ask event.Selection, key *event.APIKey) (*wish, error) {
	var only event.Selection
	if key != nil && key.Only != nil {
		only = *key.Only
	}
	w := &wish{key: selectionKey(ask, only), subjects: exactSubjects(only), shown: ask}
	if ask.IsZero() {
		w.shown = only
	}
	if w.subjects == nil {
		w.subjects = exactSubjects(ask)
	}
	if f != nil {
		f.mu.Lock()
		g := f.groups[w.key]
		f.mu.Unlock()
		if g != nil {
			w.match = g.match
			return w, nil
		}
	}
	asked, err := match.CompileSelection(ask, h.cfg.Limits)
	if err != nil {
		return nil, err
	}
	allowed, err := match.CompileSelection(only, h.cfg.Limits)
	if err != nil {
		return nil, err
	}
	w.match = match.Both(asked, allowed)
	return w, nil
}

// Selector compiles what a listener asked for and may see; nil: every event. Errors are KindInvalid and name the field.
func (h *Hub) Selector(l *Listener) (func(*event.Event) bool, error) {
	w, err := h.wish(nil, l.Ask, l.Key)
	if err != nil {
		return nil, err
	}
	return w.match, nil
}

// selectionKey is the same for the same selections only: every text stands with its length.
func selectionKey(ask, only event.Selection) string {
	if ask.IsZero() && only.IsZero() {
		return ""
	}
	var b strings.Builder
	text := func(s string) {
		b.WriteString(strconv.Itoa(len(s)))
		b.WriteByte(':')
		b.WriteString(s)
	}
	for _, s := range []event.Selection{ask, only} {
		for _, list := range [][]string{s.Types, s.Subjects} {
			b.WriteString(strconv.Itoa(len(list)))
			b.WriteByte('[')
			for _, x := range list {
				text(x)
			}
		}
		text(s.Filter)
	}
	return b.String()
}

// exactSubjects returns a selection's subjects when it has some and none is a beginning.
func exactSubjects(s event.Selection) []string {
	for _, x := range s.Subjects {
		if strings.HasSuffix(x, "*") {
			return nil
		}
	}
	if len(s.Subjects) == 0 {
		return nil
	}
	seen := make(map[string]bool, len(s.Subjects))
	var out []string
	for _, x := range s.Subjects {
		if !seen[x] {
			seen[x] = true
			out = append(out, x)
		}
	}
	return out
}
