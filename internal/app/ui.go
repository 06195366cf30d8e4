package app

import (
	"net/http"
	"strings"

	"github.com/posthornhq/posthorn/internal/ui"
)

// newUI makes the web UI, unless it is turned off.
func (a *App) newUI() (err error) {
	if a.cfg.UI {
		a.ui, err = ui.New(ui.Config{Embedders: a.embedders})
	}
	return err
}

// uiPages are the paths of the web UI. The root leads people there, and programs to the documentation.
func (a *App) uiPages() map[string]http.Handler {
	if a.ui == nil {
		return nil
	}
	return map[string]http.Handler{
		"GET " + ui.Prefix:                          a.ui,
		"GET " + strings.TrimSuffix(ui.Prefix, "/"): http.RedirectHandler(ui.Prefix, http.StatusMovedPermanently),
		"GET /{$}": http.HandlerFunc(toUI),
	}
}

// toUI leads from the root.
func toUI(w http.ResponseWriter, r *http.Request) {
	to := "/docs"
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		to = ui.Prefix
	}
	w.Header().Set("Vary", "Accept")
	http.Redirect(w, r, to, http.StatusFound)
}
