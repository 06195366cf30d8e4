package deliver

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/guard"
)

// Bounds of the HTTP client.
const (
	dialTimeout    = 10 * time.Second
	idleConnection = 25 * time.Second // below what servers commonly keep, so that theirs is not the first to close
	hostConns      = 2048
	keptHeaders    = 24   // headers of an answer that are kept
	keptHeaderSize = 2048 // bytes of them
)

// HTTPSender sends with fasthttp, at about a third of the cost of net/http (see docs/adr). Redirects are not followed, TLS is
// verified, no proxy is used, answers are read to event.MaxAnswer bytes, and every address is checked as it is dialled.
type HTTPSender struct {
	client *fasthttp.Client
}

// NewHTTPSender makes a sender that dials only what the guard allows. roots may be nil for the system's.
func NewHTTPSender(g *guard.Guard, roots *x509.CertPool) *HTTPSender {
	dialer := g.Dialer(dialTimeout)
	return &HTTPSender{client: &fasthttp.Client{
		NoDefaultUserAgentHeader:      true,
		DisableHeaderNamesNormalizing: true,
		DisablePathNormalizing:        true,
		MaxConnsPerHost:               hostConns,
		MaxIdleConnDuration:           idleConnection,
		MaxConnWaitTimeout:            dialTimeout,
		MaxResponseBodySize:           event.MaxAnswer,
		ReadBufferSize:                8 << 10,
		TLSConfig:                     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		MaxIdemponentCallAttempts:     2,
		ConfigureClient:               retryStale,
		DialTimeout: func(addr string, timeout time.Duration) (net.Conn, error) {
			d := *dialer
			if timeout > 0 {
				d.Timeout = min(d.Timeout, timeout)
			}
			return d.Dial("tcp", addr)
		},
	}}
}

// retryStale sends once more when a kept connection turned out to be closed by the other side. Those beside it are as old or
// older, so they are dropped first: else the second try may take another one that is closed, too.
func retryStale(host *fasthttp.HostClient) error {
	host.RetryIfErr = func(_ *fasthttp.Request, attempts int, err error) (resetTimeout, retry bool) {
		stale := errors.Is(err, io.EOF) || errors.Is(err, fasthttp.ErrConnectionClosed) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
		if retry = attempts == 1 && stale; retry {
			host.CloseIdleConnections()
		}
		return false, retry
	}
	return nil
}

// parseURL takes a URL apart, its path and query as they are.
func parseURL(url string) (*fasthttp.URI, error) {
	uri := &fasthttp.URI{DisablePathNormalizing: true}
	return uri, uri.Parse(nil, []byte(url))
}

// Send sends a request and waits for the whole answer, at most r.Timeout.
func (s *HTTPSender) Send(r *Request) Answer {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	r.fill(req)
	start := time.Now()
	err := s.client.DoTimeout(req, resp, r.Timeout)
	a := Answer{Took: time.Since(start)}
	if err != nil && !errors.Is(err, fasthttp.ErrBodyTooLarge) {
		a.failure, a.reason = classify(err)
		return a
	}
	a.Status = resp.StatusCode()
	a.RetryAfter = string(peek(resp, "Retry-After"))
	a.Headers = keepHeaders(resp)
	if body := resp.Body(); len(body) > 0 {
		a.Body = slices.Clone(body[:min(len(body), event.MaxAnswerKept)])
	}
	if r.Whole {
		if a.whole = whole(resp); err != nil {
			a.whole = &event.Answer{Reason: tooLarge}
		}
	}
	return a
}

// fill makes the client's request.
func (r *Request) fill(req *fasthttp.Request) {
	req.Header.DisableNormalizing()
	req.SetURI(r.uri)
	req.URI().DisablePathNormalizing = true // as the client sets it
	r.write(&req.Header)
	req.SetBodyRaw(r.Body)
}

// write sets the method and the headers.
func (r *Request) write(h *fasthttp.RequestHeader) {
	h.SetMethod(r.method())
	if r.Original != nil {
		h.DisableSpecialHeader() // or some would be put elsewhere, and made one of several
		exactHeaders(r, string(r.uri.Host()), h.Add)
		return
	}
	h.SetContentType(r.ContentType)
	h.SetUserAgent(r.UserAgent)
	for i := range r.Headers {
		h.Set(r.Headers[i].Name, r.Headers[i].Value)
	}
	for i := range r.Own {
		h.Set(r.Own[i].Name, r.Own[i].Value)
	}
}

// whole copies an answer with all its headers.
func whole(resp *fasthttp.Response) *event.Answer {
	a := &event.Answer{Status: resp.StatusCode(), Body: slices.Clone(resp.Body())}
	for k, v := range resp.Header.All() {
		a.Headers = append(a.Headers, event.Header{Name: string(k), Value: string(v)})
	}
	return a
}

// Close closes idle connections.
func (s *HTTPSender) Close() { s.client.CloseIdleConnections() }

func peek(resp *fasthttp.Response, name string) []byte {
	if v := resp.Header.Peek(name); v != nil {
		return v
	}
	return resp.Header.Peek(strings.ToLower(name))
}

// keepHeaders copies the answer's headers, within bounds and without cookies.
func keepHeaders(resp *fasthttp.Response) []event.Header {
	kept := make([]event.Header, 0, 8)
	size := 0
	for k, v := range resp.Header.All() {
		size += len(k) + len(v)
		if len(kept) == keptHeaders || size > keptHeaderSize {
			break
		}
		if !strings.EqualFold(string(k), "set-cookie") {
			kept = append(kept, event.Header{Name: string(k), Value: string(v)})
		}
	}
	return kept
}

// classify names a failure in a few safe words.
func classify(err error) (failure, string) {
	kind, cause := diagnose(err)
	return kind, cause.Text()
}

// diagnose finds the cause of an error of the client.
func diagnose(err error) (failure, event.Cause) {
	var (
		dns     *net.DNSError
		netErr  net.Error
		certErr *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		alert   tls.AlertError
	)
	switch {
	case errors.Is(err, guard.ErrForbiddenTarget):
		return failureForbidden, event.CauseForbidden
	case errors.As(err, &dns) && !dns.IsTimeout:
		return failureConnect, event.CauseName
	case errors.Is(err, fasthttp.ErrTimeout), errors.Is(err, fasthttp.ErrDialTimeout), errors.Is(err, os.ErrDeadlineExceeded):
		return failureTimeout, event.CauseTimeout
	case errors.As(err, &certErr):
		return failureTLS, event.CauseCertificate
	case errors.As(err, &record), errors.As(err, &alert):
		return failureTLS, event.CauseTLS
	case errors.Is(err, syscall.ECONNREFUSED):
		return failureConnect, event.CauseRefused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, fasthttp.ErrConnectionClosed), errors.Is(err, syscall.EPIPE):
		return failureConnect, event.CauseClosed
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return failureConnect, event.CauseUnreachable
	case errors.Is(err, fasthttp.ErrNoFreeConns):
		return failureTimeout, event.CauseBusy
	case errors.As(err, &netErr) && netErr.Timeout():
		return failureTimeout, event.CauseTimeout
	}
	return failureProtocol, event.CauseNotHTTP
}
