package receiver

import (
	"net/http"
)

// Codes of [Error]. They do not change.
const (
	CodeUnknownProvider = "unknown_provider" // there is no provider of this name
	CodeNoSecret        = "no_secret"        // no secret is given, or only empty ones
	CodeWrongSetting    = "wrong_setting"    // a setting is missing or has a wrong value
	CodeWrongSecret     = "wrong_secret"     // no secret given has the form that the provider's secrets have
	CodeMissing         = "missing"          // a header, parameter or field that the rule needs is not there
	CodeRepeated        = "repeated"         // a header that may be there once is there several times
	CodeMalformed       = "malformed"        // a header or the body is not what the provider sends
	CodeSignature       = "bad_signature"    // no signature, token or password matches
	CodeExpired         = "expired"          // the timestamp is too old, or in the future
	CodeReplayed        = "replayed"         // a value that is good for one request came with another one
	CodeRefused         = "refused"          // a handshake that must not be answered
	CodeFetch           = "fetch"            // a key or certificate could not be fetched
	CodeTooLarge        = "too_large"        // the body is larger than the limit
)

// Errors to compare with by [errors.Is]: an [*Error] is the one that has its code.
var (
	ErrUnknownProvider error = &Error{Code: CodeUnknownProvider}
	ErrSecret          error = &Error{Code: CodeNoSecret}
	ErrSetting         error = &Error{Code: CodeWrongSetting}
	ErrWrongSecret     error = &Error{Code: CodeWrongSecret}
	ErrMissing         error = &Error{Code: CodeMissing}
	ErrRepeated        error = &Error{Code: CodeRepeated}
	ErrMalformed       error = &Error{Code: CodeMalformed}
	ErrSignature       error = &Error{Code: CodeSignature}
	ErrExpired         error = &Error{Code: CodeExpired}
	ErrReplayed        error = &Error{Code: CodeReplayed}
	ErrRefused         error = &Error{Code: CodeRefused}
	ErrFetch           error = &Error{Code: CodeFetch}
	ErrTooLarge        error = &Error{Code: CodeTooLarge}
)

// Error says why a request was refused. Its texts hold nothing of a secret, a signature or a payload.
type Error struct {
	Provider string // as it was asked for
	Code     string // one of the codes above
	Detail   string // for people: which header, which rule
	Status   int    // the HTTP status that the provider should get

	cause error
}

// Error returns the provider, the code and the detail.
func (e *Error) Error() string {
	text := "receiver: "
	if e.Provider != "" {
		text += e.Provider + ": "
	}
	text += e.Code
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// Is reports whether target is an [*Error] of the same code.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Code == e.Code
}

// Unwrap returns what went wrong below, nil if nothing.
func (e *Error) Unwrap() error { return e.cause }

// statusOf is what a request is answered with, unless its provider wants another status: what is wrong with who sent it
// is 400, 401 or 403, what is wrong with how the receiver is set up is 500, so that the provider tries again later.
func statusOf(code string) int {
	switch code {
	case CodeUnknownProvider:
		return http.StatusNotFound
	case CodeWrongSetting, CodeWrongSecret:
		return http.StatusInternalServerError
	case CodeFetch:
		return http.StatusServiceUnavailable
	case CodeMalformed:
		return http.StatusBadRequest
	case CodeRefused:
		return http.StatusForbidden
	case CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	default:
		return http.StatusUnauthorized
	}
}

// fail makes an error of a rule; who calls the rule adds the provider and the status.
func fail(code, detail string) error { return &Error{Code: code, Detail: detail} }

// failWith is fail for an error that has a cause. The cause is not part of the text.
func failWith(code, detail string, cause error) error {
	return &Error{Code: code, Detail: detail, cause: cause}
}
