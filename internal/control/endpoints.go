package control

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Reasons why an endpoint is disabled.
const (
	ReasonPaused  = "paused"  // by its owner
	ReasonGone    = "gone"    // it answered 410
	ReasonFailing = "failing" // it has only failed for long
	// ReasonChangelog: the tenant's changelog was switched off.
	ReasonChangelog = "changelog"
)

// CreateEndpoint validates, gives an id and (unless s has one, or nothing is signed) a signing secret, seals s, saves,
// and tells delivery. It fills empty enumerations with their defaults. Only events later than the call are for the new
// endpoint. Errors: KindInvalid naming every wrong field, KindConflict with too many endpoints, KindNotFound when the
// tenant is gone.
func (c *Control) CreateEndpoint(ctx context.Context, t *event.Tenant, e event.Endpoint, s event.Secrets) (event.Endpoint, error) {
	return c.create(ctx, t, e, s, nil)
}

// place picks the version after which a new endpoint begins, given the bounds of its tenant's log.
type place func(oldest, head int64) (int64, error)

// CreateEndpointAfter is CreateEndpoint of an endpoint that begins after a version: what is on the log after it already is
// for the endpoint too, and delivered before anything newer. Given the newest version, what is published during the call
// is not missed either. The version is 0 to the tenant's newest (KindInvalid naming
// "start"); of what is no longer kept there is nothing to deliver.
func (c *Control) CreateEndpointAfter(ctx context.Context, t *event.Tenant, e event.Endpoint, s event.Secrets, version int64) (event.Endpoint, error) {
	return c.create(ctx, t, e, s, func(oldest, head int64) (int64, error) {
		if version < 0 || version > head {
			return 0, event.Invalid("start", "must be 0 to the newest version of the tenant")
		}
		return max(version, oldest-1), nil
	})
}

// CreateEndpointFrom is CreateEndpoint of an endpoint that begins with a version: it and what is on the log after it are for
// the endpoint too, and delivered before anything newer. The version is 1 to that after the tenant's newest (KindInvalid
// naming "start"). Error also: KindGone, with the oldest version kept, when the version is older.
func (c *Control) CreateEndpointFrom(ctx context.Context, t *event.Tenant, e event.Endpoint, s event.Secrets, version int64) (event.Endpoint, error) {
	return c.create(ctx, t, e, s, func(oldest, head int64) (int64, error) {
		if version < 1 || version > head+1 {
			return 0, event.Invalid("start", fmt.Sprintf("must be 1 to %d, which is the next version", head+1))
		}
		if version < oldest {
			return 0, event.Gone("start", oldest)
		}
		return version - 1, nil
	})
}

// CheckEndpoint checks an endpoint as CreateEndpoint would, and creates nothing. Errors: KindInvalid.
func (c *Control) CheckEndpoint(e event.Endpoint, s event.Secrets) error {
	return c.prepare(&e, &s)
}

// prepare fills in defaults and checks a new endpoint.
func (c *Control) prepare(e *event.Endpoint, s *event.Secrets) error {
	setDefaults(e)
	e.AuthType = authType(e.AuthType, s.Auth)
	var p problems
	c.checkEndpoint(&p, e)
	c.checkSecrets(&p, e, s)
	s.Signing = checkFirstSecret(&p, e.Signing, s.Signing)
	return p.err()
}

func (c *Control) create(ctx context.Context, t *event.Tenant, e event.Endpoint, s event.Secrets, from place) (event.Endpoint, error) {
	if err := c.prepare(&e, &s); err != nil {
		return event.Endpoint{}, err
	}
	now := c.stamp()
	e.ID, e.Tenant, e.Revision, e.Created, e.Updated = event.NewEndpointID(), t.ID, 0, now, now
	e.DisabledReason = ""
	if e.Disabled {
		e.DisabledReason = ReasonPaused
	}
	var err error
	if e.Sealed, err = c.seal(e.ID, s); err != nil {
		return event.Endpoint{}, err
	}
	c.life.RLock()
	defer c.life.RUnlock()
	if err := c.alive(ctx, t); err != nil {
		return event.Endpoint{}, err
	}
	lock := c.endpointLock(e.ID)
	lock.Lock()
	defer lock.Unlock()
	return c.add(ctx, e, from, cmp.Or(t.MaxEndpoints, c.options.Limits.MaxEndpoints))
}

