package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// payloadFile has GitHub's documented webhooks: a real body for each event and action.
const payloadFile = "js/node_modules/@octokit/webhooks-examples/api.github.com/index.json"

// payload is one real webhook body.
type payload struct {
	kind string // the event type under which the tests publish it
	data json.RawMessage
}

// payloads reads the examples, in their order. Their JSON is compact, as it is sent.
func payloads(t testing.TB) []payload {
	t.Helper()
	raw, err := os.ReadFile(payloadFile)
	if err != nil {
		t.Fatalf("%v: run \"make test-setup\"", err)
	}
	var list []struct {
		Name     string            `json:"name"`
		Examples []json.RawMessage `json:"examples"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	var out []payload
	for _, l := range list {
		for _, e := range l.Examples {
			var b bytes.Buffer
			if err := json.Compact(&b, e); err != nil {
				t.Fatal(err)
			}
			data, err := json.Marshal(json.RawMessage(b.Bytes())) // as the SDK will write it
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, payload{kind: "github." + l.Name, data: data})
		}
	}
	if len(out) < 100 {
		t.Fatalf("only %d examples in %s", len(out), payloadFile)
	}
	return out
}

// matches tells whether an event type is one of an endpoint's patterns, which in these tests are whole types or end
// in "*".
func matches(patterns []string, kind string) bool {
	if len(patterns) == 0 {
		return true
	}
	return slices.ContainsFunc(patterns, func(p string) bool {
		head, open := strings.CutSuffix(p, "*")
		return p == kind || open && strings.HasPrefix(kind, head)
	})
}
