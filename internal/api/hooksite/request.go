package hooksite

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/inspect"
)

// request is a capture as Webhook.site shows it.
type request struct {
	UUID      string              `json:"uuid"`
	Type      string              `json:"type"`
	TokenID   string              `json:"token_id"`
	TeamID    *int                `json:"team_id"`
	IP        string              `json:"ip"`
	Hostname  string              `json:"hostname"`
	Method    string              `json:"method"`
	UserAgent *string             `json:"user_agent"`
	Content   string              `json:"content"`
	Query     map[string]any      `json:"query"`
	Request   map[string]any      `json:"request"`
	Files     map[string]file     `json:"files"`
	Headers   map[string][]string `json:"headers"`
	URL       string              `json:"url"`
	Size      int                 `json:"size"`
	Note      *string             `json:"note"`
	Time      float64             `json:"time"`
	Output    map[string]any      `json:"custom_action_output"`
	Errors    []string            `json:"custom_action_errors"`
	CreatedAt string              `json:"created_at"`
	UpdatedAt string              `json:"updated_at"`
	Sorting   int64               `json:"sorting"` // µs since 1970
}

// file is one of a multipart body; its ID counts from 1.
type file struct {
	ID          string `json:"id"`
	Filename    string `json:"filename"`
	Size        int    `json:"size"`
	ContentType string `json:"content_type"`
}

// requestOf shows a capture. The content of a multipart body is empty, as there: its fields are in request, its files in
// files. Bytes that are no UTF-8 are shown as U+FFFD.
func requestOf(c *event.Capture) request {
	r := request{
		UUID: c.ID, Type: "web", TokenID: c.Bin, IP: c.Remote, Content: string(c.Body), Headers: map[string][]string{}, URL: urlOf(c),
		Size: len(c.Body), Output: map[string]any{}, Errors: []string{}, Query: grouped(inspect.Parameters(&c.Request)), Files: map[string]file{},
		CreatedAt: c.At.UTC().Format(timeFormat), Sorting: c.At.UnixMicro(),
	}
	r.UpdatedAt = r.CreatedAt
	r.Method, _, _ = c.Line()
	if u, err := url.Parse(c.URL); err == nil {
		r.Hostname = u.Hostname()
	}
	for _, h := range c.Headers() {
		name := strings.ToLower(h.Name)
		r.Headers[name] = append(r.Headers[name], h.Value)
	}
	if agent := r.Headers["user-agent"]; len(agent) > 0 {
		r.UserAgent = &agent[0]
	}
	if c.Note != "" {
		r.Note = &c.Note
	}
	fields, files := inspect.Form(&c.Request)
	r.Request = grouped(fields)
	for i, f := range files {
		name := f.Name
		for n := 1; ; n++ {
			if _, taken := r.Files[name]; !taken {
				break
			}
			name = f.Name + "." + strconv.Itoa(n)
		}
		r.Files[name] = file{strconv.Itoa(i + 1), f.Filename, len(f.Body), f.ContentType}
	}
	if kind, _, err := mime.ParseMediaType(c.Header("Content-Type")); err == nil && kind == "multipart/form-data" && len(fields)+len(files) > 0 {
		r.Content = ""
	}
	return r
}

// urlOf is the address that was called as the one at the root: https://host/{token}/path?query. Webhook.site's client takes
// what follows the token for the path.
func urlOf(c *event.Capture) string {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" {
		return c.URL
	}
	return u.Scheme + "://" + u.Host + "/" + c.Bin + c.Path
}

// grouped is an object of values: a string, or a list where a name is repeated; nil without any.
func grouped(list []event.Header) map[string]any {
	if len(list) == 0 {
		return nil
	}
	all := make(map[string]any, len(list))
	for _, p := range list {
		switch have := all[p.Name].(type) {
		case nil:
			all[p.Name] = p.Value
		case string:
			all[p.Name] = []string{have, p.Value}
		case []string:
			all[p.Name] = append(have, p.Value)
		}
	}
	return all
}

// serveRequests routes what is at /token/{id}/request or …/requests (either name will do) and below.
func (a *API) serveRequests(w http.ResponseWriter, r *http.Request, id string, rest []string) error {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case len(rest) == 0 && reads:
		return a.listRequests(w, r, id)
	case len(rest) == 0 && r.Method == http.MethodDelete:
		return a.deleteRequests(w, r, id)
	case len(rest) == 0:
		methods(w, "GET", "DELETE")
		return nil
	case len(rest) == 1 && rest[0] == "export" && reads:
		return a.exportRequests(w, r, id)
	case len(rest) == 1:
		return a.oneRequest(w, r, id, rest[0])
	case len(rest) == 2 && rest[1] == "response":
		if r.Method != http.MethodPut {
			methods(w, "PUT")
			return nil
		}
		return a.setResponse(w, r, id, rest[0])
	case len(rest) == 2 && rest[1] == "raw" && reads:
		return a.rawRequest(w, r, id, rest[0])
	case len(rest) == 3 && rest[1] == "download" && reads:
		return a.download(w, r, id, rest[0], rest[2])
	}
	return event.NotFound("resource")
}

