package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/posthornhq/posthorn/client"
)

// Exit statuses of every command.
const (
	ExitOK          = 0 // done
	ExitFailure     = 1 // something went wrong; a signature that does not verify
	ExitUsage       = 2 // a wrong argument, option or variable
	ExitNotFound    = 3 // there is no such tenant, endpoint, event …
	ExitRefused     = 4 // the key is missing, unknown or not allowed to do this
	ExitUnavailable = 5 // the server cannot be reached, or is busy
	ExitInvalid     = 6 // the server refuses the request: invalid, in conflict, too large …
)

// usageError is a mistake in how a command was called.
type usageError struct {
	err     error
	command string
}

// Error returns the mistake.
func (e *usageError) Error() string { return e.err.Error() }

// Unwrap returns the mistake.
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{err: fmt.Errorf(format, args...)} }

// statusError carries an exit status of its own; quiet when all was said already.
type statusError struct {
	err    error
	status int
	quiet  bool
}

// Error returns what went wrong.
func (e *statusError) Error() string { return e.err.Error() }

// Unwrap returns what went wrong.
func (e *statusError) Unwrap() error { return e.err }

// explained is an error in words for people.
type explained struct {
	Message string              `json:"error"`
	Code    string              `json:"code,omitempty"`
	Status  int                 `json:"status,omitempty"`
	Errors  []client.FieldError `json:"errors,omitempty"`
	exit    int
	hints   []string
}

// fail tells people or programs about an error and returns the exit status.
func (c *console) fail(err error) int {
	if s, ok := errors.AsType[*statusError](err); ok && s.quiet {
		return s.status
	}
	e := c.explain(err)
	if c.json {
		text, _ := json.Marshal(e) //nolint:errchkjson // strings and numbers only
		_, _ = fmt.Fprintf(c.err, "%s\n", text)
		return e.exit
	}
	lines := strings.Split(strings.TrimRight(e.Message, "\n"), "\n")
	_, _ = fmt.Fprintf(c.err, "%s %s\n", c.errPaint(red, "posthorn:"), clean(lines[0]))
	for _, line := range lines[1:] {
		_, _ = fmt.Fprintf(c.err, "  %s\n", clean(line))
	}
	for _, f := range e.Errors {
		_, _ = fmt.Fprintf(c.err, "  %s: %s\n", clean(f.Field), clean(f.Message))
	}
	for _, hint := range e.hints {
		_, _ = fmt.Fprintf(c.err, "  %s\n", hint)
	}
	return e.exit
}

// explain turns an error into words, a status and what to do about it.
func (c *console) explain(err error) explained {
	if p, ok := errors.AsType[*client.Problem](err); ok {
		return c.explainProblem(p)
	}
	if u, ok := errors.AsType[*usageError](err); ok {
		e := explained{Message: u.Error(), exit: ExitUsage}
		command := "posthorn"
		if u.command != "" {
			command += " " + strings.TrimPrefix(strings.TrimPrefix(u.command, "posthorn"), " ")
		}
		e.hints = []string{"see " + command + " --help"}
		return e
	}
	if s, ok := errors.AsType[*statusError](err); ok {
		return explained{Message: s.Error(), exit: s.status}
	}
	if _, ok := errors.AsType[*url.Error](err); ok && c.globals != nil {
		return c.explainNetwork(err)
	}
	if errors.Is(err, context.Canceled) && c.ctx.Err() != nil {
		return explained{Message: "interrupted", exit: ExitFailure}
	}
	return explained{Message: err.Error(), exit: ExitFailure}
}

func (c *console) explainNetwork(err error) explained {
	e := explained{exit: ExitUnavailable}
	cause := err
	if u, ok := errors.AsType[*url.Error](err); ok {
		cause = u.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		cause = op.Err
	}
	e.Message = fmt.Sprintf("cannot reach the server at %s: %v", withoutUser(c.globals.Server), cause)
	e.hints = []string{"is it running there? \"posthorn serve\" starts one; --server or POSTHORN_SERVER names another"}
	return e
}

// withoutUser keeps credentials of a URL off the screen.
func withoutUser(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "the given address"
	}
	return u.Redacted()
}

func (c *console) explainProblem(p *client.Problem) explained {
	e := explained{Message: p.Title, Code: p.Code, Status: p.Status, Errors: p.Errors, exit: ExitFailure}
	if p.Detail != "" {
		e.Message = p.Detail
	}
	switch {
	case p.Status == http.StatusUnauthorized:
		e.exit = ExitRefused
		e.hints = []string{"--key or POSTHORN_KEY gives the API key; \"posthorn serve\" prints the first one once"}
		switch {
		case c.globals == nil:
		case c.globals.Key == "":
			e.Message = "no API key is given"
		case strings.HasPrefix(c.globals.Key, "eyJ"): // a JWT
			e.hints = []string{"\"posthorn token create\" with an API key makes a new token"}
		}
	case p.Status == http.StatusForbidden:
		e.exit = ExitRefused
		e.hints = []string{"another API key may be allowed to; \"posthorn apikey ls\" shows what each may do"}
	case p.Status == http.StatusNotFound:
		e.exit = ExitNotFound
	case p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable || p.Status == http.StatusBadGateway || p.Status == http.StatusGatewayTimeout:
		e.exit = ExitUnavailable
		if p.RetryAfter > 0 {
			e.hints = []string{fmt.Sprintf("try again in %v", p.RetryAfter)}
		}
	case p.Status >= 400 && p.Status < 500:
		e.exit = ExitInvalid
	}
	if p.Status >= 500 && p.RequestID != "" {
		e.hints = append(e.hints, "the server's log has more under request "+p.RequestID)
	}
	return e
}
