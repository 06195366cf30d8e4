package audit

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/internal/event"
)

const (
	// maxValue is how much of a value is kept, in bytes.
	maxValue = 256
	// maxChanges bounds the fields of one entry.
	maxChanges = 100
	// maxDepth is how deep objects are looked into; what is deeper counts as one value.
	maxDepth = 3
)

var (
	// unseen are fields that say nothing: they change with everything, or on their own.
	unseen = []string{"created", "updated", "state", "stats", "revision"}
	// whole are fields that hold documents of their own and are compared as one value.
	whole = []string{"schema", "examples"}
	// secretAt are fields at the top that are secret with all that is in them.
	secretAt = []string{"key", "secret", "secrets", "secret_hints", "settings", "token", "headers", "previous"}
	// secretIn are secret wherever they are.
	secretIn = []string{"password", "token", "secret", "headers"}
)

// masked is shown instead of what is secret.
var masked = json.RawMessage(`"changed"`)

// Masked is the change of a field that is secret.
func Masked(field string) event.AuditChange { return event.AuditChange{Field: field, To: masked} }

// Diff compares a resource as it is shown before and after a change, field by field; a nil one did not exist. Of what is
// secret, such as passwords, keys, signing secrets and the values of headers, the entry says only that it changed. Values that
// cannot be written as JSON are left out.
func Diff(before, after any) []event.AuditChange {
	old, next := fields(before), fields(after)
	names := slices.Sorted(maps.Keys(old))
	for _, name := range slices.Sorted(maps.Keys(next)) {
		if _, ok := old[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var out []event.AuditChange
	for _, name := range names {
		from, to := old[name], next[name]
		if bytes.Equal(from, to) || empty(from) && empty(to) {
			continue
		}
		if len(out) == maxChanges {
			out[maxChanges-1] = event.AuditChange{Field: "…", To: json.RawMessage(`"more fields"`)}
			break
		}
		c := event.AuditChange{Field: cut(name, maxValue), From: short(from), To: short(to)}
		if secret(name) {
			c = Masked(c.Field)
		}
		out = append(out, c)
	}
	return out
}

// fields are the fields of a value as JSON, by their names; those of objects within after a dot.
func fields(v any) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	raw, err := json.Marshal(v)
	if err != nil || v == nil {
		return out
	}
	flatten(out, "", raw, 0)
	return out
}

func flatten(out map[string]json.RawMessage, name string, raw json.RawMessage, depth int) {
	var members map[string]json.RawMessage
	top, _, _ := strings.Cut(name, ".")
	if depth == maxDepth || slices.Contains(whole, top) || json.Unmarshal(raw, &members) != nil || members == nil {
		out[name] = raw
		return
	}
	for member, value := range members {
		if depth == 0 && slices.Contains(unseen, member) {
			continue
		}
		if depth > 0 {
			member = name + "." + member
		}
		flatten(out, member, value, depth+1)
	}
}

// empty reports whether a value says no more than that there is none.
func empty(raw json.RawMessage) bool {
	switch string(raw) {
	case "", `""`, "[]", "{}", "null", "0", "false":
		return true
	}
	return false
}

func secret(name string) bool {
	parts := strings.Split(name, ".")
	return slices.Contains(secretAt, parts[0]) || slices.ContainsFunc(parts, func(p string) bool { return slices.Contains(secretIn, p) })
}

// short cuts a value that is long: a text stays a text, of anything else the beginning of its JSON is one.
func short(raw json.RawMessage) json.RawMessage {
	if len(raw) <= maxValue {
		return raw
	}
	text := string(raw)
	var s string
	if json.Unmarshal(raw, &s) == nil {
		text = s
	}
	out, err := json.Marshal(cut(text, maxValue))
	if err != nil {
		return json.RawMessage(strconv.Quote("…"))
	}
	return out
}

// cut ends a text after at most so many bytes, between two characters.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}
