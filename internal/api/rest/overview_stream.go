package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

const watchDoc = "First the event overview; then each second the event tick, with what happened in that second, and the event attention when the list of " +
	"what needs attention has changed. Who reads slowly misses ticks. Data is JSON on one line."

// The operations of those who watch.
var (
	overviewStreamOperation = operation{
		id: "stream-overview", method: http.MethodGet, path: "/v1/overview/stream", tag: "Operation", summary: "Watch how the server does: server-sent events",
		doc: watchDoc, scope: scopeAdmin, overall: true, listens: true,
	}
	tenantStreamOperation = operation{
		id: "stream-tenant-overview", method: http.MethodGet, path: "/v1/tenants/{tenant}/overview/stream", tag: "Tenants",
		summary: "Watch how a tenant does: server-sent events", doc: watchDoc, scope: scopeRead, listens: true, portal: true,
	}
)

func (a *API) overviewStreamRoutes() {
	for _, o := range []*operation{&overviewStreamOperation, &tenantStreamOperation} {
		a.mux.HandleFunc("GET "+o.path, a.listening(o, acceptsEvents, a.streamOverview))
		op := a.listenOperation(o, nil, http.StatusNotAcceptable)
		if o.scope == scopeAdmin {
			op.Parameters, op.Security = nil, []map[string][]string{{"bearer": {}}}
			delete(op.Responses, "404")
		}
		delete(op.Responses, "429")
		op.Responses["200"] = &huma.Response{
			Description: "Events until one side ends the connection",
			Content:     map[string]*huma.MediaType{typeEvents: {Schema: &huma.Schema{Type: huma.TypeString, Description: "Server-sent events"}}},
		}
		a.huma.OpenAPI().AddOperation(op)
	}
	for _, t := range []reflect.Type{typeOf[client.Tick](), typeOf[client.AttentionList]()} { // what the events hold is in the document, too
		_ = a.schemaOf(t)
	}
}

// overviewSilence is after how long without news a sign of life is sent.
const overviewSilence = 15 * time.Second

// streamOverview answers with server-sent events until one side ends it.
func (a *API) streamOverview(w http.ResponseWriter, r *http.Request, c *call) error {
	if err := readQuery(r).problem(); err != nil {
		return err
	}
	tenant := event.TenantID(0)
	if c.tenant != nil {
		tenant = c.tenant.ID
	}
	next, leave, err := a.Overviews.Watch(tenant, &c.key)
	if err != nil {
		return err
	}
	defer leave()
	ctx := r.Context()
	first, err := next(ctx)
	if err != nil {
		return err
	}
	out := beginEvents(w, r, "no-cache, no-transform")
	if out == nil {
		return nil
	}
	for news := first; ; {
		if text := a.newsText(ctx, c, &news); text != nil {
			if _, err := out.Write(text); err != nil || out.control.Flush() != nil {
				return nil
			}
		}
		silence, cancel := context.WithTimeout(ctx, overviewSilence)
		news, err = next(silence)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			news, err = event.OverviewNews{}, nil
		}
		if err != nil {
			return nil // the listener is gone, its key is, or the server stops; it will ask again
		}
	}
}

// newsText is a block of server-sent events; without news a sign of life.
func (a *API) newsText(ctx context.Context, c *call, news *event.OverviewNews) []byte {
	name, data := "", any(nil)
	switch {
	case news.Overview != nil:
		name, data = "overview", a.showOverview(ctx, c, news.Overview)
	case news.Tick != nil:
		name, data = "tick", showTick(news.Tick)
	case news.Attention != nil:
		name, data = "attention", client.AttentionList{Data: a.showAttention(ctx, c, news.Attention)}
	default:
		return []byte(": keep-alive\n\n")
	}
	body, err := json.Marshal(data)
	if err != nil {
		return nil // strings and numbers only
	}
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, body)
}
