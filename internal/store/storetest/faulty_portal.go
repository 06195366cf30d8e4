package storetest

import (
	"context"

	"github.com/posthornhq/posthorn/internal/event"
)

// PutPortal implements [store.Portals].
func (f *Faulty) PutPortal(ctx context.Context, p event.Portal, revision int64) (event.Portal, error) {
	return get(f, "PutPortal", func() (event.Portal, error) { return f.next.PutPortal(ctx, p, revision) })
}

// Portal implements [store.Portals].
func (f *Faulty) Portal(ctx context.Context, tenant event.TenantID) (event.Portal, error) {
	return get(f, "Portal", func() (event.Portal, error) { return f.next.Portal(ctx, tenant) })
}
