package receiver

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func init() {
	github := testCase{
		provider: "github",
		header:   map[string]string{"X-GitHub-Event": "push", "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"},
		body:     `{"ref":"refs/heads/main","repository":{"id":1,"full_name":"octo/hello"}}`,
		sign:     signBody("X-Hub-Signature-256", "sha256=", hex256),
		want:     Delivery{Type: "push", ID: "72d3162e-cc78-11e3-81ab-4c9367dc0958", Subject: "octo/hello"},
		proof:    []string{"X-Hub-Signature-256"},
	}
	form := github
	form.name, form.body = "form", "payload="+url.QueryEscape(github.body)
	form.header = map[string]string{"X-GitHub-Event": "push", "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958", "Content-Type": formType}
	addCase(github, form)
}

// TestGitHubVector is the example of GitHub's documentation.
func TestGitHubVector(t *testing.T) {
	const body = "Hello, World!"
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/hook", strings.NewReader(body))
	r.Header.Set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
	if _, err := Verify("github", []string{"It's a Secret to Everybody"}, r, []byte(body)); err != nil {
		t.Error(err)
	}
}
