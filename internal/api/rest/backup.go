package rest

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/posthornhq/posthorn/client"
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
	a.mux.Handle("POST "+backupPath, a.adminOnly(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, p := a.readBackup(w, r, body)
		if p != nil {
			a.writeProblem(w, r, p)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(raw))
		a.Backup.ServeHTTP(w, r)
	})))
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
