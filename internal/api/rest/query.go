package rest

import (
	"maps"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

// query reads the parameters of a request that huma does not read. A parameter without a value counts as absent.
type query struct {
	values url.Values
	faults []client.FieldError
}

// readQuery takes a query that readable has seen: each parameter is there once.
func readQuery(r *http.Request) *query {
	q := &query{values: r.URL.Query()}
	q.take(tokenQuery) // the pipeline has looked at it
	return q
}

func (q *query) take(name string) string {
	value := q.values.Get(name)
	delete(q.values, name)
	return value
}

func (q *query) fault(name, message string) {
	q.faults = append(q.faults, client.FieldError{Field: name, Message: message})
}

// number reads a whole number from low to high.
func (q *query) number(name string, low, high, absent int64) int64 {
	text := q.take(name)
	if text == "" {
		return absent
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil && !strings.HasSuffix(err.Error(), strconv.ErrRange.Error()):
		q.fault(name, "must be a whole number")
	case n < low:
		q.fault(name, "must be at least "+strconv.FormatInt(low, 10))
	case n > high:
		q.fault(name, "must be at most "+strconv.FormatInt(high, 10))
	}
	return n
}

// list reads values that are separated by commas.
func (q *query) list(name string) []string {
	text := q.take(name)
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

var (
	seconds  = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9})?$`)
	duration = regexp.MustCompile(`^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h))+$`)
)

// wait reads a number of seconds, or a duration such as 30s, of at most most.
func (q *query) wait(name string, most time.Duration) time.Duration {
	text := q.take(name)
	if text == "" {
		return 0
	}
	if seconds.MatchString(text) {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	switch {
	case !duration.MatchString(text):
		q.fault(name, "must be a number of seconds, or a duration such as 30s")
	case err != nil || d > most: // an error: too long for a duration
		q.fault(name, "must be at most "+most.String())
	}
	return d
}

// listener reads what all listeners may ask for.
func (q *query) listener(c *call) Listener {
	return Listener{
		Tenant: c.tenant, Key: &c.key, Start: q.number("start", 1, maxVersion, 0),
		Ask: event.Selection{Types: q.list("types"), Subjects: q.list("subject"), Filter: q.take("filter")},
	}
}

// problem names what was wrong, and the parameters that nobody took. It returns an untyped nil when there is nothing.
func (q *query) problem() error {
	for _, name := range slices.Sorted(maps.Keys(q.values)) {
		q.fault(name, "is not a known query parameter")
	}
	if len(q.faults) == 0 {
		return nil
	}
	return newProblem(http.StatusUnprocessableEntity, "invalid", "the request is not valid", q.faults...)
}

// maxVersion is more than any log reaches, and leaves room to count on.
const maxVersion = math.MaxInt64 / 2

// lastEventID reads the header with which browsers go on after the last event that they got: its version. given is false
// when there is none.
func lastEventID(h http.Header) (version int64, given bool, p *problem) {
	values := h["Last-Event-Id"]
	if len(values) > 1 {
		return 0, false, repeatedHeader("Last-Event-ID")
	}
	text := first(values)
	if text == "" {
		return 0, false, nil
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false, invalid("Last-Event-ID", "must be the id of an event of this stream, which is a number")
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n >= maxVersion {
		return 0, false, invalid("Last-Event-ID", "is larger than any version")
	}
	return n, true, nil
}
