package rest

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestCodesAreDocumented: every code of the page of problems is in the documents for people, too.
func TestCodesAreDocumented(t *testing.T) {
	t.Parallel()
	var texts []string
	for _, path := range []string{"../../../docs/api.md", "../../../docs/live.md"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	for _, c := range codes {
		if !slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, "`"+c.Code+"`") }) {
			t.Errorf("%s is in neither docs/api.md nor docs/live.md", c.Code)
		}
	}
}
