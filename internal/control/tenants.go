package control

import (
	"context"
	"math"

	"github.com/maypok86/otter/v2"

	"github.com/posthornhq/posthorn/internal/event"
)

// maxRate is the highest rate of publishing, in events a second.
const maxRate = 1_000_000

func checkTenant(t *event.Tenant) error {
	var p problems
	p.check("name", event.CheckName(t.Name))
	p.check("description", event.CheckText(t.Description, event.MaxDescription))
	if math.IsNaN(t.PublishRate) || t.PublishRate < 0 || t.PublishRate > maxRate {
		p.add("publish_rate", "must be 0 (the server's default) to 1000000 events a second")
	}
	if t.MaxEndpoints < 0 || t.MaxEndpoints > math.MaxInt32 {
		p.add("max_endpoints", "must be 0 (the server's default) or more")
	}
	p.addAll(event.CheckMetadata(t.Metadata))
	return p.err()
}

// CreateTenant saves a new tenant and returns it with its id. Errors: KindInvalid, KindConflict when the name is taken.
func (c *Control) CreateTenant(ctx context.Context, t event.Tenant) (event.Tenant, error) {
	if err := checkTenant(&t); err != nil {
		return event.Tenant{}, err
	}
	c.tenantMu.Lock()
	defer c.tenantMu.Unlock()
	now := c.stamp()
	t.ID, t.Revision, t.Created, t.Updated, t.Changelog = 0, 0, now, now, false
	saved, err := c.store.PutTenant(ctx, t, 0)
	if event.KindOf(err) == event.KindConflict {
		return event.Tenant{}, &event.Error{Kind: event.KindConflict, Code: "tenant_exists", Detail: "a tenant of this name exists already", Err: err}
	}
	if err != nil {
		return event.Tenant{}, err
	}
	c.tenants.Invalidate(saved.Name)
	return saved, nil
}

// Tenant returns a tenant by name, from memory when it can; shared, not to be changed. Error: KindNotFound.
func (c *Control) Tenant(ctx context.Context, name string) (*event.Tenant, error) {
	if t, ok := c.tenants.GetIfPresent(name); ok {
		return t, nil
	}
	if event.CheckName(name) != "" {
		return nil, event.NotFound("tenant")
	}
	return c.tenants.Get(ctx, name, otter.LoaderFunc[string, *event.Tenant](func(ctx context.Context, name string) (*event.Tenant, error) {
		t, err := c.store.Tenant(ctx, name)
		if err != nil {
			return nil, err
		}
		return &t, nil
	}))
}

// Tenants lists tenants by name, after the given one, at most limit and never over 1,000.
func (c *Control) Tenants(ctx context.Context, after string, limit int) ([]event.Tenant, error) {
	return c.store.Tenants(ctx, after, clampLimit(limit))
}

// TenantName returns the name of a tenant's id. Error: KindNotFound.
func (c *Control) TenantName(ctx context.Context, id event.TenantID) (string, error) {
	return c.names.Get(ctx, id, otter.LoaderFunc[event.TenantID, string](func(ctx context.Context, id event.TenantID) (string, error) {
		// Ids are shown seldom and stay in memory; the store has no index by them.
		const page = 1000
		for after := ""; ; {
			list, err := c.store.Tenants(ctx, after, page)
			if err != nil {
				return "", err
			}
			for i := range list {
				if list[i].ID == id {
					return list[i].Name, nil
				}
			}
			if len(list) == 0 {
				return "", event.NotFound("tenant")
			}
			after = list[len(list)-1].Name
		}
	}))
}

// UpdateTenant replaces what may change of the tenant named t.Name. Errors: KindInvalid, KindNotFound, KindPrecondition.
func (c *Control) UpdateTenant(ctx context.Context, t event.Tenant, revision int64) (event.Tenant, error) {
	if err := checkTenant(&t); err != nil {
		return event.Tenant{}, err
	}
	c.tenantMu.Lock()
	defer c.tenantMu.Unlock()
	var saved event.Tenant
	err := retryChange(revision, func() error {
		old, err := c.store.Tenant(ctx, t.Name)
		if err != nil {
			return err
		}
		if err := checkRevision(revision, old.Revision); err != nil {
			return err
		}
		t.ID, t.Created, t.Updated, t.Changelog = old.ID, old.Created, c.stamp(), old.Changelog
		saved, err = c.store.PutTenant(ctx, t, old.Revision)
		return err
	})
	// Also after an error: the effect may have come to be.
	c.tenants.Invalidate(t.Name)
	return saved, err
}

// SetChangelog switches a tenant's changelog on or off. Doing what is done already changes nothing. Error: KindNotFound.
func (c *Control) SetChangelog(ctx context.Context, name string, on bool) error {
	c.tenantMu.Lock()
	defer c.tenantMu.Unlock()
	err := retryChange(0, func() error {
		t, err := c.store.Tenant(ctx, name)
		if err != nil || t.Changelog == on {
			return err
		}
		t.Changelog, t.Updated = on, c.stamp()
		_, err = c.store.PutTenant(ctx, t, t.Revision)
		return err
	})
	c.tenants.Invalidate(name)
	return err
}

// DeleteTenant deletes a tenant with all that it has and tells delivery. Errors: KindNotFound, KindPrecondition.
func (c *Control) DeleteTenant(ctx context.Context, name string, revision int64) error {
	c.tenantMu.Lock()
	defer c.tenantMu.Unlock()
	c.life.Lock()
	defer c.life.Unlock()
	var id event.TenantID
	err := retryChange(revision, func() error {
		old, err := c.store.Tenant(ctx, name)
		if err != nil {
			return err
		}
		if err := checkRevision(revision, old.Revision); err != nil {
			return err
		}
		id = old.ID
		return c.store.DeleteTenant(ctx, old.ID, old.Revision)
	})
	c.tenants.Invalidate(name)
	if err != nil {
		return err
	}
	c.forgetTenant(id)
	for _, l := range c.listeners {
		l.TenantDeleted(id)
	}
	return nil
}

// forgetTenant drops what the caches hold of a deleted tenant.
func (c *Control) forgetTenant(id event.TenantID) {
	c.names.Invalidate(id)
	c.catalog.Invalidate(id)
	for key := range c.compiled.Keys() {
		if key.tenant == id {
			c.compiled.Invalidate(key)
		}
	}
	for hash, entry := range c.keys.All() {
		if !entry.key.Admin && entry.key.Tenant == id {
			c.keys.Invalidate(hash)
		}
	}
}

// alive returns KindNotFound when a tenant that the caller read earlier was deleted since. The caller holds life.
func (c *Control) alive(ctx context.Context, t *event.Tenant) error {
	current, err := c.Tenant(ctx, t.Name)
	if err != nil {
		return err
	}
	if current.ID != t.ID {
		return event.NotFound("tenant")
	}
	return nil
}
