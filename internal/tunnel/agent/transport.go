package agent

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// recording is a transport that keeps what passes.
type recording struct {
	rec  *Recorder
	next http.RoundTripper
}

// RoundTrip sends a request and keeps it, and the answer while it is read.
func (t *recording) RoundTrip(r *http.Request) (*http.Response, error) {
	j, ok := r.Context().Value(jobKey{}).(*job)
	if !ok {
		return t.next.RoundTrip(r)
	}
	t.rec.sending(j.id, sent(r, j.lines))
	if r.Body != nil && r.Body != http.NoBody {
		copied := *r // a transport leaves its caller's request as it is
		copied.Body = &tee{ReadCloser: r.Body, keep: func(p []byte) { t.rec.keep(j.id, requestSide, p) }}
		r = &copied
	}
	res, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	t.rec.answered(j.id, res)
	keep := func(p []byte) { t.rec.keep(j.id, answerSide, p) }
	if res.StatusCode == http.StatusSwitchingProtocols {
		if both, ok := res.Body.(io.ReadWriteCloser); ok {
			res.Body = &counted{ReadWriteCloser: both, rec: t.rec, id: j.id}
		}
	} else {
		res.Body = &tee{ReadCloser: res.Body, keep: keep, broke: func(err error) {
			kind, _ := explain(err)
			t.rec.failed(j.id, kind)
		}}
	}
	return res, nil
}

// tee shows what is read.
type tee struct {
	io.ReadCloser
	keep  func([]byte)
	broke func(error) // told of an end before the end; or nil
}

// Read reads.
func (t *tee) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if n > 0 {
		t.keep(p[:n])
	}
	if err != nil && !errors.Is(err, io.EOF) && t.broke != nil {
		t.broke(err)
	}
	return n, err
}

// counted counts what goes both ways through a connection that was upgraded.
type counted struct {
	io.ReadWriteCloser
	rec *Recorder
	id  int64
}

// Read reads what the target sends.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadWriteCloser.Read(p)
	c.rec.count(c.id, answerSide, n)
	return n, err
}

// Write sends to the target.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.ReadWriteCloser.Write(p)
	c.rec.count(c.id, requestSide, n)
	return n, err
}

// sent returns the header of a request that is about to be sent, in the order in which its lines came where they are known.
func sent(r *http.Request, lines []Field) []Field {
	left := map[string][]string{"host": {r.Host}}
	names := map[string]string{"host": "Host"}
	for name, values := range r.Header {
		if name == "User-Agent" && len(values) == 1 && values[0] == "" {
			continue // so net/http is told to send none
		}
		lower := strings.ToLower(name)
		left[lower], names[lower] = append(left[lower], values...), name
	}
	if r.ContentLength > 0 || r.ContentLength == 0 && slices.ContainsFunc(lines, func(f Field) bool { return strings.EqualFold(f.Name, "Content-Length") }) {
		left["content-length"], names["content-length"] = []string{strconv.FormatInt(r.ContentLength, 10)}, "Content-Length"
	} else if r.ContentLength < 0 {
		left["transfer-encoding"], names["transfer-encoding"] = []string{"chunked"}, "Transfer-Encoding"
	}
	list := make([]Field, 0, len(lines)+4)
	for _, l := range lines {
		lower := strings.ToLower(l.Name)
		if v := left[lower]; len(v) > 0 {
			list = append(list, Field{l.Name, v[0]})
			left[lower] = v[1:]
		}
	}
	for _, lower := range slices.Sorted(maps.Keys(left)) {
		for _, v := range left[lower] {
			list = append(list, Field{names[lower], v})
		}
	}
	return list
}

// fields returns a header as a list, sorted by name.
func fields(h http.Header) []Field {
	var list []Field
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[name] {
			list = append(list, Field{name, v})
		}
	}
	return list
}
