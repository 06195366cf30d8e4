package match

import (
	"slices"
	"strings"

	"github.com/posthornhq/posthorn/internal/event"
)

// every is the pattern that matches all types but operational ones.
const every = "*"

// CheckPattern reports why s is not a type pattern, or "". See the package documentation for what patterns are; they
// are at most 256 bytes.
func CheckPattern(s string) string {
	if s == "" {
		return "must not be empty"
	}
	if len(s) > 256 {
		return "must be at most 256 bytes"
	}
	for rest, more := s, true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, ".")
		switch {
		case segment == "*":
		case segment == "**":
			if more {
				return "may hold '**' as the last segment only"
			}
		case strings.IndexByte(segment, '*') >= 0:
			return "may hold '*' as a whole segment only"
		default:
			if reason := event.CheckType(segment); reason != "" {
				if segment == "" {
					return "must be segments separated by single dots"
				}
				return reason
			}
		}
	}
	return ""
}

// matchPattern reports whether a type matches a valid pattern.
func matchPattern(pattern, typ string) bool {
	if strings.HasPrefix(typ, event.ReservedPrefix) && !strings.HasPrefix(pattern, event.ReservedPrefix) {
		return false
	}
	if pattern == every || pattern == typ {
		return true
	}
	for {
		p, patternRest, patternMore := strings.Cut(pattern, ".")
		if p == "**" {
			return true
		}
		t, typeRest, typeMore := strings.Cut(typ, ".")
		if p != "*" && p != t || patternMore != typeMore {
			return false
		}
		if !patternMore {
			return true
		}
		pattern, typ = patternRest, typeRest
	}
}

// matchTypes reports whether a type matches one of the patterns, or there are none and it is not operational.
func matchTypes(patterns []string, typ string) bool {
	if len(patterns) == 0 {
		return matchPattern(every, typ)
	}
	for _, p := range patterns {
		if matchPattern(p, typ) {
			return true
		}
	}
	return false
}

// matchChannels reports whether an event with the channels has is for an endpoint that wants some.
func matchChannels(want, has []string) bool {
	if len(want) == 0 {
		return true
	}
	for _, h := range has {
		if slices.Contains(want, h) {
			return true
		}
	}
	return false
}
