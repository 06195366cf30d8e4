package inspect

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// replayTime bounds a replay.
const replayTime = 30 * time.Second

// Replay sends a captured request again to a URL: its method, its headers without those of the connection, its body byte
// for byte; with keepPath, with the path and query that followed the bin's address, too. It returns the answer and how
// long that took. Errors: KindInvalid naming "url"; KindUnavailable ("no_answer") when there was none.
func (s *Service) Replay(ctx context.Context, c event.Capture, target string, keepPath bool) (event.Answer, time.Duration, error) {
	if s.cfg.Sender == nil {
		return event.Answer{}, 0, event.Errorf(event.KindUnavailable, "unavailable", "this server was put together without replays")
	}
	if message := checkTarget(target); message != "" {
		return event.Answer{}, 0, event.Invalid("url", message)
	}
	r, target := replayOf(&c.Request, target, keepPath)
	ctx, cancel := context.WithTimeout(ctx, replayTime)
	defer cancel()
	began := time.Now()
	a, err := s.cfg.Sender(ctx, target, r)
	took := time.Since(began)
	slices.SortStableFunc(a.Headers, func(x, y event.Header) int { return strings.Compare(x.Name, y.Name) }) // they come out of a map
	if err == nil && a.Status == 0 {
		err = event.Errorf(event.KindUnavailable, "no_answer", "there was no answer: "+a.Reason)
	}
	if err != nil {
		if _, ok := errors.AsType[*event.Error](err); !ok {
			err = &event.Error{Kind: event.KindUnavailable, Code: "no_answer", Detail: "there was no answer from this address", RetryAfter: time.Second, Err: err}
		}
	}
	return a, took, err
}

// notReplayed are the header fields that are not sent again besides those of the connection: what a request sets itself, and
// what proxies added.
var notReplayed = map[string]bool{
	"content-length": true, "host": true, "expect": true, "forwarded": true, "x-forwarded-for": true, "x-forwarded-host": true,
	"x-forwarded-proto": true, "x-forwarded-port": true, "x-real-ip": true, "posthorn-tunnel": true,
}

// replayOf makes the request that is sent, and says where.
func replayOf(r *event.Request, target string, keepPath bool) (event.Request, string) {
	u, err := url.Parse(target)
	if err != nil {
		return *r, target // checked before
	}
	u.Fragment, u.RawFragment = "", ""
	if keepPath {
		path, query, _ := strings.Cut(r.Path, "?")
		if path != "" {
			if p, err := url.PathUnescape(path); err == nil {
				u.RawPath = strings.TrimSuffix(u.EscapedPath(), "/") + path
				u.Path = strings.TrimSuffix(u.Path, "/") + p
			}
		}
		if query != "" {
			u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+query, "&")
		}
	}
	if u.Path == "" {
		u.Path, u.RawPath = "/", ""
	}
	method, _, _ := r.Line()
	headers := r.Headers()
	named := event.ConnectionOptions(headers)
	var head strings.Builder
	head.WriteString(method + " " + u.RequestURI() + " HTTP/1.1\r\nHost: " + u.Host + "\r\n")
	for _, h := range headers {
		if name := strings.ToLower(h.Name); !event.OfConnection(name) && !notReplayed[name] && !named[name] && event.IsHeaderName(h.Name) && event.IsHeaderValue(h.Value) {
			head.WriteString(h.Name + ": " + h.Value + "\r\n")
		}
	}
	return event.Request{Head: []byte(head.String()), Body: r.Body, URL: u.String(), Path: r.Path}, u.String()
}

// Raw returns a request byte for byte: its line, its header lines, a blank line, its body.
func Raw(r *event.Request) []byte {
	raw := make([]byte, 0, len(r.Head)+2+len(r.Body))
	raw = append(raw, r.Head...)
	raw = append(raw, "\r\n"...)
	return append(raw, r.Body...)
}
