package sink

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/posthornhq/posthorn/webhook"
)

// controlPath begins the paths of the control interface.
const controlPath = "/-/"

// State is the answer of GET /-/state.
type State struct {
	Counts
	Reading
	// CPU is the processor time that the sink's process has used, user and system.
	CPU time.Duration `json:"cpu"`
}

// Measure is the body of POST /-/measure, which starts a measurement.
type Measure struct {
	// Events and Targets are those of [NewMeter].
	Events  int `json:"events"`
	Targets int `json:"targets"`
	// Secrets, when there are any, verify one request in 64.
	Secrets []string `json:"secrets,omitempty"`
}

// control answers the control interface: GET /-/state, GET /-/latency, POST /-/measure.
func (s *Server) control(ctx *fasthttp.RequestCtx) {
	switch string(ctx.Method()) + " " + string(ctx.Path()) {
	case "GET /-/state":
		state := State{Counts: s.Counts(), CPU: ProcessCPU()}
		if m := s.meter.Load(); m != nil {
			state.Reading = m.Read()
		}
		writeJSON(ctx, state)
	case "GET /-/latency":
		m := s.meter.Load()
		if m == nil {
			ctx.Error("no measurement is running", http.StatusConflict)
			return
		}
		writeJSON(ctx, m.Latency())
	case "POST /-/measure":
		if err := s.measure(ctx.PostBody()); err != nil {
			ctx.Error(err.Error(), http.StatusUnprocessableEntity)
			return
		}
		ctx.SetStatusCode(http.StatusNoContent)
	default:
		ctx.Error("there is no such control", http.StatusNotFound)
	}
}

func (s *Server) measure(body []byte) error {
	var q Measure
	if err := json.Unmarshal(body, &q); err != nil {
		return err
	}
	m, err := NewMeter(q.Events, q.Targets)
	if err != nil {
		return err
	}
	var v *webhook.Verifier
	if len(q.Secrets) > 0 {
		if v, err = Verifier(q.Secrets...); err != nil {
			return err
		}
	}
	s.SetVerifier(v)
	s.SetMeter(m)
	return nil
}

// Verifier makes a verifier from secrets in their textual form.
func Verifier(secrets ...string) (*webhook.Verifier, error) {
	keys := make([]webhook.Key, len(secrets))
	for i, text := range secrets {
		k, err := webhook.ParseKey(text)
		if err != nil {
			return nil, err
		}
		keys[i] = k
	}
	return webhook.NewVerifier(keys...)
}

func writeJSON(ctx *fasthttp.RequestCtx, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		ctx.Error("the state cannot be written", http.StatusInternalServerError)
		return
	}
	ctx.SetContentType("application/json")
	ctx.SetBody(body)
}
