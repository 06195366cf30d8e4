package rest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

const (
	sourcesPath = "/v1/tenants/{tenant}/sources"
	sourcePath  = sourcesPath + "/{source}"
)

// InSource is the source of a path.
type InSource struct {
	InTenant
	Source string `path:"source" doc:"The source's name"`
}

func (a *API) sourceRoutes() {
	if a.Sources == nil {
		return
	}
	add := func(id, method, path, summary, doc string, s scope) operation {
		return operation{id: id, method: method, path: path, tag: "Sources", summary: summary, doc: doc, scope: s}
	}
	create := add("create-source", http.MethodPost, sourcesPath, "Create a source",
		"Another system's webhooks arrive at its url; verified by that system's rule they become events.", scopeManage)
	create.status, create.named = http.StatusCreated, true
	register(a, create, a.createSource)
	register(a, add("list-sources", http.MethodGet, sourcesPath, "List sources", "By name.", scopeRead), a.listSources)
	get := add("get-source", http.MethodGet, sourcePath, "Get a source with its state",
		"The ETag changes with the state, too; If-Match looks at the configuration only.", scopeRead)
	get.tagged = true
	register(a, get, a.getSource)
	put := add("replace-source", http.MethodPut, sourcePath, "Replace a source's configuration",
		"Fields left out go back to their defaults; secrets and settings left out, and settings that are empty, stay as they are.", scopeManage)
	put.tagged = true
	register(a, put, a.replaceSource)
	patch := add("patch-source", http.MethodPatch, sourcePath, "Change fields of a source", "", scopeManage)
	patch.tagged, patch.patch = true, typeOf[client.Source]()
	register(a, patch, a.patchSource)
	remove := add("delete-source", http.MethodDelete, sourcePath, "Delete a source", "With its bin; its events stay on the log.", scopeManage)
	remove.tagged = true
	register(a, remove, a.deleteSource)
	secrets := add("get-source-secrets", http.MethodGet, sourcePath+"/secrets", "Get a source's secrets", "Those that have not expired.", scopeManage)
	secrets.secret = true
	register(a, secrets, a.getSourceSecrets)
	another := add("add-source-secret", http.MethodPost, sourcePath+"/secrets", "Add a secret to a source",
		"During the overlap requests are verified with any of them.", scopeManage)
	another.secret = true
	register(a, another, a.addSourceSecret)
	providers := add("list-providers", http.MethodGet, "/v1/providers", "List providers", "What a source may name as its provider, and what each needs.", scopeRead)
	providers.own = true
	register(a, providers, a.listProviders)
}

// showSource renders a source as far as anybody may see it: secrets as hints, secret settings by their names only.
func (a *API) showSource(ctx context.Context, t *event.Tenant, s *event.Source) (client.Source, error) {
	hidden, err := a.Sources.Secrets(ctx, s)
	if err != nil {
		return client.Source{}, err
	}
	out := client.Source{
		Name: s.Name, Provider: s.Provider, Description: s.Description, SecretHints: []client.SecretHint{},
		Settings: showSettings(s.Provider, hidden.Settings, a.Sources.Providers()), Map: showSourceMap(&s.Map), Dedupe: s.Dedupe,
		Tolerance: client.Duration(s.Tolerance), Allow: orNone(s.Allow), Inspect: "none", Disabled: s.Disabled, Metadata: orEmpty(s.Metadata),
		URL: a.Sources.URL(t, s.Name), Bin: s.Bin, Created: s.Created.UTC(), Updated: s.Updated.UTC(),
	}
	if s.Inspect != event.InspectNone {
		out.Inspect = s.Inspect
	}
	for _, x := range hidden.Secrets {
		out.SecretHints = append(out.SecretHints, client.SecretHint{Hint: hint(x.Secret), Expires: timePointer(x.Expires)})
	}
	if s.Answer.Status != 0 {
		out.Answer = &client.SourceAnswer{Status: s.Answer.Status, Headers: headerMap(s.Answer.Headers), Body: string(s.Answer.Body)}
	}
	if s.Sync != 0 {
		out.Sync = &client.SourceSync{Endpoint: s.Sync.String(), Wait: client.Duration(s.SyncWait)}
	}
	return out, nil
}

