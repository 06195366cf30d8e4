package app

import (
	"net/http"
	"strings"

	"github.com/posthornhq/posthorn/internal/api/flexibee"
)

// withFlexiBee serves the FlexiBee-compatible interface beside the API, whose paths are others.
func (a *App) withFlexiBee(api http.Handler) http.Handler {
	companies := flexibee.New(flexibee.Config{
		Auth: a.control, Control: a.control, Delivery: a.manager, Log: history{a.store}, Logger: a.log,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, flexibee.Prefix) {
			companies.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}
