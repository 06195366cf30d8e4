package flexibee

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/codec"
	"github.com/posthornhq/posthorn/internal/event"
)

// Parameters of a registration.
const (
	paramURL         = "url"
	paramFormat      = "format"
	paramLastVersion = "lastVersion"
	paramSecKey      = "secKey"
	paramSkipURLTest = "skipUrlTest"
	paramEvidence    = "evidence"
	paramFilter      = "filter"
	paramStateChange = "stateChange"
	paramWithData    = "withData"
)

const (
	// secKeyHeader carries a hook's secret with each notification.
	secKeyHeader = "X-FB-Hook-SecKey"
	// hookTimeout is when a notification counts as not answered; slower than the profile's 15 s is penalised already.
	hookTimeout = 30 * time.Second
	// testTimeout is how long the test of a registration may take: somebody waits for it.
	testTimeout = 15 * time.Second
	// mergeWait is how long a first change waits for others, so that those that come together go together.
	mergeWait = 100 * time.Millisecond
	// hookPage is how many endpoints are read at once.
	hookPage = 1000
)

// everyChange are the types of all changes of records.
var everyChange = []string{"*.create", "*.update", "*.delete"}

// anyOperation follows the evidence in the pattern of its changes' types.
const anyOperation = ".*"

// hook is a hook as the interface shows it.
type hook struct {
	endpoint    *event.Endpoint
	view        event.LaneView
	secKey      string
	showsSecret bool
}

// eachHook calls f with every hook of a company, in the order of their ids.
func (a *API) eachHook(ctx context.Context, t *event.Tenant, f func(e *event.Endpoint) error) error {
	for after := event.EndpointID(0); ; {
		list, err := a.Control.Endpoints(ctx, t, after, hookPage)
		if err != nil {
			return err
		}
		for i := range list {
			if list[i].Kind != event.KindFlexiBee {
				continue
			}
			if err := f(&list[i]); err != nil {
				return err
			}
		}
		if len(list) < hookPage {
			return nil
		}
		after = list[len(list)-1].ID
	}
}

// look reads what is shown of a hook: its secret only to those who may manage.
func (a *API) look(c *call, e *event.Endpoint) (hook, error) {
	h := hook{endpoint: e, showsSecret: c.may(event.AllowManage)}
	var err error
	if h.view, err = a.Delivery.View(c.r.Context(), e); err != nil || !h.showsSecret {
		return h, err
	}
	s, err := a.Control.Secrets(c.r.Context(), e)
	for _, header := range s.Headers {
		if strings.EqualFold(header.Name, secKeyHeader) {
			h.secKey = header.Value
		}
	}
	return h, err
}

func (a *API) hooks(c *call) ([]hook, error) {
	var list []hook
	err := a.eachHook(c.r.Context(), c.tenant, func(e *event.Endpoint) error {
		h, err := a.look(c, e)
		list = append(list, h)
		return err
	})
	return list, err
}

func (a *API) listHooks(c *call) error {
	list, err := a.hooks(c)
	if err != nil {
		return err
	}
	c.sendHooks(list)
	return nil
}

// named makes an operation on one hook of an operation with its id.
func named(id string, serve func(a *API, c *call, e *event.Endpoint) error) func(a *API, c *call) error {
	return func(a *API, c *call) error {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil || n <= 0 {
			return event.NotFound("hook")
		}
		e, err := a.Control.Endpoint(c.r.Context(), c.tenant, event.EndpointID(n))
		if err == nil && e.Kind != event.KindFlexiBee || event.KindOf(err) == event.KindNotFound && err != nil {
			return event.NotFound("hook")
		}
		if err != nil {
			return err
		}
		return serve(a, c, &e)
	}
}

func (a *API) showHook(c *call, e *event.Endpoint) error {
	h, err := a.look(c, e)
	if err != nil {
		return err
	}
	c.sendHooks([]hook{h})
	return nil
}

func (a *API) deleteHook(c *call, e *event.Endpoint) error {
	if err := a.Control.DeleteEndpoint(c.r.Context(), c.tenant, e.ID, 0); err != nil {
		return err
	}
	return c.done(hookID(e))
}

