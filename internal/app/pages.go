package app

import (
	"maps"
	"net/http"

	"github.com/posthornhq/posthorn/web"
)

// pages are what is served beside the API: the JavaScript client, the web UI, and what the command line adds.
func (a *App) pages() map[string]http.Handler {
	all := map[string]http.Handler{"GET /client/": web.Client()}
	maps.Copy(all, a.uiPages())
	maps.Copy(all, a.sessions.Routes())
	maps.Copy(all, a.options.Pages)
	return all
}
