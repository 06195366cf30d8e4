package event

import (
	"strings"
)

// Limits bound what comes in. All are configurable; see docs/configuration.md.
type Limits struct {
	MaxEvent      int // bytes of one event's data and attributes as sent (413)
	MaxBatch      int // events in one publish (413)
	MaxBatchBytes int // bytes of one publish (413)
	MaxAttribute  int // bytes of one attribute (422)
	MaxJSONDepth  int // levels of nesting (422)
	MaxURL        int // bytes of an endpoint's URL (422)
	MaxHeaders    int // custom headers of an endpoint (422)
	MaxFilter     int // bytes of a filter (422)
	FilterCost    uint64
	MaxEndpoints  int // endpoints of a tenant (409)
}

// DefaultLimits returns the limits of a server that was told nothing.
func DefaultLimits() Limits {
	return Limits{
		MaxEvent: 256 << 10, MaxBatch: 1000, MaxBatchBytes: 4 << 20, MaxAttribute: 1 << 10, MaxJSONDepth: 20,
		MaxURL: 2 << 10, MaxHeaders: 50, MaxFilter: 4 << 10, FilterCost: 10_000, MaxEndpoints: 100_000,
	}
}

// Fixed limits of the lanes.
const (
	// MaxRetryRows is K: the retry rows that one lane may have before it waits.
	MaxRetryRows = 128
	// MaxBatchMax is the largest Batch.Max.
	MaxBatchMax = 200
	// MaxAnswer is how much of an answer is read, in bytes.
	MaxAnswer = 64 << 10
	// MaxAnswerKept is how much of an answer's body is kept with its attempt, in bytes.
	MaxAnswerKept = 4 << 10
)

// ReservedPrefix begins the types of operational events, which only Posthorn itself publishes.
const ReservedPrefix = "posthorn."

// CheckType reports why s is not an event type, or "". A type is 1 to 256 bytes: segments of [A-Za-z0-9_-]
// separated by single dots.
func CheckType(s string) string {
	if s == "" {
		return "must not be empty"
	}
	if len(s) > 256 {
		return "must be at most 256 bytes"
	}
	prev := byte('.')
	for i := range len(s) {
		c := s[i]
		if c == '.' && prev == '.' {
			return "must be segments separated by single dots"
		}
		if c != '.' && !isWord(c) {
			return "may hold letters, digits, '_', '-' and dots only"
		}
		prev = c
	}
	if prev == '.' {
		return "must not end with a dot"
	}
	return ""
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// IsJSONType reports whether a media type is JSON; the empty one is.
func IsJSONType(mediaType string) bool {
	if mediaType == "" || mediaType == "application/json" {
		return true
	}
	base, _, _ := strings.Cut(mediaType, ";")
	base = strings.ToLower(strings.TrimSpace(base))
	return base == "application/json" || base == "text/json" || strings.HasSuffix(base, "+json")
}
