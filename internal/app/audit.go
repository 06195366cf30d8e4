package app

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/posthornhq/posthorn/internal/api/hooksite"
	"github.com/posthornhq/posthorn/internal/audit"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/inspect"
)

// address is the IP address of a request's caller, "" when it is not known.
func (a *App) address(r *http.Request) string {
	remote, _ := a.arrivals.caller(r)
	return remote
}

// trimAudit stores outcomes that are late and deletes entries that are older than they need be.
func (a *App) trimAudit(ctx context.Context) error {
	if err := a.audit.Settle(ctx); err != nil || a.cfg.AuditRetention == 0 {
		return err
	}
	before := time.Now().Add(-a.cfg.AuditRetention)
	return a.batches(ctx, "audit", func() (int, error) { return a.audit.Trim(ctx, before, houseBatch) })
}

// disable disables an endpoint for the lanes, with an entry on the audit log.
func (a *App) disable(ctx context.Context, e *event.Endpoint, reason string, since time.Time) error {
	name, err := a.control.TenantName(ctx, e.Tenant)
	if err != nil && event.KindOf(err) != event.KindNotFound {
		return err
	}
	entry := event.AuditEntry{
		ActorKind: event.BySystem, Action: "disable-endpoint", Tenant: e.Tenant, TenantName: name, Resource: "endpoint", ResourceID: e.ID.String(),
	}
	return a.audit.Do(ctx, entry, func(entry *event.AuditEntry) error {
		did, err := a.control.Disable(ctx, e.Tenant, e.ID, reason, since)
		switch {
		case err != nil:
		case did:
			entry.Changes = audit.Diff(map[string]any{"disabled": false}, map[string]any{"disabled": true, "disabled_reason": reason})
		default:
			entry.Outcome, entry.Code = event.AuditRefused, "revision_mismatch" // it was changed meanwhile
		}
		return err
	})
}

// faceCaller is who calls one of the interfaces of Webhook.site and smee.io. The key is set when it was looked up.
type faceCaller struct {
	address string
	key     event.APIKey
}

type faceCallerKey struct{}

// withFaceCaller lets what is done for a request know who asked for it.
func (a *App) withFaceCaller(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller := &faceCaller{address: a.address(r)}
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), faceCallerKey{}, caller)))
	})
}

// faceAuth notes whom it knows.
type faceAuth struct{ hooksite.Authenticator }

// Authenticate implements [hooksite.Authenticator].
func (f faceAuth) Authenticate(ctx context.Context, bearer string) (event.APIKey, error) {
	k, err := f.Authenticator.Authenticate(ctx, bearer)
	if caller, ok := ctx.Value(faceCallerKey{}).(*faceCaller); ok && err == nil {
		caller.key = k
	}
	return k, err
}

// faceBins are the bins with an entry on the audit log for each that is made, changed or deleted.
type faceBins struct {
	*inspect.Service
	a *App
}

// Create implements [hooksite.Bins].
func (f faceBins) Create(ctx context.Context, tenant event.TenantID, b event.Bin) (made event.Bin, err error) {
	err = f.keep(ctx, "create-bin", tenant, "", func(e *event.AuditEntry) error {
		if made, err = f.Service.Create(ctx, tenant, b); err == nil {
			e.ResourceID, e.Changes = made.ID, audit.Diff(nil, binShown(&made))
		}
		return err
	})
	return made, err
}

// Update implements [hooksite.Bins]. That a bin lives longer because it is read leaves no entry.
func (f faceBins) Update(ctx context.Context, b event.Bin, revision int64) (saved event.Bin, err error) {
	old, err := f.Bin(ctx, 0, b.ID)
	if err != nil {
		return saved, err
	}
	changes := audit.Diff(binShown(&old), binShown(&b))
	if len(changes) == 0 {
		return f.Service.Update(ctx, b, revision)
	}
	err = f.keep(ctx, "replace-bin", old.Tenant, b.ID, func(e *event.AuditEntry) error {
		saved, err = f.Service.Update(ctx, b, revision)
		e.Changes = changes
		return err
	})
	return saved, err
}

// Delete implements [hooksite.Bins].
func (f faceBins) Delete(ctx context.Context, id string, revision int64) error {
	old, err := f.Bin(ctx, 0, id)
	if err != nil && event.KindOf(err) != event.KindGone {
		return err
	}
	return f.keep(ctx, "delete-bin", old.Tenant, id, func(e *event.AuditEntry) error {
		e.Changes = audit.Diff(binShown(&old), nil)
		return f.Service.Delete(ctx, id, revision)
	})
}

// keep makes a change of a bin with an entry of its own.
func (f faceBins) keep(ctx context.Context, action string, tenant event.TenantID, id string, change func(e *event.AuditEntry) error) error {
	e := event.AuditEntry{ActorKind: event.ByUnknown, Action: action, Tenant: tenant, Resource: "bin", ResourceID: id}
	if caller, ok := ctx.Value(faceCallerKey{}).(*faceCaller); ok {
		e.Address = caller.address
		if caller.key.ID != 0 {
			e.By(&caller.key)
		}
	}
	if tenant != 0 {
		e.TenantName, _ = f.a.control.TenantName(ctx, tenant) // deleted meanwhile: without its name
	}
	return f.a.audit.Do(ctx, e, change)
}

// binShown is what of a bin the audit log shows.
func binShown(b *event.Bin) map[string]any {
	return map[string]any{
		"alias": b.Alias, "description": b.Description, "cors": b.CORS, "keep": b.Keep, "delay": b.Delay.String(), "hold": b.Hold.String(), "refuse": b.Refuse,
		"answer": map[string]any{"status": strconv.Itoa(b.Answer.Status), "headers": b.Answer.Headers, "body": string(b.Answer.Body)},
	}
}
