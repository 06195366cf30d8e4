package control

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/maypok86/otter/v2"

	"github.com/posthornhq/posthorn/internal/event"
)

// Limits of the catalogue of event types.
const (
	maxTypesOfTenant = 1000
	maxExamples      = 20
	maxExampleBytes  = 64 << 10 // all examples of a type
)

// typeKey names a type of a tenant.
type typeKey struct {
	tenant event.TenantID
	name   string
}

// catalogue is what ingest needs to know at each event of a tenant: which types have a schema. It is immutable.
type catalogue struct {
	count      int // all types
	withSchema map[string]struct{}
}

func (c *Control) checkType(et *event.Type) error {
	var p problems
	p.check("name", event.CheckType(et.Name))
	if strings.HasPrefix(et.Name, event.ReservedPrefix) {
		p.add("name", "must not begin with "+event.ReservedPrefix+", which is Posthorn's own")
	}
	p.check("description", event.CheckText(et.Description, event.MaxDescription))
	size := 0
	for _, example := range et.Examples {
		size += len(example)
	}
	if len(et.Examples) > maxExamples || size > maxExampleBytes {
		p.add("examples", fmt.Sprintf("must be at most %d of together at most %d bytes", maxExamples, maxExampleBytes))
	} else {
		checkExamples(&p, et)
	}
	return p.err()
}

// checkExamples compiles the schema and holds every example to it.
func checkExamples(p *problems, et *event.Type) {
	var v *validator
	if len(et.Schema) > 0 {
		made, message := newValidator(et.Schema)
		if message != "" {
			p.add("schema", message)
		}
		v = made
	}
	for i, example := range et.Examples {
		field := fmt.Sprintf("examples[%d]", i)
		if !json.Valid(example) {
			p.add(field, "must be JSON")
		} else if v != nil {
			for _, f := range v.violations(example) {
				p.add(field+f.Field, f.Message)
			}
		}
	}
}

// CreateType catalogues an event type. Errors: KindInvalid, KindConflict when it is there or there are 1,000 already.
func (c *Control) CreateType(ctx context.Context, t *event.Tenant, et event.Type) (event.Type, error) {
	if err := c.checkType(&et); err != nil {
		return event.Type{}, err
	}
	c.life.RLock()
	defer c.life.RUnlock()
	c.typeMu.Lock()
	defer c.typeMu.Unlock()
	if err := c.alive(ctx, t); err != nil {
		return event.Type{}, err
	}
	known, err := c.catalogue(ctx, t.ID)
	if err != nil {
		return event.Type{}, err
	}
	if known.count >= maxTypesOfTenant {
		return event.Type{}, event.Errorf(event.KindConflict, "too_many_event_types", fmt.Sprintf("a tenant may have %d event types", maxTypesOfTenant))
	}
	now := c.stamp()
	et.Tenant, et.Revision, et.Created, et.Updated = t.ID, 0, now, now
	saved, err := c.store.PutType(ctx, et, 0)
	if event.KindOf(err) == event.KindConflict {
		return event.Type{}, &event.Error{Kind: event.KindConflict, Code: "event_type_exists", Detail: "this event type exists already", Err: err}
	}
	c.typeChanged(t.ID, et.Name, err, 1, len(et.Schema) > 0)
	return saved, err
}

// Type returns a catalogued event type. Error: KindNotFound.
func (c *Control) Type(ctx context.Context, t *event.Tenant, name string) (event.Type, error) {
	return c.store.Type(ctx, t.ID, name)
}

// Types lists event types by name, after the given one, at most limit and never over 1,000. Archived ones are among
// them; being archived changes nothing about publishing, it is for catalogues to hide the type.
func (c *Control) Types(ctx context.Context, t *event.Tenant, after string, limit int) ([]event.Type, error) {
	return c.store.Types(ctx, t.ID, after, clampLimit(limit))
}

