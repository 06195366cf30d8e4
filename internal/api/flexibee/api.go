package flexibee

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Authenticator turns an API key into what it may do (package control).
type Authenticator interface {
	// Authenticate returns the key's record, or KindUnauthorized.
	Authenticate(ctx context.Context, bearer string) (event.APIKey, error)
}

// Control is the control plane (package control); see there for errors.
type Control interface {
	Tenant(ctx context.Context, name string) (*event.Tenant, error)
	SetChangelog(ctx context.Context, name string, on bool) error
	CheckEndpoint(e event.Endpoint, s event.Secrets) error
	CreateEndpointAfter(ctx context.Context, t *event.Tenant, e event.Endpoint, s event.Secrets, version int64) (event.Endpoint, error)
	Endpoint(ctx context.Context, t *event.Tenant, id event.EndpointID) (event.Endpoint, error)
	Endpoints(ctx context.Context, t *event.Tenant, after event.EndpointID, limit int) ([]event.Endpoint, error)
	DeleteEndpoint(ctx context.Context, t *event.Tenant, id event.EndpointID, revision int64) error
	SetDisabled(ctx context.Context, t *event.Tenant, id event.EndpointID, disabled bool, reason string) (event.Endpoint, error)
	Secrets(ctx context.Context, e *event.Endpoint) (event.Secrets, error)
}

// Delivery is what the lanes show and take (package deliver).
type Delivery interface {
	View(ctx context.Context, e *event.Endpoint) (event.LaneView, error)
	ResetPenalty(ctx context.Context, e *event.Endpoint) error
	// Post sends one request now and returns its outcome, which is not recorded.
	Post(ctx context.Context, url, contentType string, headers []event.Header, body []byte, timeout time.Duration) (event.Attempt, error)
}

// Log reads events (package store, through app).
type Log interface {
	// Changes returns events with version > after in version order with the log's bounds: oldest kept version and head.
	Changes(ctx context.Context, tenant event.TenantID, after int64, limit, maxBytes int) (list []event.Event, oldest, head int64, err error)
	Bounds(ctx context.Context, tenant event.TenantID) (oldest, head int64, err error)
}

// Auditor keeps the audit log (package audit).
type Auditor interface {
	// Do makes a change with an entry that is stored before it and completed after it. Errors: the change's, or why the entry
	// cannot be stored; then the change was not made.
	Do(ctx context.Context, e event.AuditEntry, change func(e *event.AuditEntry) error) error
}

// Config is what the interface is made of; every field but Audit and Address must be given.
type Config struct {
	Auth     Authenticator
	Control  Control
	Delivery Delivery
	Log      Log
	Logger   *slog.Logger
	// Audit keeps the audit log; nil: there is none. Address is the IP address of a request's caller.
	Audit   Auditor
	Address func(r *http.Request) string
}

// API is the interface. It serves every path under [Prefix].
type API struct {
	Config
	origins *http.CrossOriginProtection
}

// Prefix begins every path of the interface.
const Prefix = "/c/"

// New makes the interface.
func New(c Config) *API { return &API{Config: c, origins: http.NewCrossOriginProtection()} }

// call is one request on its way.
type call struct {
	w      http.ResponseWriter
	r      *http.Request
	tenant *event.Tenant
	key    event.APIKey
	query  url.Values
	// format of the answer; page: a browser asks, for whom an action ends at the control page.
	format string
	page   bool
	entry  *event.AuditEntry // on the audit log, of a change
}

// operation is one thing that can be asked for.
type operation struct {
	methods []string
	need    event.Permission
	serve   func(a *API, c *call) error
	// action names a change on the audit log, as the operations of the API are named; empty: nothing is changed. hook is the id
	// of the hook that it is about.
	action, hook string
}

var (
	reading = []string{http.MethodGet, http.MethodHead}
	acting  = []string{http.MethodPut, http.MethodPost}
)

