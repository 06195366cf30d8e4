package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/guard"
)

// resendDial bounds how long the connection for a resent request may take.
const resendDial = 10 * time.Second

// guarded is an HTTP client that dials what may be dialled, follows no redirect, uses no proxy, and leaves bodies as they are.
func guarded(checks *guard.Guard) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: checks.Dialer(resendDial).DialContext, TLSHandshakeTimeout: resendDial, DisableCompression: true, DisableKeepAlives: true,
		},
	}
}

// allowing says what to do about an address that is refused.
const allowing = "; whoever runs the server can allow it by allow-targets"

// checkTarget checks a URL that is to be a target. The error is for people: it says what to do.
func checkTarget(checks *guard.Guard, url string, most int) error {
	_, err := checks.CheckURL(url, most)
	if errors.Is(err, guard.ErrForbiddenTarget) {
		return fmt.Errorf("%w%s", err, allowing)
	}
	return err
}

// resender sends captured requests again.
type resender struct {
	checks *guard.Guard
	client *http.Client
}

// send sends a request to a URL and reads a bounded answer.
func (s *resender) send(ctx context.Context, url string, r event.Request) (event.Answer, error) {
	if err := checkTarget(s.checks, url, len(url)); err != nil {
		return event.Answer{}, event.Invalid("url", err.Error())
	}
	method, _, _ := r.Line()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(r.Body))
	if err != nil {
		return event.Answer{}, event.Invalid("url", "cannot be read")
	}
	for _, h := range r.Headers() {
		req.Header[h.Name] = append(req.Header[h.Name], h.Value)
	}
	if _, given := req.Header["User-Agent"]; !given {
		req.Header["User-Agent"] = []string{""} // none of our own
	}
	resp, err := s.client.Do(req)
	switch {
	case errors.Is(err, guard.ErrForbiddenTarget):
		return event.Answer{}, event.Invalid("url", guard.ErrForbiddenTarget.Error()+allowing)
	case err != nil:
		return event.Answer{Reason: unanswered(err)}, nil
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, event.MaxAnswer))
	if err != nil {
		return event.Answer{Reason: unanswered(err)}, nil
	}
	out := event.Answer{Status: resp.StatusCode, Body: body}
	for name, values := range resp.Header {
		for _, v := range values {
			out.Headers = append(out.Headers, event.Header{Name: name, Value: v})
		}
	}
	return out, nil
}

// unanswered says in safe words why there was no answer.
func unanswered(err error) string {
	var timeout net.Error
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return "host name not found"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return "the connection failed"
}
