package rest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/inspect"
)

const (
	binKeepAlive = 15 * time.Second // between two signs of life on a stream
	binWrite     = 30 * time.Second // that the writing of one piece may take
	binPiece     = 64 << 10         // bytes
	exportPage   = 200              // captures of one read
	maxExport    = 10_000           // captures of one export
)

// The operations whose answers are not JSON.
var (
	rawOperation = operation{
		id: "get-bin-request-raw", method: http.MethodGet, path: binPath + "/requests/{request}/raw", tag: "Bins",
		summary: "Get a captured request byte for byte", doc: "The request line, the header lines, and the body.", scope: scopeRead, own: true,
	}
	bodyOperation = operation{
		id: "get-bin-request-body", method: http.MethodGet, path: binPath + "/requests/{request}/body", tag: "Bins",
		summary: "Get the body of a captured request", doc: "Byte for byte, as a file: never as a type that a browser would run.", scope: scopeRead, own: true,
	}
	fileOperation = operation{
		id: "get-bin-request-file", method: http.MethodGet, path: binPath + "/requests/{request}/files/{file}", tag: "Bins",
		summary: "Get an uploaded file of a captured request", doc: "Byte for byte, as a file: never as a type that a browser would run.", scope: scopeRead, own: true,
	}
	exportOperation = operation{
		id: "export-bin", method: http.MethodGet, path: binPath + "/export", tag: "Bins", summary: "Export captured requests",
		doc: "At most 10,000 of those that are selected, in the order in which they came.", scope: scopeRead, own: true,
	}
	binStreamOperation = operation{
		id: "stream-bin", method: http.MethodGet, path: binPath + "/stream", tag: "Bins", summary: "Get requests as they come: server-sent events",
		doc: "Each has its number as id, request as event and itself, as JSON on one line, as data. With Last-Event-ID, a number, those " +
			"that came after it are given first. While the connection lasts, the event change, without an id, says what happens to those in the " +
			"bin: its data are seqs, their numbers, and deleted, or the note or the status of the answer that one of them got.", scope: scopeRead, own: true, listens: true,
	}
)

// binPlainRoutes adds the routes whose answers are not JSON to the router and to the document.
func (a *API) binPlainRoutes() {
	anything := func(string) *problem { return nil }
	for _, o := range []*operation{&rawOperation, &bodyOperation, &fileOperation} {
		a.mux.HandleFunc("GET "+o.path, a.listening(o, anything, a.captureBytes))
	}
	a.mux.HandleFunc("GET "+exportOperation.path, a.listening(&exportOperation, anything, a.exportBin))
	a.mux.HandleFunc("GET "+binStreamOperation.path, a.listening(&binStreamOperation, acceptsEvents, a.streamBin))
	a.documentBins()
}

// inert marks an answer as something to be saved, not shown: what strangers sent must not run as a page of this server.
func inert(w http.ResponseWriter, contentType, name string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
}

// captureBytes answers with a request, its body, or a file of it.
func (a *API) captureBytes(w http.ResponseWriter, r *http.Request, c *call) error {
	if err := readQuery(r).problem(); err != nil {
		return err
	}
	found, err := a.captureOf(r.Context(), c, &InRequest{InBin{r.PathValue("bin")}, r.PathValue("request")})
	if err != nil {
		return err
	}
	kind, name, content := "message/http", "request-"+strconv.FormatInt(found.Seq, 10)+".http", []byte(nil)
	switch file := r.PathValue("file"); {
	case file != "":
		n, err := strconv.Atoi(file)
		_, files := inspect.Form(&found.Request)
		if err != nil || n < 0 || n >= len(files) {
			return event.NotFound("file")
		}
		kind, name, content = "application/octet-stream", files[n].Filename, files[n].Body
	case r.Pattern == "GET "+bodyOperation.path:
		kind, name, content = "application/octet-stream", "body-"+strconv.FormatInt(found.Seq, 10), found.Body
	default:
		content = inspect.Raw(&found.Request)
	}
	inert(w, kind, name)
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	w.WriteHeader(http.StatusOK)
	_, _ = patiently(w).Write(content) // the client may be gone; nobody is left to tell
	return nil
}

// patientWriter gives each piece of an answer a time in which it must be read. Without it a listener that does not read
// would be held for as long as the connection lives; with one time for all, a slow one would never get a large answer.
type patientWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func patiently(w http.ResponseWriter) *patientWriter {
	return &patientWriter{w, http.NewResponseController(w)}
}

// beginEvents begins an answer of server-sent events; nil when only its head was asked for.
func beginEvents(w http.ResponseWriter, r *http.Request, cacheControl string) *patientWriter {
	unhurried(w)
	h := w.Header()
	h.Set("Content-Type", typeEvents)
	h.Set("X-Accel-Buffering", "no")
	h.Set("Cache-Control", cacheControl)
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	return patiently(w)
}

