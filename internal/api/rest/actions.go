package rest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

const (
	defaultOverlap = 24 * time.Hour
	maxOverlap     = 30 * 24 * time.Hour
	testType       = event.ReservedPrefix + "test"
	testData       = `{"message":"This is a test event from Posthorn."}`
)

func (a *API) endpointActionRoutes() {
	post := func(id, path, summary, doc string) operation {
		return operation{id: id, method: http.MethodPost, path: endpointPath + path, tag: "Endpoints", summary: summary, doc: doc, scope: scopeManage, portal: true}
	}
	get := func(id, path, summary, doc string) operation {
		return operation{id: id, method: http.MethodGet, path: endpointPath + path, tag: "Endpoints", summary: summary, doc: doc, scope: scopeRead, portal: true}
	}
	register(a, get("list-endpoint-attempts", "/attempts", "List attempts at an endpoint", "Newest first. A page may hold fewer than limit and still have a next: one request looks at a part of what is there only."), a.endpointAttempts)
	register(a, get("list-dead-letters", "/dead-letters", "List events that finally failed for an endpoint", "In version order. Send them again with replay, only: failed."), a.deadLetters)
	test := post("test-endpoint", "/test", "Send a test event now", "The answer holds what the endpoint answered; nothing is recorded or tried again.")
	test.unaudited = "nothing is saved"
	register(a, test, a.testEndpoint)
	pause := post("pause-endpoint", "/pause", "Pause deliveries", "What comes in waits in the log.")
	pause.secret = true
	register(a, pause, a.pauseEndpoint)
	resume := post("resume-endpoint", "/resume", "Resume deliveries", "Also of an endpoint that was disabled because it was gone or failed for too long.")
	resume.secret = true
	register(a, resume, a.resumeEndpoint)
	retry := post("retry-endpoint", "/retry", "End the penalty and try at once", "")
	retry.secret = true
	register(a, retry, a.retryEndpoint)
	secret := get("get-secret", "/secret", "Get the signing secrets", "")
	secret.scope, secret.secret = scopeManage, true
	register(a, secret, a.getSecret)
	rotate := post("rotate-secret", "/secret/rotate", "Rotate the signing secret", "During the overlap requests are signed with both.")
	rotate.secret = true
	register(a, rotate, a.rotateSecret)
}

func (a *API) deadLetters(ctx context.Context, c *call, in *struct {
	InEndpoint
	InPage
},
) (*outBody[client.Page[client.DeadLetter]], error) {
	after, p := decodeNumberCursor(listDeadLetters, in.Cursor)
	if p != nil {
		return nil, p
	}
	e, err := a.endpoint(ctx, c, in.Endpoint)
	if err != nil {
		return nil, err
	}
	list, err := a.Log.DeadLetters(ctx, e.ID, after, in.most()+1)
	if err != nil {
		return nil, err
	}
	names, err := a.eventNames(ctx, c.tenant.ID, list)
	if err != nil {
		return nil, err
	}
	return &outBody[client.Page[client.DeadLetter]]{page(list, in.most(), func(d *event.DeadLetter) client.DeadLetter {
		name := names[d.Version]
		return client.DeadLetter{Version: d.Version, Event: name[0], Type: name[1], At: d.At.UTC(), Reason: d.Reason}
	}, func(d *event.DeadLetter) string { return encodeNumberCursor(listDeadLetters, d.Version) })}, nil
}

// eventNames returns the ids and types of those events that are still on the log.
func (a *API) eventNames(ctx context.Context, tenant event.TenantID, list []event.DeadLetter) (map[int64][2]string, error) {
	names := make(map[int64][2]string, len(list))
	const most = 1000 // of one reading
	for len(list) > 0 {
		n := min(len(list), most)
		versions := make([]int64, n)
		for i := range n {
			versions[i] = list[i].Version
		}
		events, err := a.Log.Events(ctx, tenant, versions)
		if err != nil {
			return nil, err
		}
		for i := range events {
			names[events[i].Version] = [2]string{events[i].ID, events[i].Type}
		}
		list = list[n:]
	}
	return names, nil
}

func (a *API) testEndpoint(ctx context.Context, c *call, in *struct {
	InEndpoint
	InOnce
	Body *client.TestRequest
},
) (*outBody[client.TestResult], error) {
	e, err := a.endpoint(ctx, c, in.Endpoint)
	if err != nil {
		return nil, err
	}
	ev := event.Event{
		Tenant: c.tenant.ID, ID: "test_" + randomHex(8), Source: "/posthorn/test", Type: testType, Data: []byte(testData),
		Time: time.Now().UTC().Truncate(time.Microsecond),
	}
	if b := in.Body; b != nil {
		if len(b.Data) > a.Limits.MaxEvent {
			return nil, newProblem(http.StatusRequestEntityTooLarge, "event_too_large",
				fmt.Sprintf("the data may have at most %d bytes", a.Limits.MaxEvent), client.FieldError{Field: "data", Message: "is too large"})
		}
		if len(b.Data) > 0 {
			ev.Data = bytes.Clone(b.Data)
		}
		if b.Type != "" {
			if why := checkTestType(b.Type); why != "" {
				return nil, invalid("type", why)
			}
			ev.Type = b.Type
		}
	}
	t, err := a.Delivery.Test(ctx, &e, &ev)
	if err != nil {
		return nil, err
	}
	return &outBody[client.TestResult]{showTest(&t)}, nil
}

