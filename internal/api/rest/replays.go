package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

// Bounds of counting what a replay would send.
const (
	countEvents = 200_000
	countBytes  = 256 << 20
	countTime   = 10 * time.Second
	countPage   = 1_000
	// countsAtOnce is how many requests count at the same time; more wait.
	countsAtOnce = 2
)

// InReplay is the replay of a path.
type InReplay struct {
	InEndpoint
	Replay string `path:"replay" doc:"The replay's id"`
}

func (a *API) replayRoutes() {
	of := func(id, method, path, summary, doc string, s scope) operation {
		return operation{id: id, method: method, path: endpointPath + path, tag: "Endpoints", summary: summary, doc: doc, scope: s, portal: true}
	}
	begin := of("replay-endpoint", http.MethodPost, "/replay", "Send events again",
		"From a version or a time on, as a delivery of its own beside the normal ones; once it is answered it goes on after a crash, too. "+
			"With dry_run nothing is sent: the answer, with status 200, counts what would be.", scopeManage)
	begin.status, begin.errors, begin.answer, begin.waits = http.StatusAccepted, []int{http.StatusGone}, typeOf[client.Replay](), true
	begin.idle = isDryRun
	register(a, begin, a.replayEndpoint)
	register(a, of("list-replays", http.MethodGet, "/replays", "List replays",
		"Those that run, and those that ended within the last hour, since the server's start.", scopeRead), a.listReplays)
	register(a, of("get-replay", http.MethodGet, "/replays/{replay}", "Get a replay", "", scopeRead), a.getReplay)
	register(a, of("cancel-replay", http.MethodDelete, "/replays/{replay}", "Cancel a replay",
		"Once it is answered the replay never comes back; what is being sent at this moment still arrives. One that has ended stays as it is.", scopeManage), a.cancelReplay)
}

// isDryRun reports whether a body asks what a replay would send: then nothing is changed.
func isDryRun(body []byte) bool {
	var in struct {
		DryRun bool `json:"dry_run"`
	}
	return json.Unmarshal(body, &in) == nil && in.DryRun
}

// outReplay is an answer with a status of its own.
type outReplay struct {
	Status int
	Body   client.Replay
}

func (a *API) replayEndpoint(ctx context.Context, c *call, in *struct {
	InEndpoint
	InOnce
	Body client.ReplayRequest
},
) (*outReplay, error) {
	e, err := a.endpoint(ctx, c, in.Endpoint)
	if err != nil {
		return nil, err
	}
	r, err := a.replayRange(ctx, c, &in.Body)
	if err != nil {
		return nil, err
	}
	if in.Body.DryRun || r.OnlyFailed {
		n, exact, err := a.countReplay(ctx, &e, r)
		if err != nil {
			return nil, err
		}
		if in.Body.DryRun {
			out := showReplay(&event.ReplayView{From: r.From, To: r.To, Cursor: r.From - 1, OnlyFailed: r.OnlyFailed})
			out.Matching, out.Exact = &n, &exact
			return &outReplay{http.StatusOK, out}, nil
		}
		if exact {
			r.Matching = n
		}
	}
	view, err := a.Delivery.Replay(ctx, &e, r)
	if err != nil {
		return nil, err
	}
	c.changed(nil, in.Body)
	return &outReplay{http.StatusAccepted, showReplay(&view)}, nil
}

