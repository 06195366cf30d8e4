package cli

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// sourceCmd groups the commands about sources.
type sourceCmd struct {
	Add       sourceAddCmd       `cmd:"" help:"Take another system's webhooks in."`
	Set       sourceSetCmd       `cmd:"" help:"Change a source."`
	Ls        sourceLsCmd        `cmd:"" help:"List sources with what came to them."`
	Show      sourceShowCmd      `cmd:"" help:"Show a source."`
	Rm        sourceRmCmd        `cmd:"" help:"Delete a source. Its events stay on the log."`
	Secret    sourceSecretCmd    `cmd:"" help:"Show a source's secrets, or add one."`
	Providers sourceProvidersCmd `cmd:"" help:"List the providers that a source may have, or show one."`

	// The same by other names that come to mind.
	List   sourceLsCmd   `cmd:"" hidden:""`
	Get    sourceShowCmd `cmd:"" hidden:""`
	Delete sourceRmCmd   `cmd:"" hidden:""`
}

// sourceName is the argument of most.
type sourceName struct {
	Name string `arg:"" help:"The source."`
}

// sourceFlags are what a source is made of, beside its provider and its name.
type sourceFlags struct {
	Secret      []string          `help:"A secret; several while one is being rotated. @FILE reads a file, - standard input, which keeps it out of the process list." sep:"none" placeholder:"SECRET"`
	Setting     map[string]string `help:"What else the provider needs, as NAME=VALUE; may be given several times." placeholder:"NAME=VALUE" mapsep:"none"`
	Type        string            `help:"CEL: the event's type." placeholder:"CEL"`
	ID          string            `help:"CEL: the delivery's id, by which repeated deliveries are told." placeholder:"CEL"`
	Subject     string            `help:"CEL: what the event is about." placeholder:"CEL"`
	EventKey    string            `help:"CEL: the ordering key." placeholder:"CEL"`
	Time        string            `help:"CEL: when it happened." placeholder:"CEL"`
	Data        string            `help:"CEL: the event's data." placeholder:"CEL"`
	Accept      string            `help:"CEL: must be true, or the request is left out." placeholder:"CEL"`
	Field       map[string]string `help:"A member of the data and where it is in the body, such as email=Email or email=customer.email; name==text is that text. May be given several times." placeholder:"NAME=PATH" mapsep:"none"`
	Dedupe      string            `help:"How repeated requests are told: id, body or none." enum:",id,body,none" default:"" placeholder:"HOW"`
	Status      int               `help:"The status of the answer, instead of the one that the provider expects." placeholder:"N"`
	Header      map[string]string `help:"A header of that answer, as NAME=VALUE; may be given several times." placeholder:"NAME=VALUE" mapsep:"none"`
	Body        string            `help:"The body of that answer; @FILE reads a file, - standard input." placeholder:"TEXT"`
	Sync        string            `help:"Callers get the answer of this endpoint." placeholder:"ENDPOINT"`
	Wait        time.Duration     `help:"How long they wait for it, 100ms to 30s." placeholder:"DURATION"`
	Tolerance   time.Duration     `help:"How far the time that a signature names may be from now." placeholder:"DURATION"`
	Allow       []string          `help:"A network from which requests may come." placeholder:"CIDR"`
	Inspect     string            `help:"Which requests are kept in the source's bin: none, refused or all." enum:",none,refused,all" default:"" placeholder:"WHICH"`
	Description string            `help:"For people."`
}

// secrets reads the secrets.
func (x *sourceFlags) secrets(c *console) ([]string, error) {
	var out []string
	for _, s := range x.Secret {
		raw, err := c.readArgument(s)
		if err != nil {
			return nil, err
		}
		out = append(out, strings.TrimRight(string(raw), "\r\n"))
	}
	return out, nil
}

