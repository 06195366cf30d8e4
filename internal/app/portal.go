package app

import "context"

// embedders are the web origins whose pages may embed a tenant's portal.
func (a *App) embedders(context.Context, string) []string { return nil }