// add saves a new endpoint and tells delivery. Without a place it begins after the newest version.
func (c *Control) add(ctx context.Context, e event.Endpoint, from place, most int) (event.Endpoint, error) {
	oldest, head, err := c.store.Bounds(ctx, e.Tenant)
	if err != nil {
		return event.Endpoint{}, err
	}
	if from == nil {
		e.Start = head
		saved, err := c.store.PutEndpoint(ctx, e, 0, most)
		if err != nil {
			return event.Endpoint{}, err
		}
		c.tellChanged(saved)
		return saved, nil
	}
	if e.Start, err = from(oldest, head); err != nil {
		return event.Endpoint{}, err
	}
	for _, l := range c.listeners {
		l.EndpointExpected(&e)
	}
	saved, err := c.store.AddEndpointBehind(ctx, e, most)
	if err != nil {
		for _, l := range c.listeners {
			l.EndpointDeleted(e.Tenant, e.ID)
		}
		return event.Endpoint{}, err
	}
	for _, l := range c.listeners {
		l.EndpointBehind(&saved)
	}
	return saved, nil
}

// Endpoint returns an endpoint. Error: KindNotFound.
func (c *Control) Endpoint(ctx context.Context, t *event.Tenant, id event.EndpointID) (event.Endpoint, error) {
	return c.store.Endpoint(ctx, t.ID, id)
}

// Endpoints lists endpoints by id, after the given one, at most limit and never over 1,000.
func (c *Control) Endpoints(ctx context.Context, t *event.Tenant, after event.EndpointID, limit int) ([]event.Endpoint, error) {
	return c.store.Endpoints(ctx, t.ID, after, clampLimit(limit))
}

// UpdateEndpoint replaces the configuration of endpoint e.ID; s, when not nil, replaces headers and credentials, never
// the signing secrets. When Signing changes to a scheme that the current secret does not fit, a new secret is made and
// the old one goes on signing for [DefaultOverlap]. Setting Disabled pauses, clearing it resumes. Errors: KindInvalid,
// KindNotFound, KindPrecondition.
func (c *Control) UpdateEndpoint(ctx context.Context, t *event.Tenant, e event.Endpoint, s *event.Secrets, revision int64) (event.Endpoint, error) {
	if err := c.revise(&e, s); err != nil {
		return event.Endpoint{}, err
	}
	return c.change(ctx, t.ID, e.ID, revision, func(old *event.Endpoint) (event.Endpoint, error) {
		next := e
		if err := mayReplace(&next, old); err != nil {
			return next, err
		}
		next.Tenant, next.Start, next.Sealed = old.Tenant, old.Start, old.Sealed
		next.Created, next.Updated, next.Revision = old.Created, old.Updated, old.Revision
		next.DisabledReason = ""
		if next.Disabled {
			next.DisabledReason = cmp.Or(old.DisabledReason, ReasonPaused)
		}
		if s == nil {
			next.AuthType = old.AuthType
			if next.Signing == old.Signing {
				return next, nil
			}
		}
		return next, c.reseal(&next, old, s)
	})
}

// revise fills in defaults and checks what is to replace an endpoint's configuration.
func (c *Control) revise(e *event.Endpoint, s *event.Secrets) error {
	setDefaults(e)
	var p problems
	c.checkEndpoint(&p, e)
	if s != nil {
		e.AuthType = authType(e.AuthType, s.Auth)
		c.checkSecrets(&p, e, s)
	}
	return p.err()
}

// mayReplace checks what cannot be changed.
func mayReplace(next, old *event.Endpoint) error {
	if next.Kind != cmp.Or(old.Kind, event.KindWebhook) {
		return event.Invalid("kind", "cannot be changed")
	}
	if next.Kind == event.KindTunnel && next.URL != old.URL {
		return event.Invalid("url", "cannot be changed of a tunnel")
	}
	return nil
}

// reseal gives next the secrets of old with what s and next.Signing change.
func (c *Control) reseal(next, old *event.Endpoint, s *event.Secrets) error {
	secrets, changed, err := c.revised(next, old, s)
	if err != nil || !changed {
		return err // sealed anew what stays the same would look changed
	}
	next.Sealed, err = c.seal(next.ID, secrets)
	return err
}

