package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Listener is who listens and to what: an authenticated request for a live connection or a poll.
type Listener struct {
	Tenant *event.Tenant
	// Key is the API key or token; its Only narrows what is seen, its Expires ends the connection.
	Key *event.APIKey
	// Ask is the selection of the query.
	Ask event.Selection
	// Start is the first version wanted; 0: those to come. Of a stream it holds what Last-Event-ID asks for.
	Start int64
	// Unnamed leaves the event's type out of server-sent events (?event=none).
	Unnamed bool
}

// Live serves live connections and waits for changes (package live). Requests come without the token that was in their
// query; what the query asks for is in the Listener, checked but for the selection.
type Live interface {
	// Stream answers with server-sent events until one side ends it. An error means that nothing was written: an
	// [event.Error] of KindInvalid, KindGone (its Oldest is in [event.Error].Oldest), KindRateLimited or KindUnavailable. HEAD
	// gets the headers only.
	Stream(w http.ResponseWriter, r *http.Request, l Listener) error
	// Socket takes the connection over as a WebSocket. An error means that nothing was written. One of the handshake has a
	// method HTTP that gives the answer's status, code, detail and headers.
	Socket(w http.ResponseWriter, r *http.Request, l Listener) error
	// Wait returns nil when an event with version > after that the listener may and wants to see is on the log, and
	// when wait or ctx ends or the server stops; so it is only a hint to read again. An error (KindRateLimited,
	// KindUnavailable) means that too many wait.
	Wait(ctx context.Context, r *http.Request, l Listener, after int64, wait time.Duration) error
	// Selector compiles what a listener asked for and may see; nil: every event.
	Selector(l *Listener) (func(*event.Event) bool, error)
}
