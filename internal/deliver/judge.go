package deliver

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// failure says why there was no complete answer.
type failure uint8

const (
	failureNone       failure = iota
	failureConnect            // refused, reset, unreachable, name not found
	failureTimeout            // no answer within the endpoint's timeout
	failureTLS                // certificate or handshake not acceptable
	failureForbidden          // the address is not one that may be dialled
	failureProtocol           // bytes that are not HTTP
	failureUnsent             // the tunnel is not connected: nothing was sent
	failureUnsendable         // the event has no form in the endpoint's envelope: nothing was sent
)

// severity ranks how badly an endpoint failed.
type severity uint8

const (
	severityNone severity = iota
	severitySlow
	severityClient // 4xx and 3xx
	severityServer // 5xx
	severityDown   // timeout, refused, broken
)

// Answer is what came back from an endpoint.
type Answer struct {
	Status     int
	RetryAfter string
	Headers    []event.Header
	// Body is what was read, at most event.MaxAnswerKept bytes of it.
	Body []byte
	Took time.Duration
	// failure and reason are set when there is no status.
	failure failure
	reason  string
	// whole is the answer with all that was read of it, when it was asked for and came whole.
	whole *event.Answer
}

// outcome is the judgement of one answer.
type outcome struct {
	verdict  event.Verdict // delivered, retry, gone or, when it can never be sent, failed
	severity severity
	// down: the endpoint failed as a whole, not this event.
	down bool
	// retryAfter is what the answer asked for, 0 for nothing; already within bounds.
	retryAfter time.Duration
	// throttle: retryAfter holds for the endpoint, not only for this event (429, 502, 503, 504).
	throttle bool
}

// maxRetryAfter bounds what a receiver may ask for.
const maxRetryAfter = 24 * time.Hour

// judge turns an answer into an outcome (Standard Webhooks 1.0.0, "Deliverability and reliability"): 2xx is delivered,
// 410 gone, everything else is tried again. Redirects are failures.
func judge(a *Answer, profile Profile, now time.Time) outcome {
	if a.failure == failureUnsendable {
		return outcome{verdict: event.VerdictFailed}
	}
	if a.failure != failureNone {
		return outcome{verdict: event.VerdictRetry, severity: severityDown, down: true}
	}
	switch {
	case a.Status >= 200 && a.Status < 300:
		o := outcome{verdict: event.VerdictDelivered}
		if profile.SlowAfter > 0 && a.Took > profile.SlowAfter {
			o.severity = severitySlow
		}
		return o
	case a.Status == http.StatusGone:
		return outcome{verdict: event.VerdictGone, severity: severityClient}
	}
	o := outcome{verdict: event.VerdictRetry, severity: severityClient, down: profile.Every, retryAfter: parseRetryAfter(a.RetryAfter, now)}
	if a.Status >= 500 {
		o.severity = severityServer
	}
	switch a.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		o.throttle = o.retryAfter > 0
	}
	return o
}

// judge is the judgement of an endpoint's answer. Of one that is to be tried forever no answer is the last.
func (m *Manager) judge(ep *event.Endpoint, a *Answer, now time.Time) outcome {
	p := m.profile(ep)
	o := judge(a, p, now)
	if o.verdict == event.VerdictGone && ep.Forever {
		o.verdict, o.down = event.VerdictRetry, p.Every
	}
	return o
}

// parseRetryAfter reads both forms of Retry-After (RFC 9110 section 10.2.3), bounded to [0, maxRetryAfter].
func parseRetryAfter(s string, now time.Time) time.Duration {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return min(max(0, time.Duration(min(n, 1<<31))*time.Second), maxRetryAfter)
	}
	if t, err := http.ParseTime(s); err == nil {
		return min(max(0, t.Sub(now)), maxRetryAfter)
	}
	return 0
}
