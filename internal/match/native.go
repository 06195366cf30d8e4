package match

import (
	"slices"
	"strings"
)

// op is an operation of a node.
type op uint8

const (
	opAnd op = iota
	opOr
	opNot
	opTrue // the value itself, a boolean
	opEqual
	opNotEqual
	opLess
	opLessEqual
	opGreater
	opGreaterEqual
	opIn      // the value is one of the literals
	opHas     // the value is there
	opChannel // the literal is one of the channels
	opStartsWith
	opEndsWith
)

// node is an expression over one event: opAnd, opOr and opNot of kids, the others of a path and literals.
type node struct {
	op   op
	path path
	lits []value
	kids []node
}

// truth is the result of an expression in CEL's logic, where "false && error" is false and "true || error" true.
type truth uint8

const (
	no truth = iota
	yes
	failed
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

func (n *node) eval(v *view) truth {
	switch n.op {
	case opAnd, opOr:
		decides := no
		if n.op == opOr {
			decides = yes
		}
		result := yes - decides // "true" for and, "false" for or
		for i := range n.kids {
			switch n.kids[i].eval(v) {
			case decides:
				return decides
			case failed:
				result = failed
			}
		}
		return result
	case opNot:
		switch n.kids[0].eval(v) {
		case yes:
			return no
		case no:
			return yes
		}
		return failed
	case opChannel:
		return truthOf(slices.Contains(v.ev.Channels, n.lits[0].s))
	}
	got := v.value(&n.path)
	return n.compare(&got)
}

// compare evaluates a node with a path.
func (n *node) compare(got *value) truth {
	if n.op == opHas {
		if got.kind == kindBad {
			return failed
		}
		return truthOf(got.kind != kindMissing)
	}
	if got.kind <= kindMissing {
		return failed
	}
	switch n.op {
	case opTrue:
		if got.kind != kindBool {
			return failed
		}
		return truthOf(got.i == 1)
	case opEqual:
		return truthOf(got.equal(&n.lits[0]))
	case opNotEqual:
		return truthOf(!got.equal(&n.lits[0]))
	case opIn:
		for i := range n.lits {
			if got.equal(&n.lits[i]) {
				return yes
			}
		}
		return no
	case opStartsWith, opEndsWith:
		return n.affix(got)
	}
	return n.ordered(got)
}

func (n *node) affix(got *value) truth {
	if got.kind != kindString {
		return failed
	}
	affix := n.lits[0].s
	length := len(got.s)
	if got.b != nil {
		length = len(got.b)
	}
	switch {
	case length < len(affix):
		return no
	case n.op == opStartsWith && got.b != nil:
		return truthOf(string(got.b[:len(affix)]) == affix)
	case n.op == opStartsWith:
		return truthOf(got.s[:len(affix)] == affix)
	case got.b != nil:
		return truthOf(string(got.b[length-len(affix):]) == affix)
	}
	return truthOf(strings.HasSuffix(got.s, affix))
}

func (n *node) ordered(got *value) truth {
	lit := &n.lits[0]
	var c int
	switch {
	case got.isNumber() && lit.isNumber():
		c = got.compareNumber(lit)
	case got.kind == kindString && lit.kind == kindString:
		c = got.compareString(lit)
	default:
		return failed
	}
	switch n.op {
	case opLess:
		return truthOf(c < 0)
	case opLessEqual:
		return truthOf(c <= 0)
	case opGreater:
		return truthOf(c > 0)
	}
	return truthOf(c >= 0)
}
