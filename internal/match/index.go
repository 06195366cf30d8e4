package match

import (
	"slices"
	"strings"
	"sync"
	"unique"

	"github.com/posthornhq/posthorn/internal/event"
)

// Index finds the endpoints of one tenant that an event is for. It is safe for concurrent use: one RWMutex guards it,
// held for reading while candidates are collected, but not while CEL programs run.
//
// Endpoints are filed by type pattern (a map of literal types, a trie of those with wildcards), then by channel, then by
// a value that their filter demands, such as data.customer == "c123", so that only endpoints that are likely targets
// are looked at. What the index cannot tell apart is evaluated, endpoint by endpoint.
type Index struct {
	mu    sync.RWMutex
	subs  map[event.EndpointID]*sub
	exact map[string]*place // by literal type
	wild  trie              // patterns with wildcards
	all   *place            // "*", "**" and no patterns
}

// maxPlaces bounds under how many places one endpoint is filed; over it, its filter's values, and then its channels, are
// not used to file it.
const maxPlaces = 256

// sub is an endpoint in the index.
type sub struct {
	endpoint *event.Endpoint
	filter   *Filter // nil for none
	// patterns, channels and values are what the endpoint is filed under: every combination is a slot. Without channels
	// there is one empty string, without values the zero key alone.
	patterns []string
	channels []string
	by       *path // of the values; nil when there are none
	values   []valueKey
	slots    []slot
	// compared is set when the endpoint demands what it is not filed under: it has too many channels for that, or wants
	// only changes of records or of some members.
	compared bool
}

// slot is one place of an endpoint in the index.
type slot struct {
	sub                     *sub
	pattern, channel, value uint16
	at                      int32 // in the bucket's list
}

// bucket holds the slots of one place.
type bucket struct{ slots []*slot }

func (b *bucket) add(s *slot) {
	s.at = int32(len(b.slots)) // #nosec G115 -- at most 100,000 endpoints times maxPlaces
	b.slots = append(b.slots, s)
}

func (b *bucket) remove(s *slot) {
	last := len(b.slots) - 1
	b.slots[s.at] = b.slots[last]
	b.slots[s.at].at = s.at
	b.slots[last] = nil
	b.slots = b.slots[:last]
}

// place is the end of a type pattern in the index.
type place struct {
	free     group             // endpoints without channels
	channels map[string]*group // by channel
}

// group holds the endpoints of a place with the same channel.
type group struct {
	plain    bucket
	demanded []*demand
}

// demand files endpoints by the value that their filters demand at a path.
type demand struct {
	path   path
	values map[valueKey]*bucket
}

// valueKey is a value as a map's key. Numbers that CEL holds equal have the same key.
type valueKey struct {
	kind kind
	f    float64
	s    string
}

func literalKey(v *value) (valueKey, bool) {
	switch v.kind {
	case kindString:
		return valueKey{kind: kindString, s: v.s}, true
	case kindInt:
		return valueKey{kind: kindDouble, f: float64(v.i)}, true
	case kindBool:
		return valueKey{kind: kindBool, f: float64(v.i)}, true
	case kindDouble:
		return valueKey{kind: kindDouble, f: v.f}, true
	}
	return valueKey{}, false
}

// trie holds patterns with wildcards, a level for each segment.
type trie struct {
	next map[string]*trie
	any  *trie  // "*"
	end  *place // a pattern ends here
	rest *place // "**" follows
}

// NewIndex returns an empty index.
func NewIndex() *Index {
	return &Index{subs: map[event.EndpointID]*sub{}, exact: map[string]*place{}, all: &place{}}
}

// Len returns the number of endpoints.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.subs)
}

// Put adds an endpoint, or replaces the one with its ID. The endpoint must not be changed afterwards.
func (x *Index) Put(e *event.Endpoint) {
	s := newSub(e)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.remove(e.ID)
	x.subs[e.ID] = s
	for i := range s.slots {
		x.file(&s.slots[i])
	}
}

// Get returns the endpoint of an ID as it was put, or nil.
func (x *Index) Get(id event.EndpointID) *event.Endpoint {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if s := x.subs[id]; s != nil {
		return s.endpoint
	}
	return nil
}

// Remove takes an endpoint out; it need not be in.
func (x *Index) Remove(id event.EndpointID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.remove(id)
}

func (x *Index) remove(id event.EndpointID) {
	s := x.subs[id]
	if s == nil {
		return
	}
	delete(x.subs, id)
	for i := range s.slots {
		x.unfile(&s.slots[i])
	}
}

// Shared by the endpoints that have none of their own.
var (
	everyType = []string{every}
	noChannel = []string{""}
	noValue   = []valueKey{{}}
)

// newSub decides under which places an endpoint is filed.
func newSub(e *event.Endpoint) *sub {
	s := &sub{endpoint: e, patterns: everyType, channels: noChannel, values: noValue}
	if e.Filter != "" {
		s.filter = parseFilter(e.Filter)
	}
	if len(e.Types) > 0 {
		s.patterns = distinct(e.Types)
		if slices.Contains(s.patterns, "**") {
			s.patterns = distinct(append([]string{every}, s.patterns...))
			s.patterns = slices.DeleteFunc(s.patterns, func(p string) bool { return p == "**" })
		}
	}
	if len(e.Channels) > 0 {
		if c := distinct(e.Channels); len(s.patterns)*len(c) <= maxPlaces {
			s.channels = c
		} else {
			s.compared = true
		}
	}
	s.compared = s.compared || e.Kind == event.KindFlexiBee || len(e.Changed) > 0
	if s.filter != nil {
		if by, values := s.filter.demands(); by != nil && len(s.patterns)*len(s.channels)*len(values) <= maxPlaces {
			s.by, s.values = by, values
		}
	}
	s.slots = make([]slot, 0, len(s.patterns)*len(s.channels)*len(s.values))
	for p := range s.patterns {
		for c := range s.channels {
			for v := range s.values {
				s.slots = append(s.slots, slot{sub: s, pattern: uint16(p), channel: uint16(c), value: uint16(v)}) // #nosec G115 -- lists are short
			}
		}
	}
	return s
}

