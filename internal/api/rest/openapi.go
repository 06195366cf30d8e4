package rest

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/posthornhq/posthorn/client"
)

// publishTypes are the media types of the bodies of publishes, besides CloudEvents binary mode.
var publishTypes = []string{typeJSON, "application/cloudevents+json", "application/cloudevents-batch+json"}

// schemaOf returns a reference to the schema of a wire type.
func (a *API) schemaOf(t reflect.Type) *huma.Schema {
	return a.huma.OpenAPI().Components.Schemas.Schema(t, true, "")
}

// documentSpecial adds what huma cannot see in a handler's types.
func (a *API) documentSpecial(op *huma.Operation, o *operation) {
	op.Responses = map[string]*huma.Response{}
	if o.answer != nil {
		op.Responses["200"] = &huma.Response{
			Description: http.StatusText(http.StatusOK),
			Content:     map[string]*huma.MediaType{typeJSON: {Schema: a.schemaOf(o.answer)}},
		}
	}
	if o.empty {
		op.Responses["204"] = &huma.Response{Description: http.StatusText(http.StatusNoContent)}
	}
	if o.tagged && o.method == http.MethodGet {
		op.Responses["304"] = &huma.Response{Description: "Not Modified: the ETag is one of If-None-Match"}
	}
	if o.creates != nil {
		text := func(doc string) *huma.Param {
			return &huma.Param{Description: doc, Schema: &huma.Schema{Type: huma.TypeString}}
		}
		op.Responses["201"] = &huma.Response{
			Description: http.StatusText(http.StatusCreated),
			Content:     map[string]*huma.MediaType{typeJSON: {Schema: a.schemaOf(o.creates)}},
			Headers:     map[string]*huma.Param{"ETag": text("The resource's version"), "Location": text("Where the resource is")},
		}
	}
	if o.patch != nil {
		op.SkipValidateBody = true // the merged result is validated
		schema := a.patchSchema(o.patch)
		op.RequestBody = &huma.RequestBody{
			Required: true, Description: "A JSON merge patch (RFC 7386): null sets a field back to its default",
			Content: map[string]*huma.MediaType{typePatch: {Schema: schema}, typeJSON: {Schema: schema}},
		}
	}
}

// patchSchema returns a schema like that of a resource with nothing required and everything nullable.
func (a *API) patchSchema(t reflect.Type) *huma.Schema {
	registry := a.huma.OpenAPI().Components.Schemas
	ref := a.schemaOf(t)
	full := registry.SchemaFromRef(ref.Ref)
	name := t.Name() + "Patch"
	patch := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{}, AdditionalProperties: false}
	for field, s := range full.Properties {
		if s.ReadOnly {
			continue
		}
		patch.Properties[field] = a.nullable(s)
	}
	registry.Map()[name] = patch
	return &huma.Schema{Ref: "#/components/schemas/" + name}
}

// nullable copies a schema so that null fits, too; objects within also lose what they require.
func (a *API) nullable(s *huma.Schema) *huma.Schema {
	inner := s
	if s.Ref != "" {
		object := *a.huma.OpenAPI().Components.Schemas.SchemaFromRef(s.Ref)
		object.Required = nil
		object.Properties = map[string]*huma.Schema{}
		for field, p := range a.huma.OpenAPI().Components.Schemas.SchemaFromRef(s.Ref).Properties {
			object.Properties[field] = a.nullable(p)
		}
		object.Description = s.Description
		inner = &object
	}
	if inner.Type == "" {
		return inner // anything fits already
	}
	plain := *inner
	plain.Description = ""
	return &huma.Schema{Description: inner.Description, AnyOf: []*huma.Schema{&plain, {Type: "null"}}}
}

