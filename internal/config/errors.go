package config

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// ErrHelp is returned by [Load] when the arguments ask for help.
var ErrHelp = errors.New("help requested")

// Error says which option is wrong, where it was set, and what is allowed.
type Error struct {
	// Where names the place as the operator wrote it: --listen, POSTHORN_LISTEN or
	// posthorn.conf:12: listen.
	Where string
	// Option is the option's name, empty when there is no such option.
	Option string
	// Value is the text that was refused. It is empty for a secret.
	Value string
	// Problem says what is wrong, to be read after the value or the place.
	Problem string
	// Allowed says what the option accepts.
	Allowed string
}

// Error names the place, the value unless it is secret, and what is allowed.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Where)
	if e.Value != "" {
		b.WriteString(": " + strconv.Quote(clip(e.Value)))
	}
	b.WriteString(" " + e.Problem)
	if e.Allowed != "" {
		b.WriteString("; allowed: " + strings.ReplaceAll(e.Allowed, "`", ""))
	}
	return b.String()
}

// clip keeps an error to one readable line, and keeps the password of a URL out of it.
func clip(s string) string {
	const longest = 100
	if u, err := url.Parse(s); err == nil && u.User != nil {
		s = u.Scheme + "://…"
	} else if strings.Contains(s, "://") && strings.Contains(s, "@") {
		s = "…"
	}
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return s
}

// nearest returns the candidate that a mistyped name most likely means, or nothing.
func nearest(name string, candidates []string) string {
	best, bestDistance := "", 1+max(1, min(3, len(name)/3))
	for _, c := range candidates {
		if d := distance(name, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the number of single-byte edits that turn a into b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// unknown is the error for a name that is in no table.
func unknown(where, what, name string, candidates []string) error {
	e := &Error{Where: where, Problem: "is not " + what}
	const longestName = 100
	if len(name) > longestName {
		return e
	}
	if n := nearest(name, candidates); n != "" {
		e.Problem += "; did you mean " + n + "?"
	}
	return e
}
