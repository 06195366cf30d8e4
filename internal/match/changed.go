package match

import (
	"reflect"

	"github.com/posthornhq/posthorn/internal/event"
)

// matchChange reports whether an event is the change that an endpoint wants, if it wants changes only.
func matchChange(e *event.Endpoint, ev *event.Event) bool {
	return matchKind(e, ev) && (len(e.Changed) == 0 || mayHaveChanged(e.Changed, ev))
}

// matchKind reports whether an event is the change of a record, if the endpoint's kind wants these only.
func matchKind(e *event.Endpoint, ev *event.Event) bool {
	if e.Kind != event.KindFlexiBee {
		return true
	}
	_, ok := ev.RecordChange()
	return ok
}

// mayHaveChanged reports whether one of the members changed, or the event's data do not say.
func mayHaveChanged(members []string, ev *event.Event) bool {
	if ev.Data == nil || !ev.IsJSON() {
		return true
	}
	start := skipSpace(ev.Data, 0)
	if start >= len(ev.Data) || ev.Data[start] != '{' {
		return true
	}
	listed, lists := sayListed(ev.Data, start+1, members)
	differs, compares := sayDiffers(ev.Data, start+1, members)
	return listed || differs || !lists && !compares
}

// sayListed reads the list "changed" of an object whose first member is at i: whether it names one of the members, and
// whether there is such a list at all. A single name stands for a list of one.
func sayListed(data []byte, i int, members []string) (listed, says bool) {
	at, ok := findMember(data, i, "changed")
	if !ok || at >= len(data) {
		return false, false
	}
	if data[at] == '"' {
		return isOneOf(data[at:skipString(data, at)], members), true
	}
	if data[at] != '[' {
		return false, false
	}
	for at = skipSpace(data, at+1); at < len(data) && data[at] != ']'; {
		end := skipValue(data, at)
		if data[at] == '"' && isOneOf(data[at:end], members) {
			return true, true
		}
		if end == at { // damaged
			break
		}
		at = skipComma(data, end)
	}
	return false, true
}

func isOneOf(raw []byte, members []string) bool {
	for _, m := range members {
		if sameString(raw, m) {
			return true
		}
	}
	return false
}

// sayDiffers compares the members of the object "previous" with those of the data: whether one of those that it has is
// another value now, and whether there is such an object at all.
func sayDiffers(data []byte, i int, members []string) (differs, says bool) {
	at, ok := findMember(data, i, "previous")
	if !ok || at >= len(data) || data[at] != '{' {
		return false, false
	}
	for _, m := range members {
		before, had := findMember(data, at+1, m)
		if !had {
			continue
		}
		now, has := findMember(data, i, m)
		if !has {
			return true, true
		}
		x, _, ok1 := decode(data, before, 0)
		y, _, ok2 := decode(data, now, 0)
		if !ok1 || !ok2 || !reflect.DeepEqual(x, y) {
			return true, true
		}
	}
	return false, true
}
