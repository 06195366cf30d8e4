package event

import (
	"encoding/json"
	"time"
)

// ByUnknown is the kind of a caller who is not known, such as one whose log-in was refused.
const ByUnknown = "unknown"

// AuditOutcome says what came of a change.
type AuditOutcome string

// Outcomes.
const (
	AuditUnknown AuditOutcome = "unknown" // it was begun; the server stopped before it knew, or it is under way
	AuditDone    AuditOutcome = "done"
	AuditRefused AuditOutcome = "refused" // nothing was changed
)

// AuditEntry is a line of the audit log: who changed what, or tried to.
type AuditEntry struct {
	// ID is given by the store and ascends. Its public form is [FormatAuditID].
	ID int64
	At time.Time
	// ActorKind is one of [ByRoot], [ByKey], [ByToken], [ByUser] and [BySystem], or [ByUnknown]; ActorID and ActorName are the
	// caller's.
	ActorKind, ActorID, ActorName string
	// Address is the IP address that the request came from, empty when there was no request.
	Address string
	// Action is the id of the operation, such as patch-endpoint.
	Action string
	// Tenant is the tenant that it was about, 0 without one; TenantName stays readable when the tenant is gone.
	Tenant     TenantID
	TenantName string
	// Resource is the kind of thing, such as endpoint, and ResourceID its id or name; empty when there is none.
	Resource, ResourceID string
	Outcome              AuditOutcome
	// Status is the HTTP status of the answer, 0 without one; Code is the problem's code when it was refused.
	Status  int
	Code    string
	Changes []AuditChange
	// RequestID is the id of the request, as in the server's log.
	RequestID string
}

// By sets the actor to who calls.
func (e *AuditEntry) By(k *APIKey) {
	who := *k
	who.Identify()
	e.ActorKind, e.ActorID, e.ActorName = who.Kind, who.Who(), who.Name
}

// AuditChange is one field that was changed.
type AuditChange struct {
	// Field is the field's name, those of objects within separated by dots.
	Field string
	// From and To are its values as JSON; nil: it was not there. Of what is secret only To is there, and says "changed".
	From, To json.RawMessage
}

// AuditQuery narrows a list of entries; what is empty narrows nothing.
type AuditQuery struct {
	// Tenant is that of the entries; TenantName finds also those of tenants that are gone.
	Tenant     TenantID
	TenantName string
	// Actor is an id, a name or a kind; Resource a kind or an id.
	Actor, Action, Resource string
	// Since is the first time, Until the first one no longer wanted.
	Since, Until time.Time
	// Before is the ID of which entries are older; 0: from the newest.
	Before int64
	Limit  int
}

// Fits reports whether an entry is one of those asked for, apart from Before and Limit.
func (q *AuditQuery) Fits(e *AuditEntry) bool {
	switch {
	case q.Tenant != 0 && e.Tenant != q.Tenant, q.TenantName != "" && e.TenantName != q.TenantName:
		return false
	case q.Actor != "" && e.ActorKind != q.Actor && e.ActorID != q.Actor && e.ActorName != q.Actor:
		return false
	case q.Action != "" && e.Action != q.Action, q.Resource != "" && e.Resource != q.Resource && e.ResourceID != q.Resource:
		return false
	}
	return (q.Since.IsZero() || !e.At.Before(q.Since)) && (q.Until.IsZero() || e.At.Before(q.Until))
}

// FormatAuditID returns the public form of an entry's id, "aud_" and 13 characters.
func FormatAuditID(n int64) string { return encodeID("aud_", n) }
