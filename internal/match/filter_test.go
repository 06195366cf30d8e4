package match

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/posthornhq/posthorn/internal/event"
)

func sampleEvent() *event.Event {
	return &event.Event{
		ID: "e-1", Source: "/shop", Type: "order.paid", Subject: "order/42", Key: "k", Version: 7,
		Time: time.Date(2026, 11, 21, 8, 30, 0, 0, time.UTC), Channels: []string{"x", "y"},
		Extensions: []event.Extension{{Name: "flag", Value: true}, {Name: "n", Value: int32(5)}, {Name: "s", Value: "str"}},
		Data: []byte(` { "customer" : "c123", "total": 129.90, "count": 3, "whole": 3.0, "big": 9007199254740993, "huge": 1e400,
			"bigger": 123456789012345678901234567890, "active": true, "none": null, "tags": ["a", "b"], "a-b": "dash", "e\u0073c": "q\"\u00e4",
			"skip": "}]\\\",{", "nested": {"deep": {"x": "y", "empty": ""}}} `),
	}
}

func TestFilterOutcomes(t *testing.T) {
	tests := []struct {
		source string
		whole  bool // decided without CEL
		want   Outcome
	}{
		{`data.customer == "c123"`, true, Match},
		{`data.customer == 'c124'`, true, NoMatch},
		{`data.nested.deep.x == "y" && subject == "order/42"`, true, Match},
		{`data["a-b"] == "dash" && data.nested["deep"].x in ["x", "y"]`, true, Match},
		{`data.esc == "q\"ä"`, true, Match},
		{`data.missing == "x"`, true, Errored},
		{`data.customer.id == "x"`, true, Errored},
		{`data.customer == "x" && data.missing == 1`, true, NoMatch},
		{`data.customer == "c123" || data.missing == 1`, true, Match},
		{`has(data.missing)`, true, NoMatch},
		{`!has(data.missing) && has(data.none)`, true, Match},
		{`has(data.missing.x)`, true, Errored},
		{`data.total > 100 && data.total < 129.91 && data.count >= 3 && data.count == 3.0 && data.whole == 3`, true, Match},
		{`data.big == 9007199254740993`, true, Match},
		{`data.big == 9007199254740992`, true, NoMatch},
		{`data.bigger > 1`, true, Match},
		{`data.huge > 1e300`, false, Match},
		{`data.active`, true, Match},
		{`!data.active`, true, NoMatch},
		{`data.customer`, true, Errored},
		{`data.none == null && data.customer != null`, true, Match},
		{`data.customer > 5`, true, Errored},
		{`data.customer == 5`, true, NoMatch},
		{`"y" in channels && !("z" in channels)`, true, Match},
		{`ext.flag && ext.n == 5 && ext.s.startsWith("st")`, true, Match},
		{`ext.other == "x"`, true, Errored},
		{`version > 6 && version != 8 && type == "order.paid" && source.endsWith("op") && key == "k" && id != ""`, true, Match},
		{`data.nested.deep.empty == ""`, true, Match},
		{`data.customer.startsWith("c1") && data.customer.endsWith("23")`, true, Match},
		{`data.count.startsWith("c1")`, true, Errored},
		{`data.tags == "a"`, true, NoMatch},
		{`"a" in data.tags`, false, Match},
		{`data.tags.exists(t, t == "b") && data.customer == "c123"`, false, Match},
		{`data.customer.contains("12")`, false, Match},
		{`data.customer.matches("^c[0-9]+$")`, false, Match},
		{`time > timestamp("2026-01-01T00:00:00Z") && time.getFullYear() == 2026`, false, Match},
		{`data.customer == "c123" ? data.count == 3 : false`, false, Match},
		{`size(data.tags) == 2 && data.customer == "c999"`, false, NoMatch},
		{`data.tags.all(a, data.tags.all(b, data.tags.all(c, a + b + c != "")))`, false, Match},
		{`[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, data.tags.all(c, [1,2,3,4,5,6,7,8,9].all(d, a+b+d > 0))))`, false, OverCost},
		{`data.customer == data.nested.deep.x || data.tags == data.tags`, false, Match},
		{`subject.contains(data.nested.deep.empty) && data.tags.exists(t, data.tags.exists(u, t == u))`, false, Match},
		{`data == null`, true, NoMatch},
		{`data.count + 1 == 4`, false, Match},
		{`type(data.count) == int`, false, Match},
		{"data.customer == // comment\n 'c123'", false, Match},
		{`data.customer == r"c123"`, false, Match},
		{`-data.count == -3`, false, Match},
		{`!data.active == false`, false, Match},
		{`true`, false, Match},
	}
	for _, tt := range tests {
		t.Run(tt.source, func(t *testing.T) {
			f, err := CompileFilter(tt.source, event.DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			if f.whole != tt.whole {
				t.Errorf("whole = %v, want %v", f.whole, tt.whole)
			}
			if got := f.Eval(sampleEvent()); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
			if tt.want != OverCost {
				v := newView(sampleEvent())
				defer v.release()
				if got := newProgram(tt.source, 10_000).eval(v); got != tt.want {
					t.Errorf("CEL gives %d, want %d", got, tt.want)
				}
			}
		})
	}
}

func TestFilterWithoutData(t *testing.T) {
	for _, ev := range []*event.Event{
		{Type: "a"},
		{Type: "a", ContentType: "text/plain", Data: []byte(`{"x":1}`)},
		{Type: "a", Data: []byte(`null`)},
	} {
		for source, want := range map[string]Outcome{
			`data == null`: Match, `data.x == 1`: Errored, `has(data.x)`: NoMatch, `has(data.x.y)`: Errored, `type == "a" && data == null && size(type) == 1`: Match,
			`data.x + 0 == 1`: Errored, `size(channels) == 0 && !has(ext.x)`: Match,
		} {
			if got := parseFilter(source).Eval(ev); got != want {
				t.Errorf("%s on %q: got %d, want %d", source, ev.Data, got, want)
			}
		}
	}
}

func TestCompileFilterRefuses(t *testing.T) {
	tests := []struct{ source, message string }{
		{"", "line 1, column 1"},
		{"data.a ==", "line 1, column 10"},
		{"subject == 5", "line 1, column 9: found no matching overload"},
		{"\n  nonsense == 1", "line 2, column 3: undeclared reference to 'nonsense'"},
		{`"text"`, "must be true or false, not string"},
		{`version`, "must be true or false, not int"},
		{strings.Repeat(" ", 4096) + "true", "4096 bytes"},
		{`[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, [1,2,3,4,5,6,7,8,9].all(d, a+b+c+d > 0))))`, "the limit is 10000"},
		{strings.Repeat("(", 200) + "true" + strings.Repeat(")", 200), "line 1"},
	}
	for _, tt := range tests {
		_, err := CompileFilter(tt.source, event.DefaultLimits())
		e, ok := errors.AsType[*event.Error](err)
		if !ok || e.Kind != event.KindInvalid || len(e.Fields) != 1 || e.Fields[0].Field != "filter" {
			t.Errorf("%q: %v", tt.source, err)
			continue
		}
		if !strings.Contains(err.Error(), tt.message) {
			t.Errorf("%q: %v, want %q", tt.source, err, tt.message)
		}
	}
}

// TestFailures checks that failures are counted, and that a filter that was never checked is harmless.
func TestFailures(t *testing.T) {
	errored, overCost := Failures()
	if parseFilter(`data.missing == 1`).Eval(sampleEvent()) != Errored || parseFilter(`no such thing`).Eval(sampleEvent()) != Errored {
		t.Error("want Errored")
	}
	SetFilterCost(2)
	defer SetFilterCost(event.DefaultLimits().FilterCost)
	if got := parseFilter(`data.tags.exists(t, t == "b")`).Eval(sampleEvent()); got != OverCost {
		t.Errorf("got %d, want OverCost", got)
	}
	e, o := Failures()
	if e-errored != 2 || o-overCost != 1 {
		t.Errorf("counted %d errored, %d over cost", e-errored, o-overCost)
	}
}

// drawSource draws a filter, mostly of the forms that this package evaluates by itself, sometimes near misses.
func drawSource(t *rapid.T, depth int) string {
	if depth > 0 && rapid.Bool().Draw(t, "inner") {
		a, b := drawSource(t, depth-1), drawSource(t, depth-1)
		return fmt.Sprintf(rapid.SampledFrom([]string{"%s && %s", "%s || %s", "(%s) && (%s)", "(%s) || (%s)", "!(%s) && %s", "(%s || %s)", "%s ? %s : false"}).
			Draw(t, "join"), a, b)
	}
	data := rapid.SampledFrom([]string{
		"data.s", "data.i", "data.f", "data.b", "data.n", "data.o", "data.o.s", "data.l", "data.none", "data.none.x", `data["s"]`, `data["o"].s`, "data", "ext.x", "ext.y",
	})
	attr := rapid.SampledFrom([]string{"id", "source", "type", "subject", "key", "datacontenttype", "version"})
	lit := rapid.SampledFrom([]string{
		`"a"`, `'b'`, `""`, `"q\"\\"`, "1", "2", "-1", "1.0", "2.5", "-0.0", "true", "false", "null", "9007199254740993", "9007199254740992.0", `"é"`, `r"a"`, "1u", "0x1", "1e3",
	})
	op := rapid.SampledFrom([]string{"==", "!=", "<", "<=", ">", ">="})
	path := rapid.OneOf(data, attr)
	switch rapid.IntRange(0, 9).Draw(t, "form") {
	case 0:
		return path.Draw(t, "path") + ` in [` + lit.Draw(t, "a") + `, ` + lit.Draw(t, "b") + `]`
	case 1:
		return "has(" + data.Draw(t, "path") + ")"
	case 2:
		return lit.Draw(t, "a") + " in channels"
	case 3:
		return path.Draw(t, "path") + rapid.SampledFrom([]string{".startsWith(", ".endsWith(", ".contains("}).Draw(t, "method") + lit.Draw(t, "a") + ")"
	case 4:
		return rapid.SampledFrom([]string{"", "!", "!!"}).Draw(t, "not") + data.Draw(t, "path")
	case 5:
		return "!" + data.Draw(t, "path") + " == " + lit.Draw(t, "a")
	default:
		return path.Draw(t, "path") + op.Draw(t, "op") + lit.Draw(t, "a")
	}
}

func drawData(t *rapid.T) []byte {
	scalar := rapid.SampledFrom([]string{
		`"a"`, `"b"`, `""`, `"\u0061"`, `"q\"\\"`, `"é"`, "1", "2", "-1", "1.0", "2.5", "1e0", "-0.0", "true", "false", "null", "9007199254740993", "9007199254740992", "[1]", "{}", "1e400",
	})
	if rapid.IntRange(0, 9).Draw(t, "no object") == 0 {
		return []byte(scalar.Draw(t, "data"))
	}
	var b strings.Builder
	b.WriteString("{")
	for _, k := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"s", "i", "f", "b", "n", "l", "\\u0073"}), 0, 5, func(s string) string {
		return strings.ReplaceAll(s, "\\u0073", "s")
	}).Draw(t, "names") {
		fmt.Fprintf(&b, `"%s" : %s,`, k, scalar.Draw(t, k))
	}
	fmt.Fprintf(&b, `"o":{"s":%s}}`, scalar.Draw(t, "o.s"))
	return []byte(b.String())
}