// hint shows the beginning of a secret that is long enough not to be given away by it.
func hint(secret string) string {
	const shown, long = 4, 16
	if len(secret) < long {
		return "…"
	}
	for i := range shown {
		if secret[i] <= ' ' || secret[i] > '~' {
			return "…"
		}
	}
	return secret[:shown] + "…"
}

func showSettings(provider string, settings map[string]string, all []event.Provider) map[string]string {
	public := map[string]bool{}
	for i := range all {
		if all[i].Name == provider {
			for _, x := range all[i].Settings {
				public[x.Name] = !x.Secret
			}
		}
	}
	out := map[string]string{}
	for name, value := range settings {
		if out[name] = ""; public[name] {
			out[name] = value
		}
	}
	return out
}

func showSourceMap(m *event.SourceMap) *client.SourceMap {
	out := client.SourceMap{
		Type: m.Type, ID: m.ID, Subject: m.Subject, Key: m.Key, Time: m.Time, Data: m.Data, Accept: m.Accept, Fields: m.Fields,
	}
	if out.Type+out.ID+out.Subject+out.Key+out.Time+out.Data+out.Accept == "" && len(m.Fields) == 0 {
		return nil
	}
	return &out
}

func showSourceState(v *event.SourceState) *client.SourceState {
	s := &client.SourceState{
		Accepted: v.Accepted, Duplicates: v.Duplicates, Refused: v.Refused, Handshakes: v.Handshakes, Dropped: v.Dropped,
		LastAccepted: timePointer(v.LastAccepted),
	}
	if r := v.LastRefused; !r.At.IsZero() {
		s.LastRefused = &client.SourceRefusal{At: r.At.UTC(), Code: r.Code, Detail: r.Detail}
	}
	return s
}

// readSource is the configuration that a body describes.
func readSource(in *client.Source) (event.Source, error) {
	s := event.Source{
		Name: in.Name, Provider: in.Provider, Description: in.Description, Dedupe: in.Dedupe, Tolerance: time.Duration(in.Tolerance),
		Allow: in.Allow, Disabled: in.Disabled, Metadata: in.Metadata,
	}
	if in.Inspect != "none" {
		s.Inspect = in.Inspect
	}
	if m := in.Map; m != nil {
		s.Map = event.SourceMap{
			Type: m.Type, ID: m.ID, Subject: m.Subject, Key: m.Key, Time: m.Time, Data: m.Data, Accept: m.Accept, Fields: m.Fields,
		}
	}
	if in.Answer != nil {
		s.Answer = event.Answer{Status: in.Answer.Status, Body: []byte(in.Answer.Body)}
		for _, name := range slices.Sorted(maps.Keys(in.Answer.Headers)) {
			s.Answer.Headers = append(s.Answer.Headers, event.Header{Name: name, Value: in.Answer.Headers[name]})
		}
		if s.Answer.Status == 0 {
			s.Answer.Status = http.StatusOK
		}
	}
	if in.Sync != nil {
		id, ok := event.ParseEndpointID(in.Sync.Endpoint)
		if !ok {
			return s, invalid("sync.endpoint", "must be the id of an endpoint")
		}
		s.Sync, s.SyncWait = id, time.Duration(in.Sync.Wait)
	}
	return s, nil
}

func (a *API) createSource(ctx context.Context, c *call, in *struct {
	InTenant
	InOnce
	Body client.Source
},
) (*outCreated[client.Source], error) {
	s, err := readSource(&in.Body)
	if err != nil {
		return nil, err
	}
	made, err := a.Sources.Create(ctx, c.tenant, s, in.Body.Secrets, in.Body.Settings)
	if err != nil {
		return nil, err
	}
	body, err := a.showSource(ctx, c.tenant, &made)
	if err != nil {
		return nil, err
	}
	c.changed(nil, body)
	c.sourceSecrets(&in.Body)
	return &outCreated[client.Source]{
		ETag: etag(made.Revision, nil), Location: "/v1/tenants/" + c.tenant.Name + "/sources/" + made.Name, Body: body,
	}, nil
}

