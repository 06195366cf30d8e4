package cli

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

const docsPage = "../../docs/cli.md"

// TestDocs holds docs/cli.md to the grammar. go test -run TestDocs -update writes it anew; so does make docs.
func TestDocs(t *testing.T) {
	var r root
	parser, err := newParser(&r, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := commandsPage(parser.Model)
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

const docsHead = `<!-- Generated from internal/cli by "make docs". Do not edit. -->

# Command line

` + "`posthorn COMMAND --help`" + ` shows the same. ` + "`posthorn completion bash`" + ` (or zsh, fish) prints a completion script.

Commands that talk to a server do so through its API, and share these options:

`

const docsTail = `
Times are such as ` + "`2026-11-21T10:00:00Z`" + ` or ` + "`2026-11-21`" + `, or how long ago, such as ` + "`2h`" + `. Durations are such as ` + "`30s`" + `, ` + "`1h30m`" + ` or ` + "`7d`" + `.

| exit status | |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | wrong usage or option |
| 3 | there is no such thing |
| 4 | the key is missing or not allowed |
| 5 | the server cannot be reached or is busy |
| 6 | the server refuses the request |
`

// commandsPage is the page of every command.
func commandsPage(app *kong.Application) string {
	var b strings.Builder
	b.WriteString(docsHead)
	writeFlags(&b, app.Flags)
	b.WriteString(docsTail)
	for _, leaf := range app.Leaves(true) {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", leaf.Path(), leaf.Help)
		if leaf.Path() == "serve" {
			b.WriteString("\nIts options are in [configuration](configuration.md).\n")
			continue
		}
		usage := "posthorn " + leaf.Path()
		for _, p := range leaf.Positional {
			usage += " " + p.Summary()
		}
		fmt.Fprintf(&b, "\n```\n%s\n```\n", usage)
		var rows strings.Builder
		for _, p := range leaf.Positional {
			if p.Help != "" {
				fmt.Fprintf(&rows, "| `%s` | %s |\n", p.Summary(), escaped(p.Help))
			}
		}
		rows.WriteString(flagRows(leaf.Flags))
		if rows.Len() > 0 {
			b.WriteString("\n| | |\n|---|---|\n" + rows.String())
		}
	}
	return b.String()
}

func writeFlags(b *strings.Builder, flags []*kong.Flag) {
	b.WriteString("| | |\n|---|---|\n" + flagRows(flags))
}

func flagRows(flags []*kong.Flag) string {
	var b strings.Builder
	for _, f := range flags {
		if f.Hidden || f.Name == "help" {
			continue
		}
		name := "--" + f.Name
		if f.Short != 0 {
			name = "-" + string(f.Short) + ", " + name
		}
		if !f.IsBool() {
			name += " " + placeOf(f)
		}
		help := escaped(f.Help)
		if f.HasDefault && f.Default != "" && !f.IsBool() {
			help += " Default: `" + f.Default + "`."
		}
		for _, env := range f.Envs {
			help += " Variable: `" + env + "`."
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, help)
	}
	return b.String()
}

// placeOf names the value of a flag.
func placeOf(f *kong.Flag) string {
	if f.Enum != "" {
		return strings.TrimPrefix(f.Enum, ",")
	}
	if f.PlaceHolder != "" {
		return f.PlaceHolder
	}
	if f.Target.Type() == reflect.TypeFor[time.Duration]() {
		return "DURATION"
	}
	switch f.Target.Kind() {
	case reflect.Int, reflect.Int64, reflect.Float64:
		return "N"
	case reflect.Struct:
		return "TIME"
	case reflect.Slice:
		return "LIST"
	default:
		return "TEXT"
	}
}

// escaped keeps what stands for something and patterns from being read as HTML, emphasis or the end of a cell.
func escaped(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`, "_", `\_`).Replace(s)
}