// UpdateType replaces an event type; the new schema holds for events published after the answer. Errors: KindInvalid,
// KindNotFound, KindPrecondition.
func (c *Control) UpdateType(ctx context.Context, t *event.Tenant, et event.Type, revision int64) (event.Type, error) {
	if err := c.checkType(&et); err != nil {
		return event.Type{}, err
	}
	c.life.RLock()
	defer c.life.RUnlock()
	c.typeMu.Lock()
	defer c.typeMu.Unlock()
	var saved event.Type
	err := retryChange(revision, func() error {
		old, err := c.store.Type(ctx, t.ID, et.Name)
		if err != nil {
			return err
		}
		if err := checkRevision(revision, old.Revision); err != nil {
			return err
		}
		et.Tenant, et.Created, et.Updated = old.Tenant, old.Created, c.stamp()
		saved, err = c.store.PutType(ctx, et, old.Revision)
		return err
	})
	c.typeChanged(t.ID, et.Name, err, 0, len(et.Schema) > 0)
	return saved, err
}

// DeleteType takes a type out of the catalogue; its events are accepted as they are from then on. Errors:
// KindNotFound, KindPrecondition.
func (c *Control) DeleteType(ctx context.Context, t *event.Tenant, name string, revision int64) error {
	c.life.RLock()
	defer c.life.RUnlock()
	c.typeMu.Lock()
	defer c.typeMu.Unlock()
	err := retryChange(revision, func() error {
		old, err := c.store.Type(ctx, t.ID, name)
		if err != nil {
			return err
		}
		if err := checkRevision(revision, old.Revision); err != nil {
			return err
		}
		return c.store.DeleteType(ctx, t.ID, name, old.Revision)
	})
	c.typeChanged(t.ID, name, err, -1, false)
	return err
}

// typeChanged brings the caches up to date after a write that ended with err. The caller holds typeMu.
func (c *Control) typeChanged(tenant event.TenantID, name string, err error, added int, hasSchema bool) {
	known, ok := c.catalog.GetIfPresent(tenant)
	if err != nil || !ok {
		// After an error the effect may have come to be; what is being loaded may be from before it.
		c.catalog.Invalidate(tenant)
	} else {
		next := &catalogue{count: known.count + added, withSchema: maps.Clone(known.withSchema)}
		delete(next.withSchema, name)
		if hasSchema {
			next.withSchema[name] = struct{}{}
		}
		c.catalog.Set(tenant, next)
	}
	c.compiled.Invalidate(typeKey{tenant, name})
}

func (c *Control) catalogue(ctx context.Context, tenant event.TenantID) (*catalogue, error) {
	if known, ok := c.catalog.GetIfPresent(tenant); ok {
		return known, nil
	}
	return c.catalog.Get(ctx, tenant, otter.LoaderFunc[event.TenantID, *catalogue](func(ctx context.Context, tenant event.TenantID) (*catalogue, error) {
		const page = 100 // a type may be 128 KiB
		known := &catalogue{withSchema: make(map[string]struct{})}
		for after := ""; ; {
			list, err := c.store.Types(ctx, tenant, after, page)
			if err != nil || len(list) == 0 {
				return known, err
			}
			for i := range list {
				known.count++
				if len(list[i].Schema) > 0 {
					known.withSchema[list[i].Name] = struct{}{}
				}
			}
			after = list[len(list)-1].Name
		}
	}))
}

// Validator returns the check of a type's data, from memory when it can, or nil when the type is not catalogued or has
// no schema. The check takes JSON text (empty stands for null) and returns nil or a KindInvalid error whose fields begin
// with "data", followed by the JSON pointer (RFC 6901) of each violation. It is safe for concurrent use.
func (c *Control) Validator(ctx context.Context, tenant event.TenantID, name string) (func(data []byte) error, error) {
	known, err := c.catalogue(ctx, tenant)
	if err != nil {
		return nil, err
	}
	if _, ok := known.withSchema[name]; !ok {
		return nil, nil
	}
	key := typeKey{tenant, name}
	v, ok := c.compiled.GetIfPresent(key)
	if !ok {
		v, err = c.compiled.Get(ctx, key, otter.LoaderFunc[typeKey, *validator](c.loadValidator))
	}
	if event.KindOf(err) == event.KindNotFound {
		return nil, nil // deleted meanwhile
	}
	if err != nil {
		return nil, err
	}
	return v.check, nil
}

func (c *Control) loadValidator(ctx context.Context, key typeKey) (*validator, error) {
	et, err := c.store.Type(ctx, key.tenant, key.name)
	if err != nil {
		return nil, err
	}
	if len(et.Schema) == 0 {
		return nil, event.NotFound("schema")
	}
	v, message := newValidator(et.Schema)
	if message != "" {
		return nil, fmt.Errorf("control: stored schema of type %s: %s", et.Name, message)
	}
	return v, nil
}