func (a *API) listSources(ctx context.Context, c *call, in *struct {
	InTenant
	InPage
	State bool `query:"state" doc:"With what came to the sources since the server's start"`
},
) (*outBody[client.Page[client.Source]], error) {
	after, p := decodeCursor(listSources, in.Cursor)
	if p != nil {
		return nil, p
	}
	list, err := a.Sources.Sources(ctx, c.tenant, after, in.most()+1)
	if err != nil {
		return nil, err
	}
	var failed error
	out := page(list, in.most(), func(s *event.Source) client.Source {
		shown, err := a.showSource(ctx, c.tenant, s)
		if err != nil {
			failed = err
		}
		if in.State {
			state := a.Sources.State(s.ID)
			shown.State = showSourceState(&state)
		}
		return shown
	}, func(s *event.Source) string { return encodeCursor(listSources, s.Name) })
	if failed != nil {
		return nil, failed
	}
	return &outBody[client.Page[client.Source]]{out}, nil
}

func (a *API) getSource(ctx context.Context, c *call, in *struct {
	InSource
	InNoneMatch
},
) (*outTagged[client.Source], error) {
	s, err := a.Sources.Source(ctx, c.tenant, in.Source)
	if err != nil {
		return nil, err
	}
	body, err := a.showSource(ctx, c.tenant, &s)
	if err != nil {
		return nil, err
	}
	state := a.Sources.State(s.ID)
	body.State = showSourceState(&state)
	live, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return &outTagged[client.Source]{ETag: etag(s.Revision, live), Body: body}, nil
}

// saveSource stores what a body makes of a source.
func (a *API) saveSource(ctx context.Context, c *call, stored *event.Source, in *client.Source, revision int64) (*outTagged[client.Source], error) {
	t := c.tenant
	if in.Name != stored.Name {
		return nil, invalid("name", "cannot be changed")
	}
	s, err := readSource(in)
	if err != nil {
		return nil, err
	}
	before, err := a.showSource(ctx, t, stored)
	if err != nil {
		return nil, err
	}
	saved, err := a.Sources.Update(ctx, t, s, in.Secrets, in.Settings, revision)
	if err != nil {
		return nil, err
	}
	body, err := a.showSource(ctx, t, &saved)
	if err != nil {
		return nil, err
	}
	c.changed(before, body)
	c.sourceSecrets(in)
	return &outTagged[client.Source]{ETag: etag(saved.Revision, nil), Body: body}, nil
}

// sourceSecrets notes for the audit log that secrets were given, or settings, which may be secret.
func (c *call) sourceSecrets(in *client.Source) {
	if len(in.Secrets) > 0 {
		c.secretChanged("secrets")
	}
	if slices.ContainsFunc(slices.Collect(maps.Values(in.Settings)), func(s string) bool { return s != "" }) {
		c.secretChanged("settings")
	}
}

// changeSource stores what change makes of a source as it is stored, as often as it takes when others change it, too.
func (a *API) changeSource(ctx context.Context, c *call, name, ifMatch string, change func(stored *event.Source) (*client.Source, error)) (*outTagged[client.Source], error) {
	return untilSettled(ifMatch, func() (*outTagged[client.Source], error) {
		stored, err := a.Sources.Source(ctx, c.tenant, name)
		if err != nil {
			return nil, err
		}
		rev, err := revision(ifMatch, stored.Revision)
		if err != nil {
			return nil, err
		}
		changed, err := change(&stored)
		if err != nil {
			return nil, err
		}
		return a.saveSource(ctx, c, &stored, changed, readRevision(rev, stored.Revision))
	})
}

func (a *API) replaceSource(ctx context.Context, c *call, in *struct {
	InSource
	InMatch
	InOnce
	Body client.Source
},
) (*outTagged[client.Source], error) {
	return a.changeSource(ctx, c, in.Source, in.IfMatch, func(*event.Source) (*client.Source, error) { return &in.Body, nil })
}

