package control

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
)

const orderSchema = `{
	"type": "object", "required": ["id", "email"], "additionalProperties": false,
	"properties": {
		"id": {"type": "integer", "minimum": 1}, "email": {"type": "string", "format": "email"},
		"tags": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5}, "uniqueItems": true},
		"kind": {"enum": ["a", "b"]}, "a/b": {"const": 1}
	}
}`

func TestTypeFields(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"not":`, 64) + "true" + strings.Repeat("}", 64)
	for _, test := range []struct {
		name   string
		et     event.Type
		fields []string
	}{
		{"plain", event.Type{Name: "order.paid"}, nil},
		{"schema", event.Type{Name: "a", Schema: json.RawMessage(orderSchema), Examples: []json.RawMessage{[]byte(`{"id":1,"email":"a@b.cz"}`)}}, nil},
		{"draft 7", event.Type{Name: "a", Schema: json.RawMessage(`{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}`)}, nil},
		{"own reference", event.Type{Name: "a", Schema: json.RawMessage(`{"$id":"https://example.com/x","$ref":"#/$defs/a","$defs":{"a":{"type":"null"}}}`)}, nil},
		{"boolean", event.Type{Name: "a", Schema: json.RawMessage(`true`)}, nil},
		{"name", event.Type{Name: "a b"}, []string{"name"}},
		{"no name", event.Type{}, []string{"name"}},
		{"reserved", event.Type{Name: "posthorn.x"}, []string{"name"}},
		{"description", event.Type{Name: "a", Description: strings.Repeat("x", 1025)}, []string{"description"}},
		{"no JSON", event.Type{Name: "a", Schema: json.RawMessage(`{`)}, []string{"schema"}},
		{"two values", event.Type{Name: "a", Schema: json.RawMessage(`{} {}`)}, []string{"schema"}},
		{"number", event.Type{Name: "a", Schema: json.RawMessage(`5`)}, []string{"schema"}},
		{"large", event.Type{Name: "a", Schema: json.RawMessage(`{"title":"` + strings.Repeat("x", 64<<10) + `"}`)}, []string{"schema"}},
		{"deep", event.Type{Name: "a", Schema: json.RawMessage(deep)}, []string{"schema"}},
		{"wrong keyword", event.Type{Name: "a", Schema: json.RawMessage(`{"type":"strange"}`)}, []string{"schema"}},
		{"file", event.Type{Name: "a", Schema: json.RawMessage(`{"$ref":"file:///etc/passwd"}`)}, []string{"schema"}},
		{"http", event.Type{Name: "a", Schema: json.RawMessage(`{"properties":{"a":{"$ref":"http://127.0.0.1/x"}}}`)}, []string{"schema"}},
		{"relative", event.Type{Name: "a", Schema: json.RawMessage(`{"$ref":"other.json"}`)}, []string{"schema"}},
		{"meta-schema", event.Type{Name: "a", Schema: json.RawMessage(`{"$schema":"https://example.com/meta"}`)}, []string{"schema"}},
		{"dangling", event.Type{Name: "a", Schema: json.RawMessage(`{"$ref":"#/$defs/nothing"}`)}, []string{"schema"}},
		{"pattern", event.Type{Name: "a", Schema: json.RawMessage(`{"pattern":"("}`)}, []string{"schema"}},
		{"look-ahead", event.Type{Name: "a", Schema: json.RawMessage(`{"pattern":"(?=a)"}`)}, []string{"schema"}},
		{"large pattern", event.Type{Name: "a", Schema: json.RawMessage(`{"pattern":"` + strings.Repeat("a{900}", 20) + `"}`)}, []string{"schema"}},
		{"long pattern", event.Type{Name: "a", Schema: json.RawMessage(`{"pattern":"` + strings.Repeat("a", 1025) + `"}`)}, []string{"schema"}},
		{"huge number", event.Type{Name: "a", Schema: json.RawMessage(`{"minimum":1e999999999}`)}, []string{"schema"}},
		{"example", event.Type{Name: "a", Schema: json.RawMessage(orderSchema), Examples: []json.RawMessage{[]byte(`{"id":0,"email":"a@b.cz"}`)}}, []string{"examples[0]/id"}},
		{"example that is no JSON", event.Type{Name: "a", Examples: []json.RawMessage{[]byte(`1`), []byte(`{`)}}, []string{"examples[1]"}},
		{"examples", event.Type{Name: "a", Examples: make([]json.RawMessage, 21)}, []string{"examples"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPlane(t)
			_, err := p.CreateType(t.Context(), p.tenant, test.et)
			if got := fieldsOf(t, err); !slices.Equal(got, test.fields) {
				t.Errorf("fields %q, want %q (%v)", got, test.fields, err)
			}
		})
	}
}

func TestViolations(t *testing.T) {
	t.Parallel()
	v, message := newValidator(json.RawMessage(orderSchema))
	if message != "" {
		t.Fatal(message)
	}
	const secret = "HUNTER2"
	for _, test := range []struct {
		data   string
		fields []string // sorted
	}{
		{`{"id":1,"email":"a@b.cz","tags":["a","b"],"kind":"a","a/b":1}`, nil},
		{``, []string{"data"}},
		{`null`, []string{"data"}},
		{`{`, []string{"data"}},
		{`{"id":1,"email":"a@b.cz"} {}`, []string{"data"}},
		{`{"id":1e999999999,"email":"a@b.cz"}`, []string{"data"}},
		{`{"email":"HUNTER2"}`, []string{"data", "data/email"}},
		{`{"id":0,"email":"a@b.cz","tags":["HUNTER2"]}`, []string{"data/id", "data/tags/0", "data/tags/0"}},
		{`{"id":1,"email":"a@b.cz","tags":["a","a"]}`, []string{"data/tags"}},
		{`{"id":1,"email":"a@b.cz","HUNTER2":1}`, []string{"data"}},
		{`{"id":1,"email":"a@b.cz","kind":"HUNTER2"}`, []string{"data/kind"}},
		{`{"id":1,"email":"a@b.cz","a/b":"HUNTER2"}`, []string{"data/a~1b"}},
	} {
		err := v.check([]byte(test.data))
		got := fieldsOf(t, err)
		slices.Sort(got)
		if !slices.Equal(got, test.fields) {
			t.Errorf("%s: fields %q, want %q", test.data, got, test.fields)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error quotes the data: %v", test.data, err)
		}
	}
}

// Schemas and data that make naive validators work for ages, or fill the memory, are stopped.
func TestWorkIsBounded(t *testing.T) {
	t.Parallel()
	var fan strings.Builder
	for i := range 60 {
		fmt.Fprintf(&fan, `"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]},`, i, i+1, i+1)
	}
	numbers := "[" + strings.TrimSuffix(strings.Repeat("1,", 10_000), ",") + "]"
	for _, test := range []struct {
		name, schema, data string
		ok                 bool
	}{
		{"fan-out", `{"$ref":"#/$defs/d0","$defs":{` + fan.String() + `"d60":{}}}`, `{}`, false},
		{"fan-out in draft 7", `{"$schema":"http://json-schema.org/draft-07/schema#","$ref":"#/$defs/d0","$defs":{` + fan.String() + `"d60":{}}}`, `{}`, false},
		{"fan-out that fails", `{"not":{"$ref":"#/$defs/d0"},"$defs":{` + fan.String() + `"d60":{"anyOf":[false,{}]}}}`, `{}`, false},
		{
			"recursion", `{"anyOf":[{"properties":{"a":{"$ref":"#"}},"required":["b"]},{"properties":{"a":{"$ref":"#"}},"required":["c"]}]}`,
			strings.Repeat(`{"a":`, 30) + "{}" + strings.Repeat("}", 30), false,
		},
		{"cycle", `{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}`, `{}`, false},
		{"pattern", `{"items":{"pattern":"(a?){400}b"}}`, `["` + strings.Repeat("a", 200_000) + `"]`, false},
		{"formats", `{"items":{"format":"regex"}}`, `[` + strings.TrimSuffix(strings.Repeat(`"(a{30}){30}",`, 15_000), ",") + `]`, false},
		{"many plain values", `{"items":{"type":"integer","minimum":0,"maximum":5}}`, numbers, true},
		{"deep data", `true`, strings.Repeat("[", 100) + strings.Repeat("]", 100), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v, message := newValidator(json.RawMessage(test.schema))
			if message != "" {
				t.Fatal(message)
			}
			if err := v.check([]byte(test.data)); (err == nil) != test.ok {
				t.Errorf("got %v", err)
			}
		})
	}
}

// After a validation that was given up the next one has its whole budget again.
func TestWorkIsCountedForEachEvent(t *testing.T) {
	t.Parallel()
	v, message := newValidator(json.RawMessage(`{"items":{"pattern":"(a?){400}b"}}`))
	if message != "" {
		t.Fatal(message)
	}
	heavy, light := []byte(`["`+strings.Repeat("a", 200_000)+`"]`), []byte(`["`+strings.Repeat("a", 100)+`b"]`)
	for range 2 {
		if v.check(heavy) == nil {
			t.Error("too much work was done")
		}
		for range 5 {
			if err := v.check(light); err != nil {
				t.Errorf("got %v", err)
			}
		}
	}
}

func TestValidatorFollowsTheCatalogue(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	ctx := t.Context()
	validator := func(name string) func([]byte) error {
		t.Helper()
		check, err := p.Validator(ctx, p.tenant.ID, name)
		if err != nil {
			t.Fatal(err)
		}
		return check
	}
	if validator("order.paid") != nil {
		t.Fatal("a type that is not catalogued has a check")
	}
	made, err := p.CreateType(ctx, p.tenant, event.Type{Name: "order.paid", Schema: json.RawMessage(`{"type":"object"}`)})
	if err != nil {
		t.Fatal(err)
	}
	if err := validator("order.paid")([]byte(`1`)); err == nil {
		t.Error("the schema does not hold")
	}
	if _, err := p.CreateType(ctx, p.tenant, made); problemOf(t, err).Code != "event_type_exists" {
		t.Errorf("got %v", err)
	}
	reads := p.store.reads["Type"]
	for range 5 {
		_ = validator("order.paid")
		_ = validator("unknown")
	}
	if p.store.reads["Type"] != reads || p.store.reads["Types"] > 2 {
		t.Errorf("reads: %v", p.store.reads)
	}
	made.Schema, made.Archived = json.RawMessage(`{"type":"integer"}`), true
	if made, err = p.UpdateType(ctx, p.tenant, made, 1); err != nil || made.Revision != 2 {
		t.Fatal(err)
	}
	if err := validator("order.paid")([]byte(`1`)); err != nil {
		t.Errorf("the old schema holds still: %v", err)
	}
	if _, err = p.UpdateType(ctx, p.tenant, made, 1); event.KindOf(err) != event.KindPrecondition {
		t.Errorf("old revision: %v", err)
	}
	made.Schema = nil
	if _, err = p.UpdateType(ctx, p.tenant, made, 0); err != nil || validator("order.paid") != nil {
		t.Errorf("without a schema: %v", err)
	}
	made.Schema = json.RawMessage(`false`)
	if _, err = p.UpdateType(ctx, p.tenant, made, 0); err != nil || validator("order.paid")([]byte(`1`)) == nil {
		t.Errorf("with a schema again: %v", err)
	}
	if err = p.DeleteType(ctx, p.tenant, "order.paid", 0); err != nil || validator("order.paid") != nil {
		t.Errorf("deleted: %v", err)
	}
	if err = p.DeleteType(ctx, p.tenant, "order.paid", 0); event.KindOf(err) != event.KindNotFound {
		t.Errorf("deleted twice: %v", err)
	}
	if _, err = p.CreateType(ctx, p.tenant, event.Type{Name: "a", Schema: json.RawMessage(`false`)}); err != nil || validator("a") == nil {
		t.Fatal(err)
	}
	if err = p.DeleteTenant(ctx, "acme", 0); err != nil || validator("a") != nil {
		t.Errorf("the tenant is deleted, the check is there: %v", err)
	}
}

func TestMaxTypes(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	for i := range maxTypesOfTenant {
		if _, err := p.CreateType(t.Context(), p.tenant, event.Type{Name: fmt.Sprintf("t%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.CreateType(t.Context(), p.tenant, event.Type{Name: "more"}); problemOf(t, err).Code != "too_many_event_types" {
		t.Errorf("got %v", err)
	}
	if err := p.DeleteType(t.Context(), p.tenant, "t7", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := p.CreateType(t.Context(), p.tenant, event.Type{Name: "more"}); err != nil {
		t.Error(err)
	}
}

func TestValidatorAtOnce(t *testing.T) {
	t.Parallel()
	v, message := newValidator(json.RawMessage(orderSchema))
	if message != "" {
		t.Fatal(message)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if err := v.check([]byte(`{"id":1,"email":"a@b.cz"}`)); err != nil {
					t.Error(err)
				}
				if v.check([]byte(`{"id":1}`)) == nil {
					t.Error("accepted")
				}
			}
		})
	}
	wg.Wait()
}

func FuzzSchema(f *testing.F) {
	f.Add(orderSchema, `{"id":1,"email":"a@b.cz"}`)
	f.Add(`{"$ref":"#"}`, `{}`)
	f.Add(`{"$dynamicRef":"#a","$dynamicAnchor":"a"}`, `[]`)
	f.Fuzz(func(_ *testing.T, schema, data string) {
		v, message := newValidator(json.RawMessage(schema))
		if message != "" {
			return
		}
		_ = v.check([]byte(data))
	})
}

func BenchmarkValidator(b *testing.B) {
	p := newPlane(b)
	if _, err := p.CreateType(b.Context(), p.tenant, event.Type{Name: "order.paid", Schema: json.RawMessage(orderSchema)}); err != nil {
		b.Fatal(err)
	}
	for name, want := range map[string]bool{"unknown": false, "order.paid": true} {
		b.Run(name, func(b *testing.B) {
			data := []byte(`{"id":1,"email":"a@b.cz","tags":["a","b"],"kind":"a"}`)
			b.ReportAllocs()
			for b.Loop() {
				check, err := p.Validator(b.Context(), p.tenant.ID, name)
				if err != nil || (check != nil) != want {
					b.Fatal(err)
				}
				if check != nil {
					if err := check(data); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
