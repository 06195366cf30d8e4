package control

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Limits of what people write about things.
const (
	maxDescription   = 1 << 10 // bytes
	maxMetadata      = 50      // entries
	maxMetadataKey   = 40      // bytes
	maxMetadataValue = 500     // bytes
)

// checkText reports why s is not text of at most limit bytes, or "". Line ends and tabs are text.
func checkText(s string, limit int) string {
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

// checkLine is checkText for a single line.
func checkLine(s string, limit int) string {
	if message := checkText(s, limit); message != "" {
		return message
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return "must be one line without control characters"
		}
	}
	return ""
}

func checkMetadata(p *problems, m map[string]string) {
	if len(m) > maxMetadata {
		p.add("metadata", fmt.Sprintf("must have at most %d entries", maxMetadata))
		return
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		field := "metadata." + printable(key)
		if key == "" {
			p.add("metadata", "must not have an empty key")
		} else if message := checkLine(key, maxMetadataKey); message != "" {
			p.add(field, "its key "+message)
		}
		p.check(field, checkText(m[key], maxMetadataValue))
	}
}

// maxShown bounds what of a caller's own name is repeated in an error, in bytes.
const maxShown = 64

// printable returns a caller's name for a thing as it may stand in an error: short and without control characters.
func printable(s string) string {
	cut := s
	if len(cut) > maxShown {
		cut = cut[:maxShown] + "…"
	}
	if quoted := strconv.QuoteToGraphic(cut); quoted[1:len(quoted)-1] != cut {
		return quoted
	}
	return cut
}