func (a *API) patchSource(ctx context.Context, c *call, in *struct {
	InSource
	InMatch
	InOnce
	Body json.RawMessage
},
) (*outTagged[client.Source], error) {
	return a.changeSource(ctx, c, in.Source, in.IfMatch, func(stored *event.Source) (*client.Source, error) {
		current, err := a.showSource(ctx, c.tenant, stored)
		if err != nil {
			return nil, err
		}
		changed, err := patched(a, &current, in.Body)
		if err != nil {
			return nil, err
		}
		if changed.Settings == nil { // null: none of them
			changed.Settings = map[string]string{}
		}
		return changed, nil
	})
}

func (a *API) deleteSource(ctx context.Context, c *call, in *struct {
	InSource
	InMatch
	InOnce
},
) (*struct{}, error) {
	rev := int64(0)
	if in.IfMatch != "" {
		stored, err := a.Sources.Source(ctx, c.tenant, in.Source)
		if err != nil {
			return nil, err
		}
		if rev, err = revision(in.IfMatch, stored.Revision); err != nil {
			return nil, err
		}
	}
	return nil, a.Sources.Delete(ctx, c.tenant, in.Source, rev)
}

func showSourceSecrets(s *event.SourceSecrets) *outBody[client.SourceSecrets] {
	out := client.SourceSecrets{Secrets: []client.SourceSecret{}}
	for _, x := range s.Secrets {
		out.Secrets = append(out.Secrets, client.SourceSecret{Secret: x.Secret, Expires: timePointer(x.Expires)})
	}
	return &outBody[client.SourceSecrets]{out}
}

func (a *API) getSourceSecrets(ctx context.Context, c *call, in *InSource) (*outBody[client.SourceSecrets], error) {
	s, err := a.Sources.Source(ctx, c.tenant, in.Source)
	if err != nil {
		return nil, err
	}
	hidden, err := a.Sources.Secrets(ctx, &s)
	if err != nil {
		return nil, err
	}
	return showSourceSecrets(&hidden), nil
}

func (a *API) addSourceSecret(ctx context.Context, c *call, in *struct {
	InSource
	InOnce
	Body client.NewSourceSecret
},
) (*outBody[client.SourceSecrets], error) {
	overlap := defaultOverlap
	if in.Body.Overlap != nil {
		overlap = time.Duration(*in.Body.Overlap)
	}
	hidden, err := a.Sources.AddSecret(ctx, c.tenant, in.Source, in.Body.Secret, overlap)
	if err != nil {
		return nil, err
	}
	c.changed(nil, client.NewSourceSecret{Overlap: (*client.Duration)(&overlap)})
	c.secretChanged("secrets")
	return showSourceSecrets(&hidden), nil
}

func (a *API) listProviders(_ context.Context, _ *call, _ *struct{}) (*outBody[client.Providers], error) {
	out := client.Providers{Data: []client.Provider{}}
	for _, p := range a.Sources.Providers() {
		shown := client.Provider{
			Name: p.Name, Title: p.Title, Aliases: p.Aliases, Secret: p.Secret, Optional: p.Optional, Learns: p.Learns, Event: p.Event,
		}
		for _, x := range p.Settings {
			shown.Settings = append(shown.Settings, client.ProviderSetting{Name: x.Name, Doc: x.Doc, Required: x.Required, Secret: x.Secret})
		}
		out.Data = append(out.Data, shown)
	}
	return &outBody[client.Providers]{out}, nil
}

// appendOrigin adds the member origin to an event's JSON object.
func appendOrigin(object []byte, r *event.Request) ([]byte, error) {
	method, target, _ := r.Line()
	out := client.Origin{Method: method, Target: target, URL: r.URL, Remote: r.Remote, Headers: showPairs(r.Headers())}
	if text := string(r.Body); utf8.ValidString(text) {
		out.Body = &text
	} else {
		out.BodyBase64 = base64.StdEncoding.EncodeToString(r.Body)
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	object = append(object[:len(object)-1], `,"origin":`...)
	return append(append(object, raw...), '}'), nil
}