func drawEvent(t *rapid.T) *event.Event {
	word := rapid.SampledFrom([]string{"", "a", "b", "ab"})
	ev := &event.Event{
		ID: word.Draw(t, "id"), Source: word.Draw(t, "source"), Subject: word.Draw(t, "subject"), Key: word.Draw(t, "key"),
		Type: rapid.SampledFrom([]string{"a", "a.b", "a.c", "a.b.c", "b.b", "posthorn.a", "posthorn.a.b", "posthorn"}).Draw(t, "type"),
		Data: drawData(t), Version: rapid.Int64Range(1, 3).Draw(t, "version"),
		Channels: rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3).Draw(t, "channels"),
	}
	if rapid.Bool().Draw(t, "ext") {
		ev.Extensions = []event.Extension{{Name: "x", Value: rapid.SampledFrom([]any{"a", true, int32(1)}).Draw(t, "x")}}
	}
	if rapid.IntRange(0, 9).Draw(t, "text") == 0 {
		ev.ContentType = "text/plain"
	}
	return ev
}

// TestNativeIsCEL holds this package's evaluation to that of CEL, and what it takes on to what CEL accepts.
func TestNativeIsCEL(t *testing.T) {
	native, total := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		source, ev := drawSource(t, 3), drawEvent(t)
		total++
		f := parseFilter(source)
		p := newProgram(source, 1_000_000)
		if p.run == nil {
			if f.whole {
				t.Fatalf("%s: taken, but CEL refuses it", source)
			}
			return
		}
		v := newView(ev)
		defer v.release()
		want := p.eval(v)
		got := f.evalTerms(v)
		if f.whole {
			native++
			if got != want {
				t.Fatalf("%s on %s: got %d, CEL gives %d", source, ev.Data, got, want)
			}
		} else if got != Match && want == Match {
			t.Fatalf("%s on %s: a necessary term is %d, CEL matches", source, ev.Data, got)
		}
	})
	if native < total/10 {
		t.Errorf("only %d of %d filters were evaluated here", native, total)
	}
}

// FuzzData reads damaged JSON, which ingest never lets in, and whole JSON, which must come out as encoding/json reads it.
func FuzzData(f *testing.F) {
	for _, s := range []string{`{"a":{"b":[1,2.5,"x\\"]},"c":null}`, `[{"a":1}`, `{"a" "b"}`, `"\u0061`, `{"a":[}]`, `-`, `{"a":tru`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		find(data, []string{"a", "b"})
		got, _, ok := decode(data, 0, 0)
		var want any
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		if !jsontext.Value(data).IsValid() || d.Decode(&want) != nil {
			return
		}
		if !ok {
			t.Fatalf("%q is not read", data)
		}
		if d := cmp.Diff(numbers(want), got); d != "" {
			t.Fatalf("%q: %s", data, d)
		}
	})
}

// numbers turns json.Number into what filters see.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n := parseNumber([]byte(v)); n.kind == kindDouble {
			return n.f
		}
		n, _ := v.Int64()
		return n
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}
