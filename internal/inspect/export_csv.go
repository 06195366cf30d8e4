package inspect

import (
	"bufio"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/internal/event"
)

// csvColumns are named as the members of Webhook.site's requests. What has many values is one JSON column, so that the
// columns are the same in every table, and known before the last capture was read.
var csvColumns = []string{
	"uuid", "number", "created_at", "ip", "hostname", "method", "url", "user_agent", "size", "content", "content_base64", "query", "request",
	"files", "headers", "note", "refused", "status",
}

// csvExport writes a table for spreadsheets.
type csvExport struct{ out *csv.Writer }

func newCSVExport(out *bufio.Writer) *csvExport {
	w := csv.NewWriter(out)
	w.UseCRLF = true // RFC 4180
	return &csvExport{w}
}

func (e *csvExport) begin() error { return e.out.Write(csvColumns) }

func (e *csvExport) add(c *event.Capture) error {
	method, _, _ := c.Line()
	host := ""
	if u, err := url.Parse(c.URL); err == nil {
		host = u.Hostname()
	}
	text, binary := string(c.Body), ""
	if !utf8.Valid(c.Body) {
		text, binary = "", base64.StdEncoding.EncodeToString(c.Body)
	}
	status := ""
	if c.Answer.Status != 0 {
		status = strconv.Itoa(c.Answer.Status)
	}
	fields, files := Form(&c.Request)
	names := make([]event.Header, 0, len(files))
	for _, f := range files {
		names = append(names, event.Header{Name: f.Name, Value: f.Filename})
	}
	row := []string{
		c.ID, strconv.FormatInt(c.Seq, 10), c.At.UTC().Format("2006-01-02 15:04:05.000"), c.Remote, host, method, c.URL, c.Header("User-Agent"),
		strconv.Itoa(len(c.Body)), text, binary, grouped(Parameters(&c.Request), false), grouped(fields, false),
		grouped(names, false), grouped(c.Headers(), true), c.Note, c.Refused, status,
	}
	for i := range row {
		row[i] = inert(row[i])
	}
	return e.out.Write(row)
}

func (e *csvExport) end() error {
	e.out.Flush()
	return e.out.Error()
}

// inert keeps a spreadsheet from taking what a stranger sent for a formula.
// Source: OWASP, CSV Injection.
func inert(field string) string {
	if field != "" && strings.IndexByte("=+-@\t\r\n", field[0]) >= 0 {
		return "'" + field
	}
	return field
}

// grouped is a JSON object of lists; "" without members.
func grouped(list []event.Header, fold bool) string {
	if len(list) == 0 {
		return ""
	}
	all := make(map[string][]string, len(list))
	for _, h := range list {
		name := h.Name
		if fold {
			name = strings.ToLower(name)
		}
		all[name] = append(all[name], h.Value)
	}
	text, err := json.Marshal(all)
	if err != nil {
		return "" // strings always marshal
	}
	return string(text)
}