func distinct(list []string) []string {
	if len(list) == 1 {
		return list
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// demands returns the path and the values of a term that holds only for a few values, or nil.
func (f *Filter) demands() (*path, []valueKey) {
	best, bestRank := -1, 0
	for i := range f.terms {
		n := &f.terms[i]
		rank := 0
		switch {
		case n.op == opEqual && n.lits[0].kind == kindBool, n.op == opEqual && n.path.root == rootType:
			rank = 1
		case n.op == opIn:
			rank = 2
		case n.op == opEqual && n.lits[0].kind != kindNull:
			rank = 3
		}
		if rank > bestRank {
			best, bestRank = i, rank
		}
	}
	if best < 0 {
		return nil, nil
	}
	n := &f.terms[best]
	keys := make([]valueKey, 0, len(n.lits))
	for i := range n.lits {
		k, ok := literalKey(&n.lits[i])
		if !ok {
			return nil, nil
		}
		if !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return &n.path, keys
}

// file puts a slot into its place, which is made when it is not there.
func (x *Index) file(s *slot) {
	p := x.place(s.sub.patterns[s.pattern], true)
	g := &p.free
	if channel := s.sub.channels[s.channel]; channel != "" {
		if p.channels == nil {
			p.channels = map[string]*group{}
		}
		if g = p.channels[channel]; g == nil {
			g = new(group)
			p.channels[channel] = g
		}
	}
	if s.sub.by == nil {
		g.plain.add(s)
		return
	}
	d := g.demand(s.sub.by.key)
	if d == nil {
		d = &demand{path: *s.sub.by, values: map[valueKey]*bucket{}}
		g.demanded = append(g.demanded, d)
	}
	key := s.sub.values[s.value]
	b := d.values[key]
	if b == nil {
		b = new(bucket)
		d.values[key] = b
	}
	b.add(s)
}

// unfile takes a slot out, and what is empty then.
func (x *Index) unfile(s *slot) {
	pattern, channel := s.sub.patterns[s.pattern], s.sub.channels[s.channel]
	p := x.place(pattern, false)
	g := &p.free
	if channel != "" {
		g = p.channels[channel]
	}
	if s.sub.by == nil {
		g.plain.remove(s)
	} else {
		d := g.demand(s.sub.by.key)
		key := s.sub.values[s.value]
		b := d.values[key]
		if b.remove(s); len(b.slots) == 0 {
			delete(d.values, key)
		}
		if len(d.values) == 0 {
			g.demanded = slices.DeleteFunc(g.demanded, func(o *demand) bool { return o == d })
		}
	}
	if channel != "" && g.empty() {
		delete(p.channels, channel)
	}
	if p.free.empty() && len(p.channels) == 0 {
		x.prune(pattern)
	}
}

func (g *group) empty() bool { return len(g.plain.slots) == 0 && len(g.demanded) == 0 }

func (g *group) demand(key unique.Handle[string]) *demand {
	for _, d := range g.demanded {
		if d.path.key == key {
			return d
		}
	}
	return nil
}

// place returns the place of a pattern, nil when it is not there and not to be made.
func (x *Index) place(pattern string, create bool) *place {
	switch {
	case pattern == every:
		return x.all
	case strings.IndexByte(pattern, '*') < 0:
		p := x.exact[pattern]
		if p == nil && create {
			p = new(place)
			x.exact[pattern] = p
		}
		return p
	}
	return x.wild.place(pattern, create)
}

func (t *trie) place(pattern string, create bool) *place {
	for more := true; more; {
		var segment string
		segment, pattern, more = strings.Cut(pattern, ".")
		if segment == "**" {
			if t.rest == nil && create {
				t.rest = new(place)
			}
			return t.rest
		}
		child := t.child(segment)
		if child == nil {
			if !create {
				return nil
			}
			child = new(trie)
			t.setChild(segment, child)
		}
		t = child
	}
	if t.end == nil && create {
		t.end = new(place)
	}
	return t.end
}

func (t *trie) child(segment string) *trie {
	if segment == "*" {
		return t.any
	}
	return t.next[segment]
}

func (t *trie) setChild(segment string, child *trie) {
	switch {
	case segment == "*":
		t.any = child
	case child == nil:
		delete(t.next, segment)
	default:
		if t.next == nil {
			t.next = map[string]*trie{}
		}
		t.next[segment] = child
	}
}

// prune removes the empty place of a pattern.
func (x *Index) prune(pattern string) {
	switch {
	case pattern == every:
	case strings.IndexByte(pattern, '*') < 0:
		delete(x.exact, pattern)
	default:
		x.wild.prune(pattern, true)
	}
}

// prune removes the empty place of a pattern and reports whether nothing is left of the trie.
func (t *trie) prune(pattern string, more bool) bool {
	if !more {
		t.end = nil
	} else {
		segment, rest, more := strings.Cut(pattern, ".")
		if segment == "**" {
			t.rest = nil
		} else if child := t.child(segment); child != nil && child.prune(rest, more) {
			t.setChild(segment, nil)
		}
	}
	return t.end == nil && t.rest == nil && t.any == nil && len(t.next) == 0
}
