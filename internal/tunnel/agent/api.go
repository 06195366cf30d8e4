package agent

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// maxEdit is how long what a page sends may be, in bytes: a body of MaxBody as base64, and more.
	maxEdit = 8 << 20
	// maxRaw is how many bytes of requests and answers a list holds; what is over has none.
	maxRaw = 8 << 20
)

// addAPI adds the addresses of the API: as those of ngrok's inspector, and what the page asks for besides.
func (a *Agent) addAPI(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/events", a.watch)
	mux.HandleFunc("GET /api/search", a.search)
	mux.HandleFunc("GET /api/exchanges/{id}", a.exchange)
	mux.HandleFunc("GET /api/tunnels", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"tunnels": []any{a.tunnel()}, "uri": "/api/tunnels"})
	})
	mux.HandleFunc("GET /api/tunnels/{name}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("name") != a.o.Name {
			apiError(w, http.StatusNotFound, "there is no such tunnel")
			return
		}
		writeJSON(w, http.StatusOK, a.tunnel())
	})
	mux.HandleFunc("GET /api/requests/http", a.list)
	mux.HandleFunc("GET /api/requests/http/{id}", a.one)
	mux.HandleFunc("GET /api/requests/http/{id}/request", a.body(requestSide))
	mux.HandleFunc("GET /api/requests/http/{id}/response", a.body(answerSide))
	mux.HandleFunc("POST /api/requests/http", a.replay)
	mux.HandleFunc("DELETE /api/requests/http", func(w http.ResponseWriter, _ *http.Request) {
		a.rec.Clear()
		w.WriteHeader(http.StatusNoContent)
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the browser may be gone
}

// apiError answers as ngrok's inspector does.
func apiError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]any{"status_code": status, "msg": message, "details": map[string]string{}})
}

// tunnel is the tunnel as ngrok's inspector shows one.
func (a *Agent) tunnel() any {
	proto, _, _ := strings.Cut(a.PublicURL(), ":")
	c, _ := a.rec.Changes(1 << 62)
	return map[string]any{
		"name": a.o.Name, "uri": "/api/tunnels/" + a.o.Name, "public_url": a.PublicURL(), "proto": proto,
		"config":  map[string]any{"addr": a.o.Target.String(), "inspect": true},
		"metrics": map[string]any{"http": map[string]any{"count": c.Last}},
		"kind":    a.o.Kind, "connected": a.Status().Connected,
	}
}

// status is the state of the tunnel for the page.
type status struct {
	Run       string    `json:"run"`
	Name      string    `json:"name"`
	Kind      string    `json:"kind"`
	PublicURL string    `json:"public_url"`
	Target    string    `json:"target"`
	Origin    string    `json:"origin"`
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since"`
	Error     string    `json:"error"`
}