func (a *API) retryHook(c *call, e *event.Endpoint) error {
	if err := a.Delivery.ResetPenalty(c.r.Context(), e); err != nil {
		return err
	}
	return c.done(hookID(e))
}

func hookID(e *event.Endpoint) string { return strconv.FormatInt(int64(e.ID), 10) }

// register makes a hook: what is asked for is checked, the address tried, the endpoint saved.
func (a *API) register(c *call) error {
	if err := needLog(c.tenant); err != nil {
		return err
	}
	e, s, err := c.wanted()
	if err != nil {
		return err
	}
	if err := a.Control.CheckEndpoint(e, s); err != nil {
		return err
	}
	_, head, err := a.Log.Bounds(c.r.Context(), c.tenant.ID)
	if err != nil {
		return err
	}
	last, err := c.number(paramLastVersion, head)
	if err != nil {
		return err
	}
	if last > head {
		return event.Invalid(paramLastVersion, fmt.Sprintf("must be 0 to the global version, %d", head))
	}
	skip, err := c.flag(paramSkipURLTest)
	if err != nil {
		return err
	}
	if !skip {
		if err := a.tryURL(c, &e, &s, head); err != nil {
			return err
		}
	}
	made, err := a.Control.CreateEndpointAfter(c.r.Context(), c.tenant, e, s, last)
	if err != nil {
		return err
	}
	if c.entry != nil {
		c.entry.ResourceID = made.ID.String()
		if raw, err := json.Marshal(made.URL); err == nil {
			c.entry.Changes = []event.AuditChange{{Field: "url", To: raw}}
		}
	}
	return c.done(hookID(&made))
}

// wanted reads a registration's parameters.
func (c *call) wanted() (event.Endpoint, event.Secrets, error) {
	e := event.Endpoint{
		URL: c.query.Get(paramURL), Kind: event.KindFlexiBee, Description: "FlexiBee hook", Types: everyChange,
		Filter: c.query.Get(paramFilter), Order: event.OrderStrict, Payload: event.PayloadThin, Envelope: event.EnvelopeFlexiBee,
		Format: strings.ToLower(c.query.Get(paramFormat)), Batch: event.Batch{Max: event.MaxBatchMax, Wait: mergeWait},
		Signing: "none", Timeout: hookTimeout, Forever: true, Profile: event.ProfileFlexiBee,
	}
	var s event.Secrets
	if e.URL == "" {
		return e, s, event.Invalid(paramURL, "must be given")
	}
	if e.Format != event.FormatXML && e.Format != event.FormatJSON {
		return e, s, event.Invalid(paramFormat, "must be XML or JSON")
	}
	evidences := given(c.query[paramEvidence])
	if len(evidences) > maxEvidences {
		return e, s, event.Invalid(paramEvidence, "must be given at most "+strconv.Itoa(maxEvidences)+" times")
	}
	if len(evidences) > 0 {
		e.Types = nil
		for _, name := range evidences {
			if !event.IsEvidence(name) {
				return e, s, event.Invalid(paramEvidence, "must be the name of an evidence, such as faktura-vydana")
			}
			e.Types = append(e.Types, name+anyOperation)
		}
	}
	e.Changed = given(c.query[paramStateChange])
	data, err := c.flag(paramWithData)
	if err != nil {
		return e, s, err
	}
	if data {
		e.Payload = event.PayloadFull
	}
	if key := c.query.Get(paramSecKey); key != "" {
		s.Headers = []event.Header{{Name: secKeyHeader, Value: key}}
	}
	return e, s, nil
}

// given leaves out empty and repeated values.
func given(list []string) []string {
	var kept []string
	for _, s := range list {
		if s != "" && !slices.Contains(kept, s) {
			kept = append(kept, s)
		}
	}
	return kept
}