// found is a capture of a bin that the caller may read.
func (a *API) found(r *http.Request, id, ref string) (event.Capture, error) {
	b, err := a.readable(r, id)
	if err != nil {
		return event.Capture{}, err
	}
	return a.Bins.Capture(r.Context(), b.ID, ref)
}

func (a *API) oneRequest(w http.ResponseWriter, r *http.Request, id, ref string) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		c, err := a.found(r, id, ref)
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, requestOf(&c))
		return nil
	case http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		methods(w, "GET", "PUT", "DELETE")
		return nil
	}
	b, err := a.writable(r, id)
	if err != nil {
		return err
	}
	c, err := a.Bins.Capture(r.Context(), b.ID, ref)
	if err != nil {
		return err
	}
	if r.Method == http.MethodDelete {
		if err := a.Bins.DeleteCapture(r.Context(), b.ID, c.Seq); err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, map[string]bool{"status": true})
		return nil
	}
	want, err := readWish(w, r)
	if err != nil {
		return err
	}
	if _, ok := want["note"]; ok {
		c.Note = want.text("note")
		if err := a.Bins.Note(r.Context(), b.ID, c.Seq, c.Note); err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusOK, requestOf(&c))
	return nil
}

// rawRequest gives a body as it came: as JSON when it is that, else as text, never as a type that a browser would run.
func (a *API) rawRequest(w http.ResponseWriter, r *http.Request, id, ref string) error {
	c, err := a.found(r, id, ref)
	if err != nil {
		return err
	}
	kind := "text/plain; charset=utf-8"
	if json.Valid(c.Body) && utf8.Valid(c.Body) {
		kind = "application/json"
	}
	give(w, kind, c.Body)
	return nil
}

