package inbound_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
)

// githubExamples are GitHub's documented webhooks where the tests' JavaScript packages are installed, and some of our own otherwise.
func githubExamples(t *testing.T) map[string][]json.RawMessage {
	t.Helper()
	out := map[string][]json.RawMessage{
		"push": {json.RawMessage(push)}, "ping": {json.RawMessage(`{"zen":"Keep it logically awesome.","hook_id":1}`)},
		"check_run": {json.RawMessage(`{"action":"created","check_run":{"id":4,"name":"Octo"},"repository":{"full_name":"Codertocat/Hello-World"}}`)},
	}
	raw, err := os.ReadFile("../../test/js/node_modules/@octokit/webhooks-examples/api.github.com/index.json")
	if err != nil {
		t.Log("the documented webhooks are not installed; \"make test-setup\" does it")
		return out
	}
	var list []struct {
		Name     string            `json:"name"`
		Examples []json.RawMessage `json:"examples"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	for _, x := range list {
		out[x.Name] = append(out[x.Name], x.Examples...)
	}
	return out
}

// TestGitHubExamples: what GitHub sends becomes events byte for byte.
func TestGitHubExamples(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "github", Provider: "github"}, []string{"s3cret"}, nil)
	n := 0
	for kind, list := range githubExamples(t) {
		for _, raw := range list {
			n++
			body := string(raw)
			w := on.send(t, "POST", "/in/acme/github", body, "Content-Type", "application/json", "X-GitHub-Event", kind, "X-GitHub-Delivery", fmt.Sprint(n),
				"X-Hub-Signature-256", githubSignature("s3cret", body))
			if w.Code != 200 {
				t.Fatalf("%s: %d %s", kind, w.Code, w.Body)
			}
			e := on.last(t)
			if e.Type != "github."+kind || string(e.Data) != body || e.ID != fmt.Sprint("github:", n) || e.Origin.Body != nil {
				t.Errorf("%s: %s %s", kind, e.Type, e.ID)
			}
			if strings.Contains(body, `"full_name"`) && e.Subject == "" && strings.Contains(body, `"repository":{`) {
				t.Errorf("%s: no subject", kind)
			}
		}
	}
}