func checkTestType(s string) string {
	if s != testType && strings.HasPrefix(s, event.ReservedPrefix) {
		return "must not begin with " + event.ReservedPrefix
	}
	return event.CheckType(s)
}

func (a *API) setDisabled(ctx context.Context, c *call, id string, disabled bool, reason string) (*outTagged[client.Endpoint], error) {
	e, err := a.endpoint(ctx, c, id)
	if err != nil {
		return nil, err
	}
	if !disabled {
		if p := mayResume(c, &e); p != nil {
			return nil, p
		}
	}
	before := showEndpoint(&e, nil)
	if e, err = a.Control.SetDisabled(ctx, c.tenant, e.ID, disabled, reason); err != nil {
		return nil, err
	}
	c.changed(before, showEndpoint(&e, nil))
	return a.endpointAnswer(ctx, c, &e)
}

func (a *API) pauseEndpoint(ctx context.Context, c *call, in *struct {
	InEndpoint
	InOnce
},
) (*outTagged[client.Endpoint], error) {
	return a.setDisabled(ctx, c, in.Endpoint, true, "paused")
}

func (a *API) resumeEndpoint(ctx context.Context, c *call, in *struct {
	InEndpoint
	InOnce
},
) (*outTagged[client.Endpoint], error) {
	return a.setDisabled(ctx, c, in.Endpoint, false, "")
}

func (a *API) retryEndpoint(ctx context.Context, c *call, in *struct {
	InEndpoint
	InOnce
},
) (*outTagged[client.Endpoint], error) {
	e, err := a.endpoint(ctx, c, in.Endpoint)
	if err != nil {
		return nil, err
	}
	if err := a.Delivery.ResetPenalty(ctx, &e); err != nil {
		return nil, err
	}
	return a.endpointWithState(ctx, c, &e)
}

// replayRange turns versions or times into the versions to send again.
func (a *API) replayRange(ctx context.Context, c *call, in *client.ReplayRequest) (event.ReplayRange, error) {
	r := event.ReplayRange{From: in.FromVersion, OnlyFailed: in.Only == "failed"}
	switch {
	case in.FromVersion > 0 && in.Since != nil:
		return r, invalid("since", "does not go with from_version")
	case in.FromVersion == 0 && in.Since == nil:
		return r, invalid("from_version", "must be given, or since")
	case in.Until != nil && in.Since != nil && !in.Until.After(*in.Since):
		return r, invalid("until", "must be after since")
	}
	_, oldest, head, err := a.Log.Changes(ctx, c.tenant.ID, beyond, 1, 1)
	if err != nil {
		return r, err
	}
	if in.Since != nil {
		if r.From, err = a.Log.VersionAt(ctx, c.tenant.ID, in.Since.UTC()); err != nil {
			return r, err
		}
	}
	r.To = head
	if in.Until != nil {
		end, err := a.Log.VersionAt(ctx, c.tenant.ID, in.Until.UTC())
		if err != nil {
			return r, err
		}
		r.To = min(end-1, head)
	}
	if r.From < oldest && in.FromVersion > 0 {
		return r, event.Gone("from_version", oldest)
	}
	if r.From > r.To {
		field := "since"
		if in.FromVersion > 0 {
			field = "from_version"
		}
		return r, invalid(field, fmt.Sprintf("there are no events in this range; the last version is %d", head))
	}
	return r, nil
}

func (a *API) getSecret(ctx context.Context, c *call, in *InEndpoint) (*outBody[client.Secret], error) {
	e, err := a.endpoint(ctx, c, in.Endpoint)
	if err != nil {
		return nil, err
	}
	s, err := a.Control.Secrets(ctx, &e)
	if err != nil {
		return nil, err
	}
	return &outBody[client.Secret]{showSecrets(&s, time.Now())}, nil
}

func (a *API) rotateSecret(ctx context.Context, c *call, in *struct {
	InEndpoint
	InOnce
	Body *client.Rotation
},
) (*outBody[client.Secret], error) {
	e, err := a.endpoint(ctx, c, in.Endpoint)
	if err != nil {
		return nil, err
	}
	overlap, secret := defaultOverlap, ""
	if in.Body != nil {
		secret = in.Body.Secret
		if in.Body.Overlap != nil {
			overlap = time.Duration(*in.Body.Overlap)
		}
	}
	if overlap > maxOverlap {
		return nil, invalid("overlap", "must be at most "+client.Duration(maxOverlap).String())
	}
	s, err := a.Control.RotateSecret(ctx, c.tenant, e.ID, secret, overlap)
	if err != nil {
		return nil, err
	}
	c.changed(nil, client.Rotation{Overlap: (*client.Duration)(&overlap)})
	c.secretChanged("secret")
	return &outBody[client.Secret]{showSecrets(&s, time.Now())}, nil
}
