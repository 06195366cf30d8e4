package match

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/posthornhq/posthorn/internal/event"
)

// Selector is a compiled [event.Selection]. It is immutable and safe for concurrent use; nil selects every event.
type Selector struct {
	selection event.Selection
	filter    *Filter
}

// CompileSelection checks and compiles a selection; the zero selection gives nil, which selects every event. Errors are
// KindInvalid and name the field: types[i], subjects[i] or filter.
func CompileSelection(s event.Selection, limits event.Limits) (*Selector, error) {
	if s.IsZero() {
		return nil, nil //nolint:nilnil // documented
	}
	if len(s.Types) > event.MaxSelectionTypes {
		return nil, event.Invalid("types", "must be at most "+strconv.Itoa(event.MaxSelectionTypes))
	}
	if len(s.Subjects) > event.MaxSelectionSubjects {
		return nil, event.Invalid("subjects", "must be at most "+strconv.Itoa(event.MaxSelectionSubjects))
	}
	for i, p := range s.Types {
		if reason := CheckPattern(p); reason != "" {
			return nil, event.Invalid(fmt.Sprintf("types[%d]", i), reason)
		}
	}
	for i, p := range s.Subjects {
		if p == "" || len(p) > limits.MaxAttribute {
			return nil, event.Invalid(fmt.Sprintf("subjects[%d]", i), "must be 1 to "+strconv.Itoa(limits.MaxAttribute)+" bytes")
		}
	}
	out := &Selector{selection: s}
	if s.Filter != "" {
		f, err := CompileFilter(s.Filter, limits)
		if err != nil {
			return nil, err
		}
		out.filter = f
	}
	return out, nil
}

// Matches reports whether an event is selected.
func (s *Selector) Matches(ev *event.Event) bool {
	if s == nil {
		return true
	}
	if len(s.selection.Types) > 0 && !matchTypes(s.selection.Types, ev.Type) || !s.selection.MatchSubject(ev.Subject) {
		return false
	}
	return s.filter == nil || s.filter.Eval(ev) == Match
}

// Key is a text that is the same for selectors that select the same by the same words: listeners that share it share
// the work of matching.
func (s *Selector) Key() string {
	if s == nil {
		return ""
	}
	return strings.Join(s.selection.Types, ",") + "\x00" + strings.Join(s.selection.Subjects, "\x01") + "\x00" + s.selection.Filter
}

// Both returns a selector of what a and b both select, such as what is asked for and what is allowed. Its Filter is
// evaluated for each.
func Both(a, b *Selector) func(*event.Event) bool {
	switch {
	case a == nil && b == nil:
		return nil
	case a == nil:
		return b.Matches
	case b == nil:
		return a.Matches
	}
	return func(ev *event.Event) bool { return a.Matches(ev) && b.Matches(ev) }
}
