package match

import (
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/maypok86/otter/v2"

	"github.com/posthornhq/posthorn/internal/event"
)

// Outcome is the result of a filter on an event. Only [Match] means that the event is for the endpoint.
type Outcome uint8

// Outcomes.
const (
	NoMatch  Outcome = iota // false
	Match                   // true
	Errored                 // it failed, such as by reading a member that is not there, or is not a boolean
	OverCost                // it cost more than the limit and was ended
)

// Sizes of the caches. A program of CEL takes some 10 to 20 KiB, a parsed filter less than 1 KiB.
const (
	maxPrograms = 2048
	maxFilters  = 16384
)

// Filter is a filter ready to be evaluated. It is immutable and safe for concurrent use.
type Filter struct {
	source string
	// terms must all be true. Unless whole, they are only a part of the filter, checked before its CEL program.
	terms []node
	whole bool
}

// parseFilter makes a filter of a source that CompileFilter accepted, in about a microsecond.
func parseFilter(source string) *Filter {
	f := &Filter{source: source}
	f.terms, f.whole = parseNative(source)
	return f
}

// CompileFilter checks a filter before it is saved: its length, its syntax and types, and that it is not sure, or as far
// as can be estimated likely, to cost more than FilterCost. What it costs on an event is limited in any case. Errors
// are KindInvalid, name the field "filter" and say where.
func CompileFilter(source string, limits event.Limits) (*Filter, error) {
	if len(source) > limits.MaxFilter {
		return nil, event.Invalid("filter", "must be at most "+strconv.Itoa(limits.MaxFilter)+" bytes")
	}
	if err := check(source, limits.FilterCost); err != nil {
		return nil, err
	}
	return parseFilter(source), nil
}

// Eval returns the result of the filter on an event.
func (f *Filter) Eval(ev *event.Event) Outcome {
	v := newView(ev)
	defer v.release()
	return f.eval(v)
}

func (f *Filter) eval(v *view) Outcome {
	if o := f.evalTerms(v); o != Match || f.whole {
		return o
	}
	return f.evalProgram(v)
}

// evalTerms evaluates what does not need CEL.
func (f *Filter) evalTerms(v *view) Outcome {
	result := Match
	for i := range f.terms {
		switch f.terms[i].eval(v) {
		case no:
			return NoMatch
		case failed:
			result = Errored
		}
	}
	return count(result)
}

func (f *Filter) evalProgram(v *view) Outcome {
	p, ok := programs.GetIfPresent(f.source)
	if !ok {
		p = newProgram(f.source, filterCost.Load())
		programs.Set(f.source, p)
	}
	return count(p.eval(v))
}

// Caches by source text, shared by all tenants, and the counters.
var (
	programs = otter.Must(&otter.Options[string, *program]{MaximumSize: maxPrograms})
	filters  = otter.Must(&otter.Options[string, *Filter]{MaximumSize: maxFilters})

	filterCost                  = newCost(event.DefaultLimits().FilterCost)
	countErrored, countOverCost atomic.Uint64
)

func newCost(n uint64) *atomic.Uint64 {
	c := new(atomic.Uint64)
	c.Store(n)
	return c
}

// SetFilterCost sets what the evaluation of a filter may cost, in CEL's units, for the whole process. It is called once
// at start with the configured [event.Limits].FilterCost; until then the default holds.
func SetFilterCost(n uint64) {
	filterCost.Store(n)
	programs.InvalidateAll()
}

// Failures returns how many evaluations of filters failed and how many were ended over their cost since the start.
func Failures() (errored, overCost uint64) {
	return countErrored.Load(), countOverCost.Load()
}

func count(o Outcome) Outcome {
	switch o {
	case Errored:
		countErrored.Add(1)
	case OverCost:
		countOverCost.Add(1)
	}
	return o
}

// filterOf returns the parsed filter of an endpoint, nil when it has none.
func filterOf(e *event.Endpoint) *Filter {
	if e.Filter == "" {
		return nil
	}
	f, ok := filters.GetIfPresent(e.Filter)
	if !ok {
		f = parseFilter(e.Filter)
		filters.Set(e.Filter, f)
	}
	return f
}

// Reason says why an event is not for an endpoint; empty when it is.
type Reason string

// Reasons, in the order in which they are looked for: of several the first is told.
const (
	BeforeStart Reason = "before_start" // its version is not higher than the endpoint's Start
	WrongType   Reason = "types"        // no pattern fits its type
	NoChannel   Reason = "channels"     // it carries none of the endpoint's channels
	WrongKind   Reason = "kind"         // it is not the change of a record, and the endpoint is of the kind flexibee
	NotChanged  Reason = "changed"      // its data say that none of the endpoint's members changed
	Filtered    Reason = "filter"       // the filter is not true: false, failed, or over its cost
)

// Why returns why an event is not for an endpoint, empty when it is. It agrees with [Index.Match].
func Why(e *event.Endpoint, ev *event.Event) Reason {
	switch {
	case ev.Version <= e.Start:
		return BeforeStart
	case !matchTypes(e.Types, ev.Type):
		return WrongType
	case !matchChannels(e.Channels, ev.Channels):
		return NoChannel
	case !matchKind(e, ev):
		return WrongKind
	case len(e.Changed) > 0 && !mayHaveChanged(e.Changed, ev):
		return NotChanged
	}
	if f := filterOf(e); f != nil && f.Eval(ev) != Match {
		return Filtered
	}
	return ""
}

// Matches reports whether an event is for an endpoint. It agrees with [Index.Match].
func Matches(e *event.Endpoint, ev *event.Event) bool { return Why(e, ev) == "" }

func invalidFilter(line, column int, message string) error {
	line, column = max(line, 1), max(column, 1) // the parser gives none at its own limits
	return event.Invalid("filter", fmt.Sprintf("line %d, column %d: %s", line, column, message))
}
