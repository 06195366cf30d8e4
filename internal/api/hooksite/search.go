package hooksite

import (
	"errors"
	"fmt"
	"mime"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/inspect"
)

// Limits of a search.
const (
	maxSearch = 2 << 10 // bytes
	maxNodes  = 100
	maxDepth  = 20
)

// node is a part of a search: one that matches or does not.
type node interface{ match(c *event.Capture) bool }

type (
	allOf []node
	anyOf []node
	notOf struct{ node }
)

func (n allOf) match(c *event.Capture) bool {
	return !slices.ContainsFunc(n, func(x node) bool { return !x.match(c) })
}

func (n anyOf) match(c *event.Capture) bool {
	return slices.ContainsFunc(n, func(x node) bool { return x.match(c) })
}
func (n notOf) match(c *event.Capture) bool { return !n.node.match(c) }

// parser reads a search in the syntax of Webhook.site, which is Lucene's: field:word, field:"some words", field:(a OR b),
// field:[from TO to], field:>n, _exists_:field, AND, OR, NOT, parentheses, * and ? in words. Terms without an operator
// between them must all match.
type parser struct {
	text  string
	now   time.Time
	nodes int
	depth int
}

// parseSearch reads a search; nil for an empty one.
func parseSearch(text string, now time.Time) (node, error) {
	if len(text) > maxSearch {
		return nil, fmt.Errorf("must be at most %d bytes", maxSearch)
	}
	if !utf8.ValidString(text) {
		return nil, errors.New("must be UTF-8")
	}
	p := &parser{text: text, now: now}
	if p.space(); p.text == "" {
		return nil, nil //nolint:nilnil // everything is meant
	}
	n, err := p.either("")
	if err != nil {
		return nil, err
	}
	if p.text != "" {
		return nil, errors.New("has a ) without a (")
	}
	return n, nil
}

func (p *parser) space() { p.text = strings.TrimLeft(p.text, " \t\r\n") }

// word takes an operator that is a word of its own, such as OR.
func (p *parser) word(names ...string) bool {
	p.space()
	for _, name := range names {
		rest, ok := strings.CutPrefix(p.text, name)
		if ok && (rest == "" || strings.ContainsAny(rest[:1], " \t\r\n(") || !isLetter(name[0])) {
			p.text = rest
			return true
		}
	}
	return false
}

func isLetter(c byte) bool { return c >= 'A' && c <= 'Z' }

// either reads terms joined by OR; field is that of a group such as content:(a OR b), or "".
func (p *parser) either(field string) (node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("has more than %d levels", maxDepth)
	}
	defer func() { p.depth-- }()
	var list anyOf
	for {
		n, err := p.both(field)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
		if !p.word("OR", "||") {
			return list, nil
		}
	}
}

// both reads terms joined by AND, or by nothing.
func (p *parser) both(field string) (node, error) {
	var list allOf
	for {
		n, err := p.one(field)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
		if p.word("AND", "&&") {
			continue
		}
		p.space()
		if p.text == "" || p.text[0] == ')' || strings.HasPrefix(p.text, "||") || strings.HasPrefix(p.text, "OR ") || strings.HasPrefix(p.text, "OR(") {
			return list, nil
		}
	}
}

func (p *parser) one(field string) (node, error) {
	if p.nodes++; p.nodes > maxNodes {
		return nil, fmt.Errorf("has more than %d terms", maxNodes)
	}
	p.space()
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("has more than %d levels", maxDepth)
	}
	defer func() { p.depth-- }()
	if p.word("NOT") || p.sign("-!") {
		n, err := p.one(field)
		return notOf{n}, err
	}
	p.sign("+")
	if rest, ok := strings.CutPrefix(p.text, "("); ok {
		p.text = rest
		return p.group(field)
	}
	if name, ok := p.field(); ok {
		return p.value(name)
	}
	if p.text == "" || p.text[0] == ')' {
		return nil, errors.New("ends where a term should be")
	}
	return p.value(field)
}

// sign takes one of the characters when a term follows it at once.
func (p *parser) sign(set string) bool {
	if len(p.text) > 1 && strings.IndexByte(set, p.text[0]) >= 0 && p.text[1] != ' ' {
		p.text = p.text[1:]
		return true
	}
	return false
}

func (p *parser) group(field string) (node, error) {
	n, err := p.either(field)
	if err != nil {
		return nil, err
	}
	p.space()
	rest, ok := strings.CutPrefix(p.text, ")")
	if !ok {
		return nil, errors.New("has a ( without a )")
	}
	p.text = rest
	return n, nil
}

