package event

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// MaxDescription bounds descriptions of tenants, endpoints, event types and queues, in bytes.
const MaxDescription = 1 << 10

// Limits of names and metadata.
const (
	maxName          = 63  // bytes
	maxMetadata      = 50  // entries
	maxMetadataKey   = 40  // bytes
	maxMetadataValue = 500 // bytes
	maxShown         = 64  // bytes of a caller's own name in an error
)

// CheckName reports why s is not the name of a tenant or queue, or "".
func CheckName(s string) string {
	const rule = "must be 1 to 63 characters of a-z, 0-9, '_' and '-', beginning with a letter or digit"
	if s == "" || len(s) > maxName || s[0] == '_' || s[0] == '-' {
		return rule
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return rule
		}
	}
	return ""
}

// CheckText reports why s is not text of at most limit bytes, or "". Line ends and tabs are text.
func CheckText(s string, limit int) string {
	if len(s) > limit {
		return fmt.Sprintf("must be at most %d bytes", limit)
	}
	if !utf8.ValidString(s) {
		return "must be UTF-8"
	}
	for _, r := range s {
		if unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' {
			return "must not hold control characters"
		}
	}
	return ""
}

// CheckLine is [CheckText] for a single line.
func CheckLine(s string, limit int) string {
	if message := CheckText(s, limit); message != "" {
		return message
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return "must be one line without control characters"
		}
	}
	return ""
}

// CheckMetadata reports what is wrong with the field "metadata", in the order of its keys.
func CheckMetadata(m map[string]string) []FieldError {
	if len(m) > maxMetadata {
		return []FieldError{{Field: "metadata", Message: fmt.Sprintf("must have at most %d entries", maxMetadata)}}
	}
	var bad []FieldError
	add := func(field, message string) { bad = append(bad, FieldError{Field: field, Message: message}) }
	for _, key := range slices.Sorted(maps.Keys(m)) {
		field := "metadata." + Printable(key)
		if key == "" {
			add("metadata", "must not have an empty key")
		} else if message := CheckLine(key, maxMetadataKey); message != "" {
			add(field, "its key "+message)
		}
		if message := CheckText(m[key], maxMetadataValue); message != "" {
			add(field, message)
		}
	}
	return bad
}

// Printable returns a caller's name for a thing as it may stand in an error: short and without control characters.
func Printable(s string) string {
	cut := s
	if len(cut) > maxShown {
		cut = cut[:maxShown] + "…"
	}
	if quoted := strconv.QuoteToGraphic(cut); quoted[1:len(quoted)-1] != cut {
		return quoted
	}
	return cut
}
