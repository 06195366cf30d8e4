package match

import (
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
)

// One reason each, and of several the first; Matches says the same as Why.
func TestWhy(t *testing.T) {
	paid := event.Event{Version: 8, Type: "order.paid", Channels: []string{"eu"}, Data: []byte(`{"total":5,"changed":["total"]}`)}
	for name, x := range map[string]struct {
		ep   event.Endpoint
		want Reason
	}{
		"everything":         {event.Endpoint{}, ""},
		"all fit":            {event.Endpoint{Start: 7, Types: []string{"order.*"}, Channels: []string{"eu"}, Changed: []string{"total"}, Filter: "data.total > 4"}, ""},
		"start":              {event.Endpoint{Start: 8, Types: []string{"invoice.*"}}, BeforeStart},
		"type":               {event.Endpoint{Types: []string{"invoice.*"}, Channels: []string{"us"}}, WrongType},
		"channel":            {event.Endpoint{Channels: []string{"us"}, Changed: []string{"note"}}, NoChannel},
		"kind":               {event.Endpoint{Kind: event.KindFlexiBee, Filter: "false"}, WrongKind},
		"changed":            {event.Endpoint{Changed: []string{"note"}, Filter: "false"}, NotChanged},
		"filter false":       {event.Endpoint{Filter: "data.total > 5"}, Filtered},
		"filter fails":       {event.Endpoint{Filter: "data.missing == 1"}, Filtered},
		"filter no boolean":  {event.Endpoint{Filter: "dyn(data.total)"}, Filtered},
		"filter by programs": {event.Endpoint{Filter: "data.total * 2 > 9"}, ""},
	} {
		if got := Why(&x.ep, &paid); got != x.want {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
		if got := Matches(&x.ep, &paid); got != (x.want == "") {
			t.Errorf("%s: Matches is %v", name, got)
		}
	}
	x := NewIndex()
	for i, ep := range []event.Endpoint{{Types: []string{"order.*"}}, {Changed: []string{"note"}}, {Kind: event.KindFlexiBee}} {
		ep.ID = event.EndpointID(i + 1)
		x.Put(&ep)
		if indexed := len(x.Match(&paid, nil)) == 1; indexed != Matches(&ep, &paid) {
			t.Errorf("%d: the index says %v", i, indexed)
		}
		x.Remove(ep.ID)
	}
}

func BenchmarkMatches(b *testing.B) {
	ev := event.Event{Version: 8, Type: "order.paid", Channels: []string{"eu"}, Data: []byte(`{"total":5,"changed":["total"],"customer":"c1"}`)}
	ep := event.Endpoint{Start: 7, Types: []string{"order.*"}, Channels: []string{"eu"}, Filter: `data.customer == "c1"`}
	for b.Loop() {
		if !Matches(&ep, &ev) {
			b.Fatal("no match")
		}
	}
}

func BenchmarkMatchesType(b *testing.B) {
	ev := event.Event{Version: 8, Type: "order.paid"}
	ep := event.Endpoint{Types: []string{"order.paid"}}
	for b.Loop() {
		if !Matches(&ep, &ev) {
			b.Fatal("no match")
		}
	}
}