// route finds the operations of a path below the company, and the suffix that names the answer's format.
func route(path []string) (operations []operation, suffix string, ok bool) {
	if len(path) > 1 && path[len(path)-1] == "" {
		path = path[:len(path)-1] // hooks/
	}
	last := len(path) - 1
	name, suffix, _ := strings.Cut(path[last], ".")
	switch {
	case last == 0 && name == "changes":
		return []operation{{methods: reading, need: event.AllowRead, serve: (*API).listChanges}}, suffix, true
	case last == 1 && path[0] == "changes":
		op, ok := changeOperations[name]
		return []operation{op}, suffix, ok
	case last == 0 && name == "hooks":
		return []operation{
			{methods: reading, need: event.AllowRead, serve: (*API).listHooks},
			{methods: acting, need: event.AllowManage, serve: (*API).register, action: "create-endpoint"},
		}, suffix, true
	case last == 1 && path[0] == "hooks":
		return []operation{
			{methods: reading, need: event.AllowRead, serve: named(name, (*API).showHook)},
			{methods: []string{http.MethodDelete}, need: event.AllowManage, serve: named(name, (*API).deleteHook), action: "delete-endpoint", hook: name},
		}, suffix, true
	case last == 2 && path[0] == "hooks" && name == "retry":
		return []operation{{methods: acting, need: event.AllowManage, serve: named(path[1], (*API).retryHook), action: "retry-endpoint", hook: path[1]}}, suffix, true
	}
	return nil, "", false
}

var changeOperations = map[string]operation{
	"enable": {
		methods: acting, need: event.AllowManage, serve: func(a *API, c *call) error { return a.switchLog(c, true) }, action: "enable-changelog",
	},
	"disable": {
		methods: acting, need: event.AllowManage, serve: func(a *API, c *call) error { return a.switchLog(c, false) }, action: "disable-changelog",
	},
	"status":  {methods: reading, need: event.AllowRead, serve: (*API).status},
	"control": {methods: reading, need: event.AllowRead, serve: (*API).controlPage},
}

// ServeHTTP answers a request for a path under [Prefix].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{w: w, r: r, format: event.FormatXML}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "private, no-cache")
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler { //nolint:errorlint // a panic value, compared as net/http does
				panic(v)
			}
			a.fail(c, fmt.Errorf("panic: %v", v))
		}
	}()
	if err := a.serve(c); err != nil {
		a.fail(c, err)
	}
}