// patch puts what was given together, as a merge patch.
func (x *sourceFlags) patch(c *console) (map[string]any, error) {
	secrets, err := x.secrets(c)
	if err != nil {
		return nil, err
	}
	if x.Wait != 0 && x.Sync == "" {
		return nil, usagef("--wait needs --sync")
	}
	body, err := c.readArgument(x.Body)
	if err != nil {
		return nil, err
	}
	p := patching{}
	p.set("secrets", secrets, len(secrets) > 0)
	p.set("settings", x.Setting, len(x.Setting) > 0)
	p.text("dedupe", x.Dedupe)
	p.text("inspect", x.Inspect)
	p.text("description", x.Description)
	p.set("tolerance", client.Duration(x.Tolerance), x.Tolerance != 0)
	p.set("allow", x.Allow, len(x.Allow) > 0)
	m := patching{}
	for name, value := range map[string]string{
		"type": x.Type, "id": x.ID, "subject": x.Subject, "key": x.EventKey, "time": x.Time, "data": x.Data, "accept": x.Accept,
	} {
		m.text(name, value)
	}
	m.set("fields", x.Field, len(x.Field) > 0)
	p.set("map", m, len(m) > 0)
	answer := patching{}
	answer.set("status", x.Status, x.Status != 0)
	answer.set("headers", x.Header, len(x.Header) > 0)
	answer.text("body", string(body))
	p.set("answer", answer, len(answer) > 0)
	sync := patching{}
	sync.text("endpoint", x.Sync)
	sync.set("wait", client.Duration(x.Wait), x.Wait != 0)
	p.set("sync", sync, len(sync) > 0)
	return p, nil
}

// patching is a merge patch that is being put together.
type patching map[string]any

func (p patching) set(name string, value any, given bool) {
	if given {
		p[name] = value
	}
}

func (p patching) text(name, value string) { p.set(name, value, value != "") }

type sourceAddCmd struct {
	sourceName
	Provider string `help:"Whose webhooks they are, such as github; token, hmac, basic, standard or none for any sender. \"posthorn source providers\" lists them." required:"" placeholder:"NAME"`
	Env      string `help:"The variable that holds the secret, when --secret is not given." default:"POSTHORN_SOURCE_SECRET" placeholder:"NAME"`
	sourceFlags
}

// Run makes the source and prints where to send.
func (x *sourceAddCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	secrets, err := x.secrets(c)
	if err != nil {
		return err
	}
	if secret := os.Getenv(x.Env); len(secrets) == 0 && secret != "" {
		secrets = []string{secret}
	}
	if x.Wait != 0 && x.Sync == "" {
		return usagef("--wait needs --sync")
	}
	s := client.Source{
		Name: x.Name, Provider: x.Provider, Description: x.Description, Secrets: secrets, Settings: x.Setting, Dedupe: x.Dedupe,
		Tolerance: client.Duration(x.Tolerance), Allow: x.Allow, Inspect: x.Inspect,
		Map: &client.SourceMap{
			Type: x.Type, ID: x.ID, Subject: x.Subject, Key: x.EventKey, Time: x.Time, Data: x.Data, Accept: x.Accept, Fields: x.Field,
		},
	}
	body, err := c.readArgument(x.Body)
	if err != nil {
		return err
	}
	if x.Status != 0 || len(x.Header) > 0 || len(body) > 0 {
		s.Answer = &client.SourceAnswer{Status: x.Status, Headers: x.Header, Body: string(body)}
	}
	if x.Sync != "" {
		s.Sync = &client.SourceSync{Endpoint: x.Sync, Wait: client.Duration(x.Wait)}
	}
	made, err := cl.CreateSource(c.ctx, tenant, s)
	if err != nil {
		return err
	}
	if err := c.showSource(made); err != nil || c.json || len(made.SecretHints) > 0 {
		return err
	}
	return c.secretHint(cl, made)
}

// secretHint tells who made a source without a secret that nothing is taken before it has one.
func (c *console) secretHint(cl *client.Client, s *client.Source) error {
	providers, err := cl.Providers(c.ctx)
	if err != nil {
		return err
	}
	for i := range providers {
		p := &providers[i]
		if p.Name != s.Provider || p.Secret == "" || p.Optional {
			continue
		}
		if p.Learns {
			c.printf("\nIts secret comes with the provider's first request: %s.\n", clean(p.Secret))
		} else {
			c.printf("\nNothing is taken before it has a secret: \"posthorn source secret %s --add …\" (%s).\n", clean(s.Name), clean(p.Secret))
		}
	}
	return nil
}

type sourceSetCmd struct {
	sourceName
	Provider string   `help:"Another provider." placeholder:"NAME"`
	Disable  bool     `help:"Answer requests with 404." xor:"disable"`
	Enable   bool     `help:"Take requests again." xor:"disable"`
	Unset    []string `help:"Set these back to their defaults: map, answer, sync, allow, tolerance, settings, secrets, or a part such as map.type." placeholder:"FIELD"`
	sourceFlags
}

