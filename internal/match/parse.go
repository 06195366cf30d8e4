package match

import "slices"

// Bounds of what the parser takes on; filters over them are left to CEL.
const (
	maxNesting  = 32
	maxLiterals = 64 // of an "in" list
)

// parseNative turns a filter into terms, all of which must be true. whole is false when the terms are not all of the
// filter, so that a CEL program must have the last word; terms are then a necessary condition still, perhaps an empty
// one. The source must have passed CompileFilter: this parser does not check it.
func parseNative(src string) (terms []node, whole bool) {
	tokens, ok := lex(src)
	if !ok {
		return nil, false
	}
	ends, ok := conjuncts(tokens)
	if !ok {
		ends = []int{len(tokens)} // one expression with || or ? at the top
	}
	whole = true
	start := 0
	for _, end := range ends {
		p := parser{tokens: tokens[start:end]}
		n, ok := p.expression()
		if ok && p.done() {
			if n.op == opAnd {
				terms = append(terms, n.kids...)
			} else {
				terms = append(terms, n)
			}
		} else {
			whole = false
		}
		start = end + 1
	}
	return terms, whole
}

// conjuncts returns the ends of the parts of a top-level conjunction; ok is false when there is a top-level operator
// that binds weaker than &&.
func conjuncts(tokens []token) (ends []int, ok bool) {
	depth := 0
	for i := range tokens {
		if tokens[i].kind != tokenPunct {
			continue
		}
		switch tokens[i].text {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
		case "||", "?":
			if depth == 0 {
				return nil, false
			}
		case "&&":
			if depth == 0 {
				ends = append(ends, i)
			}
		}
	}
	return append(ends, len(tokens)), true
}

type parser struct {
	tokens []token
	at     int
	depth  int
}

func (p *parser) done() bool { return p.at == len(p.tokens) }

func (p *parser) peek() token {
	if p.done() {
		return token{}
	}
	return p.tokens[p.at]
}

// take steps over a punctuation mark or word if it is next.
func (p *parser) take(text string) bool {
	t := p.peek()
	if (t.kind == tokenPunct || t.kind == tokenIdent) && t.text == text {
		p.at++
		return true
	}
	return false
}

// expression = and {"||" and}.
func (p *parser) expression() (node, bool) { return p.list("||", opOr, p.and) }

// and = term {"&&" term}.
func (p *parser) and() (node, bool) { return p.list("&&", opAnd, p.term) }

func (p *parser) list(mark string, o op, part func() (node, bool)) (node, bool) {
	first, ok := part()
	if !ok || p.peek().text != mark || p.peek().kind != tokenPunct {
		return first, ok
	}
	n := node{op: o, kids: []node{first}}
	for p.take(mark) {
		kid, ok := part()
		if !ok {
			return node{}, false
		}
		n.kids = append(n.kids, kid)
	}
	return n, true
}

// term = "!" term | "(" expression ")" | "has" "(" path ")" | string "in" "channels" | path …. What follows a term must
// end it: "!a == b" and "(a) == b" are left to CEL.
func (p *parser) term() (node, bool) {
	if p.depth++; p.depth > maxNesting {
		return node{}, false
	}
	defer func() { p.depth-- }()
	n, ok := p.primary()
	if !ok {
		return node{}, false
	}
	switch t := p.peek(); {
	case t.kind == tokenEnd, t.kind == tokenPunct && (t.text == "&&" || t.text == "||" || t.text == ")"):
		return n, true
	}
	return node{}, false
}

func (p *parser) primary() (node, bool) {
	switch {
	case p.take("!"):
		group := p.peek().text == "(" && p.peek().kind == tokenPunct
		kid, ok := p.term()
		switch kid.op {
		case opTrue, opHas, opStartsWith, opEndsWith, opNot:
		default:
			ok = ok && group // in "!a == b" the operator binds weaker
		}
		return node{op: opNot, kids: []node{kid}}, ok
	case p.take("("):
		n, ok := p.expression()
		return n, ok && p.take(")")
	case p.peek().kind == tokenString:
		lit, _ := p.literal()
		if !p.take("in") || !p.take("channels") {
			return node{}, false
		}
		return node{op: opChannel, lits: []value{lit}}, true
	case p.peek().text == "has" && p.at+1 < len(p.tokens) && p.tokens[p.at+1].text == "(":
		p.at += 2
		to, ok := p.path()
		if !ok || to.root != rootData && to.root != rootExt || len(to.steps) == 0 || p.tokens[p.at-1].text == "]" {
			return node{}, false
		}
		return node{op: opHas, path: to}, p.take(")")
	}
	return p.comparison()
}

