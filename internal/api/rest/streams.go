package rest

import (
	"context"
	"net/http"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

const streamsPath = "/v1/tenants/{tenant}/streams"

// streamRoutes adds the routes of live connections.
func (a *API) streamRoutes() {
	if a.Streams == nil {
		return
	}
	register(a, operation{
		id: "list-streams", method: http.MethodGet, path: streamsPath, tag: "Listening", summary: "List live connections",
		doc: "Server-sent events, WebSockets and long polls that wait, in the order in which they came, with how far each is. " +
			"Tokens are not taken: they would show a web page's users each other's addresses.",
		scope: scopeRead, keysOnly: true,
	}, a.listStreams)
	register(a, operation{
		id: "end-stream", method: http.MethodDelete, path: streamsPath + "/{stream}", tag: "Listening", summary: "End a live connection",
		doc:   "A WebSocket is closed with 1008, a stream ends, a poll is answered. The client may come back: to keep it out, revoke its key or token. Tokens are not taken.",
		scope: scopeManage, keysOnly: true,
	}, a.endStream)
}

func (a *API) listStreams(_ context.Context, c *call, in *struct {
	InTenant
	InPage
},
) (*outBody[client.Page[client.LiveStream]], error) {
	after, p := decodeNumberCursor(listStreams, in.Cursor)
	if p != nil {
		return nil, p
	}
	list := a.Streams.List(c.tenant.ID, after, in.most()+1)
	out := page(list, in.most(), showStream, func(s *event.StreamView) string { return encodeNumberCursor(listStreams, s.ID) })
	return &outBody[client.Page[client.LiveStream]]{out}, nil
}

func showStream(s *event.StreamView) client.LiveStream {
	return client.LiveStream{
		ID: event.FormatStreamID(s.ID), Kind: s.Kind, Address: s.Address, UserAgent: s.UserAgent, By: showCaller(s.By), Since: s.Since.UTC(),
		Version: s.Version, Head: s.Head, Lag: max(0, s.Head-s.Version), Sent: s.Sent, Subscriptions: s.Subscriptions,
		Types: s.Selection.Types, Subjects: s.Selection.Subjects, Filter: s.Selection.Filter,
	}
}

// showCaller says whose key or token something came with.
func showCaller(k *event.APIKey) client.Caller {
	by := *k
	by.Identify()
	return client.Caller{Kind: by.Kind, ID: by.Who(), Name: by.Name}
}

func (a *API) endStream(_ context.Context, c *call, in *struct {
	InTenant
	InOnce
	Stream string `path:"stream" doc:"The connection's id"`
},
) (*struct{}, error) {
	id, ok := event.ParseStreamID(in.Stream)
	if !ok {
		return nil, event.NotFound("stream")
	}
	return nil, a.Streams.End(c.tenant.ID, id)
}