// summary is an exchange in the page's list.
type summary struct {
	ID         string    `json:"id"`
	Seq        int64     `json:"seq"`
	At         time.Time `json:"at"`
	CalledAt   time.Time `json:"called_at,omitzero"`
	Method     string    `json:"method"`
	Path       string    `json:"path"`
	Status     int       `json:"status"`
	StatusText string    `json:"status_text"`
	State      State     `json:"state"`
	Error      string    `json:"error"`
	Kind       string    `json:"kind"`
	Event      string    `json:"event"`
	URL        string    `json:"url"`
	Remote     string    `json:"remote"`
	Kept       bool      `json:"kept"`
	ReplayOf   string    `json:"replay_of"`
	Upgrade    bool      `json:"upgrade"`
	Duration   float64   `json:"duration_ms"`
	FirstByte  float64   `json:"first_byte_ms"`
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func summaryOf(e *Exchange) summary {
	return summary{
		ID: e.ID, Seq: e.Seq, At: e.Started, CalledAt: e.Info.At, Method: e.Method, Path: e.Path, Status: e.Status, StatusText: e.StatusText,
		State: e.State, Error: e.Error, Kind: e.Info.Kind, Event: e.Info.ID, URL: e.Info.URL, Remote: e.Info.Remote, Kept: e.Info.Kept && e.ReplayOf == "",
		ReplayOf: e.ReplayOf, Upgrade: e.Upgrade, Duration: milliseconds(e.Took), FirstByte: milliseconds(e.FirstByte),
	}
}

// news is what the page is told: the state of all, and the exchanges that changed.
func (a *Agent) news(c Changes) any {
	s := a.Status()
	now := status{
		Run: a.rec.run, Name: a.o.Name, Kind: a.o.Kind, PublicURL: a.PublicURL(), Target: a.o.Target.String(),
		Origin: a.o.Target.Scheme + "://" + a.o.Target.Host, Connected: s.Connected, Since: s.Since,
	}
	if s.Err != nil {
		now.Error = strings.TrimPrefix(s.Err.Error(), "tunnel: ")
	}
	list := make([]summary, 0, len(c.Exchanges))
	for i := range c.Exchanges {
		list = append(list, summaryOf(&c.Exchanges[i]))
	}
	return map[string]any{"status": now, "oldest": c.Oldest, "exchanges": list}
}

// search answers with the exchanges that hold a text anywhere.
func (a *Agent) search(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query().Get("q")
	ids := []string{}
	for _, e := range a.rec.List(MaxExchanges, func(e *Exchange) bool { return e.Contains(q) }) {
		ids = append(ids, e.ID)
	}
	writeJSON(w, http.StatusOK, map[string]any{"ids": ids})
}

// find gets the exchange that a path names, or answers 404.
func (a *Agent) find(w http.ResponseWriter, r *http.Request) (Exchange, bool) {
	e, ok := a.rec.Get(r.PathValue("id"))
	if !ok {
		apiError(w, http.StatusNotFound, "there is no such request, or not any more")
	}
	return e, ok
}

// field and part are headers and messages in the page's form: headers in their order.
type field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type part struct {
	Headers []field `json:"headers"`
	Body    []byte  `json:"body"`
	Cut     bool    `json:"cut"`
	Size    int64   `json:"size"`
}

func partOf(m *Message) *part {
	p := &part{Headers: make([]field, 0, len(m.Header)), Body: m.Body, Cut: m.Cut, Size: m.Size}
	for _, f := range m.Header {
		p.Headers = append(p.Headers, field(f))
	}
	return p
}

// exchange shows one in full.
func (a *Agent) exchange(w http.ResponseWriter, r *http.Request) {
	e, ok := a.find(w, r)
	if !ok {
		return
	}
	out := struct {
		summary
		Request *part `json:"request"`
		Answer  *part `json:"answer"`
	}{summary: summaryOf(&e), Request: partOf(&e.Request)}
	if e.AnswerProto != "" {
		out.Answer = partOf(&e.Answer)
	}
	writeJSON(w, http.StatusOK, out)
}

// body gives a body as it came, never as what a browser would show.
func (a *Agent) body(s side) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		e, ok := a.find(w, r)
		if !ok {
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Disposition", `attachment; filename="`+e.ID+`-`+map[side]string{requestSide: "request", answerSide: "response"}[s]+`.bin"`)
		_, _ = w.Write(e.message(s).Body) // the browser may be gone
	}
}

// ngrok's forms of requests.
type (
	captured struct {
		URI      string    `json:"uri"`
		ID       string    `json:"id"`
		Tunnel   string    `json:"tunnel_name"`
		Remote   string    `json:"remote_addr"`
		Start    time.Time `json:"start"`
		Duration int64     `json:"duration"` // in nanoseconds
		Request  request   `json:"request"`
		Response *response `json:"response"`
	}
	request struct {
		Method  string              `json:"method"`
		Proto   string              `json:"proto"`
		Headers map[string][]string `json:"headers"`
		URI     string              `json:"uri"`
		Raw     []byte              `json:"raw"`
	}
	response struct {
		Status  string              `json:"status"`
		Code    int                 `json:"status_code"`
		Proto   string              `json:"proto"`
		Headers map[string][]string `json:"headers"`
		Raw     []byte              `json:"raw"`
	}
)

