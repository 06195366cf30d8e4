package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxFile bounds a configuration file, in bytes: a larger one is a wrong path.
const maxFile = 1 << 20

// line is one setting of a configuration file.
type line struct {
	number int // From 1.
	key    string
	value  string
}

// parseFile reads a configuration file.
//
// Each line is empty, a comment that starts with #, or key = value. White space
// around the line, the key and the value is dropped; the value is the rest of the
// line as it stands, without quotes, escapes or comments. Errors name the line and
// never repeat its text, which may be a secret.
func parseFile(name string, data []byte) ([]line, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than %s", name, FormatSize(maxFile))
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return nil, fmt.Errorf("%s is not a UTF-8 text file", name)
	}
	var (
		lines []line
		errs  []error
		seen  = map[string]int{}
	)
	number := 0
	for text := range strings.Lines(string(data)) {
		number++
		text = strings.TrimSpace(text)
		if text == "" || text[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(text, "=")
		key = strings.TrimSpace(key)
		if !ok || key == "" {
			errs = append(errs, fmt.Errorf("%s:%d: is not of the form key = value", name, number))
			continue
		}
		if first, dup := seen[key]; dup {
			errs = append(errs, fmt.Errorf("%s:%d: %s was already set on line %d", name, number, clip(key), first))
			continue
		}
		seen[key] = number
		lines = append(lines, line{number, key, strings.TrimSpace(value)})
	}
	return lines, errors.Join(errs...)
}