// Write is for [io.Writer].
func (p *patientWriter) Write(b []byte) (n int, err error) {
	for piece := range slices.Chunk(b, binPiece) {
		_ = p.control.SetWriteDeadline(time.Now().Add(binWrite)) // not supported: then there is no such limit
		m, err := p.w.Write(piece)
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// binQuery reads which captured requests are asked for.
func (a *API) binQuery(q *query, b *event.Bin) (event.CaptureQuery, string, error) {
	in := InCaptures{Query: q.take("query"), Method: q.take("method"), Since: q.time("since"), Until: q.time("until")}
	if err := q.problem(); err != nil {
		return event.CaptureQuery{}, "", err
	}
	return in.ask(b)
}

// time reads a time.
func (q *query) time(name string) time.Time {
	text := q.take(name)
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		q.fault(name, "must be a time such as 2026-01-02T03:04:05Z")
	}
	return t
}

// exportBin answers with captured requests in one of the formats.
func (a *API) exportBin(w http.ResponseWriter, r *http.Request, c *call) error {
	ctx := r.Context()
	b, err := a.bin(ctx, c, r.PathValue("bin"))
	if err != nil {
		return err
	}
	q := readQuery(r)
	format := q.take("format")
	if format == "" {
		format = inspect.ExportJSON
	}
	kind, extension, err := inspect.ExportType(format)
	if err != nil {
		return err
	}
	ask, text, err := a.binQuery(q, &b)
	if err != nil {
		return err
	}
	if _, err := inspect.ParseQuery(text); err != nil {
		return err
	}
	inert(w, kind, "bin-"+b.ID+"."+extension)
	w.WriteHeader(http.StatusOK)
	pages := &capturePages{api: a, r: r, ask: ask, text: text}
	if _, err := inspect.Export(patiently(w), format, pages.next); err != nil {
		if ctx.Err() == nil {
			a.logCause(problemOf(fmt.Errorf("export of a bin: %w", err)), c.id, r.Method, r.URL.Path)
		}
		panic(http.ErrAbortHandler) // so that what was cut off does not look whole
	}
	return nil
}

// capturePages gives what a search finds, one by one.
type capturePages struct {
	api   *API
	r     *http.Request
	ask   event.CaptureQuery
	text  string
	list  []event.Capture
	given int
	last  bool
}

func (p *capturePages) next() (event.Capture, bool, error) {
	for len(p.list) == 0 {
		if p.last || p.given >= maxExport {
			return event.Capture{}, false, nil
		}
		p.ask.Limit = min(exportPage, maxExport-p.given)
		list, next, err := p.api.Bins.Search(p.r.Context(), p.ask, p.text)
		if err != nil {
			return event.Capture{}, false, err
		}
		p.list, p.ask.After, p.last = list, next, next == 0
	}
	c := p.list[0]
	p.list[0] = event.Capture{} // who reads slowly holds what is left, not all
	p.list = p.list[1:]
	p.given++
	return c, true, nil
}

// streamBin answers with server-sent events until one side ends it.
func (a *API) streamBin(w http.ResponseWriter, r *http.Request, c *call) error {
	ctx := r.Context()
	b, err := a.bin(ctx, c, r.PathValue("bin"))
	if err != nil {
		return err
	}
	q := readQuery(r)
	maxBody := int(q.number("max_body", wholeBody, math.MaxInt, wholeBody))
	if err := q.problem(); err != nil {
		return err
	}
	after, given, p := lastEventID(r.Header)
	if p != nil {
		return p
	}
	if !given {
		stats, err := a.Bins.Stats(ctx, b.ID)
		if err != nil {
			return err
		}
		after = stats.Last
	}
	leave, err := a.Bins.Join(b.ID)
	if err != nil {
		return err
	}
	defer leave()
	out := beginEvents(w, r, "no-store")
	if out == nil {
		return nil
	}
	s := &binStream{api: a, out: bufio.NewWriterSize(out, 16<<10), control: out.control, key: &c.key, maxBody: maxBody}
	if !s.send(": connected\n\n") {
		return nil
	}
	for seen := int64(-1); ; {
		news, err := a.Bins.News(ctx, b.ID, after, seen, binKeepAlive)
		if err != nil || !s.live(ctx) {
			return nil // the bin is gone, the listener or its key is, or the server stops; it will ask again
		}
		if n := len(news.Captures); n > 0 {
			after = news.Captures[n-1].Seq
		}
		seen = news.Seen
		if !s.news(&news) {
			return nil
		}
	}
}

// binStream writes server-sent events to one listener.
type binStream struct {
	api     *API
	out     *bufio.Writer
	control *http.ResponseController
	key     *event.APIKey
	maxBody int
}

// live reports whether the key still holds. It is asked before each writing: what comes after somebody signed out, or after the
// key was revoked, is not for who listens.
func (s *binStream) live(ctx context.Context) bool {
	if !s.key.Expires.IsZero() && !time.Now().Before(s.key.Expires) {
		return false
	}
	return s.api.Holds == nil || s.api.Holds(ctx, s.key)
}

// news writes what is new, or a sign of life; false when the listener is gone.
func (s *binStream) news(n *inspect.News) bool {
	text := ": keep-alive\n\n"
	for i := range n.Captures {
		c := &n.Captures[i]
		if !s.event("id: "+strconv.FormatInt(c.Seq, 10)+"\nevent: request", s.api.showCapture(c, s.maxBody)) {
			return false
		}
		*c = event.Capture{} // who reads slowly holds one of them, not all
		text = ""
	}
	for _, ch := range n.Changes {
		if !s.event("event: change", client.BinChange(ch)) {
			return false
		}
		text = ""
	}
	return s.send(text)
}

// event writes one event with its data; false when the listener is gone.
func (s *binStream) event(head string, data any) bool {
	body, err := json.Marshal(data)
	if err != nil {
		return false // strings and numbers only
	}
	_, err = fmt.Fprintf(s.out, "%s\ndata: %s\n\n", head, body)
	return err == nil
}

// send writes text and everything before it out.
func (s *binStream) send(text string) bool {
	if _, err := s.out.WriteString(text); err != nil {
		return false
	}
	return s.out.Flush() == nil && s.control.Flush() == nil
}

// documentBins adds the routes whose answers are not JSON to the document.
func (a *API) documentBins() {
	path := func(name, doc string) *huma.Param {
		p := textParameter("path", name, doc)
		p.Required = true
		return p
	}
	bin, one := path("bin", "The bin's id or alias"), path("request", "The request's id, its number, or latest")
	file := path("file", "Its place among the request's files, counted from 0")
	file.Schema = &huma.Schema{Type: huma.TypeInteger, Format: "int64", Minimum: new(float64)}
	binary := &huma.Schema{Type: huma.TypeString, ContentEncoding: "binary"}
	a.documentPlain(&rawOperation, []*huma.Param{bin, one}, "message/http", binary)
	a.documentPlain(&bodyOperation, []*huma.Param{bin, one}, "application/octet-stream", binary)
	a.documentPlain(&fileOperation, []*huma.Param{bin, one, file}, "application/octet-stream", binary)
	format := textParameter("query", "format", "json (default), csv, har (HTTP Archive 1.2), or curl: commands for a shell")
	format.Schema.Enum, format.Schema.Default = []any{"json", "csv", "har", "curl"}, "json"
	times := func(name, doc string) *huma.Param {
		p := textParameter("query", name, doc)
		p.Schema.Format = "date-time"
		return p
	}
	export := a.documentPlain(&exportOperation, []*huma.Param{
		bin, format, textParameter("query", "query", "As of the list"), textParameter("query", "method", "Only this method"),
		times("since", "Only what arrived at or after this time"), times("until", "Only what arrived before this time"),
	}, typeJSON, &huma.Schema{})
	export.Responses["200"].Content["text/csv; charset=utf-8"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	export.Responses["200"].Content["text/plain; charset=utf-8"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	most := textParameter("query", "max_body", "Leave out the bodies of requests whose bodies have more bytes than this: those say body_omitted. -1 (default): none")
	most.Schema = &huma.Schema{Type: huma.TypeInteger, Minimum: new(float64(wholeBody)), Default: wholeBody}
	stream := a.documentPlain(&binStreamOperation, []*huma.Param{
		bin, most, textParameter("header", "Last-Event-ID", "The id of the last event that was received"),
	}, typeEvents, &huma.Schema{Type: huma.TypeString, Description: "Server-sent events"})
	stream.Security = []map[string][]string{{"bearer": {}}, {"tokenQuery": {}}, {"tokenCookie": {}}}
	a.documentErrors(stream, http.StatusNotAcceptable)
}

// documentPlain adds an operation to the document and returns it.
func (a *API) documentPlain(o *operation, parameters []*huma.Param, media string, schema *huma.Schema) *huma.Operation {
	op := &huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Tags: []string{o.tag}, Summary: o.summary, Description: describe(o), Parameters: parameters,
		Responses: map[string]*huma.Response{"200": {
			Description: http.StatusText(http.StatusOK), Content: map[string]*huma.MediaType{media: {Schema: schema}},
		}},
	}
	a.documentErrors(op, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone,
		http.StatusUnprocessableEntity, http.StatusInternalServerError, http.StatusServiceUnavailable)
	a.huma.OpenAPI().AddOperation(op)
	return op
}
