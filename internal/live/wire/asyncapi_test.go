package wire

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/posthornhq/posthorn/internal/codec"
	"github.com/posthornhq/posthorn/internal/event"
)

// asyncDocument is what the tests read of the document.
type asyncDocument struct {
	Components struct {
		Messages map[string]struct {
			Examples []struct{ Payload json.RawMessage } `json:"examples"`
		} `json:"messages"`
	} `json:"components"`
}

// document gives the document as any JSON, and typed.
func document(t *testing.T) (any, asyncDocument) {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(AsyncAPI, &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var typed asyncDocument
	if err := json.Unmarshal(b, &typed); err != nil {
		t.Fatal(err)
	}
	plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return plain, typed
}

func TestAsyncAPICopy(t *testing.T) {
	b, err := os.ReadFile("../../../docs/asyncapi.yaml")
	if err != nil || !bytes.Equal(b, AsyncAPI) {
		t.Errorf("docs/asyncapi.yaml is not a copy of internal/live/wire/asyncapi.yaml (%v)", err)
	}
}

// TestAsyncAPISchema holds the document to the schema of AsyncAPI 3.0.0, which is that of github.com/asyncapi/spec-json-schemas
// (Apache-2.0), compressed.
func TestAsyncAPISchema(t *testing.T) {
	packed, err := os.Open("testdata/asyncapi-3.0.0.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = packed.Close() }()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.UnmarshalJSON(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	const name = "http://asyncapi.com/definitions/3.0.0/asyncapi.json"
	if err := c.AddResource(name, schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	doc, _ := document(t)
	if err := compiled.Validate(doc); err != nil {
		t.Errorf("%#v", err)
	}
	broken, _ := doc.(map[string]any)
	delete(broken, "info")
	if compiled.Validate(broken) == nil {
		t.Error("a document without info is valid: the schema checks nothing")
	}
}

// TestAsyncAPIExamples has every example go through the code: what a client sends is read, what the server sends is made, in both
// forms, and all of them fit their schemas.
func TestAsyncAPIExamples(t *testing.T) {
	doc, typed := document(t)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	if err := c.AddResource("asyncapi.json", doc); err != nil {
		t.Fatal(err)
	}
	var names []string
	for name, message := range typed.Components.Messages {
		names = append(names, name)
		schema, err := c.Compile("asyncapi.json#/components/messages/" + name + "/payload")
		if err != nil {
			t.Fatal(err)
		}
		if len(message.Examples) == 0 {
			t.Errorf("%s has no example", name)
		}
		for _, example := range message.Examples {
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(example.Payload))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(v); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if _, client := schemas[name]; client {
				readExample(t, name, example.Payload)
			} else {
				makeExample(t, name, example.Payload, schema)
			}
		}
	}
	slices.Sort(names)
	want := []string{"ack", "error", "event", "ping", "pong", "position", "publish", "published", "subscribe", "subscribed", "unsubscribe", "unsubscribed"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

func readExample(t *testing.T, name string, example []byte) {
	t.Helper()
	for form, in := range map[Form][]byte{JSON: example, CBOR: toCBOR(t, string(example))} {
		m, err := DecodeClient(form, in)
		if err != nil || m.Type != name {
			t.Errorf("%s, form %d: %+v, %v", name, form, m, err)
		}
		if m.Type != Publish || form == CBOR { // data in CBOR is bytes, which an example cannot show
			continue
		}
		if events, err := m.DecodeEvents(event.DefaultLimits()); err != nil || len(events) == 0 {
			t.Errorf("%s: %+v, %v", name, events, err)
		}
	}
}

// serverExample has the members of all messages of the server.
type serverExample struct {
	ID, Ref    string
	Next, Head int64
	Event      json.RawMessage
	Events     []struct {
		ID        string
		Version   int64
		Duplicate bool
	}
	Problem json.RawMessage
}

func makeExample(t *testing.T, name string, example []byte, schema *jsonschema.Schema) {
	t.Helper()
	var x serverExample
	if err := json.Unmarshal(example, &x); err != nil {
		t.Fatal(err)
	}
	receipts := make([]event.Receipt, len(x.Events))
	for i, e := range x.Events {
		receipts[i] = event.Receipt{ID: e.ID, Version: e.Version, Duplicate: e.Duplicate}
	}
	var out []byte
	switch name {
	case "subscribed":
		out = AppendSubscribed(nil, JSON, x.ID, x.Next, x.Head)
	case "position":
		out = AppendPosition(nil, JSON, x.ID, x.Next)
	case "unsubscribed":
		out = AppendUnsubscribed(nil, JSON, x.ID)
	case "pong":
		out = AppendPong(nil, JSON, x.Ref)
	case "published":
		out = AppendPublished(nil, JSON, x.Ref, receipts)
	case "error":
		out = AppendError(nil, JSON, x.Ref, x.ID, x.Problem)
	case "event":
		out = eventMessage(JSON, x.ID, exampleEvent(t, x.Event))
	default:
		t.Fatalf("%s is not a message of the server", name)
	}
	var got, want any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(example, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(v); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// exampleEvent reads an event as one that is published, and gives it its version.
func exampleEvent(t *testing.T, b []byte) *event.Event {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(b, &members); err != nil {
		t.Fatal(err)
	}
	var version int64
	if err := json.Unmarshal(members["version"], &version); err != nil {
		t.Fatal(err)
	}
	delete(members, "version")
	b, _ = json.Marshal(members)
	events, _, err := codec.DecodePublish(codec.Request{ContentType: mediaJSON, Body: b}, event.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	events[0].Version = version
	return &events[0]
}

// TestAsyncAPIEvents holds what the server makes of events to the schema.
func TestAsyncAPIEvents(t *testing.T) {
	doc, _ := document(t)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	c.AssertFormat()
	if err := c.AddResource("asyncapi.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("asyncapi.json#/components/schemas/eventMessage")
	if err != nil {
		t.Fatal(err)
	}
	binary := sample()
	binary.ContentType, binary.Data = "image/png", []byte{1, 2}
	least := &event.Event{ID: "x", Type: "a", Source: "/", Version: 1, Time: time.Unix(0, 0)}
	for _, e := range []*event.Event{sample(), binary, least} {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(eventMessage(JSON, "x", e)))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Error(err)
		}
	}
}