// Run changes the source.
func (x *sourceSetCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	given, err := x.patch(c)
	if err != nil {
		return err
	}
	p := patching(given)
	p.text("provider", x.Provider)
	p.set("disabled", x.Disable, x.Disable || x.Enable)
	for _, field := range x.Unset {
		outer, inner, part := strings.Cut(field, ".")
		switch {
		case outer == "secrets" && !part:
			p[outer] = []string{}
		case !part:
			p[outer] = nil
		default:
			object, ok := p[outer].(patching)
			if !ok {
				object = patching{}
				p[outer] = object
			}
			object[inner] = nil
		}
	}
	if len(p) == 0 {
		return usagef("nothing is to be changed; --help lists what can be")
	}
	saved, err := cl.PatchSource(c.ctx, tenant, x.Name, p)
	if err != nil {
		return err
	}
	return c.showSource(saved)
}

type sourceShowCmd struct{ sourceName }

// Run shows the source.
func (x *sourceShowCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	s, err := cl.Source(c.ctx, tenant, x.Name)
	if err != nil {
		return err
	}
	return c.showSource(s)
}

func (c *console) showSource(s *client.Source) error {
	if c.json {
		return c.writeJSON(s)
	}
	list := []field{
		{"name", cell{s.Name, bold}},
		{"url", cell{s.URL, bold}},
		{"provider", text(s.Provider)},
		{"description", text(s.Description)},
		{"secrets", text(hintsOf(s.SecretHints))},
		{"settings", text(settingsOf(s.Settings))},
	}
	list = append(list, mapFields(s.Map)...)
	list = append(list, field{"dedupe", text(s.Dedupe)})
	if a := s.Answer; a != nil {
		list = append(list, field{"answer", text(fmt.Sprint(a.Status))}, field{"answer headers", text(pairsOf(a.Headers))}, field{"answer body", text(a.Body)})
	}
	if s.Sync != nil {
		list = append(list, field{"sync", text(s.Sync.Endpoint + ", waits " + s.Sync.Wait.String())})
	}
	disabled := cell{}
	if s.Disabled {
		disabled = cell{"yes", yellow}
	}
	list = append(
		list, field{"tolerance", text(durationOf(s.Tolerance))}, field{"allow", text(strings.Join(s.Allow, ", "))},
		field{"inspect", text(s.Inspect)}, field{"bin", text(s.Bin)}, field{"disabled", disabled},
	)
	if v := s.State; v != nil {
		list = append(
			list, field{"accepted", text(count(v.Accepted))}, field{"duplicates", text(unlessZero(float64(v.Duplicates), ""))},
			field{"handshakes", text(unlessZero(float64(v.Handshakes), ""))}, field{"left out", text(unlessZero(float64(v.Dropped), ""))},
			field{"refused", refusedCell(v.Refused)}, field{"last accepted", text(stampOf(v.LastAccepted))},
		)
		if r := v.LastRefused; r != nil {
			list = append(list, field{"last refused", cell{strings.TrimSuffix(stamp(r.At)+" "+r.Code+": "+r.Detail, ": "), red}})
		}
	}
	c.fields(append(list, field{"created", text(stamp(s.Created))}, field{"updated", text(stamp(s.Updated))}))
	return nil
}

func mapFields(m *client.SourceMap) []field {
	if m == nil {
		return nil
	}
	list := []field{
		{"type", text(m.Type)},
		{"id", text(m.ID)},
		{"subject", text(m.Subject)},
		{"key", text(m.Key)},
		{"time", text(m.Time)},
		{"data", text(m.Data)},
		{"accept", text(m.Accept)},
	}
	return append(list, field{"fields", text(pairsOf(m.Fields))})
}

func pairsOf(m map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, name+"="+m[name])
	}
	return strings.Join(parts, ", ")
}

// settingsOf shows settings; those that are secret by their names only.
func settingsOf(m map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if m[name] == "" {
			parts = append(parts, name)
			continue
		}
		parts = append(parts, name+"="+m[name])
	}
	return strings.Join(parts, ", ")
}

