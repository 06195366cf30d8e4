package match

import (
	"strconv"
	"strings"
)

// tokenKind is the kind of a token of CEL.
type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenIdent
	tokenString
	tokenInt
	tokenDouble
	tokenPunct
)

type token struct {
	kind tokenKind
	text string // an identifier, punctuation, or the content of a string
	i    int64
	f    float64
}

// lex splits a filter into tokens. It knows the plain spellings only: ok is false for raw, bytes and triple-quoted
// strings, rare escapes, unsigned and hexadecimal numbers, comments and everything else that is not worth the care; such
// filters are left to CEL.
func lex(src string) (tokens []token, ok bool) {
	tokens = make([]token, 0, 16)
	for i := 0; i < len(src); {
		c := src[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '"' || c == '\'':
			text, end, ok := lexString(src, i)
			if !ok {
				return nil, false
			}
			tokens = append(tokens, token{kind: tokenString, text: text})
			i = end
		case isIdent(c, true):
			end := i + 1
			for end < len(src) && isIdent(src[end], false) {
				end++
			}
			if end < len(src) && (src[end] == '"' || src[end] == '\'') {
				return nil, false // a raw or bytes literal
			}
			tokens = append(tokens, token{kind: tokenIdent, text: src[i:end]})
			i = end
		case isDigit(c):
			t, end, ok := lexNumber(src, i)
			if !ok {
				return nil, false
			}
			tokens = append(tokens, t)
			i = end
		default:
			n := punctuation(src[i:])
			if n == 0 {
				return nil, false
			}
			tokens = append(tokens, token{kind: tokenPunct, text: src[i : i+n]})
			i += n
		}
	}
	return tokens, true
}

// punctuation returns the length of the operator or bracket that s begins with, 0 when it is none of CEL's or begins a
// comment.
func punctuation(s string) int {
	if len(s) >= 2 {
		switch s[:2] {
		case "&&", "||", "==", "!=", "<=", ">=":
			return 2
		case "//":
			return 0
		}
	}
	if strings.IndexByte("()[]{},.!<>?:+-*/%", s[0]) >= 0 {
		return 1
	}
	return 0
}

func lexString(src string, i int) (text string, end int, ok bool) {
	quote := src[i]
	if strings.HasPrefix(src[i:], strings.Repeat(string(rune(quote)), 3)) {
		return "", 0, false
	}
	var b []byte
	for j := i + 1; j < len(src); j++ {
		switch c := src[j]; c {
		case quote:
			if b == nil {
				return src[i+1 : j], j + 1, true
			}
			return string(b), j + 1, true
		case '\n', '\r':
			return "", 0, false
		case '\\':
			if b == nil {
				b = append(make([]byte, 0, len(src)-i), src[i+1:j]...)
			}
			j++
			if j == len(src) {
				return "", 0, false
			}
			k := strings.IndexByte(`\"'nt`, src[j])
			if k < 0 {
				return "", 0, false
			}
			b = append(b, "\\\"'\n\t"[k])
		default:
			if b != nil {
				b = append(b, c)
			}
		}
	}
	return "", 0, false
}

func lexNumber(src string, i int) (t token, end int, ok bool) {
	end = i
	for end < len(src) && (isIdent(src[end], false) || src[end] == '.') {
		end++
	}
	text := src[i:end]
	whole, fraction, double := strings.Cut(text, ".")
	if !digits(whole) || double && !digits(fraction) {
		return token{}, 0, false
	}
	if double {
		f, err := strconv.ParseFloat(text, 64)
		return token{kind: tokenDouble, f: f}, end, err == nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return token{kind: tokenInt, i: n}, end, err == nil
}

func digits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isIdent(c byte, first bool) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || !first && isDigit(c)
}
