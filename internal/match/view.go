package match

import (
	"strings"
	"sync"
	"unique"

	"github.com/posthornhq/posthorn/internal/event"
)

// root is the variable that a path begins with.
type root uint8

const (
	rootNone root = iota
	rootID
	rootSource
	rootType
	rootSubject
	rootKey
	rootContentType
	rootVersion
	rootData
	rootExt
	rootChannels
)

var roots = map[string]root{
	"id": rootID, "source": rootSource, "type": rootType, "subject": rootSubject, "key": rootKey,
	"datacontenttype": rootContentType, "version": rootVersion, "data": rootData, "ext": rootExt, "channels": rootChannels,
}

// path names a value of an event, such as data.customer.id.
type path struct {
	root  root
	steps []string
	// key is the same for equal paths, so that an event's values are looked up once for all filters.
	key unique.Handle[string]
}

func makePath(r root, steps []string) path {
	return path{root: r, steps: steps, key: unique.Make(string(rune(r)) + strings.Join(steps, "\x00"))}
}

// view is an event as filters see it. It reads the data only when a filter asks for it, and each path once.
type view struct {
	ev      *event.Event
	n       int
	paths   [8]unique.Handle[string]
	values  [8]value
	decoded bool
	data    any            // decoded for CEL programs
	ext     map[string]any // the same
	pending []*slot        // candidates that wait for a CEL program
}

var views = sync.Pool{New: func() any { return new(view) }}

func newView(ev *event.Event) *view {
	v, _ := views.Get().(*view)
	v.ev = ev
	return v
}

func (v *view) release() {
	clear(v.values[:v.n])
	clear(v.pending)
	v.ev, v.n, v.decoded, v.data, v.ext, v.pending = nil, 0, false, nil, nil, v.pending[:0]
	views.Put(v)
}

// value returns the value at a path.
func (v *view) value(p *path) value {
	switch p.root {
	case rootID:
		return value{kind: kindString, s: v.ev.ID}
	case rootSource:
		return value{kind: kindString, s: v.ev.Source}
	case rootType:
		return value{kind: kindString, s: v.ev.Type}
	case rootSubject:
		return value{kind: kindString, s: v.ev.Subject}
	case rootKey:
		return value{kind: kindString, s: v.ev.Key}
	case rootContentType:
		return value{kind: kindString, s: v.ev.ContentType}
	case rootVersion:
		return value{kind: kindInt, i: v.ev.Version}
	case rootExt:
		return v.extension(p)
	case rootData:
		return v.member(p)
	}
	return value{kind: kindBad}
}

func (v *view) extension(p *path) value {
	if len(p.steps) != 1 {
		return value{kind: kindBad}
	}
	for i := range v.ev.Extensions {
		x := &v.ev.Extensions[i]
		if x.Name != p.steps[0] {
			continue
		}
		switch t := x.Value.(type) {
		case string:
			return value{kind: kindString, s: t}
		case bool:
			if t {
				return value{kind: kindBool, i: 1}
			}
			return value{kind: kindBool}
		case int32:
			return value{kind: kindInt, i: int64(t)}
		}
	}
	return value{kind: kindMissing}
}

func (v *view) member(p *path) value {
	for i := range v.n {
		if v.paths[i] == p.key {
			return v.values[i]
		}
	}
	if !v.ev.IsJSON() || v.ev.Data == nil {
		if len(p.steps) == 0 {
			return value{kind: kindNull}
		}
		return unreachable(len(p.steps))
	}
	found := find(v.ev.Data, p.steps)
	if v.n < len(v.paths) {
		v.paths[v.n], v.values[v.n] = p.key, found
		v.n++
	}
	return found
}
