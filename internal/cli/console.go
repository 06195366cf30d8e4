package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/posthornhq/posthorn/client"
)

// console is what a command reads from and writes to.
type console struct {
	ctx      context.Context //nolint:containedctx // the life of the one command that runs
	in       io.Reader
	out, err io.Writer
	globals  *globals
	json     bool
	// terminal and errTerminal say that a person watches; colour that escape sequences are welcome on out.
	terminal, errTerminal bool
	colour, errColour     bool
}

func newConsole(ctx context.Context, in io.Reader, out, errOut io.Writer) *console {
	c := &console{ctx: ctx, in: in, out: out, err: errOut, terminal: isTerminal(out), errTerminal: isTerminal(errOut)}
	// https://no-color.org: any value but the empty one.
	allowed := os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	c.colour, c.errColour = c.terminal && allowed, c.errTerminal && allowed
	return c
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// size returns the terminal's columns and rows, or 80 and 24.
func (c *console) size() (columns, rows int) {
	if f, ok := c.out.(*os.File); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 0 && h > 0 {
			return w, h
		}
	}
	return 80, 24
}

// client returns a client for the server that the options name.
func (c *console) client() (*client.Client, error) {
	if strings.ContainsFunc(c.globals.Key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, usagef("--key: holds a space, a line break or another character that no key has; was something copied along with it?")
	}
	cl, err := client.New(c.globals.Server, c.globals.Key, client.WithUserAgent("posthorn-cli/"+version()))
	if err != nil {
		return nil, usagef("--server: %w", err)
	}
	return cl, nil
}

// tenantClient also returns the tenant, which must be named.
func (c *console) tenantClient() (*client.Client, string, error) {
	if c.globals.Tenant == "" {
		return nil, "", usagef("no tenant is named: give --tenant or set POSTHORN_TENANT")
	}
	cl, err := c.client()
	return cl, c.globals.Tenant, err
}

func (c *console) printf(format string, args ...any) { _, _ = fmt.Fprintf(c.out, format, args...) }

// writeJSON writes one indented value.
func (c *console) writeJSON(v any) error {
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// writeLine writes one value on one line, for streams.
func (c *console) writeLine(v any) error {
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// colours, as SGR parameters.
type paint string

const (
	plain  paint = ""
	bold   paint = "1"
	dim    paint = "2"
	red    paint = "31"
	green  paint = "32"
	yellow paint = "33"
	cyan   paint = "36"
)

func (c *console) paint(p paint, s string) string { return painted(c.colour, p, s) }

func (c *console) errPaint(p paint, s string) string { return painted(c.errColour, p, s) }

func painted(colour bool, p paint, s string) string {
	if !colour || p == plain {
		return s
	}
	return "\x1b[" + string(p) + "m" + s + "\x1b[0m"
}

// clean makes text from elsewhere safe for a terminal: control characters and the marks that turn the direction of
// writing are shown as escapes.
func clean(s string) string {
	if !strings.ContainsFunc(s, unsafe) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unsafe(r) {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func unsafe(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == utf8.RuneError
}

// cell is a part of a table, in a colour.
type cell struct {
	text  string
	paint paint
}

func text(s string) cell { return cell{text: s} }

// maybe is the header of a column that is left out when no row has anything in it.
func maybe(header string) string { return maybeMark + header }

const maybeMark = "?"

// filled returns the table without the columns that may be left out.
func filled(header []string, rows [][]cell) ([]string, [][]cell) {
	header = slices.Clone(header)
	for i := len(header) - 1; i >= 0; i-- {
		name, optional := strings.CutPrefix(header[i], maybeMark)
		header[i] = name
		if !optional || slices.ContainsFunc(rows, func(row []cell) bool { return row[i].text != "" }) {
			continue
		}
		header = slices.Delete(header, i, i+1)
		for k := range rows {
			rows[k] = slices.Delete(rows[k], i, i+1)
		}
	}
	return header, rows
}

// table writes rows under a header, in columns as wide as their widest cell.
func (c *console) table(header []string, rows [][]cell) {
	header, rows = filled(header, rows)
	widths := make([]int, len(header))
	for i, h := range header {
		widths[i] = utf8.RuneCountInString(h)
	}
	for _, row := range rows {
		for i := range row {
			row[i].text = clean(row[i].text)
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i].text))
		}
	}
	head := make([]cell, len(header))
	for i, h := range header {
		head[i] = cell{h, dim}
	}
	for _, row := range append([][]cell{head}, rows...) {
		var b strings.Builder
		for i, k := range row {
			b.WriteString(c.paint(k.paint, k.text))
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(k.text)+2))
			}
		}
		c.printf("%s\n", strings.TrimRight(b.String(), " "))
	}
}

// field is a named value of one thing.
type field struct {
	name  string
	value cell
}

// fields writes named values one a line, without the empty ones.
func (c *console) fields(list []field) {
	width := 0
	for _, f := range list {
		if f.value.text != "" {
			width = max(width, len(f.name))
		}
	}
	for _, f := range list {
		if f.value.text != "" {
			c.printf("%s%s  %s\n", c.paint(dim, f.name), strings.Repeat(" ", width-len(f.name)), c.paint(f.value.paint, clean(f.value.text)))
		}
	}
}

// stamp writes a time for people: UTC, to the second.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func stampOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return stamp(*t)
}

// count writes a number with thin groups of three, as 1,000,000.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
