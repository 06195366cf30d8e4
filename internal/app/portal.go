package app

import (
	"context"
	"log/slog"

	"github.com/posthornhq/posthorn/internal/event"
)

// embedders are the web origins whose pages may embed a tenant's portal: none when there is no such tenant, or when its
// settings cannot be read.
func (a *App) embedders(ctx context.Context, tenant string) []string {
	t, err := a.control.Tenant(ctx, tenant)
	var p event.Portal
	if err == nil {
		p, err = a.control.Portal(ctx, t)
	}
	if err != nil && event.KindOf(err) != event.KindNotFound && ctx.Err() == nil {
		a.log.ErrorContext(ctx, "the settings of a portal cannot be read", slog.Any("error", err))
	}
	return p.Origins
}
