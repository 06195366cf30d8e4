package receiver

import (
	"os"
	"strings"
	"testing"
)

// TestGuide holds that what the guide shows is what is compiled and tested.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../docs/guides/add-a-provider.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"p_typeform.go", "p_typeform_test.go"} {
		code, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(guide), "```go\n"+string(code)+"```") {
			t.Errorf("the guide does not show %s as it is", name)
		}
	}
	// The names in its tables are those of the code.
	for _, name := range []string{
		"bodyHMAC", "timedPairs", "headersHMAC", "anyHMAC", "anyOfHMAC", "anySecret", "distinct", "headerToken", "verifyAddress", "verifyBasic", "standard",
		"header", "param", "formField", "text", "setting", "url", "fresh", "freshText",
		"describe", "field", "head", "formOf", "queryOf", "fixed", "first", "joined", "sole", "seconds", "millis", "rfc3339",
		"echo", "reply", "answerTo", "answerNoEvents", "answerVerified",
	} {
		if !strings.Contains(string(guide), "`"+name+"`") {
			t.Errorf("the guide does not name %s", name)
		}
	}
}