var fieldName = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_.\-\[\]]*):`)

func (p *parser) field() (string, bool) {
	m := fieldName.FindStringSubmatch(p.text)
	if m == nil || !knownField(m[1]) {
		return "", false
	}
	p.text = p.text[len(m[0]):]
	return m[1], true
}

// value reads what a field is compared with.
func (p *parser) value(field string) (node, error) {
	if rest, ok := strings.CutPrefix(p.text, "("); ok {
		p.text = rest
		return p.group(field)
	}
	if p.text != "" && (p.text[0] == '[' || p.text[0] == '{') && field != "" {
		return p.span(field)
	}
	for _, sign := range []string{">=", "<=", ">", "<"} {
		if rest, ok := strings.CutPrefix(p.text, sign); ok && field != "" {
			p.text = rest
			word, _, err := p.literal(" \t\r\n)")
			if err != nil {
				return nil, err
			}
			return p.compare(field, sign, word)
		}
	}
	word, quoted, err := p.literal(" \t\r\n)")
	switch {
	case err != nil:
		return nil, err
	case word == "" && !quoted:
		return nil, errors.New("lacks the value of a field")
	case !quoted && (word == "AND" || word == "OR" || word == "NOT"):
		return nil, fmt.Errorf("has %s where a term should be", word)
	case field == "_exists_":
		return exists(word), nil
	case word == "*" && !quoted:
		return exists(field), nil
	case field == "created_at" || field == "updated_at":
		return p.day(word)
	}
	return newTerm(field, word, quoted), nil
}

// literal reads a word up to one of the characters in ends, or what is in quotes.
func (p *parser) literal(ends string) (word string, quoted bool, err error) {
	p.space()
	if rest, ok := strings.CutPrefix(p.text, `"`); ok {
		var b strings.Builder
		for i := 0; i < len(rest); i++ {
			switch {
			case rest[i] == '"':
				p.text = rest[i+1:]
				return b.String(), true, nil
			case rest[i] == '\\' && i+1 < len(rest):
				i++
			}
			b.WriteByte(rest[i])
		}
		return "", false, errors.New("has a quotation mark that is not closed")
	}
	i := 0
	var b strings.Builder
	for ; i < len(p.text) && strings.IndexByte(ends, p.text[i]) < 0; i++ {
		if p.text[i] == '\\' && i+1 < len(p.text) {
			i++
		}
		b.WriteByte(p.text[i])
	}
	p.text = p.text[i:]
	return b.String(), false, nil
}

// span reads [from TO to], or {from TO to}, whose ends are not meant.
func (p *parser) span(field string) (node, error) {
	open := p.text[0]
	p.text = p.text[1:]
	from, _, err := p.literal(" \t\r\n]}")
	if err != nil {
		return nil, err
	}
	if !p.word("TO") {
		return nil, errors.New("has a range without TO")
	}
	to, _, err := p.literal(" \t\r\n]}")
	if err != nil {
		return nil, err
	}
	p.space()
	if p.text == "" || p.text[0] != ']' && p.text[0] != '}' {
		return nil, errors.New("has a range that is not closed")
	}
	shut := p.text[0]
	p.text = p.text[1:]
	var list allOf
	for _, edge := range []struct{ word, sign, bare string }{{from, ">=", ">"}, {to, "<=", "<"}} {
		sign := edge.sign
		if edge.sign == ">=" && open == '{' || edge.sign == "<=" && shut == '}' {
			sign = edge.bare
		}
		if edge.word == "*" {
			continue
		}
		n, err := p.compare(field, sign, edge.word)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}

// compare makes the comparison of a time or number.
func (p *parser) compare(field, sign, word string) (node, error) {
	switch field {
	case "created_at", "updated_at":
		t, width, err := parseDate(word, p.now)
		if err != nil {
			return nil, err
		}
		low, high := t, t.Add(max(width, time.Microsecond))
		return bound{sign, func(c *event.Capture) int {
			switch {
			case c.At.Before(low):
				return -1
			case c.At.Before(high):
				return 0
			}
			return 1
		}}, nil
	case "size", "sorting", "time":
		n, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return nil, errors.New("compares a number with something else")
		}
		return bound{sign, func(c *event.Capture) int {
			v := map[string]float64{"size": float64(len(c.Body)), "sorting": float64(c.At.UnixMicro())}[field]
			switch {
			case v < n:
				return -1
			case v > n:
				return 1
			}
			return 0
		}}, nil
	}
	return nil, fmt.Errorf("asks for a range of %s: only created_at, updated_at, size and sorting have one", event.Printable(field))
}

