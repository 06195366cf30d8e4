package inspect

import (
	"bufio"
	"encoding/base64"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/internal/event"
)

// maxCurlArgument is the longest body that is an argument, in bytes: Linux takes 128 KiB at most.
const maxCurlArgument = 64 << 10

// curlExport writes a command for each request that sends it again, for a POSIX shell.
type curlExport struct {
	out  *bufio.Writer
	some bool
}

func (e *curlExport) begin() error { return nil }
func (e *curlExport) end() error   { return nil }

func (e *curlExport) add(c *event.Capture) error {
	if e.some {
		if err := e.out.WriteByte('\n'); err != nil {
			return err
		}
	}
	e.some = true
	_, err := e.out.WriteString("# " + quoteless(c.ID) + ", " + c.At.UTC().Format("2006-01-02T15:04:05.000Z07:00") + "\n" + curlCommand(&c.Request) + "\n")
	return err
}

// curlCommand is the command, without a line break at its end.
func curlCommand(r *event.Request) string {
	method, _, _ := r.Line()
	var b strings.Builder
	argument := func(option, value string) {
		b.WriteString(" " + option + " " + quoted(value))
	}
	// The URL is meant as it is: no [1-3] and {a,b} to be expanded, no dot segments to be removed.
	b.WriteString("curl --globoff --path-as-is")
	if method == "HEAD" {
		b.WriteString(" --head")
	} else {
		argument("--request", method)
	}
	argument("--url", r.URL)
	for _, h := range curlHeaders(r) {
		b.WriteString(" \\\n ")
		argument("--header", h)
	}
	switch text := string(r.Body); {
	case text == "":
	case !printable(text):
		argument("\\\n  --data-binary", "@-")
		return "printf %s " + quoted(base64.StdEncoding.EncodeToString(r.Body)) + " | base64 -d | " + b.String()
	case len(text) > maxCurlArgument:
		argument("\\\n  --data-binary", "@-")
		return "printf %s " + quoted(text) + " | " + b.String()
	default:
		argument("\\\n  --data-raw", text) // takes an @ at the start for what it is
	}
	return b.String()
}

// curlHeaders are the headers as curl's option takes them: those of the request but the ones that curl makes from its other
// arguments, and those that it would add on its own, taken away.
func curlHeaders(r *event.Request) []string {
	host := ""
	if u, err := url.Parse(r.URL); err == nil {
		host = u.Host
	}
	var list []string
	own := map[string]bool{"user-agent": true, "accept": true, "content-type": len(r.Body) > 0, "expect": len(r.Body) > 0}
	for _, h := range r.Headers() {
		name := strings.ToLower(h.Name)
		if !event.IsHeaderName(h.Name) {
			continue // no request that came by HTTP has such a one
		}
		switch name {
		case "content-length", "transfer-encoding", "connection", "keep-alive", "expect", "upgrade", "http2-settings":
			continue
		case "host":
			if strings.EqualFold(h.Value, host) {
				continue
			}
		}
		delete(own, name)
		if h.Value == "" {
			list = append(list, h.Name+";") // with a colon the header would not be sent
			continue
		}
		list = append(list, h.Name+": "+h.Value)
	}
	for _, h := range []string{"User-Agent", "Accept", "Content-Type", "Expect"} {
		if own[strings.ToLower(h)] {
			list = append(list, h+":")
		}
	}
	return list
}

// quoted is s as one word for a POSIX shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// quoteless is s for a comment: no line of it can end the comment.
func quoteless(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' {
			return -1
		}
		return c
	}, s)
}

// printable reports whether a shell and a terminal take s as it is: it is text, and has no control characters (of which
// some do things to a terminal, NUL cannot be in an argument, and CR is lost where text is pasted).
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool {
		return c < ' ' && c != '\n' && c != '\t' || c >= 0x7f && c < 0xa0
	})
}
