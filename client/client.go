package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	maxTries     = 4                // of a call that may be repeated
	maxWait      = 30 * time.Second // between two tries; a longer Retry-After ends the call
	maxAnswer    = 64 << 20         // bytes of an answer
	defaultAgent = "posthorn-client"
)

// Client calls the HTTP API of one server with one key. It is safe for concurrent use.
type Client struct {
	base  string
	key   string
	token func(context.Context) (string, error) // instead of key
	agent string
	http  *http.Client
	// patient is http without a time limit: for calls that wait, which have their own, and for streams.
	patient *http.Client
	now     func() time.Time
}

// Option changes a [Client].
type Option func(*Client)

// WithHTTPClient sets the HTTP client, such as one with other timeouts or TLS settings.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// WithUserAgent sets the User-Agent header.
func WithUserAgent(s string) Option { return func(c *Client) { c.agent = s } }

// WithToken sets where short-lived tokens come from, instead of a key. It is called before every request and whenever a
// [Stream] connects: keep the token until it is about to end where making one is dear. It may be called by several
// goroutines at once.
func WithToken(token func(ctx context.Context) (string, error)) Option {
	return func(c *Client) { c.token = token }
}

// New returns a client for the server at baseURL, such as "http://127.0.0.1:8080", with an API key or a token. By default
// a call ends after 60 s (one that waits, 60 s after its wait), dialling after 10 s, and redirects are not followed.
func New(baseURL, key string, opts ...Option) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("client: %q is not an http or https URL", baseURL)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("client: the server's URL must have no user, query or fragment")
	}
	c := &Client{base: strings.TrimRight(u.String(), "/"), key: key, agent: defaultAgent, now: time.Now}
	for _, o := range opts {
		o(c)
	}
	if c.http == nil {
		c.http = &http.Client{
			Timeout: time.Minute,
			Transport: &http.Transport{
				Proxy:               http.ProxyFromEnvironment,
				DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
				TLSHandshakeTimeout: 10 * time.Second,
				IdleConnTimeout:     90 * time.Second,
				MaxIdleConnsPerHost: 64,
				ForceAttemptHTTP2:   true,
				// A dead connection would be taken again by what reconnects.
				HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	patient := *c.http
	patient.Timeout = 0
	c.patient = &patient
	return c, nil
}

// CallOption changes one call.
type CallOption func(*call)

// IdempotencyKey makes a write repeatable: a second one with the same key and content gets the first one's answer.
// The client then also repeats it by itself when the server is busy or the connection breaks.
func IdempotencyKey(key string) CallOption {
	return func(c *call) { c.set("Idempotency-Key", key); c.repeat = true }
}

// IfMatch makes a write conditional on the ETag that was read: a [*Problem] with status 412 when another is stored.
func IfMatch(etag string) CallOption { return func(c *call) { c.set("If-Match", etag) } }

// OnlyNew lets a write make something, but not replace what is there: a [*Problem] with status 412 when there is one already.
// It goes with [QueueHandle.Put].
func OnlyNew() CallOption { return func(c *call) { c.set("If-None-Match", "*") } }

// call is one request on its way.
type call struct {
	method, path string
	query        url.Values
	header       http.Header
	body         []byte
	repeat       bool          // may be sent again
	wait         time.Duration // how long the server was asked to wait
	margin       time.Duration // how much longer than that the call may take; 0: as long as any call
	key          string        // what it was sent with
}

func newCall(method, path string, opts []CallOption) *call {
	c := &call{method: method, path: path, repeat: method == http.MethodGet || method == http.MethodHead}
	for _, o := range opts {
		o(c)
	}
	return c
}

func (c *call) set(name, value string) {
	if value == "" {
		return
	}
	if c.header == nil {
		c.header = http.Header{}
	}
	c.header.Set(name, value)
}

// path joins escaped segments under /v1.
func path(segments ...string) string {
	var b strings.Builder
	b.WriteString("/v1")
	for _, s := range segments {
		b.WriteByte('/')
		if s == "." || s == ".." { // a name, not a step in the path
			b.WriteString(strings.ReplaceAll(s, ".", "%2E"))
			continue
		}
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

// do sends a call, with in as its JSON body unless nil, and decodes the answer into out unless nil. It returns the
// answer's headers.
func (c *Client) do(ctx context.Context, k *call, in, out any) (http.Header, error) {
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("client: encode the request: %w", err)
		}
		k.body = body
		if k.header.Get("Content-Type") == "" {
			k.set("Content-Type", "application/json")
		}
	}
	for try := 1; ; try++ {
		header, err := c.once(ctx, k, out)
		if err == nil {
			return header, nil
		}
		wait, again := k.retry(err, try)
		if !again || ctx.Err() != nil {
			return header, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return header, err
		case <-timer.C:
		}
	}
}

// retry says whether a failed call may be sent again, and after what wait.
func (c *call) retry(err error, try int) (time.Duration, bool) {
	if !c.repeat || try >= maxTries {
		return 0, false
	}
	wait := 100 * time.Millisecond << (2 * (try - 1)) // 0.1, 0.4, 1.6 s
	p, ok := errors.AsType[*Problem](err)
	if !ok {
		_, network := errors.AsType[*url.Error](err)
		return wait, network && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
	}
	if p.Status != http.StatusTooManyRequests && p.Status != http.StatusServiceUnavailable {
		return 0, false
	}
	wait = max(wait, p.RetryAfter)
	return wait, wait <= maxWait
}

// request makes a call's request, with the key or a token.
func (c *Client) request(ctx context.Context, k *call, accept string) (*http.Request, error) {
	target := c.base + k.path
	if len(k.query) > 0 {
		target += "?" + k.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, k.method, target, bytes.NewReader(k.body))
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	maps.Copy(req.Header, k.header)
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", c.agent)
	k.key = c.key
	if c.token != nil {
		if k.key, err = c.token(ctx); err != nil {
			return nil, fmt.Errorf("client: get a token: %w", err)
		}
	}
	if k.key != "" {
		req.Header.Set("Authorization", "Bearer "+k.key)
	}
	return req, nil
}

func (c *Client) once(ctx context.Context, k *call, out any) (http.Header, error) {
	transport := c.http
	if k.wait > 0 {
		transport = c.patient
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, k.wait+cmp.Or(k.margin, c.http.Timeout, time.Minute))
		defer cancel()
	}
	req, err := c.request(ctx, k, "application/json")
	if err != nil {
		return nil, err
	}
	res, err := transport.Do(req)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return res.Header, fmt.Errorf("client: read the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return res.Header, fmt.Errorf("client: the answer is larger than %d bytes", maxAnswer)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return res.Header, c.problem(res, body)
	}
	if out == nil || len(body) == 0 {
		return res.Header, nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return res.Header, fmt.Errorf("client: decode the answer: %w", err)
	}
	return res.Header, nil
}

// problem reads an error answer, also one that is not a problem document (from a proxy).
func (c *Client) problem(res *http.Response, body []byte) *Problem {
	p := &Problem{}
	if json.Unmarshal(body, p) != nil || p.Code == "" {
		*p = Problem{Title: http.StatusText(res.StatusCode), Code: "http_" + strconv.Itoa(res.StatusCode)}
	}
	p.Status = res.StatusCode
	p.RequestID = res.Header.Get("X-Request-Id")
	p.RetryAfter = c.retryAfter(res.Header.Get("Retry-After"))
	return p
}

// retryAfter reads a Retry-After header (RFC 9110, 10.2.3): seconds or a date.
func (c *Client) retryAfter(s string) time.Duration {
	if s == "" {
		return 0
	}
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(0, t.Sub(c.now()))
	}
	return 0
}