// download gives a file, found by its number.
func (a *API) download(w http.ResponseWriter, r *http.Request, id, ref, name string) error {
	c, err := a.found(r, id, ref)
	if err != nil {
		return err
	}
	_, files := inspect.Form(&c.Request)
	n, err := strconv.Atoi(name)
	if err != nil || n < 1 || n > len(files) {
		return event.NotFound("file")
	}
	f := files[n-1]
	filename := path.Base(strings.ReplaceAll(f.Filename, `\`, "/"))
	disposition := mime.FormatMediaType("attachment", map[string]string{"filename": filename})
	if disposition == "" {
		disposition = "attachment"
	}
	w.Header().Set("Content-Disposition", disposition)
	give(w, "application/octet-stream", f.Body)
	return nil
}

// give answers with bytes that a stranger sent.
func give(w http.ResponseWriter, kind string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", "sandbox")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the caller may be gone; nobody is left to tell
}

// setResponse gives a caller who is held its answer. Headers that cannot be set, such as those of the connection to the
// program that gave it, are left out.
func (a *API) setResponse(w http.ResponseWriter, r *http.Request, id, ref string) error {
	b, err := a.writable(r, id)
	if err != nil {
		return err
	}
	want, err := readWish(w, r)
	if err != nil {
		return err
	}
	status, _, message := want.number("status", 200, 599)
	if message != "" {
		return event.Invalid("status", message)
	}
	answer := event.Answer{Status: status}
	if answer.Body, err = base64.StdEncoding.DecodeString(want.text("content")); err != nil {
		return event.Invalid("content", "must be base64")
	}
	if answer.Headers, err = answerHeaders(want["headers"]); err != nil {
		return err
	}
	c, err := a.Bins.Capture(r.Context(), b.ID, ref)
	if err != nil {
		return err
	}
	if err := a.Bins.Answer(b.ID, c.Seq, answer); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]bool{"status": true})
	return nil
}

// answerHeaders reads an object of headers, whose values are strings or lists of them.
func answerHeaders(text json.RawMessage) ([]event.Header, error) {
	if len(text) == 0 || isNothing(text) || string(text) == "[]" {
		return nil, nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, event.Invalid("headers", "must be an object of strings or lists of strings")
	}
	var list []event.Header
	for name, text := range all {
		var values []string
		var one string
		if json.Unmarshal(text, &values) != nil {
			if err := json.Unmarshal(text, &one); err != nil {
				return nil, event.Invalid("headers", "must be an object of strings or lists of strings")
			}
			values = []string{one}
		}
		for _, value := range values {
			h := event.Header{Name: name, Value: value}
			if len(inspect.CheckAnswer("", event.Answer{Headers: []event.Header{h}})) == 0 {
				list = append(list, h)
			}
		}
	}
	slices.SortStableFunc(list, func(x, y event.Header) int { return strings.Compare(strings.ToLower(x.Name), strings.ToLower(y.Name)) })
	return list, nil
}

// page is what is said of a page of requests after them.
type page struct {
	Total   int64 `json:"total"`
	PerPage int   `json:"per_page"`
	Current int   `json:"current_page"`
	IsLast  bool  `json:"is_last_page"`
	From    int   `json:"from"`
	To      int   `json:"to"`
}

// pageWriter writes a page of requests one by one: a page of large ones is more than memory has room for.
type pageWriter struct {
	api *API
	w   http.ResponseWriter
	n   int // requests written
}

// begin writes what comes before a request, or before the end.
func (p *pageWriter) begin() error {
	before := ","
	if p.n == 0 {
		p.w.Header().Set("Content-Type", "application/json")
		before = `{"data":[`
	}
	return p.write([]byte(before))
}

func (p *pageWriter) write(text []byte) error {
	_ = http.NewResponseController(p.w).SetWriteDeadline(time.Now().Add(writeTime)) // not supported: then there is no such limit
	_, err := p.w.Write(text)
	return err
}

// add writes a request; a large one takes a place.
func (p *pageWriter) add(ctx context.Context, c *event.Capture) error {
	if c.Size() > heavySize {
		select {
		case p.api.heavy <- struct{}{}:
			defer func() { <-p.api.heavy }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	text, err := json.Marshal(requestOf(c))
	if err != nil {
		return err
	}
	if err := p.begin(); err != nil {
		return err
	}
	p.n++
	return p.write(text)
}

// end writes what is said of the page.
func (p *pageWriter) end(last *page) error {
	text, err := json.Marshal(last)
	if err != nil {
		return err
	}
	if p.n == 0 {
		if err := p.begin(); err != nil {
			return err
		}
	}
	return p.write(append([]byte("],"), text[1:]...))
}

func (a *API) listRequests(w http.ResponseWriter, r *http.Request, id string) error {
	b, err := a.readable(r, id)
	if err != nil {
		return err
	}
	number, perPage, err := paging(r)
	if err != nil {
		return err
	}
	s, err := a.selection(r, &b)
	if err != nil {
		return err
	}
	gone, err := a.callers.admit(a.Remote(r))
	if err != nil {
		return err
	}
	defer gone()
	p := page{PerPage: perPage, Current: number}
	first := int64(number-1) * int64(perPage)
	last := first + int64(perPage)
	if s.all() { // how many there are is known
		stats, err := a.Bins.Stats(r.Context(), b.ID)
		if err != nil {
			return err
		}
		s.most, p.Total = last, stats.Requests
	}
	var n int64
	out := &pageWriter{api: a, w: w}
	err = a.scan(r.Context(), s, func(c *event.Capture) error {
		n++
		if n > first && n <= last {
			return out.add(r.Context(), c)
		}
		return nil
	})
	if err == nil {
		p.Total = max(p.Total, n)
		p.IsLast = last >= p.Total
		p.From, p.To = int(first)+1, int(first)+out.n
		err = out.end(&p)
	}
	if err != nil && out.n > 0 {
		panic(http.ErrAbortHandler) // so that what was cut off does not look whole
	}
	return err
}

func (a *API) deleteRequests(w http.ResponseWriter, r *http.Request, id string) error {
	b, err := a.writable(r, id)
	if err != nil {
		return err
	}
	s, err := a.selection(r, &b)
	if err != nil {
		return err
	}
	err = a.scan(r.Context(), s, func(c *event.Capture) error {
		err := a.Bins.DeleteCapture(r.Context(), b.ID, c.Seq)
		if event.KindOf(err) == event.KindNotFound && err != nil {
			return nil // somebody else did
		}
		return err
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]bool{"status": true})
	return nil
}

// exportRequests writes a table. An error after its first line ends the connection, so that it is not taken for whole.
func (a *API) exportRequests(w http.ResponseWriter, r *http.Request, id string) error {
	b, err := a.readable(r, id)
	if err != nil {
		return err
	}
	s, err := a.selection(r, &b)
	if err != nil {
		return err
	}
	if text := r.URL.Query().Get("per_page"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			return event.Invalid("per_page", "must be a number of 1 or more")
		}
		s.most = n
	}
	captures, stop := a.pull(r.Context(), s)
	defer stop()
	c, more, err := captures()
	if err != nil {
		return err
	}
	kind, extension, err := inspect.ExportType(inspect.ExportCSV)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="`+b.ID+"."+extension+`"`)
	began := false
	_, err = inspect.Export(w, inspect.ExportCSV, func() (event.Capture, bool, error) {
		if !began {
			began = true
			return c, more, nil
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime)) // not supported: then there is none
		return captures()
	})
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// writeTime bounds the writing of one part of a long answer.
const writeTime = 30 * time.Second

// pull turns a scan into calls that give one capture each.
func (a *API) pull(ctx context.Context, s selection) (next func() (event.Capture, bool, error), stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	type item struct {
		c   event.Capture
		err error
	}
	items := make(chan item)
	go func() {
		defer close(items)
		err := a.scan(ctx, s, func(c *event.Capture) error {
			select {
			case items <- item{c: *c}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if err != nil {
			select {
			case items <- item{err: err}:
			case <-ctx.Done():
			}
		}
	}()
	next = func() (event.Capture, bool, error) {
		i, ok := <-items
		return i.c, ok && i.err == nil, i.err
	}
	return next, func() {
		cancel()
		for range items { // until the scan has ended
		}
	}
}
