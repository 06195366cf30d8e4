package control

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/internal/event"
)

// Limits of an endpoint's configuration, beside those of [event.Limits].
const (
	maxTypes       = 100 // patterns
	maxPattern     = 256 // bytes
	maxChannels    = 100
	maxChannel     = 128 // bytes
	maxBatchWait   = 60 * time.Second
	maxHeaderBytes = 8 << 10 // names and values of all custom headers
	maxCredential  = 4 << 10 // bytes
	minTimeout     = time.Second
	maxTimeout     = 120 * time.Second
	maxRetries     = 50
	minRetryWait   = time.Second
	maxRetryWait   = 7 * 24 * time.Hour
	maxRetrySpan   = 30 * 24 * time.Hour
	maxRequestRate = 100_000 // requests a second
	maxConcurrency = 1000
	maxChanged     = 20  // names of members
	maxMember      = 128 // bytes of one
	authBasic      = "basic"
	authBearer     = "bearer"
)

func setDefaults(e *event.Endpoint) {
	e.Kind = cmp.Or(e.Kind, event.KindWebhook)
	e.Order = cmp.Or(e.Order, event.OrderNone)
	e.Payload = cmp.Or(e.Payload, event.PayloadFull)
	e.Envelope = cmp.Or(e.Envelope, event.EnvelopeStandard)
	e.Format = cmp.Or(e.Format, event.FormatJSON)
	e.Signing = cmp.Or(e.Signing, SigningStandard)
	// As they are read back, so that writing what was read changes nothing.
	e.Types, e.Channels, e.Changed, e.Retries = unlessEmpty(e.Types), unlessEmpty(e.Channels), unlessEmpty(e.Changed), unlessEmpty(e.Retries)
	if len(e.Metadata) == 0 {
		e.Metadata = nil
	}
	if e.Profile == event.ProfileDefault {
		e.Profile = ""
	}
}

