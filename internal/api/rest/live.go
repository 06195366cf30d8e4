package rest

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/posthornhq/posthorn/internal/event"
)

const (
	typeEvents = "text/event-stream"
	asyncPath  = "/asyncapi.yaml"
)

// The operations of those who listen. They do not pass through huma, which would hold answers back and cost each waiting
// request its depth of stack.
var (
	changesOperation = operation{
		id: "list-changes", method: http.MethodGet, path: "/v1/tenants/{tenant}/changes", tag: "Listening", summary: "Read the log in version order, or wait for it",
		doc: "The events with a version of at least start. Ask again with next; nothing is missed between two answers. " +
			"With wait the answer comes once there is an event to give, or with an empty list when time is up. " +
			"When start is older than retention: 410, with the oldest version left.",
		scope: scopeRead, listens: true, narrowed: true, portal: true,
	}
	streamOperation = operation{
		id: "stream", method: http.MethodGet, path: "/v1/tenants/{tenant}/stream", tag: "Listening", summary: "Get events as they come: server-sent events",
		doc: "Each event has its version as id, its type as event and itself, as JSON on one line, as data. Blocks with an id only tell the place reached. " +
			"Browsers' EventSource goes on by itself where it stopped. When start or Last-Event-ID is older than retention: 410, with the oldest version left.",
		scope: scopeRead, listens: true, narrowed: true, portal: true,
	}
	socketOperation = operation{
		id: "socket", method: http.MethodGet, path: "/v1/tenants/{tenant}/socket", tag: "Listening", summary: "Subscribe, publish and acknowledge: WebSocket",
		doc: "Subprotocols: posthorn.v1.json (also when none is offered) and posthorn.v1.cbor. The messages are described in " + asyncPath + ". " +
			"The page's origin must be the server's own or one of allow-origins.",
		scope: scopeRead, listens: true, narrowed: true,
	}
)

// listenRoutes adds the routes of those who listen to the router and to the document.
func (a *API) listenRoutes() {
	a.mux.HandleFunc("GET "+changesOperation.path, a.listening(&changesOperation, acceptable, a.changes))
	a.documentChanges()
	if a.Live == nil {
		return
	}
	a.mux.HandleFunc("GET "+streamOperation.path, a.listening(&streamOperation, acceptsEvents, a.stream))
	a.mux.HandleFunc("GET "+socketOperation.path, a.listening(&socketOperation, func(string) *problem { return nil }, a.socket))
	a.documentStream()
	a.documentSocket()
}

// listening is the pipeline of the operations of those who listen: who, what kind, no body, then the handler. The handler's
// error means that it has written nothing.
func (a *API) listening(o *operation, accept func(string) *problem, handler func(http.ResponseWriter, *http.Request, *call) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, no-cache")
		c, p := a.admit(r, o)
		if p == nil {
			p = accept(r.Header.Get("Accept"))
		}
		if p == nil {
			p = readable(r)
		}
		if p == nil {
			p = noBody(w, r)
		}
		if p == nil {
			if c.session {
				w.Header().Set("Cache-Control", "no-store")
				w.Header().Add("Vary", "Cookie")
			}
			c.id = w.Header().Get("X-Request-Id")
			if err := handler(w, withoutToken(r), c); err != nil {
				p = problemOf(inQuery(err))
			}
		}
		if p == nil {
			return
		}
		if r.Context().Err() != nil {
			p.cause = nil // the caller is gone
		}
		a.writeProblem(w, r, p)
	}
}

// withoutToken returns r without the token of its query, so that nothing behind can log it.
func withoutToken(r *http.Request) *http.Request {
	values := r.URL.Query()
	if !values.Has(tokenQuery) {
		return r
	}
	values.Del(tokenQuery)
	u := *r.URL
	u.RawQuery = values.Encode()
	r = r.WithContext(r.Context()) // a copy
	r.URL, r.RequestURI = &u, u.RequestURI()
	return r
}

// inQuery words an error about a selection for callers that gave it in a query, where the list of subjects has another name.
func inQuery(err error) error {
	e, ok := errors.AsType[*event.Error](err)
	if !ok || !slices.ContainsFunc(e.Fields, func(f event.FieldError) bool { return strings.HasPrefix(f.Field, "subjects") }) {
		return err
	}
	out := *e
	out.Fields = slices.Clone(e.Fields)
	for i, f := range out.Fields {
		if rest, ok := strings.CutPrefix(f.Field, "subjects"); ok {
			out.Fields[i].Field = "subject" + rest
		}
	}
	return &out
}

// selector compiles what a listener asked for and may see; nil means every event.
func (a *API) selector(l *Listener) (func(*event.Event) bool, error) {
	if l.Ask.IsZero() && l.Key.Only == nil {
		return nil, nil //nolint:nilnil // documented
	}
	if a.Live == nil {
		return nil, noLive()
	}
	fits, err := a.Live.Selector(l)
	return fits, inQuery(err)
}

// noLive is the answer of a server that was put together without listening.
func noLive() error {
	return event.Errorf(event.KindUnavailable, "unavailable", "this server was put together without listening: it neither selects events nor waits for them")
}

// stream answers with server-sent events.
func (a *API) stream(w http.ResponseWriter, r *http.Request, c *call) error {
	q := readQuery(r)
	l := q.listener(c)
	switch q.take("event") {
	case "", "type":
	case "none":
		l.Unnamed = true
	default:
		q.fault("event", "must be type or none")
	}
	if err := q.problem(); err != nil {
		return err
	}
	last, given, p := lastEventID(r.Header)
	if p != nil {
		return p
	}
	if given {
		l.Start = last + 1
	}
	return a.Live.Stream(w, r, l)
}

// socket hands the connection over as a WebSocket.
func (a *API) socket(w http.ResponseWriter, r *http.Request, c *call) error {
	q := readQuery(r)
	for _, name := range []string{"start", "types", "subject", "filter"} {
		if q.take(name) != "" {
			q.fault(name, "goes into the message subscribe")
		}
	}
	if err := q.problem(); err != nil {
		return err
	}
	return a.Live.Socket(w, r, Listener{Tenant: c.tenant, Key: &c.key})
}

// acceptsEvents reports whether an Accept header can be met with server-sent events.
func acceptsEvents(accept string) *problem { return accepts(accept, typeEvents) }