// publishRoute adds the publish path to the router, for escaped paths, and to the document.
func (a *API) publishRoute() {
	const path = "/v1/tenants/{tenant}/events"
	a.mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) { a.servePublish(w, r, r.PathValue("tenant")) })

	one, many := a.schemaOf(reflect.TypeFor[client.Event]()), 1
	list := &huma.Schema{Type: huma.TypeArray, Items: one, MinItems: &many, MaxItems: &a.Limits.MaxBatch}
	cloud := a.cloudEventSchema()
	text := func(s string) *huma.Param {
		return &huma.Param{Schema: &huma.Schema{Type: huma.TypeString, Description: s}}
	}
	header := func(name, doc string) *huma.Param {
		p := text(doc)
		p.Name, p.In, p.Description = name, "header", doc
		return p
	}
	accepted := map[string]*huma.MediaType{typeJSON: {Schema: &huma.Schema{OneOf: []*huma.Schema{
		a.schemaOf(reflect.TypeFor[client.Receipt]()), a.schemaOf(reflect.TypeFor[client.Receipts]()),
	}}}}
	op := &huma.Operation{
		OperationID: "publish", Method: http.MethodPost, Path: path, Tags: []string{"Publishing"}, Summary: "Publish events",
		Description: "Stores one event, or an array of events (all or none), and answers once they are durable. " +
			"An event whose id is on the log already is not stored again; its first receipt is returned. " +
			"In CloudEvents binary mode the attributes are ce-* headers and the body, of any media type, is the data. " +
			"Needs a key that may publish.",
		Parameters: []*huma.Param{
			{Name: "tenant", In: "path", Required: true, Description: "The tenant's name", Schema: &huma.Schema{Type: huma.TypeString}},
			header("Idempotency-Key", "Makes the request repeatable: a second one with the same key and content gets the first one's answer"),
			header("ce-specversion", "1.0: CloudEvents binary mode"),
			header("ce-id", "Binary mode: the event's id"),
			header("ce-source", "Binary mode: the event's source"),
			header("ce-type", "Binary mode: the event's type"),
		},
		RequestBody: &huma.RequestBody{
			Description: "At most " + strconv.Itoa(a.Limits.MaxBatchBytes) + " bytes and " + strconv.Itoa(a.Limits.MaxBatch) + " events; one event at most " +
				strconv.Itoa(a.Limits.MaxEvent) + " bytes",
			Content: map[string]*huma.MediaType{
				typeJSON:        {Schema: &huma.Schema{OneOf: []*huma.Schema{one, list}}},
				publishTypes[1]: {Schema: cloud},
				publishTypes[2]: {Schema: &huma.Schema{Type: huma.TypeArray, Items: cloud, MinItems: &many, MaxItems: &a.Limits.MaxBatch}},
				"*/*":           {Schema: &huma.Schema{Description: "The data, in CloudEvents binary mode"}},
			},
		},
		Responses: map[string]*huma.Response{
			"200": {Description: "Nothing new: every event was on the log already, or the request was made before. The first answer again", Content: accepted},
			"202": {Description: "Durable", Content: accepted},
		},
	}
	a.documentErrors(op, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusNotAcceptable, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
		http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusServiceUnavailable, http.StatusInsufficientStorage)
	wait := text("Seconds to wait before trying again")
	op.Responses["429"].Headers = map[string]*huma.Param{"Retry-After": wait}
	op.Responses["503"].Headers = map[string]*huma.Param{"Retry-After": wait}
	a.huma.OpenAPI().AddOperation(op)
}

// cloudEventSchema describes CloudEvents 1.0 in JSON.
func (a *API) cloudEventSchema() *huma.Schema {
	text := func(doc string) *huma.Schema { return &huma.Schema{Type: huma.TypeString, Description: doc} }
	a.huma.OpenAPI().Components.Schemas.Map()["CloudEvent"] = &huma.Schema{
		Type: huma.TypeObject, Description: "A CloudEvents 1.0 event; further members are extension attributes",
		Properties: map[string]*huma.Schema{
			"specversion": {Type: huma.TypeString, Enum: []any{"1.0"}}, "id": text("Unique in the tenant"), "source": text("A URI-reference"),
			"type": text("Dotted, such as order.paid"), "subject": text("What it is about"),
			"time":            {Type: huma.TypeString, Format: "date-time", Description: "When it happened"},
			"datacontenttype": text("The media type of data"), "dataschema": text("A URI of the data's schema"),
			"data": {Description: "The payload"}, "data_base64": text("The payload in base 64; instead of data"),
			"partitionkey": text("The ordering key"),
		},
		Required: []string{"specversion", "id", "source", "type"},
	}
	return &huma.Schema{Ref: "#/components/schemas/CloudEvent"}
}

// documentErrors adds problem documents to an operation that huma does not handle.
func (a *API) documentErrors(op *huma.Operation, statuses ...int) {
	schema := a.schemaOf(reflect.TypeFor[problem]())
	for _, status := range statuses {
		op.Responses[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status), Content: map[string]*huma.MediaType{typeProblem: {Schema: schema}},
		}
	}
}

// knownRemovals refuses a patch that sets back a field that there is not: it leaves nothing behind by which the schema could
// tell.
func knownRemovals(registry huma.Registry, schema *huma.Schema, changes any) error {
	if schema.Ref != "" {
		schema = registry.SchemaFromRef(schema.Ref)
	}
	object, _ := changes.(map[string]any)
	for name, value := range object {
		if _, known := schema.Properties[name]; value == nil && !known {
			return invalid(name, "is not a known field")
		}
	}
	return nil
}

// patched returns the resource that a merge patch makes of a current one. What the patch makes of it must fit the
// resource's schema.
func patched[T any](a *API, current *T, patch json.RawMessage) (*T, error) {
	var document, changes any
	raw, err := json.Marshal(current)
	if err != nil {
		return nil, err
	}
	if err := unmarshal(raw, &document); err != nil {
		return nil, err
	}
	if err := unmarshal(patch, &changes); err != nil {
		return nil, err
	}
	if _, ok := changes.(map[string]any); !ok {
		return nil, invalid("body", "must be an object")
	}
	registry := a.huma.OpenAPI().Components.Schemas
	if err := knownRemovals(registry, a.schemaOf(reflect.TypeFor[T]()), changes); err != nil {
		return nil, err
	}
	merged := mergePatch(document, changes)
	result := &huma.ValidateResult{}
	huma.Validate(registry, a.schemaOf(reflect.TypeFor[T]()), huma.NewPathBuffer([]byte("body"), 0), huma.ModeWriteToServer, merged, result)
	if len(result.Errors) > 0 {
		return nil, humaError(http.StatusUnprocessableEntity, "", result.Errors...)
	}
	if raw, err = json.Marshal(merged); err != nil {
		return nil, err
	}
	out := new(T)
	if err := unmarshal(raw, out); err != nil {
		return nil, humaError(http.StatusUnprocessableEntity, "", &huma.ErrorDetail{Location: "body", Message: err.Error()})
	}
	return out, nil
}
