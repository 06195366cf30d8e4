package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

// maxBinWait is the longest wait for a request that comes.
const maxBinWait = time.Minute

// InRequest is a captured request of a path.
type InRequest struct {
	InBin
	Request string `path:"request" doc:"The request's id, its number, or latest"`
}

// InCaptures selects captured requests.
type InCaptures struct {
	Query  string    `query:"query" doc:"Words that must all occur, in any case, or method:POST, content:\"a b\", headers.x-event:push, path:/sub, ip:10., note:, each negated by a minus before it"`
	Method string    `query:"method" doc:"Only this method"`
	Since  time.Time `query:"since" doc:"Only what arrived at or after this time"`
	Until  time.Time `query:"until" doc:"Only what arrived before this time"`
}

// ask returns what is asked for of a bin.
func (in *InCaptures) ask(b *event.Bin) (q event.CaptureQuery, query string, err error) {
	q = event.CaptureQuery{Bin: b.ID, Since: in.Since.UTC(), Until: in.Until.UTC()}
	query = in.Query
	if in.Method != "" {
		for i := range len(in.Method) {
			if c := in.Method[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
				return q, "", invalid("method", "must be the name of a method")
			}
		}
		query = "method:" + in.Method + " " + query
	}
	return q, query, nil
}

func (a *API) binRequestRoutes(add func(id, method, path, summary, doc string, s scope) operation) {
	const list, one = binPath + "/requests", binPath + "/requests/{request}"
	expired := []int{http.StatusGone}
	with := func(o operation) operation { o.errors = append(o.errors, expired...); return o }
	register(a, with(add("list-bin-requests", http.MethodGet, list, "List captured requests",
		"The newest first, unless asked otherwise. A search looks at a bounded number of requests: a page may hold few, or none, and yet have a next.",
		scopeRead)), a.listCaptures)
	register(a, with(add("delete-bin-requests", http.MethodDelete, list, "Delete captured requests", "Those that are selected; without a selection all.",
		scopeManage)), a.deleteCaptures)
	get := with(add("get-bin-request", http.MethodGet, one, "Get a captured request, or wait for one",
		"With wait, which goes with latest, the answer is the first request that comes after the one with the number after, or after the call; 204 when none came.",
		scopeRead))
	get.waits, get.empty = true, true
	register(a, get, a.getCapture)
	note := with(add("patch-bin-request", http.MethodPatch, one, "Write a note to a captured request", "", scopeManage))
	note.patch = typeOf[client.BinNote]()
	register(a, note, a.noteCapture)
	register(a, with(add("delete-bin-request", http.MethodDelete, one, "Delete a captured request", "", scopeManage)), a.deleteCapture)
	answer := with(add("answer-bin-request", http.MethodPost, one+"/answer", "Answer a caller that is held",
		"409 when nobody waits for it: the time of the bin's hold is over, or the caller has its answer.", scopeManage))
	answer.unaudited = perEvent
	register(a, answer, a.answerCapture)
	replay := with(add("replay-bin-request", http.MethodPost, one+"/replay", "Send a captured request again",
		"Its method, its headers without those of the connection, and its body go to a URL; the answer to that is returned. It takes 30 s at most.", scopeManage))
	replay.waits = true
	register(a, replay, a.replayCapture)
}

func (a *API) listCaptures(ctx context.Context, c *call, in *struct {
	InBin
	InPage
	InCaptures
	Order   string `query:"order" enum:"newest,oldest" default:"newest" doc:"newest: the newest first. oldest: in the order in which they came"`
	MaxBody int    `query:"max_body" default:"-1" minimum:"-1" doc:"Leave out the bodies, and what is read from them, of requests whose bodies have more bytes than this: those say body_omitted. -1: none"`
},
) (*outBody[client.Page[client.BinRequest]], error) {
	b, err := a.bin(ctx, c, in.Bin)
	if err != nil {
		return nil, err
	}
	q, query, err := in.ask(&b)
	if err != nil {
		return nil, err
	}
	list := byte(listCapturesOldest)
	place := &q.After
	if q.Newest = in.Order != "oldest"; q.Newest {
		list, place = listCapturesNewest, &q.Before
	}
	after, p := decodeNumberCursor(list, in.Cursor)
	if p != nil {
		return nil, p
	}
	*place, q.Limit = after, in.Limit
	found, next, err := a.Bins.Search(ctx, q, query)
	if err != nil {
		return nil, err
	}
	out := client.Page[client.BinRequest]{Data: make([]client.BinRequest, 0, len(found))}
	for i := range found {
		out.Data = append(out.Data, a.showCapture(&found[i], in.MaxBody))
	}
	if next != 0 {
		out.Next = encodeNumberCursor(list, next)
	}
	return &outBody[client.Page[client.BinRequest]]{out}, nil
}

