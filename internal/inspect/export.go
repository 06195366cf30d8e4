package inspect

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"io"
	"time"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/internal/event"
)

// Formats of [Export].
const (
	ExportJSON = "json"
	ExportCSV  = "csv"
	ExportHAR  = "har"
	ExportCurl = "curl"
)

// exporter writes captures in one format: begin, then each, then end.
type exporter interface {
	begin() error
	add(c *event.Capture) error
	end() error
}

// ExportType returns the content type of a format of [Export], and the extension of a file that holds it. KindInvalid:
// there is no such format.
func ExportType(format string) (contentType, extension string, err error) {
	switch format {
	case ExportJSON:
		return "application/json", "json", nil
	case ExportCSV:
		return "text/csv; charset=utf-8", "csv", nil
	case ExportHAR:
		return "application/json", "har", nil
	case ExportCurl:
		return "text/plain; charset=utf-8", "sh", nil
	}
	return "", "", event.Invalid("format", "must be json, csv, har or curl")
}

// Export writes captures as next gives them, until it gives false: as an array of requests (json), a table (csv), an HTTP
// Archive 1.2 (har) or commands for a POSIX shell (curl). Nothing is held but one capture and a few KiB. It returns the
// content type. What was written before an error is cut off in the middle.
func Export(w io.Writer, format string, next func() (event.Capture, bool, error)) (contentType string, err error) {
	contentType, _, err = ExportType(format)
	if err != nil {
		return "", err
	}
	out := bufio.NewWriterSize(w, 16<<10)
	var e exporter
	switch format {
	case ExportJSON:
		e = &jsonExport{list: list{out: out, head: "[", foot: "]\n"}}
	case ExportCSV:
		e = newCSVExport(out)
	case ExportHAR:
		e = newHARExport(out)
	default:
		e = &curlExport{out: out}
	}
	if err := e.begin(); err != nil {
		return contentType, err
	}
	for {
		c, ok, err := next()
		if err != nil {
			return contentType, err
		}
		if !ok {
			break
		}
		if err := e.add(&c); err != nil {
			return contentType, err
		}
	}
	if err := e.end(); err != nil {
		return contentType, err
	}
	return contentType, out.Flush()
}

// list writes a JSON array an element at a time.
type list struct {
	out        *bufio.Writer
	head, foot string
	some       bool
}

func (l *list) begin() error {
	_, err := l.out.WriteString(l.head)
	return err
}

func (l *list) put(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if l.some {
		if _, err := l.out.WriteString(","); err != nil {
			return err
		}
	}
	l.some = true
	if _, err := l.out.WriteString("\n"); err != nil {
		return err
	}
	_, err = l.out.Write(text)
	return err
}

func (l *list) end() error {
	if l.some {
		if _, err := l.out.WriteString("\n"); err != nil {
			return err
		}
	}
	_, err := l.out.WriteString(l.foot)
	return err
}

// pair is a name with a value in JSON.
type pair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func pairs(list []event.Header) []pair {
	out := make([]pair, 0, len(list))
	for _, h := range list {
		out = append(out, pair(h))
	}
	return out
}

// content is a body in JSON: as text where it is text, else in base64.
type content struct {
	Body       *string `json:"body,omitempty"`
	BodyBase64 string  `json:"body_base64,omitempty"`
}

func contentOf(body []byte) content {
	if !utf8.Valid(body) {
		return content{BodyBase64: base64.StdEncoding.EncodeToString(body)}
	}
	text := string(body)
	return content{Body: &text}
}

// jsonExport writes requests as the API shows them.
type jsonExport struct{ list }

type exportedFile struct {
	Name        string `json:"name"`
	Filename    string `json:"filename"`
	ContentType string `json:"content_type"`
	Size        int    `json:"size"`
}

type exportedAnswer struct {
	Status  int    `json:"status"`
	Reason  string `json:"reason,omitempty"`
	Headers []pair `json:"headers"`
	content
}

type exportedRequest struct {
	ID      string    `json:"id"`
	Seq     int64     `json:"seq"`
	Bin     string    `json:"bin"`
	At      time.Time `json:"at"`
	Method  string    `json:"method"`
	Target  string    `json:"target"`
	Proto   string    `json:"proto"`
	URL     string    `json:"url"`
	Path    string    `json:"path"`
	Remote  string    `json:"remote"`
	Query   []pair    `json:"query"`
	Headers []pair    `json:"headers"`
	content
	Size    int             `json:"size"`
	Form    []pair          `json:"form,omitempty"`
	Files   []exportedFile  `json:"files,omitempty"`
	Note    string          `json:"note"`
	Refused string          `json:"refused,omitempty"`
	Answer  *exportedAnswer `json:"answer,omitempty"`
}

func (e *jsonExport) add(c *event.Capture) error {
	r := exportedRequest{
		ID: c.ID, Seq: c.Seq, Bin: c.Bin, At: c.At.UTC(), URL: c.URL, Path: c.Path, Remote: c.Remote,
		Headers: pairs(c.Headers()), content: contentOf(c.Body), Size: len(c.Body), Note: c.Note, Refused: c.Refused,
	}
	r.Method, r.Target, r.Proto = c.Line()
	r.Query = pairs(Parameters(&c.Request))
	fields, files := Form(&c.Request)
	if len(fields) > 0 {
		r.Form = pairs(fields)
	}
	for _, f := range files {
		r.Files = append(r.Files, exportedFile{f.Name, f.Filename, f.ContentType, len(f.Body)})
	}
	if c.Answer.Status != 0 {
		r.Answer = &exportedAnswer{c.Answer.Status, c.Answer.Reason, pairs(c.Answer.Headers), contentOf(c.Answer.Body)}
	}
	return e.put(r)
}