// flag reads a parameter that is true or false.
func (c *call) flag(name string) (bool, error) {
	switch strings.ToLower(c.query.Get(name)) {
	case "", "false", "0":
		return false, nil
	case "true", "1":
		return true, nil
	}
	return false, event.Invalid(name, "must be true or false")
}

// tryURL sends an empty notification to the address of a hook that is to be made.
func (a *API) tryURL(c *call, e *event.Endpoint, s *event.Secrets, head int64) error {
	list := codec.ChangeList{Format: e.Format}
	at, err := a.Delivery.Post(c.r.Context(), e.URL, list.ContentType(), s.Headers, list.Append(nil, head, 0), testTimeout)
	switch {
	case err != nil && c.r.Context().Err() != nil:
		return err
	case err != nil:
		return event.Invalid(paramURL, "cannot be read")
	case at.Status >= 200 && at.Status < 300:
		return nil
	case at.Status != 0:
		return event.Invalid(paramURL, fmt.Sprintf("was tried and answered %d; only 2xx is accepted", at.Status))
	}
	return event.Invalid(paramURL, "was tried and could not be reached: "+at.Error)
}

// sendHooks answers with a list of hooks. In JSON they are under "hooks", where clients look for what they asked for by that
// name, and under "hook", the name of the element.
func (c *call) sendHooks(list []hook) {
	if c.format == event.FormatJSON {
		var items []byte
		for i := range list {
			if i > 0 {
				items = append(items, ',')
			}
			items = list[i].appendJSON(items)
		}
		body := append([]byte(`{"winstrom":{"@version":"1.0","hooks":[`), items...)
		body = append(body, `],"hook":[`...)
		c.send(http.StatusOK, append(append(body, items...), "]}}"...))
		return
	}
	body := []byte(codec.XMLDeclaration + `<winstrom version="1.0">`)
	for i := range list {
		body = list[i].appendXML(body)
	}
	c.send(http.StatusOK, append(body, "</winstrom>"...))
}

// field is one member of a hook; many: it is shown as a list.
type field struct {
	name   string
	values []string
	many   bool
}

// fields are those of FlexiBee, then our own as far as they are used.
func (h *hook) fields() []field {
	e := h.endpoint
	one := func(name, value string) field { return field{name, []string{value}, false} }
	list := []field{
		one("id", hookID(e)), one("url", e.URL), one("dataFormat", strings.ToUpper(e.Format)),
		one("lastVersion", strconv.FormatInt(h.view.Cursor, 10)), one("penalty", strconv.FormatInt(int64(h.view.Penalty/time.Second), 10)),
	}
	if h.showsSecret {
		list = append(list, one("secKey", h.secKey))
	}
	if names := evidencesOf(e); len(names) > 0 {
		list = append(list, field{paramEvidence, names, true})
	}
	if e.Filter != "" {
		list = append(list, one(paramFilter, e.Filter))
	}
	if len(e.Changed) > 0 {
		list = append(list, field{paramStateChange, e.Changed, true})
	}
	if e.Payload == event.PayloadFull {
		list = append(list, one(paramWithData, "true"))
	}
	return list
}

// evidencesOf are the evidences that a hook is restricted to.
func evidencesOf(e *event.Endpoint) []string {
	var names []string
	for _, pattern := range e.Types {
		if name, ok := strings.CutSuffix(pattern, anyOperation); ok {
			names = append(names, name)
		}
	}
	return names
}

func (h *hook) appendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	for i, f := range h.fields() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, f.name), ':')
		if !f.many {
			dst = appendQuoted(dst, f.values[0])
			continue
		}
		dst = append(dst, '[')
		for k, v := range f.values {
			if k > 0 {
				dst = append(dst, ',')
			}
			dst = appendQuoted(dst, v)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func (h *hook) appendXML(dst []byte) []byte {
	dst = append(dst, "<hook>"...)
	for _, f := range h.fields() {
		for _, v := range f.values {
			dst = append(dst, "<"+f.name+">"...)
			dst = codec.AppendXMLText(dst, v)
			dst = append(dst, "</"+f.name+">"...)
		}
	}
	return append(dst, "</hook>"...)
}
