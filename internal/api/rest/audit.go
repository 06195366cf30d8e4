package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/audit"
	"github.com/posthornhq/posthorn/internal/event"
)

// perEvent is why what is done for each event leaves no entry: the log of events tells of it.
const perEvent = "work on single events"

// InAudit narrows a list of audit entries.
type InAudit struct {
	Actor    string    `query:"actor" maxLength:"512" doc:"Only by this actor: a kind, such as user, an id or a name"`
	Action   string    `query:"action" maxLength:"100" doc:"Only this operation, such as patch-endpoint"`
	Resource string    `query:"resource" maxLength:"512" doc:"Only about this kind of thing, such as endpoint, or about the thing with this id or name"`
	Since    time.Time `query:"since" doc:"Only begun at or after this time"`
	Until    time.Time `query:"until" doc:"Only begun before this time"`
}

func (a *API) auditRoutes() {
	if a.Audit == nil {
		return
	}
	const doc = "Newest first. Every change through an interface has an entry, stored before the change was made. " +
		"A page may hold fewer than limit and still have a next."
	register(a, operation{
		id: "list-audit", method: http.MethodGet, path: "/v1/audit", tag: "Audit", summary: "List the audit log of the whole server", doc: doc, scope: scopeAdmin,
	}, a.listAudit)
	register(a, operation{
		id: "list-tenant-audit", method: http.MethodGet, path: "/v1/tenants/{tenant}/audit", tag: "Audit", summary: "List the audit log of a tenant",
		doc: doc, scope: scopeManage,
	}, a.listTenantAudit)
}

func (a *API) listAudit(ctx context.Context, _ *call, in *struct {
	InPage
	InAudit
	Tenant string `query:"tenant" doc:"Only what was about this tenant, also when it is gone"`
},
) (*outBody[client.Page[client.AuditEntry]], error) {
	return a.auditPage(ctx, &in.InPage, &in.InAudit, event.AuditQuery{TenantName: in.Tenant})
}

func (a *API) listTenantAudit(ctx context.Context, c *call, in *struct {
	InTenant
	InPage
	InAudit
},
) (*outBody[client.Page[client.AuditEntry]], error) {
	return a.auditPage(ctx, &in.InPage, &in.InAudit, event.AuditQuery{Tenant: c.tenant.ID})
}

func (a *API) auditPage(ctx context.Context, p *InPage, in *InAudit, q event.AuditQuery) (*outBody[client.Page[client.AuditEntry]], error) {
	before, bad := decodeNumberCursor(listAudit, p.Cursor)
	if bad != nil {
		return nil, bad
	}
	if !in.Since.IsZero() && !in.Until.IsZero() && !in.Until.After(in.Since) {
		return nil, invalid("until", "must be after since")
	}
	q.Actor, q.Action, q.Resource, q.Since, q.Until, q.Before, q.Limit = in.Actor, in.Action, in.Resource, in.Since, in.Until, before, p.Limit
	list, last, err := a.Audit.Entries(ctx, q)
	if err != nil {
		return nil, err
	}
	next := ""
	if last > 0 {
		next = encodeNumberCursor(listAudit, last)
	}
	return shown(list, next, func(e *event.AuditEntry) (client.AuditEntry, error) { return showAudit(e), nil })
}

func showAudit(e *event.AuditEntry) client.AuditEntry {
	out := client.AuditEntry{
		ID: event.FormatAuditID(e.ID), At: e.At.UTC(), Actor: client.AuditActor{Kind: e.ActorKind, ID: e.ActorID, Name: e.ActorName, Address: e.Address},
		Action: e.Action, Tenant: e.TenantName, Resource: e.Resource, ResourceID: e.ResourceID, Outcome: string(e.Outcome), Status: e.Status,
		Code: e.Code, RequestID: e.RequestID,
	}
	for _, c := range e.Changes {
		out.Changes = append(out.Changes, client.AuditChange(c))
	}
	return out
}

// audits reports whether calls of an operation leave an entry: all that may change something and do not say why not.
func (a *API) audits(o *operation) bool {
	return a.Audit != nil && o.method != http.MethodGet && o.unaudited == ""
}

// changed keeps for the audit log what a change made of a resource, both as clients are shown it; nil: there is none. The last
// call counts. What is secret in it is left out by package audit.
func (c *call) changed(before, after any) {
	if c.entry != nil {
		c.entry.Changes = audit.Diff(before, after)
	}
}

