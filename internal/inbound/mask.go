package inbound

import (
	"bytes"
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/receiver"
)

// masked stands for a secret.
const masked = "***"

// secretNames are the headers and parameters that hold secrets of any provider, in lower case.
var secretNames = sync.OnceValues(func() (headers, query map[string]bool) {
	headers = map[string]bool{"authorization": true, "proxy-authorization": true, "cookie": true}
	query = map[string]bool{"code": true, "key": true, "auth": true}
	for _, p := range receiver.Providers() {
		for _, name := range p.SecretHeaders {
			headers[strings.ToLower(name)] = true
		}
		for _, name := range p.SecretQuery {
			query[strings.ToLower(name)] = true
		}
	}
	return headers, query
})

// secretive reports whether a name says that its value is a secret.
func secretive(name string) bool {
	for _, part := range []string{"token", "secret", "password", "apikey", "api-key", "api_key"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// Shown returns the request by which an event came in as it may be shown: with *** for the values of headers and parameters that carry
// a secret, and with its body. It is nil for events that did not come in through a source.
func (s *Service) Shown(ctx context.Context, t *event.Tenant, e *event.Event) *event.Request {
	if e.Origin == nil {
		return nil
	}
	headers, query := secretNames()
	ownHeaders, ownQuery := s.masked(ctx, t, e)
	out := *e.Origin
	hideHeader := func(name string) bool { return headers[name] || slices.Contains(ownHeaders, name) || secretive(name) }
	hideParameter := func(name string) bool { return query[name] || slices.Contains(ownQuery, name) || secretive(name) }
	out.Head = maskHead(out.Head, hideHeader, hideParameter)
	out.URL = maskQuery(out.URL, hideParameter)
	out.Path = maskQuery(out.Path, hideParameter)
	if out.Body == nil {
		out.Body = e.Data
	}
	return &out
}

// masked returns the headers and parameters, in lower case, that hold the secret of the event's source: those of the generic providers
// are where the source says.
func (s *Service) masked(ctx context.Context, t *event.Tenant, e *event.Event) (headers, query []string) {
	name, ok := strings.CutPrefix(e.Source, "/sources/")
	if !ok {
		return nil, nil
	}
	p, err := s.find(ctx, t.ID, name)
	if err != nil { // deleted meanwhile
		return nil, nil
	}
	headers, query = receiver.Masked(p.info.Name, p.settings)
	for _, list := range [][]string{headers, query} {
		for i := range list {
			list[i] = strings.ToLower(list[i])
		}
	}
	return headers, query
}

// maskHead masks header lines, and parameters in the request line.
func maskHead(head []byte, hideHeader, hideParameter func(name string) bool) []byte {
	out := make([]byte, 0, len(head))
	for i, line := range bytes.SplitAfter(head, []byte("\r\n")) {
		name, _, ok := bytes.Cut(line, []byte(":"))
		switch {
		case i == 0:
			method, rest, _ := strings.Cut(string(line), " ")
			end := max(strings.LastIndexByte(rest, ' '), 0) // HTTP/2 lets a target have spaces
			out = append(out, method+" "+maskQuery(rest[:end], hideParameter)+rest[end:]...)
		case ok && hideHeader(strings.ToLower(string(name))):
			out = append(append(out, name...), ": "+masked+"\r\n"...)
		default:
			out = append(out, line...)
		}
	}
	return out
}

// maskQuery masks parameters in the query of an address.
func maskQuery(address string, hide func(name string) bool) string {
	before, query, ok := strings.Cut(address, "?")
	if !ok {
		return address
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		raw, _, hasValue := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(raw)
		if err != nil {
			name = raw
		}
		if hasValue && hide(strings.ToLower(name)) {
			pairs[i] = raw + "=" + masked
		}
	}
	return before + "?" + strings.Join(pairs, "&")
}
