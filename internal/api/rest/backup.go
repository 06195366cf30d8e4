package rest

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/audit"
	"github.com/posthornhq/posthorn/internal/event"
)

const (
	backupPath = "/v1/backup"
	typeLines  = "application/x-ndjson"
)

// backupRoute adds the backup to the router and to the document. Its answer is a stream, which huma does not write.
func (a *API) backupRoute() {
	if a.Backup == nil {
		return
	}
	body := &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		typeJSON: {Schema: a.schemaOf(reflect.TypeFor[client.BackupRequest]())},
	}}
	a.mux.HandleFunc("POST "+backupPath, func(w http.ResponseWriter, r *http.Request) { a.serveBackup(w, r, body) })
	op := &huma.Operation{
		OperationID: "backup", Method: http.MethodPost, Path: backupPath, Tags: []string{"Operation"}, Summary: "Copy the data into a folder",
		Description: "Copies the data, without the encryption key, into a new or empty folder of the server's machine while the server goes on. " +
			"The answer is a JSON value a line: done and total while it works; at last dir, or error with a problem. Needs an admin key.",
		RequestBody: body,
		Responses: map[string]*huma.Response{"200": {Description: "Begun; the last line says how it ended", Content: map[string]*huma.MediaType{
			typeLines: {Schema: a.backupLineSchema()},
		}}},
	}
	a.documentErrors(op, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusInternalServerError)
	a.huma.OpenAPI().AddOperation(op)
}

var backupOperation = operation{id: "backup", method: http.MethodPost, path: backupPath, scope: scopeAdmin}

// serveBackup is the pipeline of the backup.
func (a *API) serveBackup(w http.ResponseWriter, r *http.Request, body *huma.RequestBody) {
	c := &call{request: r, id: w.Header().Get("X-Request-Id")}
	var p *problem
	if c.credential, p = a.said(r, false); p == nil {
		c.key, p = a.authenticate(r.Context(), c.credential, false)
	}
	var raw []byte
	if p == nil {
		w.Header().Set("Cache-Control", "no-store")
		raw, p = a.readBackup(w, r, body)
	}
	if p != nil {
		a.noteRefused(r, c, &backupOperation, p)
		a.writeProblem(w, r, p)
		return
	}
	if a.Audit != nil {
		c.entry = a.newEntry(r, c, &backupOperation)
		c.entry.Changes = audit.Diff(nil, json.RawMessage(raw))
		if err := a.Audit.Begin(r.Context(), c.entry); err != nil {
			a.writeProblem(w, r, problemOf(err))
			return
		}
	}
	last := &lastWrite{ResponseWriter: w, status: http.StatusOK}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	a.Backup.ServeHTTP(last, r)
	if c.entry != nil {
		c.entry.Status, c.entry.Outcome = last.status, audit.Outcome(last.status)
		if c.entry.Outcome == event.AuditDone && !last.complete() {
			c.entry.Outcome = event.AuditUnknown
		}
		a.Audit.End(r.Context(), c.entry)
	}
}

// lastWrite remembers the last line of a backup's answer, which says how it ended.
type lastWrite struct {
	http.ResponseWriter
	status int
	last   []byte
}

// WriteHeader is for [http.ResponseWriter].
func (w *lastWrite) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Write is for [http.ResponseWriter].
func (w *lastWrite) Write(b []byte) (int, error) {
	w.last = append(w.last[:0], b[:min(len(b), maxBackupLine)]...)
	return w.ResponseWriter.Write(b)
}

// maxBackupLine is more than the last line of a backup's answer has.
const maxBackupLine = 64 << 10

// Unwrap is for [http.ResponseController].
func (w *lastWrite) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// complete reports whether the last line says that the copy is complete.
func (w *lastWrite) complete() bool {
	var line client.BackupLine
	return json.Unmarshal(w.last, &line) == nil && line.Dir != ""
}

// backupLineSchema describes [client.BackupLine]. It is written out since huma knows problems as this package's type.
func (a *API) backupLineSchema() *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, Description: "One line of the answer", Properties: map[string]*huma.Schema{
		"done":  {Type: huma.TypeInteger, Description: "Pages copied"},
		"total": {Type: huma.TypeInteger, Description: "Pages to copy"},
		"dir":   {Type: huma.TypeString, Description: "The folder, when the copy is complete"},
		"error": a.schemaOf(reflect.TypeFor[problem]()),
	}}
}

// readBackup checks a request for a backup as huma checks others, and returns its body.
func (a *API) readBackup(w http.ResponseWriter, r *http.Request, want *huma.RequestBody) ([]byte, *problem) {
	if p := readable(r); p != nil {
		return nil, p
	}
	if names := slices.Sorted(maps.Keys(r.URL.Query())); len(names) > 0 {
		return nil, invalid(names[0], "is not a known query parameter")
	}
	raw, p := readBody(w, r, want)
	if p != nil {
		return nil, p
	}
	var document any
	if err := unmarshal(raw, &document); err != nil {
		return nil, problemOf(err)
	}
	result := &huma.ValidateResult{}
	huma.Validate(a.huma.OpenAPI().Components.Schemas, want.Content[typeJSON].Schema, huma.NewPathBuffer([]byte("body"), 0),
		huma.ModeWriteToServer, document, result)
	if len(result.Errors) > 0 {
		return nil, problemOf(humaError(http.StatusUnprocessableEntity, "", result.Errors...))
	}
	var in client.BackupRequest
	if err := unmarshal(raw, &in); err != nil {
		return nil, problemOf(err)
	}
	if !filepath.IsAbs(in.Dir) {
		return nil, invalid("dir", "must be the absolute path of a folder, not "+strconv.Quote(in.Dir))
	}
	return raw, nil
}
