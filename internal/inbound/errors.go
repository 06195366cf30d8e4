package inbound

import (
	"errors"

	"github.com/posthornhq/posthorn/internal/event"
)

// fieldsOf returns the fields that an error names, or one with its text.
func fieldsOf(err error, field string) []event.FieldError {
	if e, ok := errors.AsType[*event.Error](err); ok && len(e.Fields) > 0 {
		return e.Fields
	}
	return []event.FieldError{{Field: field, Message: "cannot be checked"}}
}