func hintsOf(list []client.SecretHint) string {
	var parts []string
	for _, h := range list {
		part := h.Hint
		if h.Expires != nil {
			part += " until " + stamp(*h.Expires)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

func refusedCell(n int64) cell {
	if n == 0 {
		return text("0")
	}
	return cell{count(n), red}
}

type sourceLsCmd struct {
	limited
}

// Run lists the sources.
func (x *sourceLsCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	items, more, err := collect(x.limited, cl.Sources(c.ctx, tenant, x.page(), client.WithState()))
	if err != nil {
		return err
	}
	return listed(c, items, more, "There are no sources; \"posthorn source add NAME --provider github\" makes one.",
		[]string{"NAME", "PROVIDER", "ACCEPTED", "REFUSED", "LAST", "URL"},
		func(s client.Source) []cell {
			v := s.State
			if v == nil {
				v = &client.SourceState{}
			}
			name := cell{s.Name, bold}
			if s.Disabled {
				name.paint = yellow
			}
			return []cell{name, text(s.Provider), text(count(v.Accepted)), refusedCell(v.Refused), text(stampOf(v.LastAccepted)), text(s.URL)}
		})
}

type sourceRmCmd struct {
	sure
	sourceName
}

// Run deletes the source.
func (x *sourceRmCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	if err := x.confirm(c, "deleting source "+x.Name); err != nil {
		return err
	}
	if err := cl.DeleteSource(c.ctx, tenant, x.Name); err != nil {
		return err
	}
	return c.done("deleted", x.Name)
}

type sourceSecretCmd struct {
	sourceName
	Add     string         `help:"Make this one of its secrets. @FILE reads a file, - standard input." placeholder:"SECRET"`
	Overlap *time.Duration `help:"How long the others stay good; the server's default, 24h, without it." placeholder:"DURATION"`
}

// Run shows the secrets, or adds one.
func (x *sourceSecretCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	if x.Overlap != nil && x.Add == "" {
		return usagef("--overlap needs --add")
	}
	var s *client.SourceSecrets
	if x.Add != "" {
		secret, err := c.readArgument(x.Add)
		if err != nil {
			return err
		}
		s, err = cl.AddSourceSecret(c.ctx, tenant, x.Name, client.NewSourceSecret{
			Secret: strings.TrimRight(string(secret), "\r\n"), Overlap: (*client.Duration)(x.Overlap),
		})
		if err != nil {
			return err
		}
	} else if s, err = cl.SourceSecrets(c.ctx, tenant, x.Name); err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(s)
	}
	if len(s.Secrets) == 0 {
		c.printf("%s has no secret.\n", clean(x.Name))
		return nil
	}
	list := make([]field, 0, len(s.Secrets))
	for _, secret := range s.Secrets {
		name := "secret"
		if secret.Expires != nil {
			name = "until " + stamp(*secret.Expires)
		}
		list = append(list, field{name, text(secret.Secret)})
	}
	c.fields(list)
	return nil
}

type sourceProvidersCmd struct {
	Name string `arg:"" optional:"" help:"Only this one, with what it needs."`
}

// Run lists the providers.
func (x *sourceProvidersCmd) Run(c *console) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	all, err := cl.Providers(c.ctx)
	if err != nil {
		return err
	}
	if x.Name != "" {
		for i := range all {
			if all[i].Name == x.Name || slices.Contains(all[i].Aliases, x.Name) {
				return c.showProvider(&all[i])
			}
		}
		return &statusError{err: fmt.Errorf("there is no provider %s", clean(x.Name)), status: ExitNotFound}
	}
	return listed(c, all, false, "There are no providers.", []string{"NAME", "TITLE", "SETTINGS"}, func(p client.Provider) []cell {
		var settings []string
		for _, s := range p.Settings {
			if s.Required {
				settings = append(settings, s.Name)
			} else {
				settings = append(settings, "["+s.Name+"]")
			}
		}
		return []cell{{p.Name, bold}, text(p.Title), text(strings.Join(settings, " "))}
	})
}

func (c *console) showProvider(p *client.Provider) error {
	if c.json {
		return c.writeJSON(p)
	}
	list := []field{
		{"name", cell{p.Name, bold}},
		{"title", text(p.Title)},
		{"also", text(strings.Join(p.Aliases, ", "))},
		{"secret", text(p.Secret)},
		{"event", text(p.Event)},
	}
	for _, s := range p.Settings {
		doc := s.Doc
		if s.Required {
			doc += " (needed)"
		}
		list = append(list, field{"--setting " + s.Name, text(doc)})
	}
	if p.Optional {
		list = append(list, field{"note", text("works without a secret, too")})
	}
	if p.Learns {
		list = append(list, field{"note", text("hands its secret over by itself, once, while the source has none")})
	}
	c.fields(list)
	return nil
}