func (a *Agent) captured(e *Exchange, raw bool) captured {
	c := captured{
		URI: "/api/requests/http/" + e.ID, ID: e.ID, Tunnel: a.o.Name, Remote: e.Info.Remote, Start: e.Started, Duration: e.Took.Nanoseconds(),
		Request: request{Method: e.Method, Proto: e.Proto, Headers: mapOf(e.Request.Header), URI: e.Path},
	}
	if e.Status != 0 {
		c.Response = &response{Status: e.StatusText, Code: e.Status, Proto: e.AnswerProto, Headers: mapOf(e.Answer.Header)}
	}
	if raw {
		c.Request.Raw = e.RawRequest()
		if c.Response != nil {
			c.Response.Raw = e.RawAnswer()
		}
	}
	return c
}

func mapOf(list []Field) map[string][]string {
	m := map[string][]string{}
	for _, f := range list {
		m[f.Name] = append(m[f.Name], f.Value)
	}
	return m
}

// list answers with the newest requests; the parameters method, status, kind and q narrow it, and are not ngrok's.
func (a *Agent) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit := 50
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			apiError(w, http.StatusBadRequest, "limit must be a number from 1 on")
			return
		}
		limit = min(n, MaxExchanges)
	}
	if name := q.Get("tunnel_name"); name != "" && name != a.o.Name {
		limit = 0
	}
	left := int64(maxRaw)
	requests := []captured{}
	for _, e := range a.rec.List(limit, func(e *Exchange) bool { return wanted(e, q.Get("method"), q.Get("status"), q.Get("kind"), q.Get("q")) }) {
		left -= e.size
		requests = append(requests, a.captured(&e, left >= 0))
	}
	writeJSON(w, http.StatusOK, map[string]any{"uri": "/api/requests/http", "requests": requests})
}

// wanted reports whether an exchange matches all filters that are not empty. A status may be a class such as 5 or 5xx.
func wanted(e *Exchange, method, status, kind, text string) bool {
	class := strings.TrimRight(strings.ToLower(status), "x")
	switch {
	case method != "" && !strings.EqualFold(e.Method, method):
	case !strings.HasPrefix(strconv.Itoa(e.Status), class):
	case kind != "" && e.Info.Kind != kind:
	default:
		return text == "" || e.Contains(text)
	}
	return false
}

func (a *Agent) one(w http.ResponseWriter, r *http.Request) {
	if e, ok := a.find(w, r); ok {
		writeJSON(w, http.StatusOK, a.captured(&e, true))
	}
}

// replay repeats a request, changed if asked: 204, and in Location where the new one is.
func (a *Agent) replay(w http.ResponseWriter, r *http.Request) {
	var in struct {
		ID      string  `json:"id"`
		Method  string  `json:"method"`
		Path    string  `json:"path"`
		Headers []field `json:"headers"`
		Body    *string `json:"body"`
		Base64  *string `json:"body_base64"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxEdit)).Decode(&in); err != nil {
		apiError(w, http.StatusBadRequest, "the body must be JSON with the id of a request, and not too long")
		return
	}
	edit := Edit{Method: in.Method, Path: in.Path}
	if in.Headers != nil {
		edit.Header = []Field{}
		for _, f := range in.Headers {
			edit.Header = append(edit.Header, Field(f))
		}
	}
	switch {
	case in.Base64 != nil:
		body, err := base64.StdEncoding.DecodeString(*in.Base64)
		if err != nil {
			apiError(w, http.StatusBadRequest, "body_base64 must be base64")
			return
		}
		edit.Body = append([]byte{}, body...)
	case in.Body != nil:
		edit.Body = []byte(*in.Body)
	}
	id, err := a.Replay(in.ID, edit)
	if err != nil {
		apiError(w, statusOf(err), strings.TrimPrefix(err.Error(), "tunnel: "))
		return
	}
	w.Header().Set("Location", "/api/requests/http/"+id)
	w.WriteHeader(http.StatusNoContent)
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrNoExchange):
		return http.StatusNotFound
	case errors.Is(err, ErrInvalidEdit):
		return http.StatusBadRequest
	case errors.Is(err, ErrTooMany), errors.Is(err, ErrEnded):
		return http.StatusServiceUnavailable
	default:
		return http.StatusConflict
	}
}