// countReplay counts what a replay would send; exact is false when it stopped early, and there are at least so many.
func (a *API) countReplay(ctx context.Context, e *event.Endpoint, r event.ReplayRange) (n int64, exact bool, err error) {
	select {
	case a.counting <- struct{}{}:
		defer func() { <-a.counting }()
	case <-ctx.Done():
		return 0, false, ctx.Err()
	}
	if r.OnlyFailed {
		return a.countDead(ctx, e, r)
	}
	whole := *e
	whole.Start = 0 // a replay sends what is older than the endpoint, too
	end := time.Now().Add(countTime)
	for after, seen, size := r.From-1, 0, 0; ; {
		list, _, head, err := a.Log.Changes(ctx, e.Tenant, after, countPage, maxPageBytes)
		if err != nil {
			return 0, false, err
		}
		for i := range list {
			ev := &list[i]
			if ev.Version > r.To {
				return n, true, nil
			}
			if seen == countEvents || size > countBytes {
				return n, false, nil
			}
			seen++
			size += ev.Size()
			after = ev.Version
			if a.Delivery.Why(&whole, ev) == "" {
				n++
			}
		}
		if len(list) == 0 || after >= min(r.To, head) {
			return n, true, nil
		}
		if time.Now().After(end) {
			return n, false, nil
		}
	}
}

// countDead counts the dead letters of a range.
func (a *API) countDead(ctx context.Context, e *event.Endpoint, r event.ReplayRange) (n int64, exact bool, err error) {
	for after := r.From - 1; n < countEvents; {
		list, err := a.Log.DeadLetters(ctx, e.ID, after, countPage)
		if err != nil {
			return 0, false, err
		}
		for i := range list {
			if list[i].Version > r.To {
				return n, true, nil
			}
			n++
			after = list[i].Version
		}
		if len(list) < countPage {
			return n, true, nil
		}
	}
	return n, false, nil
}

func (a *API) listReplays(ctx context.Context, c *call, in *InEndpoint) (*outBody[client.Page[client.Replay]], error) {
	e, err := a.endpoint(ctx, c, in.Endpoint)
	if err != nil {
		return nil, err
	}
	out := client.Page[client.Replay]{Data: []client.Replay{}}
	for _, v := range a.Delivery.Replays(e.ID) {
		out.Data = append(out.Data, showReplay(&v))
	}
	return &outBody[client.Page[client.Replay]]{out}, nil
}

func (a *API) getReplay(ctx context.Context, c *call, in *InReplay) (*outBody[client.Replay], error) {
	e, err := a.endpoint(ctx, c, in.Endpoint)
	if err != nil {
		return nil, err
	}
	list := a.Delivery.Replays(e.ID)
	i := slices.IndexFunc(list, func(v event.ReplayView) bool { return event.FormatReplayID(v.ID) == in.Replay })
	if i < 0 {
		return nil, event.NotFound("replay")
	}
	return &outBody[client.Replay]{showReplay(&list[i])}, nil
}

func (a *API) cancelReplay(ctx context.Context, c *call, in *struct {
	InReplay
	InOnce
},
) (*struct{}, error) {
	e, err := a.endpoint(ctx, c, in.Endpoint)
	if err != nil {
		return nil, err
	}
	id, ok := event.ParseReplayID(in.Replay)
	if !ok {
		return nil, event.NotFound("replay")
	}
	return nil, a.Delivery.CancelReplay(ctx, e.ID, id)
}

func showReplay(v *event.ReplayView) client.Replay {
	out := client.Replay{
		FromVersion: v.From, ToVersion: v.To, Only: "all", Cursor: v.Cursor, Sent: v.Sent, State: v.State, Retries: v.Retries,
		Started: timePointer(v.Started), Ended: timePointer(v.Ended),
	}
	if v.ID != 0 {
		out.ID = event.FormatReplayID(v.ID)
	}
	if v.OnlyFailed {
		out.Only = "failed"
	}
	if v.Matching > 0 {
		out.Matching = &v.Matching
	}
	out.Progress = replayProgress(v)
	return out
}

// replayProgress is the part of the versions that is done; one that only waits for retries is not done.
func replayProgress(v *event.ReplayView) float64 {
	if v.State == event.ReplayDone {
		return 1
	}
	span := v.To - v.From + 1
	done := min(max(v.Cursor-v.From+1, 0), span)
	if span <= 0 {
		return 0
	}
	return min(float64(done)/float64(span), 0.99)
}
