package client

import (
	"strings"
	"time"
)

// Problem is an error answer: a problem document (RFC 9457) with a stable code.
type Problem struct {
	Type   string       `json:"type" doc:"URI of the text about this kind of problem"`
	Title  string       `json:"title" doc:"The status in words"`
	Status int          `json:"status" doc:"The HTTP status"`
	Code   string       `json:"code" doc:"A stable identifier of the kind of problem, for programs"`
	Detail string       `json:"detail,omitempty" doc:"What is wrong with this request, for people"`
	Errors []FieldError `json:"errors,omitempty" doc:"The fields at fault"`
	// Oldest is the oldest version left when a start is older than retention (code "gone").
	Oldest int64 `json:"oldest,omitempty" doc:"The oldest version left, when what was asked for is older than retention"`

	// RetryAfter is how long the server asked to wait, from the Retry-After header; 0 when it did not.
	RetryAfter time.Duration `json:"-"`
	// RequestID is the request's id in the server's log, from the X-Request-Id header.
	RequestID string `json:"-"`
}

// FieldError names a field and what is wrong with it.
type FieldError struct {
	Field   string `json:"field" doc:"Path of the field in the body, such as types[1], or the name of the parameter or header"`
	Message string `json:"message" doc:"What is wrong with it"`
}

// Error returns the detail and the fields at fault.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Title)
	if p.Detail != "" {
		b.WriteString(": ")
		b.WriteString(p.Detail)
	}
	for _, f := range p.Errors {
		b.WriteString("; ")
		b.WriteString(f.Field)
		b.WriteString(": ")
		b.WriteString(f.Message)
	}
	return b.String()
}
