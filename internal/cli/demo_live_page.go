package cli

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/web"
)

// maxArrivals bounds the webhooks whose delays are kept for the page.
const maxArrivals = 1000

// arrivals keeps how long the last webhooks took from the server to the receiver, on the server's clock.
type arrivals struct {
	mu    sync.Mutex
	took  map[string]time.Duration
	order []string
}

// add notes the first arrival of an event.
func (a *arrivals) add(id string, took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.took == nil {
		a.took = map[string]time.Duration{}
	}
	if _, again := a.took[id]; again {
		return
	}
	if len(a.order) == maxArrivals {
		delete(a.took, a.order[0])
		a.order = append(a.order[:0], a.order[1:]...)
	}
	a.took[id] = took
	a.order = append(a.order, id)
}

func (a *arrivals) get(id string) (time.Duration, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	took, ok := a.took[id]
	return took, ok
}

// pageToken is what the page may do, and for how long.
var pageToken = client.TokenRequest{
	Allow: []string{"read", "publish"}, Types: []string{pingType, chatType}, Subjects: []string{"ping/*", "chat/*"},
}

// pages serves /demo/: the files, and what the page asks of the demo. Whoever reaches the server may use it; that is what it
// is for.
func (d *liveDemo) pages() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /demo/", web.Demo())
	mux.HandleFunc("GET /demo/session", d.session)
	mux.HandleFunc("GET /demo/arrivals", func(w http.ResponseWriter, r *http.Request) {
		took, ok := d.arrivals.get(r.URL.Query().Get("id"))
		if !ok {
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		answerJSON(w, map[string]float64{"delay_ms": float64(took.Microseconds()) / 1000})
	})
	mux.HandleFunc("POST /demo/restart", func(w http.ResponseWriter, r *http.Request) {
		// A page of another origin cannot send the header without being allowed to.
		if r.Header.Get("X-Posthorn-Demo") != "restart" {
			http.Error(w, "the page does this", http.StatusForbidden)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		select {
		case d.restarts <- struct{}{}:
		default: // one is under way
		}
	})
	return mux
}

// session gives the page a token.
func (d *liveDemo) session(w http.ResponseWriter, r *http.Request) {
	token, err := d.client.CreateToken(r.Context(), demoTenant, pageToken)
	if err != nil {
		http.Error(w, "no token can be made", http.StatusServiceUnavailable)
		return
	}
	answerJSON(w, map[string]string{"tenant": demoTenant, "token": token.Token, "instance": d.instance})
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // the page may be gone
}