// revised returns the secrets that next has in place of old: s, when not nil, replaces headers and credentials, and a new
// signing secret is made when the current one does not fit next.Signing. changed tells whether they are others than old's.
func (c *Control) revised(next, old *event.Endpoint, s *event.Secrets) (secrets event.Secrets, changed bool, err error) {
	if secrets, err = c.open(old); err != nil {
		return secrets, false, err
	}
	needsSecret := next.Signing != SigningNone && (len(secrets.Signing) == 0 || !fits(secrets.Signing[0].Secret, next.Signing))
	changed = needsSecret
	if s != nil {
		changed = changed || !slices.Equal(secrets.Headers, s.Headers) || !reflect.DeepEqual(secrets.Auth, s.Auth)
		secrets.Headers, secrets.Auth = s.Headers, s.Auth
	}
	if needsSecret {
		secrets.Signing = rotate(secrets.Signing, newSecret(next.Signing), c.stamp(), DefaultOverlap)
	}
	return secrets, changed, nil
}

// DeleteEndpoint deletes an endpoint and tells delivery. Errors: KindNotFound, KindPrecondition.
func (c *Control) DeleteEndpoint(ctx context.Context, t *event.Tenant, id event.EndpointID, revision int64) error {
	c.life.RLock()
	defer c.life.RUnlock()
	lock := c.endpointLock(id)
	lock.Lock()
	defer lock.Unlock()
	err := retryChange(revision, func() error {
		old, err := c.store.Endpoint(ctx, t.ID, id)
		if err != nil {
			return err
		}
		if err := checkRevision(revision, old.Revision); err != nil {
			return err
		}
		return c.store.DeleteEndpoint(ctx, t.ID, id, old.Revision)
	})
	if err != nil {
		return err
	}
	for _, l := range c.listeners {
		l.EndpointDeleted(t.ID, id)
	}
	return nil
}

// SetDisabled pauses an endpoint for a reason ([ReasonPaused] when empty) or resumes it. Doing what is done already
// changes nothing. Errors: KindInvalid, KindNotFound.
func (c *Control) SetDisabled(ctx context.Context, t *event.Tenant, id event.EndpointID, disabled bool, reason string) (event.Endpoint, error) {
	if !disabled {
		reason = ""
	} else if reason = cmp.Or(reason, ReasonPaused); !knownReason(reason) {
		return event.Endpoint{}, event.Invalid("reason", "must be paused, gone, failing or changelog")
	}
	return c.change(ctx, t.ID, id, 0, func(old *event.Endpoint) (event.Endpoint, error) {
		next := *old
		next.Disabled, next.DisabledReason = disabled, reason
		return next, nil
	})
}

func knownReason(reason string) bool {
	return reason == ReasonPaused || reason == ReasonGone || reason == ReasonFailing || reason == ReasonChangelog
}

// Disable is how delivery disables an endpoint that is gone or has only failed since a time, and reports whether it
// did. It does not when the endpoint is disabled already, or was changed after since: what failed is not what is
// configured now. Then it tells delivery of the endpoint as it is stored once more, because delivery may have stopped it
// already. Errors: KindInvalid, KindNotFound.
func (c *Control) Disable(ctx context.Context, tenant event.TenantID, id event.EndpointID, reason string, since time.Time) (bool, error) {
	if reason != ReasonGone && reason != ReasonFailing {
		return false, event.Invalid("reason", "must be gone or failing")
	}
	did := false
	_, err := c.change(ctx, tenant, id, 0, func(old *event.Endpoint) (event.Endpoint, error) {
		next := *old
		if did = !old.Disabled && !old.Updated.After(since); did {
			next.Disabled, next.DisabledReason = true, reason
		} else {
			c.tellChanged(*old)
		}
		return next, nil
	})
	return did && err == nil, err
}

// change reads an endpoint, applies fn, saves the result and tells delivery, unless fn changed nothing.
func (c *Control) change(ctx context.Context, tenant event.TenantID, id event.EndpointID, revision int64, fn func(old *event.Endpoint) (event.Endpoint, error)) (event.Endpoint, error) {
	c.life.RLock()
	defer c.life.RUnlock()
	lock := c.endpointLock(id)
	lock.Lock()
	defer lock.Unlock()
	var saved event.Endpoint
	err := retryChange(revision, func() error {
		old, err := c.store.Endpoint(ctx, tenant, id)
		if err != nil {
			return err
		}
		if err := checkRevision(revision, old.Revision); err != nil {
			return err
		}
		next, err := fn(&old)
		if err != nil {
			return err
		}
		if reflect.DeepEqual(next, old) {
			saved = old
			return nil
		}
		next.Updated = c.stamp()
		if saved, err = c.store.PutEndpoint(ctx, next, old.Revision, 0); err != nil {
			return err
		}
		c.tellChanged(saved)
		return nil
	})
	return saved, err
}

func (c *Control) tellChanged(e event.Endpoint) {
	for _, l := range c.listeners {
		l.EndpointChanged(&e)
	}
}
