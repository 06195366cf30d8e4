package inspect

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
)

func posted(contentType, encoding, body string) *event.Request {
	return &event.Request{Head: []byte("POST /x HTTP/1.1\r\nContent-Type: " + contentType + "\r\nContent-Encoding: " + encoding + "\r\n"), Body: []byte(body)}
}

func squeezed(t testing.TB, to func(io.Writer) io.WriteCloser, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := to(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestForm(t *testing.T) {
	const part = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n"
	const upload = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\"\r\n\r\n\r\n"
	zipped := squeezed(t, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }, "a=1&b=2")
	for _, c := range []struct{ name, contentType, encoding, body, want string }{
		{"urlencoded", "application/x-www-form-urlencoded", "", "a=1&a=&=x&b&c=%41+%zz", "[{a 1} {a } { x} {b } {c %41+%zz}] []"},
		{"its type in any case, with parameters", "Application/X-WWW-Form-Urlencoded; charset=utf-8", "", "a=1", "[{a 1}] []"},
		{"with bad parameters", "application/x-www-form-urlencoded; =", "", "a=1", "[{a 1}] []"},
		{"gzip", "application/x-www-form-urlencoded", "gzip", zipped, "[{a 1} {b 2}] []"},
		{"deflate", "application/x-www-form-urlencoded", "deflate", squeezed(t, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }, "a=1"), "[{a 1}] []"},
		{"gzip that is none", "application/x-www-form-urlencoded", "gzip", "a=1", "[{a 1}] []"},
		{"empty", "application/x-www-form-urlencoded", "", "", "[] []"},
		{"json", "application/json", "", "a=1", "[] []"},
		{"no type", "", "", "a=1", "[] []"},
		{"multipart", "multipart/form-data; boundary=b", "", part + upload + "--b--\r\n", "[{a one}] [{f   []}]"},
		{"multipart cut off", "multipart/form-data; boundary=b", "", part + "--b\r\nContent-Disposition: form-data; name=\"c\"\r\n\r\nhal", "[{a one} {c hal}] []"},
		{"multipart without a boundary", "multipart/form-data", "", part, "[] []"},
		{"multipart with another boundary", "multipart/form-data; boundary=c", "", part, "[] []"},
	} {
		fields, files := Form(posted(c.contentType, c.encoding, c.body))
		if got := fmt.Sprint(fields, files); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// What is looked at is bounded, also of a body that is small and becomes large.
func TestFormBounds(t *testing.T) {
	if fields, _ := Form(posted("application/x-www-form-urlencoded", "", strings.Repeat("a&", 5*maxParts))); len(fields) != maxParts {
		t.Errorf("%d fields", len(fields))
	}
	part := "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\n1\r\n"
	if _, files := Form(posted("multipart/form-data; boundary=b", "", strings.Repeat(part, 2*maxParts)+"--b--")); len(files) != maxParts {
		t.Errorf("%d files", len(files))
	}
	bomb := squeezed(t, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }, "a="+strings.Repeat("0", 4*maxInflated))
	fields, _ := Form(posted("application/x-www-form-urlencoded", "gzip", bomb))
	if len(fields) != 1 || len(fields[0].Value) > maxInflated {
		t.Errorf("%d fields", len(fields))
	}
}

func FuzzExport(f *testing.F) {
	f.Add("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"x\"\r\n\r\n1\r\n--b--")
	f.Add("application/x-www-form-urlencoded", "a=%zz&&=")
	f.Fuzz(func(_ *testing.T, contentType, body string) {
		c := event.Capture{Request: *posted(contentType, "", body)}
		Form(&c.Request)
		Parameters(&c.Request)
		for _, format := range []string{ExportJSON, ExportCSV, ExportHAR, ExportCurl} {
			_, _ = Export(io.Discard, format, feed([]event.Capture{c}))
		}
	})
}
