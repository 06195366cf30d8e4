package receiver

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

func init() {
	register(provider{
		Info: Info{
			Name: "contentful", Title: "Contentful", Secret: "the space's webhook signing secret",
			Event: "type from X-Contentful-Topic, id from X-Contentful-Event-Id or the idempotency key, subject the entry's id",
		},
		tolerance: 30 * time.Second,
		verify:    verifyContentful,
		describe: describe(head("X-Contentful-Topic"), first(head("X-Contentful-Idempotency-Key"), head("X-Contentful-Event-Id")), field("sys", "id"),
			millis(head("X-Contentful-Timestamp"))),
	})
}

// verifyContentful checks a signature of the method, the path, some headers and the body, each on a line. The request says
// which headers.
func verifyContentful(r *request) error {
	got, err := r.header("X-Contentful-Signature")
	if err != nil {
		return err
	}
	names, err := r.header("X-Contentful-Signed-Headers")
	if err != nil {
		return err
	}
	stamp, err := r.header("X-Contentful-Timestamp")
	if err != nil {
		return err
	}
	signed := strings.Split(names, ",")
	for i, name := range signed {
		signed[i] = strings.ToLower(strings.TrimSpace(name))
	}
	if !slices.Contains(signed, "x-contentful-timestamp") || len(signed) > 4*maxMACs {
		return fail(CodeMalformed, "the timestamp is not signed, or too many headers are")
	}
	slices.Sort(signed)
	lines := make([]string, 0, len(signed))
	for _, name := range slices.Compact(signed) {
		value, err := r.header(name)
		if err != nil {
			return err
		}
		lines = append(lines, name+":"+strings.TrimSpace(value))
	}
	headers := strings.Join(lines, ";") + "\n"
	for _, target := range contentfulTargets(targetOf(r.url())) {
		if err = r.anyHMAC(sha256Hex, got, []byte(r.http.Method+"\n"+target+"\n"+headers), r.body); err == nil {
			return r.fresh(stamp, time.Millisecond)
		}
	}
	return err
}

// contentfulTargets returns path and query as they may have been signed: encoded, the query twice, from what was called or
// from what that stands for. Which one depends on how the webhook's address was typed in.
func contentfulTargets(target string) []string {
	path, query, _ := strings.Cut(target, "?")
	targets := []string{contentfulTarget(path, query)}
	plainPath, err := url.PathUnescape(path)
	if err != nil {
		return targets
	}
	plainQuery, err := url.PathUnescape(query)
	if err != nil {
		return targets
	}
	if plain := contentfulTarget(plainPath, plainQuery); plain != targets[0] {
		targets = append(targets, plain)
	}
	return targets
}

func contentfulTarget(path, query string) string {
	const (
		marks    = "-_.!~*'()"
		reserved = ";,/?:@&=+$#"
	)
	if query != "" {
		path += "?" + percentEncode(query, marks)
	}
	return percentEncode(path, marks+reserved)
}

// percentEncode encodes all bytes but letters, digits and those in keep.
func percentEncode(text, keep string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', digits[c>>4], digits[c&15]})
	}
	return b.String()
}

// targetOf returns path and query of an address, as they are written.
func targetOf(address string) string {
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address = rest
	}
	if i := strings.IndexByte(address, '/'); i >= 0 {
		return address[i:]
	}
	return "/"
}