// secretChanged adds a field to those that changed, whose values are shown to nobody.
func (c *call) secretChanged(field string) {
	if c.entry != nil {
		c.entry.Changes = append(c.entry.Changes, audit.Masked(field))
	}
}

// about says what a call is about, where its path does not.
func (c *call) about(resource, id string) {
	if c.entry != nil {
		c.entry.Resource, c.entry.ResourceID = resource, id
	}
}

// ofTenant says which tenant a call is about, where its path does not. Without a name it is looked up.
func (a *API) ofTenant(ctx context.Context, c *call, id event.TenantID, name string) {
	if c.entry == nil {
		return
	}
	if name == "" && id != 0 {
		name, _ = a.Control.TenantName(ctx, id) // deleted meanwhile: without its name
	}
	c.entry.Tenant, c.entry.TenantName = id, name
}

// newEntry begins the audit entry of a call.
func (a *API) newEntry(r *http.Request, c *call, o *operation) *event.AuditEntry {
	e := &event.AuditEntry{Action: o.id, RequestID: c.id}
	e.By(&c.key)
	if a.Address != nil {
		e.Address = a.Address(r)
	}
	e.Resource, e.ResourceID = subject(o, r)
	if c.tenant != nil {
		e.Tenant, e.TenantName = c.tenant.ID, c.tenant.Name
	} else if id := c.key.Tenant; id != 0 {
		e.Tenant = id
		e.TenantName, _ = a.Control.TenantName(r.Context(), id) // deleted meanwhile: without its name
	}
	return e
}

// subject is what a request is about: a new thing of the collection that its path ends in, or the last thing that it names.
func subject(o *operation, r *http.Request) (resource, id string) {
	parts := strings.Split(strings.TrimPrefix(o.path, "/v1/"), "/")
	resource = singular(parts[len(parts)-1])
	if o.status == http.StatusCreated {
		return resource, ""
	}
	for i, p := range parts {
		if i > 0 && strings.HasPrefix(p, "{") {
			resource, id = singular(parts[i-1]), r.PathValue(strings.Trim(p, "{}"))
		}
	}
	return resource, id
}

func singular(collection string) string { return strings.TrimSuffix(collection, "s") }

// audited runs a call with an entry on the audit log: before it, and completed after it.
func (a *API) audited(r *http.Request, c *call, o *operation, body []byte, run func() *answer) *answer {
	c.entry = a.newEntry(r, c, o)
	if o.named {
		c.entry.ResourceID = nameIn(body)
	}
	if err := a.Audit.Begin(r.Context(), c.entry); err != nil {
		out := &answer{header: http.Header{}}
		a.writeProblem(out, r, problemOf(err))
		return out
	}
	out := run()
	e := c.entry
	e.Status, e.Outcome = out.status, audit.Outcome(out.status)
	if e.Outcome != event.AuditDone {
		e.Code = codeIn(out.body.Bytes())
	}
	if e.Outcome == event.AuditRefused {
		e.Changes = nil
	}
	if e.ResourceID == "" {
		e.ResourceID = lastOf(out.header.Get("Location"))
	}
	a.Audit.End(r.Context(), e)
	return out
}

// nameIn is the name that a body gives to what it makes.
func nameIn(body []byte) string {
	var b struct {
		Name string `json:"name"`
	}
	_ = json.Unmarshal(body, &b) // what is no such body is refused, and names nothing
	return b.Name
}

// codeIn is the code of a problem document.
func codeIn(body []byte) string {
	var p struct {
		Code string `json:"code"`
	}
	_ = json.Unmarshal(body, &p) // what is no problem document has no code
	return p.Code
}

// lastOf is the last part of a path.
func lastOf(location string) string {
	name, err := url.PathUnescape(location[strings.LastIndexByte(location, '/')+1:])
	if err != nil {
		return ""
	}
	return name
}

// noteRefused leaves an entry of a call by a known caller that was refused before it was run. It is the caller's own tenant's:
// a stranger leaves no lines with others.
func (a *API) noteRefused(r *http.Request, c *call, o *operation, p *problem) {
	if !a.audits(o) || c == nil || c.key.ID == 0 && c.key.Token == "" && c.key.User == "" {
		return
	}
	e := a.newEntry(r, c, o)
	e.Status, e.Outcome, e.Code = p.Status, audit.Outcome(p.Status), p.Code
	if err := a.Audit.Note(r.Context(), e); err != nil {
		a.logCause(problemOf(err), c.id, r.Method, o.path) // nothing was changed
	}
}