func (a *API) deleteCaptures(ctx context.Context, c *call, in *struct {
	InBin
	InCaptures
	InOnce
},
) (*outBody[client.BinDeleted], error) {
	b, err := a.bin(ctx, c, in.Bin)
	if err != nil {
		return nil, err
	}
	q, query, err := in.ask(&b)
	if err != nil {
		return nil, err
	}
	n, err := a.Bins.DeleteMatching(ctx, q, query)
	if err != nil {
		return nil, err
	}
	c.changed(nil, client.BinDeleted{Deleted: n})
	return &outBody[client.BinDeleted]{client.BinDeleted{Deleted: n}}, nil
}

// outCapture is a captured request, or nothing with status 204.
type outCapture struct {
	Status int
	Body   *client.BinRequest
}

func (a *API) getCapture(ctx context.Context, c *call, in *struct {
	InRequest
	Wait  string `query:"wait" doc:"Goes with latest: how long to wait for a request that comes: seconds, or a duration such as 30s; at most 60 s"`
	After int64  `query:"after" minimum:"0" doc:"Goes with wait: the number of the last request that was seen"`
},
) (*outCapture, error) {
	b, err := a.bin(ctx, c, in.Bin)
	if err != nil {
		return nil, err
	}
	if in.Wait == "" && in.After == 0 {
		found, err := a.Bins.Capture(ctx, b.ID, in.Request)
		if err != nil {
			return nil, err
		}
		shown := a.showCapture(&found, wholeBody)
		return &outCapture{http.StatusOK, &shown}, nil
	}
	if in.Request != "latest" {
		return nil, invalid("wait", "goes with latest")
	}
	q := query{values: map[string][]string{"wait": {in.Wait}}}
	wait := q.wait("wait", maxBinWait)
	if err := q.problem(); err != nil {
		return nil, err
	}
	if in.After == 0 {
		stats, err := a.Bins.Stats(ctx, b.ID)
		if err != nil {
			return nil, err
		}
		in.After = stats.Last
	}
	leave, err := a.Bins.Join(b.ID)
	if err != nil {
		return nil, err
	}
	defer leave()
	list, err := a.Bins.Next(ctx, b.ID, in.After, wait)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return &outCapture{Status: http.StatusNoContent}, nil
	}
	shown := a.showCapture(&list[0], wholeBody)
	return &outCapture{http.StatusOK, &shown}, nil
}

// captureOf finds a captured request that the caller may see.
func (a *API) captureOf(ctx context.Context, c *call, in *InRequest) (event.Capture, error) {
	b, err := a.bin(ctx, c, in.Bin)
	if err != nil {
		return event.Capture{}, err
	}
	return a.Bins.Capture(ctx, b.ID, in.Request)
}

func (a *API) noteCapture(ctx context.Context, c *call, in *struct {
	InRequest
	InOnce
	Body json.RawMessage
},
) (*outBody[client.BinRequest], error) {
	found, err := a.captureOf(ctx, c, &in.InRequest)
	if err != nil {
		return nil, err
	}
	changed, err := patched(a, &client.BinNote{Note: found.Note}, in.Body)
	if err != nil {
		return nil, err
	}
	if err := a.Bins.Note(ctx, found.Bin, found.Seq, changed.Note); err != nil {
		return nil, err
	}
	found.Note = changed.Note
	return &outBody[client.BinRequest]{a.showCapture(&found, wholeBody)}, nil
}

func (a *API) deleteCapture(ctx context.Context, c *call, in *struct {
	InRequest
	InOnce
},
) (*struct{}, error) {
	found, err := a.captureOf(ctx, c, &in.InRequest)
	if err != nil {
		return nil, err
	}
	return nil, a.Bins.DeleteCapture(ctx, found.Bin, found.Seq)
}

func (a *API) answerCapture(ctx context.Context, c *call, in *struct {
	InRequest
	InOnce
	Body client.BinAnswer
},
) (*struct{}, error) {
	answer, err := readBinAnswer("", &in.Body)
	if err != nil {
		return nil, err
	}
	found, err := a.captureOf(ctx, c, &in.InRequest)
	if err != nil {
		return nil, err
	}
	return nil, a.Bins.Answer(found.Bin, found.Seq, answer)
}

func (a *API) replayCapture(ctx context.Context, c *call, in *struct {
	InRequest
	InOnce
	Body client.BinReplay
},
) (*outBody[client.BinReplayed], error) {
	found, err := a.captureOf(ctx, c, &in.InRequest)
	if err != nil {
		return nil, err
	}
	answer, took, err := a.Bins.Replay(ctx, found, in.Body.URL, in.Body.KeepPath)
	if err != nil {
		return nil, err
	}
	out := client.BinReplayed{Status: answer.Status, Headers: showPairs(answer.Headers), Duration: client.Duration(took.Truncate(time.Microsecond))}
	out.Body, out.BodyBase64 = showBody(answer.Body)
	return &outBody[client.BinReplayed]{out}, nil
}
