package rest

import (
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/posthornhq/posthorn/client"
)

// listenOperation returns the document of an operation of those who listen, with the errors that all of them have.
func (a *API) listenOperation(o *operation, parameters []*huma.Param, errors ...int) *huma.Operation {
	tenant := &huma.Param{Name: "tenant", In: "path", Required: true, Description: "The tenant's name", Schema: &huma.Schema{Type: huma.TypeString}}
	op := &huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Tags: []string{o.tag}, Summary: o.summary, Description: describe(o),
		Parameters: append([]*huma.Param{tenant}, parameters...), Responses: map[string]*huma.Response{},
		Security: []map[string][]string{{"bearer": {}}, {"tokenQuery": {}}, {"tokenCookie": {}}},
	}
	a.documentErrors(op, append(errors, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable)...)
	for _, status := range []string{"429", "503"} {
		op.Responses[status].Headers = map[string]*huma.Param{"Retry-After": {Schema: &huma.Schema{
			Type: huma.TypeString, Description: "Seconds to wait before trying again",
		}}}
	}
	return op
}

// selectionParameters are those of a query that selects events.
func selectionParameters(start string) []*huma.Param {
	whole, one, flat := huma.TypeInteger, 1.0, false
	list := func(name, doc string) *huma.Param {
		return &huma.Param{
			Name: name, In: "query", Description: doc, Explode: &flat,
			Schema: &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}},
		}
	}
	return []*huma.Param{
		{Name: "start", In: "query", Description: start, Schema: &huma.Schema{Type: whole, Format: "int64", Minimum: &one}},
		list("types", "Patterns of types, separated by commas: order.paid, order.* or order.**"),
		list("subject", "Subjects, separated by commas; one that ends in * means every subject that begins so"),
		textParameter("query", "filter", "A CEL expression over the event, which must be true"),
	}
}

func textParameter(in, name, doc string) *huma.Param {
	return &huma.Param{Name: name, In: in, Description: doc, Schema: &huma.Schema{Type: huma.TypeString}}
}

func (a *API) documentChanges() {
	low, high := 1.0, 1000.0
	parameters := append(selectionParameters("The first version; absent: the oldest one kept"),
		&huma.Param{Name: "limit", In: "query", Description: "The most events of the answer", Schema: &huma.Schema{
			Type: huma.TypeInteger, Format: "int64", Minimum: &low, Maximum: &high, Default: 100,
		}},
		textParameter("query", "wait", "How long to wait for an event when there is none: seconds, or a duration such as 30s; at most 60 s"),
		textParameter("header", "If-None-Match", "304 when the answer still has this ETag; with wait, once time is up"),
	)
	op := a.listenOperation(&changesOperation, parameters, http.StatusNotAcceptable, http.StatusGone)
	op.Responses["200"] = &huma.Response{
		Description: http.StatusText(http.StatusOK),
		Content:     map[string]*huma.MediaType{typeJSON: {Schema: a.schemaOf(reflect.TypeFor[client.Changes]())}},
		Headers:     map[string]*huma.Param{"ETag": {Schema: &huma.Schema{Type: huma.TypeString, Description: "The answer's version"}}},
	}
	op.Responses["304"] = &huma.Response{Description: "Not Modified: the ETag is one of If-None-Match"}
	a.huma.OpenAPI().AddOperation(op)
}

func (a *API) documentStream() {
	event := textParameter("query", "event", "type (default): each event is named by its type; none: it is not, and all arrive at onmessage")
	event.Schema.Enum = []any{"type", "none"}
	parameters := append(selectionParameters("The first version; absent: what comes"), event,
		textParameter("header", "Last-Event-ID", "The id of the last event that was received; counts before start"))
	op := a.listenOperation(&streamOperation, parameters, http.StatusNotAcceptable, http.StatusGone)
	op.Responses["200"] = &huma.Response{
		Description: "Events until one side ends the connection",
		Content:     map[string]*huma.MediaType{typeEvents: {Schema: &huma.Schema{Type: huma.TypeString, Description: "Server-sent events"}}},
	}
	a.huma.OpenAPI().AddOperation(op)
}

func (a *API) documentSocket() {
	op := a.listenOperation(&socketOperation, []*huma.Param{
		textParameter("header", "Sec-WebSocket-Protocol", "posthorn.v1.json or posthorn.v1.cbor"),
	}, http.StatusUpgradeRequired)
	op.Responses[strconv.Itoa(http.StatusSwitchingProtocols)] = &huma.Response{Description: "The connection is a WebSocket"}
	if a.AsyncAPI != nil {
		op.ExternalDocs = &huma.ExternalDocs{Description: "The messages, in AsyncAPI", URL: asyncPath}
	}
	a.huma.OpenAPI().AddOperation(op)
}
