package config

import (
	"fmt"
	"strings"
)

const docsHead = `<!-- Generated from internal/config by "make docs". Do not edit. -->

# Configuration

Every option of ` + "`posthorn serve`" + ` can be set in three places. When it is set in several,
the first of these counts:

1. a flag: ` + "`--max-event-size 1MiB` or `--max-event-size=1MiB`" + `;
2. an environment variable: ` + "`POSTHORN_MAX_EVENT_SIZE=1MiB`" + `;
3. the configuration file: ` + "`max-event-size = 1MiB`" + `.

A wrong value, an unknown flag, an unknown key in the file and an unknown variable that starts with
` + "`POSTHORN_`" + ` stop the server before it starts, with a message that names each of them.

## Configuration file

` + "`--config PATH` or `POSTHORN_CONFIG`" + ` names the file; without them none is read. It is UTF-8 text of at most 1 MiB:

` + "```ini" + `
# Keep two weeks of events.
retention-age = 14d
allow-targets = 10.0.0.0/8, fd00::/8
` + "```" + `

- A line is empty, a comment that starts with ` + "`#`, or `key = value`" + `.
- Keys are the names of the options below. A key may stand in the file once.
- White space around a key and a value is dropped. The value is the rest of the line: there are no quotes, no
  escapes, and no comments behind a value.

## Values

| kind | form |
|---|---|
| size | a whole number and a unit: ` + "`B`, `KiB`, `MiB`, `GiB`, `TiB`" + `; without a unit, bytes |
| duration | numbers with units: ` + "`d` (24 hours, first), `h`, `m`, `s`, `ms`, `us`; for example `500ms`, `1h30m`, `30d`" + ` |
| address ranges | ` + "`10.0.0.0/8`, `fd00::/8`" + `, or single addresses, separated by commas |
| durations | several durations separated by commas |
| secret | text that is never printed or logged |

## Variables

- A variable that is set but empty counts as not set.
- A secret and the option that names its file may not both be set in the same place; otherwise the place listed first above counts.
- Variables that Kubernetes and Docker add for a service named ` + "`posthorn`" + ` (` + "`POSTHORN_PORT…`, `POSTHORN_SERVICE_…`" + `) are ignored.
`

// Markdown returns the page docs/configuration.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString(docsHead)
	quoted := make([]string, len(clientVariables))
	for i, v := range clientVariables {
		quoted[i] = "`" + v + "`"
	}
	fmt.Fprintf(&b, "- %s are for the commands that talk to a server; the server itself ignores them.\n", strings.Join(quoted, ", "))
	b.WriteString("\n## Options\n")
	group := ""
	for _, o := range table {
		if o.Group != group {
			group = o.Group
			fmt.Fprintf(&b, "\n### %s\n", group)
		}
		fmt.Fprintf(&b, "\n#### %s\n\n%s\n\n", o.Name, o.Help)
		fmt.Fprintf(&b, "- Variable: `%s`\n- Kind: %s\n", o.Env(), o.Kind())
		if o.Default != "" {
			fmt.Fprintf(&b, "- Default: `%s`\n", o.Default)
		}
		fmt.Fprintf(&b, "- Allowed: %s\n", o.Allowed())
	}
	return b.String()
}

// Usage returns the options as plain text of at most width columns, for --help.
// Widths under 40 count as 40.
func Usage(width int) string {
	width = max(width, 40)
	var b strings.Builder
	fmt.Fprintf(&b, "  --%s PATH  (%s)\n", configFlag, configEnv)
	wrap(&b, "A file of options, one a line: key = value.", width)
	group := ""
	for _, o := range table {
		if o.Group != group {
			group = o.Group
			fmt.Fprintf(&b, "\n%s:\n", group)
		}
		fmt.Fprintf(&b, "  %s %s  (%s)\n", o.Flag(), strings.ToUpper(strings.ReplaceAll(o.Kind(), " ", "-")), o.Env())
		help := o.Help
		if o.Default != "" {
			help += " Default: " + o.Default + "."
		}
		wrap(&b, help, width)
	}
	return b.String()
}

// wrap writes text in lines of at most width columns, indented under its option.
func wrap(b *strings.Builder, text string, width int) {
	const indent = "        "
	column := 0
	for word := range strings.FieldsSeq(strings.ReplaceAll(text, "`", "")) {
		switch n := len([]rune(word)); {
		case column == 0:
			b.WriteString(indent + word)
			column = len(indent) + n
		case column+1+n > width:
			b.WriteString("\n" + indent + word)
			column = len(indent) + n
		default:
			b.WriteString(" " + word)
			column += 1 + n
		}
	}
	b.WriteString("\n")
}
