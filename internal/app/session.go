package app

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/config"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/keyring"
	"github.com/posthornhq/posthorn/internal/live"
	"github.com/posthornhq/posthorn/internal/session"
)

// newSessions makes the service of browsers that are signed in.
func (a *App) newSessions(keys *keyring.Keyring) (*session.Service, error) {
	o := session.Options{
		Store: a.store, Keys: a.control, Tenants: a.control, Sealer: keys, Logger: a.log, PublicURL: a.cfg.PublicURL,
		Lifetime: a.cfg.SessionLifetime, Idle: a.cfg.SessionIdle, Ended: a.sessionEnded, Record: a.recordLogIn, RecordEnd: a.recordLogOut,
		Address: func(r *http.Request) netip.Addr { return live.ClientAddr(r, a.cfg.TrustedProxies) },
	}
	if a.cfg.OIDCIssuer != "" {
		o.OIDC = &session.OIDC{
			Issuer: a.cfg.OIDCIssuer, ClientID: a.cfg.OIDCClientID, ClientSecret: a.cfg.OIDCClientSecret.Reveal(),
			Scopes: strings.Fields(a.cfg.OIDCScopes), GroupsClaim: a.cfg.OIDCGroupsClaim, Name: a.cfg.OIDCName, LogOut: a.cfg.OIDCLogout, Roles: roles(a.cfg.OIDCRoles),
		}
	}
	s, err := session.New(o)
	if err != nil {
		return nil, fmt.Errorf("cannot use oidc-issuer: %w", err)
	}
	return s, nil
}

func roles(list []config.OIDCRole) []session.Role {
	out := make([]session.Role, len(list))
	for i, r := range list {
		out[i] = session.Role{Group: r.Group, Admin: r.Admin, Tenant: r.Tenant}
		for _, p := range r.Allow {
			out[i].Allow = append(out[i].Allow, event.Permission(p))
		}
	}
	return out
}

// sessionEnded ends the live connections of a session that somebody has ended.
func (a *App) sessionEnded(id string) {
	if a.hub != nil {
		a.hub.EndSession(id)
	}
	if a.overview != nil {
		a.overview.EndSession(id)
	}
}

// recordLogIn puts an attempt to sign in on the audit log.
func (a *App) recordLogIn(r *http.Request, at session.Attempt, begin func() error) error {
	e := event.AuditEntry{
		ActorKind: event.ByUnknown, Address: a.address(r), Action: "log-in", Resource: "session", ResourceID: at.Session, RequestID: at.RequestID,
	}
	if at.Who.ID != 0 || at.Who.User != "" {
		e.By(&at.Who)
		e.Tenant = at.Who.Tenant
	}
	if e.Tenant != 0 {
		e.TenantName, _ = a.control.TenantName(r.Context(), e.Tenant) // deleted meanwhile: without its name
	}
	if begin == nil {
		e.Outcome, e.Code = event.AuditRefused, at.Code
		return a.audit.Note(r.Context(), &e)
	}
	return a.audit.Do(r.Context(), e, func(*event.AuditEntry) error { return begin() })
}

// recordLogOut puts a session that the provider of identities ends on the audit log.
func (a *App) recordLogOut(r *http.Request, at session.Attempt, end func() error) error {
	e := event.AuditEntry{Address: a.address(r), Action: "log-out-at-provider", Resource: "session", ResourceID: at.Session, RequestID: at.RequestID}
	e.By(&at.Who)
	return a.audit.Do(r.Context(), e, func(*event.AuditEntry) error { return end() })
}

// sessions is what the REST API sees of the service of sessions.
type sessions struct{ *session.Service }

// Sessions implements [rest.Sessions].
func (s sessions) Sessions(ctx context.Context, by *event.APIKey) ([]rest.SessionView, error) {
	list, err := s.List(ctx, by)
	return sessionViews(list), err
}

// AllSessions implements [rest.Sessions].
func (s sessions) AllSessions(ctx context.Context, by *event.APIKey, after string, limit int) ([]rest.SessionView, string, error) {
	list, next, err := s.All(ctx, by, after, limit)
	return sessionViews(list), next, err
}

func sessionViews(list []session.View) []rest.SessionView {
	out := make([]rest.SessionView, len(list))
	for i, v := range list {
		out[i] = rest.SessionView(v)
	}
	return out
}

// holds reports whether who was accepted is still good. A store that fails ends nothing.
func (a *App) holds(ctx context.Context, k *event.APIKey) bool {
	if k.Session != "" {
		return a.sessions == nil || a.sessions.Holds(ctx, k)
	}
	return authenticator{a.control, a.tokens}.Holds(ctx, k)
}

// trimSessions deletes sessions that have expired.
func (a *App) trimSessions(ctx context.Context) error {
	return a.batches(ctx, "sessions", func() (int, error) { return a.sessions.Trim(ctx, houseBatch) })
}
