package flexibee

import (
	"bytes"
	"html/template"
	"net/http"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// controlPage shows the changelog and the hooks to people, with buttons for those who may manage.
func (a *API) controlPage(c *call) error {
	oldest, head, err := a.Log.Bounds(c.r.Context(), c.tenant.ID)
	if err != nil {
		return err
	}
	list, err := a.hooks(c)
	if err != nil {
		return err
	}
	shown := shownPage{Company: c.tenant.Name, On: c.tenant.Changelog, Oldest: oldest, Head: head, Manage: c.may(event.AllowManage)}
	for i := range list {
		h := &list[i]
		state := h.view.State
		if h.view.Waiting != "" {
			state += ": " + h.view.Waiting
		}
		shown.Hooks = append(shown.Hooks, shownHook{
			ID: hookID(h.endpoint), URL: h.endpoint.URL, Format: h.endpoint.Format, LastVersion: h.view.Cursor,
			Behind: max(0, head-h.view.Cursor), Penalty: int64(h.view.Penalty / time.Second), State: state,
		})
	}
	var body bytes.Buffer
	if err := page.Execute(&body, shown); err != nil {
		return err
	}
	c.w.Header().Set("Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	c.sendAs(http.StatusOK, mediaHTML+"; charset=utf-8", body.Bytes())
	return nil
}

type shownPage struct {
	Company      string
	On, Manage   bool
	Oldest, Head int64
	Hooks        []shownHook
}

type shownHook struct {
	ID, URL, Format, State       string
	LastVersion, Behind, Penalty int64
}

var page = template.Must(template.New("control").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Changes of {{.Company}}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8884 }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums } td.u { overflow-wrap: anywhere } form { display: inline }
</style></head><body>
<h1>Changes of {{.Company}}</h1>
<p>The changelog is <strong>{{if .On}}on{{else}}off{{end}}</strong>.
{{if .Manage}}<form method="post" action="{{if .On}}disable{{else}}enable{{end}}"><button>Switch {{if .On}}off{{else}}on{{end}}</button></form>{{end}}
Global version {{.Head}}; the history begins at {{.Oldest}}.</p>
<h2>Hooks</h2>
{{if .Hooks}}<table><thead><tr><th>Id</th><th>URL</th><th>Format</th><th class="n">Last version</th><th class="n">Behind</th>
<th class="n">Penalty, s</th><th>State</th><th></th></tr></thead><tbody>
{{range .Hooks}}<tr><td>{{.ID}}</td><td class="u">{{.URL}}</td><td>{{.Format}}</td><td class="n">{{.LastVersion}}</td><td class="n">{{.Behind}}</td>
<td class="n">{{.Penalty}}</td><td>{{.State}}</td><td>{{if $.Manage}}<form method="post" action="../hooks/{{.ID}}/retry"><button>Retry now</button></form>{{end}}</td></tr>
{{end}}</tbody></table>{{else}}<p>None.</p>{{end}}
</body></html>
`))
