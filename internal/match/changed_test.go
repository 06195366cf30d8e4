package match

import (
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
)

func TestChanged(t *testing.T) {
	for _, tt := range []struct {
		data string
		want bool
	}{
		{`{"stavUhrK":"uhrazeno"}`, true}, // says neither
		{``, true},
		{`null`, true},
		{`[1]`, true},
		{`"stavUhrK"`, true},
		{`{"changed":null}`, true},
		{`{"changed":{"stavUhrK":1}}`, true},
		{`{"previous":null}`, true},
		{`{"changed":["kod","stavUhrK"]}`, true},
		{`{"changed":["kod","stav\u0055hrK"]}`, true},
		{`{"changed":"stavUhrK"}`, true},
		{`{"changed":["kod"]}`, false},
		{`{"changed":"kod"}`, false},
		{`{"changed":[]}`, false},
		{` { "x" : [ 1 , {"changed":["stavUhrK"]} ] , "changed" : [ 5 , null , ["stavUhrK"] ] } `, false},
		{`{"stavUhrK":"a","previous":{"stavUhrK":"b"}}`, true},
		{`{"stavUhrK":"a","previous":{"stavUhrK":"\u0061"}}`, false},
		{`{"stavUhrK":{"x":[1,2]},"previous":{"stavUhrK":{ "x":[1,2] }}}`, false},
		{`{"stavUhrK":{"x":[1,2]},"previous":{"stavUhrK":{"x":[1,3]}}}`, true},
		{`{"previous":{"stavUhrK":null}}`, true},
		{`{"stavUhrK":null,"previous":{"stavUhrK":null}}`, false},
		{`{"stavUhrK":"a","previous":{"kod":"b"}}`, false}, // previous has what changed
		{`{"stavUhrK":"a","previous":{}}`, false},
		{`{"stavUhrK":"a","changed":["kod"],"previous":{"stavUhrK":"b"}}`, true},
		{`{"stavUhrK":"a","changed":["kod"],"previous":{"stavUhrK":"a"}}`, false},
		{`{"stavUhrK":"a","changed":["stavUhrK"],"previous":{"stavUhrK":"a"}}`, true},
	} {
		e := &event.Endpoint{ID: 1, Changed: []string{"other", "stavUhrK"}}
		ev := &event.Event{Version: 1, Type: "faktura-vydana.update"}
		if tt.data != "" {
			ev.Data = []byte(tt.data)
		}
		if got := Matches(e, ev); got != tt.want {
			t.Errorf("%s: %v", tt.data, got)
		}
		x := NewIndex()
		x.Put(e)
		if got := len(x.Match(ev, nil)) == 1; got != tt.want {
			t.Errorf("%s: the index says %v", tt.data, got)
		}
	}
}

// Data that are not what ingest lets in never make it read out of bounds or without end.
func FuzzChanged(f *testing.F) {
	for _, s := range []string{`{"changed":["a"`, `{"changed":[`, `{"changed"`, `{"changed":`, `{"previous":{"a":`, `{"changed":[}`, `{"changed":[,]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		mayHaveChanged([]string{"a"}, &event.Event{Data: data})
	})
}

func TestFlexiBeeGetsChangesOnly(t *testing.T) {
	x := NewIndex()
	all := &event.Endpoint{ID: 1, Kind: event.KindFlexiBee, Types: []string{"*.create", "*.update", "*.delete"}}
	some := &event.Endpoint{ID: 2, Kind: event.KindFlexiBee, Types: []string{"cenik.*"}, Start: 5}
	x.Put(all)
	x.Put(some)
	for _, tt := range []struct {
		typ, subject string
		version      int64
		want         int
	}{
		{"cenik.update", "cenik/2", 9, 2},
		{"cenik.update", "cenik/2", 5, 1},
		{"adresar.delete", "adresar/2", 9, 1},
		{"cenik.paid", "cenik/2", 9, 0},
		{"cenik.update", "order/2", 9, 0},
		{"cenik.update", "", 9, 0},
		{"order.paid", "order/2", 9, 0},
		{"posthorn.update", "posthorn/2", 9, 0},
	} {
		ev := &event.Event{Version: tt.version, Type: tt.typ, Subject: tt.subject}
		got := x.Match(ev, nil)
		direct := 0
		for _, e := range []*event.Endpoint{all, some} {
			if Matches(e, ev) {
				direct++
			}
		}
		if len(got) != tt.want || direct != tt.want {
			t.Errorf("%s of %q at %d: %d, directly %d, want %d", tt.typ, tt.subject, tt.version, len(got), direct, tt.want)
		}
	}
}
