package match

import (
	"slices"
	"strings"

	"github.com/posthornhq/posthorn/internal/event"
)

// Match appends to dst the endpoints that an event is for, each once, in no particular order, disabled ones included.
// It does not allocate beyond dst, unless a filter needs a CEL program.
func (x *Index) Match(ev *event.Event, dst []*event.Endpoint) []*event.Endpoint {
	m := lookup{ev: ev, dst: dst}
	x.mu.RLock()
	m.place(x.exact[ev.Type])
	if operational := strings.HasPrefix(ev.Type, event.ReservedPrefix); operational {
		m.literal(&x.wild)
	} else {
		m.place(x.all)
		m.walk(&x.wild, ev.Type)
	}
	x.mu.RUnlock()
	if m.view == nil {
		return m.dst
	}
	for _, s := range m.view.pending {
		if s.sub.filter.evalProgram(m.view) == Match {
			m.dst = append(m.dst, s.sub.endpoint)
		}
	}
	m.view.release()
	return m.dst
}

// lookup is one run of Match.
type lookup struct {
	ev   *event.Event
	dst  []*event.Endpoint
	view *view // made when a filter needs it
}

// walk visits the places of the patterns that match a type, or its rest from a segment on.
func (m *lookup) walk(t *trie, rest string) {
	m.place(t.rest)
	segment, rest, more := strings.Cut(rest, ".")
	m.step(t.next[segment], rest, more)
	m.step(t.any, rest, more)
}

func (m *lookup) step(t *trie, rest string, more bool) {
	switch {
	case t == nil:
	case more:
		m.walk(t, rest)
	default:
		m.place(t.end)
	}
}

// literal visits the places for an operational type: its first segment must be there literally.
func (m *lookup) literal(t *trie) {
	first, rest, more := strings.Cut(m.ev.Type, ".")
	m.step(t.next[first], rest, more)
}

func (m *lookup) place(p *place) {
	if p == nil {
		return
	}
	m.group(&p.free)
	if len(p.channels) == 0 {
		return
	}
	for i, c := range m.ev.Channels {
		if g := p.channels[c]; g != nil && slices.Index(m.ev.Channels, c) == i {
			m.group(g)
		}
	}
}

func (m *lookup) group(g *group) {
	m.bucket(&g.plain)
	for _, d := range g.demanded {
		if m.view == nil {
			m.view = newView(m.ev)
		}
		got := m.view.value(&d.path)
		var b *bucket
		if got.b != nil {
			b = d.values[valueKey{kind: kindString, s: string(got.b)}] // does not allocate
		} else if key, ok := literalKey(&got); ok {
			b = d.values[key]
		}
		if b != nil {
			m.bucket(b)
		}
	}
}

func (m *lookup) bucket(b *bucket) {
	for _, s := range b.slots {
		if s.sub.endpoint.Start >= m.ev.Version || len(s.sub.slots) > 1 && !s.first(m.ev) {
			continue
		}
		if e := s.sub.endpoint; s.sub.compared && (!matchChannels(e.Channels, m.ev.Channels) || !matchChange(e, m.ev)) {
			continue
		}
		f := s.sub.filter
		if f == nil {
			m.dst = append(m.dst, s.sub.endpoint)
			continue
		}
		if m.view == nil {
			m.view = newView(m.ev)
		}
		switch {
		case f.evalTerms(m.view) != Match:
		case f.whole:
			m.dst = append(m.dst, s.sub.endpoint)
		default:
			m.view.pending = append(m.view.pending, s)
		}
	}
}

// first reports whether of all the slots under which an event finds the endpoint this is the first, so that the endpoint
// is taken once. Of an endpoint's values an event has at most one.
func (s *slot) first(ev *event.Event) bool {
	for _, p := range s.sub.patterns[:s.pattern] {
		if matchPattern(p, ev.Type) {
			return false
		}
	}
	for _, c := range s.sub.channels[:s.channel] {
		if slices.Contains(ev.Channels, c) {
			return false
		}
	}
	return true
}
