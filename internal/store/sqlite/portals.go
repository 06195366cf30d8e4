package sqlite

import (
	"context"

	"github.com/posthornhq/posthorn/internal/event"
)

// PutPortal implements [store.Portals].
func (s *Store) PutPortal(ctx context.Context, p event.Portal, revision int64) (event.Portal, error) {
	if err := s.enter(); err != nil {
		return event.Portal{}, err
	}
	defer s.leave()
	var out event.Portal
	err := s.state.w.update(ctx, func(c *conn) (err error) {
		out, err = putPortal(c, p, revision)
		return err
	})
	if err != nil {
		return event.Portal{}, err
	}
	return out, nil
}

func putPortal(c *conn, p event.Portal, revision int64) (event.Portal, error) {
	if err := needTenant(c, p.Tenant); err != nil {
		return p, err
	}
	stored, err := c.number("SELECT revision FROM portals WHERE tenant = ?", int64(p.Tenant))
	if err != nil {
		return p, err
	}
	if stored != revision {
		return p, refuse(event.Errorf(event.KindPrecondition, "revision_mismatch", "the portal was changed meanwhile"))
	}
	p.Revision = stored + 1
	body := packPortal(&p)
	if err := c.exec("INSERT OR REPLACE INTO portals VALUES (?, ?, ?)", int64(p.Tenant), p.Revision, body); err != nil {
		return p, err
	}
	return p, unpackPortal(body, &p)
}

// Portal implements [store.Portals].
func (s *Store) Portal(ctx context.Context, tenant event.TenantID) (event.Portal, error) {
	list, err := readList(ctx, s, scanPortal,
		"SELECT t.id, coalesce(p.revision, 0), p.body FROM tenants t LEFT JOIN portals p ON p.tenant = t.id WHERE t.id = ?", int64(tenant))
	if err = one(len(list) == 1, "tenant", err); err != nil {
		return event.Portal{}, err
	}
	return list[0], nil
}

func scanPortal(s *stmt) (event.Portal, error) {
	p := event.Portal{Tenant: event.TenantID(s.int(0)), Revision: s.int(1)}
	if p.Revision == 0 {
		return p, nil
	}
	return p, s.damaged("portal", unpackPortal(s.blob(2), &p))
}

func packPortal(v *event.Portal) []byte {
	p := packer{b: []byte{packVersion}}
	for _, s := range []string{v.Name, v.Colour, v.Logo, v.Language} {
		p.str(s)
	}
	p.strs(v.Origins)
	p.time(v.Updated)
	return p.b
}

func unpackPortal(b []byte, v *event.Portal) error {
	u := unpacker{b: b}
	u.version()
	for _, s := range []*string{&v.Name, &v.Colour, &v.Logo, &v.Language} {
		*s = u.str()
	}
	v.Origins = u.strs()
	v.Updated = u.time()
	return u.err()
}
