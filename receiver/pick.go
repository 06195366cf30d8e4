package receiver

import (
	"strings"
	"time"
)

// pick reads one text from a request, "" if it is not there.
type pick func(*request) string

// when reads a time from a request, the zero time if it is not there or cannot be read.
type when func(*request) time.Time

// describe puts a delivery together. Nil picks are left out.
func describe(typ, id, subject pick, at when) func(*request) Delivery {
	return func(r *request) Delivery {
		var d Delivery
		if typ != nil {
			d.Type = clean(typ(r))
		}
		if id != nil {
			d.ID = clean(id(r))
		}
		if subject != nil {
			d.Subject = clean(subject(r))
		}
		if at != nil {
			d.Time = at(r)
		}
		return d
	}
}

// maxAttribute is the longest type, id or subject in bytes. A longer one is none: half an id would be another's.
const maxAttribute = 1 << 10

// clean drops what no identifier holds: control characters, and more than maxAttribute bytes.
func clean(text string) string {
	if len(text) > maxAttribute {
		return ""
	}
	for _, c := range text {
		if c < ' ' || c == 0x7f || c == '\uFFFD' {
			return ""
		}
	}
	return text
}

// head picks a header.
func head(name string) pick {
	return func(r *request) string { return r.http.Header.Get(name) }
}

// field picks from a JSON body.
func field(path ...string) pick {
	return func(r *request) string { return r.text(path...) }
}

// formOf picks a field of a urlencoded body.
func formOf(name string) pick {
	return func(r *request) string { return r.form().Get(name) }
}

// queryOf picks a parameter of the address.
func queryOf(name string) pick {
	return func(r *request) string { return r.query().Get(name) }
}

// fixed picks the same always.
func fixed(text string) pick { return func(*request) string { return text } }

// first picks the first that is there.
func first(picks ...pick) pick {
	return func(r *request) string {
		for _, p := range picks {
			if text := p(r); text != "" {
				return text
			}
		}
		return ""
	}
}

// joined picks several with a text between them; nothing unless all are there.
func joined(separator string, picks ...pick) pick {
	return func(r *request) string {
		parts := make([]string, len(picks))
		for i, p := range picks {
			if parts[i] = p(r); parts[i] == "" {
				return ""
			}
		}
		return strings.Join(parts, separator)
	}
}

// seconds, millis and rfc3339 read what was picked as a time.
func seconds(p pick) when { return unixTime(p, time.Second) }
func millis(p pick) when  { return unixTime(p, time.Millisecond) }

func unixTime(p pick, unit time.Duration) when {
	return func(r *request) time.Time {
		at, err := parseUnix(p(r), unit)
		if err != nil {
			return time.Time{}
		}
		return at
	}
}

func rfc3339(p pick) when {
	return func(r *request) time.Time {
		at, err := time.Parse(time.RFC3339Nano, p(r))
		if err != nil {
			return time.Time{}
		}
		return at.UTC()
	}
}

// sole picks only when a list in the body has one element: with more of them one's id is not the delivery's.
func sole(list string, p pick) pick {
	return func(r *request) string {
		value, ok := r.raw(list)
		if !ok || value.Kind() != '[' {
			return ""
		}
		if hasElement(value, "1") {
			return ""
		}
		return p(r)
	}
}