// unlessEmpty returns a list, nil for an empty one.
func unlessEmpty[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

// authType is the named kind of authentication, or the one that the credentials are for.
func authType(named string, a *event.Credentials) string {
	switch {
	case named != "" || a == nil:
		return named
	case a.Token != "":
		return authBearer
	default:
		return authBasic
	}
}

// checkEndpoint checks what an endpoint does not keep sealed.
func (c *Control) checkEndpoint(p *problems, e *event.Endpoint) {
	c.checkTarget(p, e)
	p.check("description", event.CheckText(e.Description, event.MaxDescription))
	c.checkSelection(p, e)
	checkWord(p, "kind", e.Kind, event.KindWebhook, event.KindFlexiBee, event.KindTunnel)
	checkWord(p, "payload", e.Payload, event.PayloadFull, event.PayloadThin)
	checkForm(p, e)
	checkBatch(p, e)
	if e.Timeout != 0 && (e.Timeout < minTimeout || e.Timeout > maxTimeout) {
		p.add("timeout", "must be 1 s to 120 s, or 0 for the server's default")
	}
	checkRetries(p, e.Retries)
	if math.IsNaN(e.RateLimit) || e.RateLimit < 0 || e.RateLimit > maxRequestRate {
		p.add("rate_limit", fmt.Sprintf("must be 0 (no limit) to %d requests a second", maxRequestRate))
	}
	if e.Concurrency < 0 || e.Concurrency > maxConcurrency {
		p.add("concurrency", fmt.Sprintf("must be 0 (the default) to %d", maxConcurrency))
	}
	p.addAll(event.CheckMetadata(e.Metadata))
}

// tunnelPrefix begins the URL of an endpoint of the kind tunnel; the tunnel's name follows.
const tunnelPrefix = "tunnel:"

// checkTarget checks where the endpoint is. One of the kind tunnel names a connection of a listener's, and is never dialled.
func (c *Control) checkTarget(p *problems, e *event.Endpoint) {
	if e.Kind == event.KindTunnel {
		if name, ok := strings.CutPrefix(e.URL, tunnelPrefix); !ok || event.CheckName(name) != "" {
			p.add("url", "must be "+tunnelPrefix+" and the name of a tunnel: 1 to 63 characters of a-z, 0-9, '_' and '-'")
		}
		return
	}
	if limit := c.options.Limits.MaxURL; len(e.URL) > limit {
		p.add("url", fmt.Sprintf("must be at most %d bytes", limit))
	} else {
		checkError(p, "url", c.options.CheckURL(e.URL))
	}
}

// checkSelection checks which events the endpoint wants.
func (c *Control) checkSelection(p *problems, e *event.Endpoint) {
	if len(e.Types) > maxTypes {
		p.add("types", fmt.Sprintf("must be at most %d patterns", maxTypes))
	}
	for i, pattern := range e.Types[:min(len(e.Types), maxTypes)] {
		field := fmt.Sprintf("types[%d]", i)
		if len(pattern) > maxPattern {
			p.add(field, fmt.Sprintf("must be at most %d bytes", maxPattern))
		} else {
			checkError(p, field, c.options.CheckPattern(pattern))
		}
	}
	if len(e.Channels) > maxChannels {
		p.add("channels", fmt.Sprintf("must be at most %d channels", maxChannels))
	}
	for i, channel := range e.Channels[:min(len(e.Channels), maxChannels)] {
		field := fmt.Sprintf("channels[%d]", i)
		if channel == "" {
			p.add(field, "must not be empty")
		}
		if strings.Contains(channel, ",") {
			p.add(field, "must not hold a comma")
		}
		p.check(field, event.CheckLine(channel, maxChannel))
	}
	checkChanged(p, e.Changed)
	if limit := c.options.Limits.MaxFilter; len(e.Filter) > limit {
		p.add("filter", fmt.Sprintf("must be at most %d bytes", limit))
	} else if e.Filter != "" {
		checkError(p, "filter", c.options.CheckFilter(e.Filter))
	}
}

// checkForm checks envelope and format, and of a hook of the FlexiBee-compatible interface all that its clients count on: XML
// and the envelope are known there only.
func checkForm(p *problems, e *event.Endpoint) {
	checkWord(p, "signing", e.Signing, SigningStandard, SigningStandardV1a, SigningNone)
	checkWord(p, "profile", cmp.Or(e.Profile, event.ProfileDefault), event.ProfileDefault, event.ProfileFlexiBee)
	checkWord(p, "order", e.Order, event.OrderNone, event.OrderKey, event.OrderStrict)
	if e.Kind == event.KindFlexiBee {
		checkWord(p, "envelope", e.Envelope, event.EnvelopeFlexiBee)
		checkWord(p, "format", e.Format, event.FormatJSON, event.FormatXML)
		checkHook(p, "order", e.Order == event.OrderStrict, "strict")
		checkHook(p, "signing", e.Signing == SigningNone, "none")
		checkHook(p, "profile", e.Profile == event.ProfileFlexiBee, "flexibee")
		checkHook(p, "forever", e.Forever, "true")
		return
	}
	checkWord(p, "envelope", e.Envelope,
		event.EnvelopeStandard, event.EnvelopeCloudEvents, event.EnvelopeCloudEventsBinary, event.EnvelopeRaw, event.EnvelopeOriginal)
	checkWord(p, "format", e.Format, event.FormatJSON)
	if e.Envelope == event.EnvelopeOriginal && e.Payload == event.PayloadThin {
		p.add("payload", "must be full: the envelope original sends the request as it came")
	}
	if e.Kind == event.KindTunnel && !e.Forever {
		p.add("forever", "must be true of a tunnel, which is away now and then")
	}
}

func checkHook(p *problems, field string, good bool, want string) {
	if !good {
		p.add(field, "must be "+want+" of a hook of the FlexiBee-compatible interface")
	}
}

func checkChanged(p *problems, members []string) {
	if len(members) > maxChanged {
		p.add("changed", fmt.Sprintf("must be at most %d names", maxChanged))
	}
	for i, name := range members[:min(len(members), maxChanged)] {
		field := fmt.Sprintf("changed[%d]", i)
		if name == "" {
			p.add(field, "must not be empty")
		}
		p.check(field, event.CheckLine(name, maxMember))
	}
}

// checkError adds what a check says; of an [event.Error] only what it says about its fields.
func checkError(p *problems, field string, err error) {
	if problem, ok := errors.AsType[*event.Error](err); ok && len(problem.Fields) > 0 {
		p.add(field, problem.Fields[0].Message)
	} else if err != nil {
		p.add(field, err.Error())
	}
}

func checkWord[T ~string](p *problems, field string, value T, allowed ...T) {
	if slices.Contains(allowed, value) {
		return
	}
	words := make([]string, len(allowed))
	for i, a := range allowed {
		words[i] = string(a)
	}
	p.add(field, "must be one of: "+strings.Join(words, ", "))
}

func checkBatch(p *problems, e *event.Endpoint) {
	b := e.Batch
	if b.Max < 0 || b.Max > event.MaxBatchMax {
		p.add("batch.max", fmt.Sprintf("must be 1 to %d", event.MaxBatchMax))
	}
	if b.Wait < 0 || b.Wait > maxBatchWait {
		p.add("batch.wait", "must be 0 s to 60 s")
	}
	if b.Max > 1 && (e.Envelope == event.EnvelopeRaw || e.Envelope == event.EnvelopeCloudEventsBinary || e.Envelope == event.EnvelopeOriginal) {
		p.add("batch", "needs an envelope that can hold several events: standard or cloudevents")
	}
	if b.Max <= 1 && b.Wait > 0 {
		p.add("batch.wait", "needs a batch.max of 2 or more")
	}
	if b.Max <= 1 && b.Coalesce {
		p.add("batch.coalesce", "needs a batch.max of 2 or more")
	}
}

func checkRetries(p *problems, waits []time.Duration) {
	if len(waits) > maxRetries {
		p.add("retries", fmt.Sprintf("must be at most %d waits", maxRetries))
		return
	}
	var span time.Duration
	for i, wait := range waits {
		if wait < minRetryWait || wait > maxRetryWait {
			p.add(fmt.Sprintf("retries[%d]", i), "must be 1 s to 7 days")
			continue
		}
		span += wait
	}
	if span > maxRetrySpan {
		p.add("retries", "must be at most 30 days in all")
	}
}

// checkSecrets checks custom headers and credentials.
func (c *Control) checkSecrets(p *problems, e *event.Endpoint, s *event.Secrets) {
	checkAuth(p, e.AuthType, s.Auth)
	if limit := c.options.Limits.MaxHeaders; len(s.Headers) > limit {
		p.add("headers", fmt.Sprintf("must be at most %d headers", limit))
		return
	}
	size := 0
	seen := make(map[string]bool, len(s.Headers))
	for _, h := range s.Headers {
		size += len(h.Name) + len(h.Value)
		lower := strings.ToLower(h.Name)
		switch message := checkHeaderName(lower, s.Auth != nil); {
		case message != "":
			p.add("headers."+event.Printable(h.Name), message)
		case seen[lower]:
			p.add("headers."+h.Name, "is there twice")
		default:
			p.check("headers."+h.Name, checkHeaderValue(h.Value))
		}
		seen[lower] = true
	}
	if size > maxHeaderBytes {
		p.add("headers", fmt.Sprintf("must be at most %d bytes in all", maxHeaderBytes))
	}
}

// reservedHeaders are those that the transport or Posthorn itself sets.
var reservedHeaders = []string{
	"accept-encoding", "connection", "content-encoding", "content-length", "content-type", "date", "expect", "host",
	"http2-settings", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "via",
}

var reservedHeaderPrefixes = []string{"webhook-", "posthorn-", "ce-", "proxy-", "sec-", ":"}

func checkHeaderName(lower string, hasAuth bool) string {
	if slices.Contains(reservedHeaders, lower) || slices.ContainsFunc(reservedHeaderPrefixes, func(prefix string) bool {
		return strings.HasPrefix(lower, prefix)
	}) {
		return "is set by Posthorn or by HTTP itself and cannot be a custom header"
	}
	if lower == "authorization" && hasAuth {
		return "cannot be set together with auth"
	}
	if !event.IsHeaderName(lower) {
		return "is not a header name: use letters, digits and !#$%&'*+-.^_`|~ (RFC 9110, section 5.1)"
	}
	return ""
}

func checkHeaderValue(value string) string {
	if !isPrintableASCII(value, true) {
		return "its value must be printable ASCII without line ends"
	}
	if strings.Trim(value, " ") != value {
		return "its value must not begin or end with a space"
	}
	return ""
}

func isPrintableASCII(s string, spaces bool) bool {
	for i := range len(s) {
		if b := s[i]; b < ' ' || b >= 0x7f || b == ' ' && !spaces {
			return false
		}
	}
	return true
}

// checkAuth checks credentials; it never repeats them.
func checkAuth(p *problems, kind string, a *event.Credentials) {
	switch {
	case a == nil && kind == "":
	case kind != authBasic && kind != authBearer:
		p.add("auth.type", "must be basic or bearer")
	case a == nil:
		p.add("auth", "needs its credentials")
	case kind == authBearer:
		if a.Username != "" || a.Password != "" {
			p.add("auth", "must have a token only when its type is bearer")
		}
		if a.Token == "" || len(a.Token) > maxCredential || !isPrintableASCII(a.Token, false) {
			p.add("auth.token", fmt.Sprintf("must be 1 to %d printable ASCII characters without spaces", maxCredential))
		}
	default:
		if a.Token != "" {
			p.add("auth", "must have a username and a password only when its type is basic")
		}
		if a.Username == "" || !isCredential(a.Username) || strings.Contains(a.Username, ":") {
			p.add("auth.username", "must be UTF-8 without control characters and colons (RFC 7617), and not empty")
		}
		if !isCredential(a.Password) {
			p.add("auth.password", "must be UTF-8 without control characters")
		}
	}
}

func isCredential(s string) bool {
	return len(s) <= maxCredential && utf8.ValidString(s) && event.CheckLine(s, maxCredential) == ""
}