func (a *API) serve(c *call) error {
	company, rest, _ := strings.Cut(strings.TrimPrefix(c.r.URL.Path, Prefix), "/")
	operations, suffix, found := route(strings.Split(rest, "/"))
	acceptable := c.negotiate(suffix)
	if err := a.authenticate(c); err != nil {
		return err
	}
	if err := a.origins.Check(c.r); err != nil {
		return event.Errorf(event.KindForbidden, "cross_origin", "a page of another origin may not do this")
	}
	if !found {
		return a.missing(c, company)
	}
	var allowed []string
	for _, op := range operations {
		allowed = append(allowed, op.methods...)
		if !slices.Contains(op.methods, c.r.Method) {
			continue
		}
		if err := a.authorize(c, company, op.need); err != nil {
			return err
		}
		if !acceptable {
			return &statusError{http.StatusNotAcceptable, "answers are XML or JSON"}
		}
		var err error
		if c.query, err = url.ParseQuery(c.r.URL.RawQuery); err != nil {
			return event.Errorf(event.KindMalformed, "malformed", "the query string cannot be read")
		}
		return a.carryOut(c, &op)
	}
	c.w.Header().Set("Allow", strings.Join(append(allowed, http.MethodOptions), ", "))
	if c.r.Method == http.MethodOptions {
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return &statusError{http.StatusMethodNotAllowed, "this path takes " + strings.Join(allowed, ", ")}
}

// carryOut does what is asked for; a change with an entry on the audit log.
func (a *API) carryOut(c *call, op *operation) error {
	if op.action == "" || a.Audit == nil {
		return op.serve(a, c)
	}
	e := event.AuditEntry{
		Action: op.action, Tenant: c.tenant.ID, TenantName: c.tenant.Name, Resource: "tenant", ResourceID: c.tenant.Name,
	}
	e.By(&c.key)
	if a.Address != nil {
		e.Address = a.Address(c.r)
	}
	if !strings.HasSuffix(op.action, "-changelog") {
		e.Resource, e.ResourceID = "endpoint", ""
		if n, err := strconv.ParseInt(op.hook, 10, 64); err == nil {
			e.ResourceID = event.EndpointID(n).String()
		}
	}
	return a.Audit.Do(c.r.Context(), e, func(e *event.AuditEntry) error {
		c.entry = e
		return op.serve(a, c)
	})
}

// missing is the answer to a path that leads nowhere, for those who may see the company.
func (a *API) missing(c *call, company string) error {
	if err := a.authorize(c, company, event.AllowRead); err != nil {
		return err
	}
	return event.NotFound("resource")
}

// authenticate finds out who calls: the password of HTTP Basic is an API key, whatever the user's name; a bearer key will
// do too.
func (a *API) authenticate(c *call) (err error) {
	_, secret, ok := c.r.BasicAuth()
	if !ok {
		scheme, token, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
		if strings.EqualFold(scheme, "bearer") {
			secret = strings.TrimSpace(token)
		}
	}
	if secret == "" {
		return event.Errorf(event.KindUnauthorized, "unauthorized", "send an API key as the password of HTTP Basic authentication")
	}
	c.key, err = a.Auth.Authenticate(c.r.Context(), secret)
	return err
}

// authorize finds the company and checks that the caller may there. A key of another company gets the same answer
// whether the company exists or not.
func (a *API) authorize(c *call, company string, need event.Permission) (err error) {
	c.tenant, err = a.Control.Tenant(c.r.Context(), company)
	if c.key.Admin {
		return err
	}
	if err != nil && event.KindOf(err) != event.KindNotFound {
		return err
	}
	switch {
	case err != nil || c.tenant.ID != c.key.Tenant:
		return event.Errorf(event.KindForbidden, "forbidden", "this key is not for this company")
	case c.key.Only != nil:
		return event.Errorf(event.KindForbidden, "forbidden", "a token that names types or subjects may not do this")
	case !c.may(need):
		return event.Errorf(event.KindForbidden, "forbidden", "this key may not "+string(need)+" here")
	}
	return nil
}

// may reports whether the caller has a permission; manage includes read.
func (c *call) may(p event.Permission) bool {
	return c.key.Admin || slices.Contains(c.key.Allow, p) || p == event.AllowRead && slices.Contains(c.key.Allow, event.AllowManage)
}

// statusError is an error of HTTP itself.
type statusError struct {
	status  int
	message string
}

// Error is the message, which is safe to show.
func (e *statusError) Error() string { return e.message }

// fail answers with an error. What is not an [event.Error] is hidden behind a 500.
func (a *API) fail(c *call, err error) {
	if own, ok := errors.AsType[*statusError](err); ok {
		c.message(own.status, own.message)
		return
	}
	e, ok := errors.AsType[*event.Error](err)
	status := http.StatusInternalServerError
	if ok {
		status = statusOf(e.Kind)
	}
	if status >= http.StatusInternalServerError {
		a.Logger.LogAttrs(c.r.Context(), slog.LevelError, "request failed", slog.String("method", c.r.Method),
			slog.String("path", c.r.URL.Path), slog.Int("status", status), slog.Any("error", err))
	}
	switch status {
	case http.StatusInternalServerError:
		c.message(status, "something went wrong on the server; its log says more")
		return
	case http.StatusUnauthorized:
		c.w.Header().Set("WWW-Authenticate", `Basic realm="Posthorn", charset="UTF-8"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		c.retryAfter(e.RetryAfter)
	}
	c.message(status, explain(e))
}

// statusOf is the one place where kinds of error become HTTP statuses; FlexiBee knows fewer than we do.
func statusOf(k event.Kind) int {
	switch k {
	case event.KindMalformed, event.KindInvalid, event.KindTooLarge, event.KindMediaType, event.KindGone:
		return http.StatusBadRequest
	case event.KindUnauthorized:
		return http.StatusUnauthorized
	case event.KindForbidden:
		return http.StatusForbidden
	case event.KindNotFound:
		return http.StatusNotFound
	case event.KindConflict, event.KindPrecondition:
		return http.StatusConflict
	case event.KindRateLimited:
		return http.StatusTooManyRequests
	case event.KindUnavailable, event.KindFull:
		return http.StatusServiceUnavailable
	case event.KindInternal:
	}
	return http.StatusInternalServerError
}

// parameters are our names of fields as the interface calls them.
var parameters = map[string]string{
	"changed": paramStateChange, "types": paramEvidence, "headers." + secKeyHeader: paramSecKey,
}

// explain is what an error says, in one line.
func explain(e *event.Error) string {
	if len(e.Fields) == 0 {
		return e.Detail
	}
	list := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		name, _, _ := strings.Cut(f.Field, "[")
		if known, ok := parameters[name]; ok {
			name = known
		}
		list[i] = name + " " + f.Message
	}
	return strings.Join(list, "; ")
}
