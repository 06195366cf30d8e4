package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/url"
	"time"
)

// AuditEntry is a line of the audit log: who changed what, or tried to.
type AuditEntry struct {
	ID    string     `json:"id" doc:"Ascends with time"`
	At    time.Time  `json:"at" doc:"When it was begun"`
	Actor AuditActor `json:"actor" doc:"Who did it"`
	// Action is an operation's id in the OpenAPI document, or log-in, disable-endpoint and others that are none.
	Action     string `json:"action" doc:"The operation, such as patch-endpoint"`
	Tenant     string `json:"tenant,omitempty" doc:"The tenant that it was about"`
	Resource   string `json:"resource,omitempty" doc:"The kind of thing, such as endpoint"`
	ResourceID string `json:"resource_id,omitempty" doc:"Its id or name"`
	Outcome    string `json:"outcome" enum:"done,refused,unknown" doc:"unknown: it is under way, or the server does not know what came of it"`
	Status     int    `json:"status,omitempty" doc:"The HTTP status of the answer"`
	Code       string `json:"code,omitempty" doc:"The problem's code, when it was refused"`
	// Changes are the fields that changed; of secret ones only that they did.
	Changes   []AuditChange `json:"changes,omitempty" doc:"The fields that changed"`
	RequestID string        `json:"request_id,omitempty" doc:"The request's id, as in X-Request-Id and in the server's log"`
}

// AuditActor is who did something.
type AuditActor struct {
	Kind    string `json:"kind" enum:"root,apikey,token,user,system,unknown" doc:"system: the server by itself; unknown: one whose log-in was refused"`
	ID      string `json:"id,omitempty" doc:"The API key's, token's or person's"`
	Name    string `json:"name,omitempty" doc:"The API key's or person's"`
	Address string `json:"address,omitempty" doc:"The IP address that the request came from"`
}

// AuditChange is one field that changed.
type AuditChange struct {
	Field string          `json:"field" doc:"The field; one of an object within after a dot"`
	From  json.RawMessage `json:"from,omitempty" doc:"Its value before, cut when it is long; absent: it was not there, or it is secret"`
	To    json.RawMessage `json:"to,omitempty" doc:"Its value after, cut when it is long; of what is secret the text changed"`
}

// AuditLog lists the audit log of the whole server, newest first; it needs an admin key. [OfTenant], [ByActor], [OfAction],
// [OfResource], [Since] and [Until] narrow it.
func (c *Client) AuditLog(ctx context.Context, opts ...ListOption) iter.Seq2[AuditEntry, error] {
	return list[AuditEntry](ctx, c, path("audit"), opts)
}

// TenantAuditLog lists what was changed in a tenant, newest first.
func (c *Client) TenantAuditLog(ctx context.Context, tenant string, opts ...ListOption) iter.Seq2[AuditEntry, error] {
	return list[AuditEntry](ctx, c, path("tenants", tenant, "audit"), opts)
}

// ByActor keeps entries of the audit log by one actor: a kind, an id or a name.
func ByActor(actor string) ListOption { return func(q url.Values) { q.Set("actor", actor) } }

// OfAction keeps entries of the audit log of one operation, such as patch-endpoint.
func OfAction(action string) ListOption { return func(q url.Values) { q.Set("action", action) } }

// OfResource keeps entries of the audit log about a kind of thing, such as endpoint, or about one thing by its id or name.
func OfResource(resource string) ListOption {
	return func(q url.Values) { q.Set("resource", resource) }
}
