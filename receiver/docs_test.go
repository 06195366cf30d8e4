package receiver

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

const docsPage = "../docs/providers.md"

var update = flag.Bool("update", false, "write the page of the providers anew")

// TestDocs holds docs/providers.md to the table of providers. go test -run TestDocs -update writes it anew; so does make docs.
func TestDocs(t *testing.T) {
	want := providersPage(Providers())
	if *update {
		if err := os.WriteFile(docsPage, []byte(want), 0o644); err != nil { //nolint:gosec // a page of the repository, not a secret
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(docsPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not up to date: run make docs", docsPage)
	}
}

const docsHead = `<!-- Generated from receiver by "make docs". Do not edit. -->

# Providers

Whose webhooks a [source](inbound.md#sources), or the Go package [receiver](../receiver), can verify. ` + "`posthorn source providers`" + ` lists the
same. For other senders there are ` + "`hmac`, `token`, `basic`, `standard` and `httpsig`" + `, which are put together from settings; or
[add a provider](guides/add-a-provider.md).

Settings in bold are needed. Several secrets may be set, for a rotation: any of them will do. A handshake is a question that the provider asks before or between
events: it is answered and is no event.

| provider | secret | settings | event | handshakes |
|---|---|---|---|---|
`

// providersPage is the page of all providers.
func providersPage(all []Info) string {
	var b strings.Builder
	b.WriteString(docsHead)
	for _, info := range all {
		b.WriteString(providerRow(info))
	}
	return b.String()
}

func providerRow(info Info) string {
	name := "`" + info.Name + "`"
	for _, alias := range info.Aliases {
		name += ", `" + alias + "`"
	}
	secret := info.Secret
	switch {
	case secret == "":
		secret = "none"
	case info.Learns:
		secret += "; given before, it is never learned"
	}
	settings := make([]string, len(info.Settings))
	for i, s := range info.Settings {
		settings[i] = "`" + s.Name + "`"
		if s.Required {
			settings[i] = "**" + settings[i] + "**"
		}
		settings[i] += ": " + escaped(s.Doc)
	}
	return fmt.Sprintf("| %s<br>%s | %s | %s | %s | %s |\n", name, escaped(info.Title), escaped(secret), strings.Join(settings, "<br>"),
		escaped(info.Event), strings.Join(info.Handshakes, ", "))
}

// escaped keeps a text from being read as HTML, emphasis or the end of a cell.
func escaped(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`, "_", `\_`, "[", `\[`).Replace(text)
}
