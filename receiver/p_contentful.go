package receiver

import (
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
	before := r.http.Method + "\n" + targetOf(r.url()) + "\n" + strings.Join(lines, ";") + "\n"
	if err := r.anyHMAC(sha256Hex, got, []byte(before), r.body); err != nil {
		return err
	}
	_, err = r.fresh(stamp, time.Millisecond)
	return err
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
