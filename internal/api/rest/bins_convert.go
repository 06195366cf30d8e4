package rest

import (
	"encoding/base64"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/inspect"
)

// showBin renders a bin of a tenant with this name.
func (a *API) showBin(b *event.Bin, tenant string) client.Bin {
	out := client.Bin{
		ID: b.ID, Tenant: tenant, Alias: b.Alias, Description: b.Description, URL: a.Bins.URL(b), Delay: client.Duration(b.Delay),
		Hold: client.Duration(b.Hold), CORS: b.CORS, Keep: b.Keep, Refuse: b.Refuse, Expires: timePointer(b.Expires), Tunnel: b.Tunnel,
		Metadata: orEmpty(b.Metadata), Created: b.Created.UTC(), Updated: b.Updated.UTC(),
	}
	if b.Expires.IsZero() {
		out.TTL = new(client.Lifetime)
	}
	if inspect.IsSet(b.Answer) {
		body, encoded := showBody(b.Answer.Body)
		out.Answer = &client.BinAnswer{Status: b.Answer.Status, Headers: map[string]string{}, BodyBase64: encoded}
		if body != nil {
			out.Answer.Body = *body
		}
		for _, h := range b.Answer.Headers {
			out.Answer.Headers[h.Name] = h.Value
		}
	}
	return out
}

func showBinStats(s *event.BinStats) *client.BinStats {
	return &client.BinStats{Requests: s.Requests, Bytes: s.Bytes, Last: s.Last, Newest: timePointer(s.Newest)}
}

// readBin converts what a body says of a bin; stored is nil at the making.
func readBin(in *client.Bin, stored *event.Bin) (event.Bin, error) {
	b := event.Bin{
		Alias: in.Alias, Description: in.Description, Delay: time.Duration(in.Delay), Hold: time.Duration(in.Hold), CORS: in.CORS, Keep: in.Keep,
		Refuse: in.Refuse, Tunnel: in.Tunnel, Metadata: in.Metadata,
	}
	var err error
	if in.Answer != nil {
		if b.Answer, err = readBinAnswer("answer.", in.Answer); err != nil {
			return b, err
		}
	}
	b.Expires, err = readExpires(in, stored)
	return b, err
}

// readExpires says when a bin goes, by its expires or its ttl. What was read before a change shows one of the two, so that
// both are there when a patch gives the other.
func readExpires(in *client.Bin, stored *event.Bin) (time.Time, error) {
	ttl, expires := in.TTL, in.Expires
	if ttl != nil && expires != nil {
		switch {
		case stored == nil:
			return time.Time{}, invalid("ttl", "does not go with expires")
		case stored.Expires.IsZero() && *ttl == 0:
			ttl = nil
		case !stored.Expires.IsZero() && expires.Equal(stored.Expires):
			expires = nil
		default:
			return time.Time{}, invalid("ttl", "does not go with expires")
		}
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	switch {
	case ttl != nil && *ttl == 0:
		return time.Time{}, nil
	case ttl != nil:
		return now.Add(time.Duration(*ttl)), nil
	case expires != nil:
		return expires.UTC().Truncate(time.Microsecond), nil
	default:
		return now.Add(event.DefaultBinAge), nil
	}
}

// readBinAnswer converts an answer for callers; the names of fields in errors begin with prefix.
func readBinAnswer(prefix string, in *client.BinAnswer) (event.Answer, error) {
	out := event.Answer{Status: in.Status, Body: []byte(in.Body)}
	if in.BodyBase64 != "" {
		if in.Body != "" {
			return out, invalid(prefix+"body_base64", "does not go with body")
		}
		body, err := base64.StdEncoding.DecodeString(in.BodyBase64)
		if err != nil {
			return out, invalid(prefix+"body_base64", "must be base 64")
		}
		out.Body = body
	}
	for _, name := range slices.Sorted(maps.Keys(in.Headers)) {
		out.Headers = append(out.Headers, event.Header{Name: name, Value: in.Headers[name]})
	}
	return out, nil
}

// showBody gives a body as text where it is UTF-8, else in base 64.
func showBody(body []byte) (text *string, encoded string) {
	if !utf8.Valid(body) {
		return nil, base64.StdEncoding.EncodeToString(body)
	}
	s := string(body)
	return &s, ""
}

func showPairs(list []event.Header) []client.NameValue {
	out := make([]client.NameValue, 0, len(list))
	for _, h := range list {
		out = append(out, client.NameValue(h))
	}
	return out
}

// wholeBody is the maxBody of [API.showCapture] that leaves nothing out.
const wholeBody = -1

// showCapture renders a captured request; of one with a body of more than maxBody bytes, unless that is negative, without it.
func (a *API) showCapture(c *event.Capture, maxBody int) client.BinRequest {
	out := client.BinRequest{
		ID: c.ID, Seq: c.Seq, Bin: c.Bin, At: c.At.UTC(), URL: c.URL, Path: c.Path, Remote: c.Remote, Query: showPairs(inspect.Parameters(&c.Request)),
		Headers: showPairs(c.Headers()), Size: len(c.Body), Note: c.Note, Refused: c.Refused,
	}
	out.Method, out.Target, out.Proto = c.Line()
	if out.BodyOmitted = maxBody >= 0 && len(c.Body) > maxBody; !out.BodyOmitted {
		showContent(&out, c)
	}
	switch {
	case c.Answer.Status != 0 || c.Answer.Reason != "":
		out.Answer = &client.BinReply{Status: c.Answer.Status, Reason: c.Answer.Reason, Headers: showPairs(c.Answer.Headers)}
		out.Answer.Body, out.Answer.BodyBase64 = showBody(c.Answer.Body)
	default:
		out.Held = a.Bins.Held(c.Bin, c.Seq)
	}
	return out
}

// showContent renders the body of a captured request and what is read from it.
func showContent(out *client.BinRequest, c *event.Capture) {
	out.Body, out.BodyBase64 = showBody(c.Body)
	fields, files := inspect.Form(&c.Request)
	if len(fields) > 0 {
		out.Form = showPairs(fields)
	}
	for _, f := range files {
		out.Files = append(out.Files, client.BinFile{Name: f.Name, Filename: f.Filename, ContentType: f.ContentType, Size: len(f.Body)})
	}
}
