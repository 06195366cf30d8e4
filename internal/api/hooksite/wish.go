package hooksite

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// wish is what a request asks for: the members of its JSON object or form.
type wish map[string]json.RawMessage

// readWish reads the body of a request; none asks for nothing.
func readWish(w http.ResponseWriter, r *http.Request) (wish, error) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxJSONBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, event.Errorf(event.KindTooLarge, "too_large", "the body may have at most 16 MiB")
	}
	if err != nil {
		return nil, event.Errorf(event.KindMalformed, "malformed", "the body ended before it was complete")
	}
	if text = bytes.TrimSpace(text); len(text) == 0 {
		return wish{}, nil
	}
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") && text[0] != '{' {
		return formWish(string(text))
	}
	var all wish
	if err := json.Unmarshal(text, &all); err != nil || all == nil {
		return nil, event.Errorf(event.KindMalformed, "malformed_json", "the body must be a JSON object")
	}
	return all, nil
}

// apply changes a bin as a request asks. A member that has the value it is shown with changes nothing, so that a token that was
// read can be written back. keyed: it may live longer than a week.
func (m wish) apply(b *event.Bin, now time.Time, keyed bool) error {
	shown := tokenOf(b)
	var bad []event.FieldError
	number := func(name string, low, high, shown int, set func(int)) {
		n, given, message := m.number(name, low, high)
		if message != "" {
			bad = append(bad, event.FieldError{Field: name, Message: message})
		} else if given && n != shown {
			set(n)
		}
	}
	number("default_status", 200, 599, shown.DefaultStatus, func(n int) { b.Answer.Status = n })
	number("timeout", 0, maxTimeout, shown.Timeout, func(n int) { b.Delay = time.Duration(n) * time.Second })
	number("listen", 0, maxListen, shown.Listen, func(n int) { b.Hold = time.Duration(n) * time.Second })
	number("request_limit", 1, event.MaxBinKept, b.Keep, func(n int) { b.Keep = n })
	if expiry, ok := m["expiry"]; ok && !isNothing(expiry) {
		longest, current := int(event.MaxBinAge/time.Second), 0
		if !keyed {
			longest = maxExpiry
		}
		if n, ok := shown.Expiry.(int); ok {
			current = n
		}
		if n, _, _ := m.number("expiry", 0, math.MaxInt); n != current || current == 0 {
			number("expiry", 1, longest, 0, func(n int) { b.Expires = now.Add(time.Duration(n) * time.Second) })
		}
	} else if ok && keyed {
		b.Expires = time.Time{}
	}
	if _, ok := m["cors"]; ok {
		b.CORS = m.truth("cors")
	}
	if _, ok := m["alias"]; ok {
		if b.Alias = m.text("alias"); reserved[strings.ToLower(b.Alias)] {
			bad = append(bad, event.FieldError{Field: "alias", Message: "is a name that the server needs"})
		}
	}
	m.applyContent(b, &shown)
	if len(bad) > 0 {
		return &event.Error{Kind: event.KindInvalid, Code: "invalid", Detail: "The given data was invalid.", Fields: bad}
	}
	return nil
}

// applyContent sets the body of the answer and its type. A type is kept with a body, or when it is another than the usual:
// an answer that says nothing leaves the status to the path.
func (m wish) applyContent(b *event.Bin, shown *token) {
	if _, ok := m["default_content"]; ok {
		// Bytes that are no text are shown as U+FFFD each.
		if text := m.text("default_content"); text != string([]rune(shown.DefaultContent)) {
			b.Answer.Body = []byte(text)
		}
	}
	kind := shown.DefaultContentType
	if _, ok := m["default_content_type"]; ok && m.text("default_content_type") != "" {
		kind = m.text("default_content_type")
	}
	headers := slices.DeleteFunc(slices.Clone(b.Answer.Headers), func(h event.Header) bool { return strings.EqualFold(h.Name, "Content-Type") })
	if len(b.Answer.Body) > 0 || kind != defaultType {
		headers = append(headers, event.Header{Name: "Content-Type", Value: kind})
	}
	b.Answer.Headers = headers
}

// isNothing reports whether a member is null, false, or empty.
func isNothing(v json.RawMessage) bool {
	text := string(v)
	return text == "null" || text == "false" || text == `""`
}

// text is a member as a string; "" without it.
func (m wish) text(name string) string {
	var s string
	v := m[name]
	if len(v) == 0 || string(v) == "null" {
		return ""
	}
	if json.Unmarshal(v, &s) != nil {
		return string(v) // a number or object, as it was written
	}
	return s
}

// truth is a member as PHP sees it.
func (m wish) truth(name string) bool {
	switch strings.ToLower(m.text(name)) {
	case "", "0", "false":
		return false
	}
	return true
}

// number is a member that is a number, or one in a string. Nothing stands for 0 where that is allowed, else for the member
// not being there.
func (m wish) number(name string, low, high int) (n int, given bool, message string) {
	v, ok := m[name]
	if !ok || isNothing(v) && low > 0 {
		return 0, false, ""
	}
	rule := "must be " + strconv.Itoa(low) + " to " + strconv.Itoa(high)
	if isNothing(v) {
		return 0, true, ""
	}
	n, err := strconv.Atoi(m.text(name))
	if err != nil || n < low || n > high {
		return n, true, rule
	}
	return n, true, ""
}

// inTheirWords names the fields of an error as Webhook.site does.
func inTheirWords(err error) error {
	e, ok := errors.AsType[*event.Error](err)
	if !ok || len(e.Fields) == 0 {
		return err
	}
	names := map[string]string{
		"answer.status": "default_status", "answer.body": "default_content", "answer.headers.Content-Type": "default_content_type", "delay": "timeout",
		"hold": "listen", "keep": "request_limit", "expires": "expiry",
	}
	theirs := *e
	theirs.Fields = slices.Clone(e.Fields)
	for i, f := range theirs.Fields {
		if name, ok := names[f.Field]; ok {
			theirs.Fields[i].Field = name
		}
	}
	return &theirs
}

// formWish reads a form as JSON would be: every value is a string.
func formWish(text string) (wish, error) {
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil, event.Errorf(event.KindMalformed, "malformed", "the form cannot be read")
	}
	all := wish{}
	for name, list := range values {
		quoted, err := json.Marshal(list[len(list)-1])
		if err != nil {
			return nil, err
		}
		all[name] = quoted
	}
	return all, nil
}