func (p *parser) day(word string) (node, error) {
	low, err := p.compare("created_at", ">=", word)
	if err != nil {
		return nil, err
	}
	high, err := p.compare("created_at", "<=", word)
	return allOf{low, high}, err
}

// bound is a comparison: order is where a capture is in relation to the value.
type bound struct {
	sign  string
	order func(c *event.Capture) int
}

func (b bound) match(c *event.Capture) bool {
	switch o := b.order(c); b.sign {
	case ">":
		return o > 0
	case ">=":
		return o >= 0
	case "<":
		return o < 0
	default:
		return o <= 0
	}
}

// whole are the fields whose value is compared as a whole; of others a part will do.
var whole = map[string]bool{"method": true, "type": true, "uuid": true, "token_id": true, "ip": true, "hostname": true, "size": true, "sorting": true}

// parts are the fields that are text.
var parts = map[string]bool{
	"content": true, "text_content": true, "user_agent": true, "url": true, "note": true, "created_at": true, "updated_at": true, "time": true, "_exists_": true,
	"custom_action_output": true, "custom_action_errors": true, "query": true, "request": true, "headers": true, "files": true, "sender": true,
	"team_id": true, "country": true, "country_code": true, "region": true, "city": true, "message_id": true,
}

// knownField reports whether what is before a colon is a field; a word with a colon in it is a word otherwise.
func knownField(name string) bool {
	prefix, rest, dotted := strings.Cut(name, ".")
	return whole[name] || parts[name] || dotted && rest != "" && (prefix == "headers" || prefix == "query" || prefix == "request" || prefix == "files" || prefix == "checks")
}

// exists asks whether a capture has a field.
type exists string

func (e exists) match(c *event.Capture) bool {
	return slices.ContainsFunc(values(c, string(e)), func(s string) bool { return s != "" || strings.Contains(string(e), ".") })
}

// term is one word in one field.
type term struct {
	field   string
	word    string         // in lower case
	pattern *regexp.Regexp // of a word with * or ?
}

func newTerm(field, word string, quoted bool) term {
	if field == "" {
		field = "content"
	}
	t := term{field: field, word: strings.ToLower(word)}
	if !quoted && strings.ContainsAny(word, "*?") {
		text := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(word))
		if whole[field] {
			text = "^(?:" + text + ")$"
		}
		t.pattern = regexp.MustCompile("(?is)" + text)
	}
	return t
}

func (t term) match(c *event.Capture) bool {
	return slices.ContainsFunc(values(c, t.field), func(s string) bool {
		switch {
		case t.pattern != nil:
			return t.pattern.MatchString(s)
		case whole[t.field]:
			return strings.EqualFold(s, t.word)
		}
		return holds(s, t.word)
	})
}

// values are the values of a field; none when there is no such field.
func values(c *event.Capture, field string) []string {
	prefix, name, dotted := strings.Cut(field, ".")
	switch prefix {
	case "uuid":
		return []string{c.ID}
	case "token_id":
		return []string{c.Bin}
	case "type":
		return []string{"web"}
	case "ip":
		return []string{c.Remote}
	case "method":
		method, _, _ := c.Line()
		return []string{method}
	case "hostname":
		return []string{requestOf(c).Hostname}
	case "url":
		return []string{c.URL, urlOf(c)}
	case "user_agent":
		return named(c.Headers(), "user-agent", true)
	case "content", "text_content":
		return []string{string(c.Body)}
	case "note":
		return []string{c.Note}
	case "size":
		return []string{strconv.Itoa(len(c.Body))}
	case "created_at", "updated_at":
		return []string{c.At.UTC().Format(timeFormat)}
	case "sorting":
		return []string{strconv.FormatInt(c.At.UnixMicro(), 10)}
	case "headers":
		return named(c.Headers(), name, dotted)
	case "query":
		return named(inspect.Parameters(&c.Request), name, dotted)
	case "request":
		fields, _ := inspect.Form(&c.Request)
		return named(fields, name, dotted)
	case "files":
		if kind, _, err := mime.ParseMediaType(c.Header("Content-Type")); err != nil || !strings.HasPrefix(kind, "multipart/") {
			return nil
		}
		_, files := inspect.Form(&c.Request)
		var list []string
		for _, f := range files {
			if name == "" || strings.EqualFold(f.Name, name) {
				list = append(list, f.Filename)
			}
		}
		return list
	}
	return nil
}

// named are the values of one name, or of all.
func named(list []event.Header, name string, only bool) []string {
	var found []string
	for _, h := range list {
		if !only || strings.EqualFold(h.Name, name) {
			found = append(found, h.Value)
		}
	}
	return found
}