// path = variable {"." name | "[" string "]"}.
func (p *parser) path() (path, bool) {
	t := p.peek()
	r := roots[t.text]
	if t.kind != tokenIdent || r == rootNone || r == rootChannels {
		return path{}, false
	}
	p.at++
	var steps []string
	for {
		mark := p.at
		switch {
		case p.take("."):
			name := p.peek()
			if name.kind != tokenIdent || keyword(name.text) {
				return path{}, false
			}
			p.at++
			if next := p.peek(); next.kind == tokenPunct && next.text == "(" {
				p.at = mark // a method, for the caller
				return makePath(r, steps), fits(r, steps)
			}
			steps = append(steps, name.text)
		case p.take("["):
			name := p.peek()
			p.at++
			if name.kind != tokenString || !p.take("]") {
				return path{}, false
			}
			steps = append(steps, name.text)
		default:
			return makePath(r, steps), fits(r, steps)
		}
	}
}

// fits reports whether a variable has members at that depth.
func fits(r root, steps []string) bool {
	switch r {
	case rootData:
		return true
	case rootExt:
		return len(steps) == 1
	}
	return len(steps) == 0
}

func keyword(s string) bool { return s == "in" || s == "true" || s == "false" || s == "null" }

var operators = map[string]op{
	"==": opEqual, "!=": opNotEqual, "<": opLess, "<=": opLessEqual, ">": opGreater, ">=": opGreaterEqual,
}

// comparison = path [operator literal | "in" "[" literals "]" | method].
func (p *parser) comparison() (node, bool) {
	to, ok := p.path()
	if !ok {
		return node{}, false
	}
	dyn := to.root == rootData || to.root == rootExt
	t := p.peek()
	switch {
	case t.kind == tokenPunct && t.text == ".":
		return p.method(to)
	case p.take("in"):
		lits, ok := p.literals()
		return node{op: opIn, path: to, lits: lits}, ok && !slices.ContainsFunc(lits, func(l value) bool { return !mayMeet(to.root, opIn, l) })
	case t.kind == tokenPunct && operators[t.text] != 0:
		p.at++
		lit, ok := p.literal()
		o := operators[t.text]
		return node{op: o, path: to, lits: []value{lit}}, ok && mayMeet(to.root, o, lit)
	}
	return node{op: opTrue, path: to}, dyn
}

// mayMeet reports whether CEL's type checker lets a variable meet a literal, and this package knows how they do.
func mayMeet(r root, o op, lit value) bool {
	switch {
	case r == rootVersion:
		return lit.kind == kindInt
	case r != rootData && r != rootExt:
		return lit.kind == kindString
	case o == opEqual || o == opNotEqual || o == opIn:
		return true
	}
	return lit.kind == kindString || lit.isNumber()
}

// method = "." ("startsWith" | "endsWith") "(" string ")".
func (p *parser) method(to path) (node, bool) {
	p.at++ // the dot
	n := node{path: to}
	switch {
	case to.root == rootVersion:
		return node{}, false
	case p.take("startsWith"):
		n.op = opStartsWith
	case p.take("endsWith"):
		n.op = opEndsWith
	default:
		return node{}, false
	}
	if !p.take("(") || p.peek().kind != tokenString {
		return node{}, false
	}
	lit, _ := p.literal()
	n.lits = []value{lit}
	return n, p.take(")")
}

func (p *parser) literals() ([]value, bool) {
	if !p.take("[") {
		return nil, false
	}
	var lits []value
	for {
		lit, ok := p.literal()
		if !ok || len(lits) == maxLiterals {
			return nil, false
		}
		lits = append(lits, lit)
		if p.take("]") {
			return lits, true
		}
		if !p.take(",") {
			return nil, false
		}
	}
}

// literal = string | ["-"] number | "true" | "false" | "null".
func (p *parser) literal() (value, bool) {
	minus := p.take("-")
	t := p.peek()
	p.at++
	switch {
	case t.kind == tokenInt && minus:
		return value{kind: kindInt, i: -t.i}, true
	case t.kind == tokenInt:
		return value{kind: kindInt, i: t.i}, true
	case t.kind == tokenDouble && minus:
		return value{kind: kindDouble, f: -t.f}, true
	case t.kind == tokenDouble:
		return value{kind: kindDouble, f: t.f}, true
	case minus:
	case t.kind == tokenString:
		return value{kind: kindString, s: t.text}, true
	case t.kind == tokenIdent && t.text == "true":
		return value{kind: kindBool, i: 1}, true
	case t.kind == tokenIdent && t.text == "false":
		return value{kind: kindBool}, true
	case t.kind == tokenIdent && t.text == "null":
		return value{kind: kindNull}, true
	}
	return value{}, false
}
