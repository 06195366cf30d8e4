package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
)

// OIDCRole is what the members of a group may do who sign in through the provider of identities.
type OIDCRole struct {
	// Group is a group's name; "*" is everybody whom the provider lets sign in.
	Group string
	// Admin says that they may do everything. Otherwise Tenant is a tenant's name, or "*" for every one, and Allow what they
	// may there: any of publish, read and manage.
	Admin  bool
	Tenant string
	Allow  []string
}

var sessionOptions = []Option{{
	Name: "session-lifetime", Group: "Web UI", Default: "7d",
	Help: "How long a browser stays signed in at most.",
	bind: func(c *Config) value {
		return durationValue{p: &c.SessionLifetime, min: 10 * time.Second, max: 365 * day}
	},
}, {
	Name: "session-idle", Group: "Web UI", Default: "12h",
	Help: "How long a browser stays signed in without being used. A page that is open and listens, such as an overview, uses it.",
	bind: func(c *Config) value {
		return durationValue{p: &c.SessionIdle, min: time.Minute, max: 365 * day}
	},
}, {
	Name: "oidc-issuer", Group: "Web UI",
	Help: "The issuer of a provider of OpenID Connect through which people may sign in, exactly as the provider writes it. The redirect URI to register there is the public URL with `/ui/login/oidc/callback`.",
	bind: func(c *Config) value { return issuerValue(&c.OIDCIssuer) },
}, {
	Name: "oidc-client-id", Group: "Web UI",
	Help: "The client id that the server is registered as at the provider. Needed with `oidc-issuer`.",
	bind: func(c *Config) value { return textValue(&c.OIDCClientID) },
}, {
	Name: "oidc-client-secret", Group: "Web UI",
	Help: "The client's secret; none for a public client. Prefer the variable or `oidc-client-secret-file` to the flag.",
	bind: func(c *Config) value { return secretValue{p: &c.OIDCClientSecret, min: 1, max: 4 * kib} },
}, {
	Name: "oidc-client-secret-file", Group: "Web UI",
	Help: "A file that holds the client's secret; white space around it is ignored.",
	bind: func(c *Config) value { return pathValue(&c.OIDCClientSecretFile) },
}, {
	Name: "oidc-scopes", Group: "Web UI", Default: "openid profile email groups",
	Help: "The scopes that are asked for, separated by spaces. `groups` is left out where the provider lists its scopes without it.",
	bind: func(c *Config) value { return textValue(&c.OIDCScopes) },
}, {
	Name: "oidc-groups-claim", Group: "Web UI", Default: "groups",
	Help: "The claim of the ID token, or else of userinfo, that lists a person's groups; dots lead through objects, as in `realm_access.roles`.",
	bind: func(c *Config) value { return textValue(&c.OIDCGroupsClaim) },
}, {
	Name: "oidc-roles", Group: "Web UI",
	Help: "What the members of groups may do, such as `ops=admin, support=read, shop=acme:read+publish, shop=globex:read`: `admin` is everything, `read` reading every tenant, and otherwise a tenant's name (`*` is every one) and any of `publish`, `read` and `manage`. The group `*` is everybody who signs in; a comma in a group's name is written `\\,`. Who has no role cannot sign in. Needed with `oidc-issuer`.",
	bind: func(c *Config) value { return rolesValue{&c.OIDCRoles} },
}, {
	Name: "oidc-name", Group: "Web UI", Default: "Single sign-on",
	Help: "What the provider is called on the page of signing in.",
	bind: func(c *Config) value { return textValue(&c.OIDCName) },
}, {
	Name: "oidc-logout", Group: "Web UI", Default: "off",
	Help: "Whether people who log out of the web UI are led on to the provider's page of logging out, if it says of itself that it has one. The address to come back to, which may have to be registered there, is the public URL with `/ui/login`.",
	bind: func(c *Config) value { return switchValue{&c.OIDCLogout} },
}}

// issuerValue is an issuer as its provider writes it: a slash at its end counts.
func issuerValue(p *string) value {
	return stringValue{p: p, name: "URL", rule: "an http or https URL with a host, without user, query or fragment; a slash at its end counts", check: func(s string) (string, error) {
		if s == "" {
			return "", nil
		}
		var trimmed string
		if err := urlValue(&trimmed).set(s); err != nil {
			return "", err
		}
		if u, err := url.Parse(s); err != nil || strings.ContainsFunc(s, unicode.IsControl) || u.Opaque != "" {
			return "", errors.New("is not a URL")
		}
		return s, nil
	}}
}

// rolesValue is a list of group=role.
type rolesValue struct{ p *[]OIDCRole }

const (
	// maxRoles bounds the list, which is gone through at every request of a session.
	maxRoles = 1000
	// maxGroup bounds a group's name, in bytes.
	maxGroup = 256
)

func (v rolesValue) kind() string { return "roles" }
func (v rolesValue) allowed() string {
	return fmt.Sprintf("nothing, or up to %d parts such as `ops=admin`, `support=read`, `shop=acme:read+publish` or `shop=*:read`, separated by commas", maxRoles)
}

func (v rolesValue) text() string {
	parts := make([]string, len(*v.p))
	for i, r := range *v.p {
		role := "admin"
		if !r.Admin {
			role = r.Tenant + ":" + strings.Join(r.Allow, "+")
		}
		parts[i] = strings.ReplaceAll(r.Group, ",", `\,`) + "=" + role
	}
	return strings.Join(parts, ",")
}

func (v rolesValue) set(s string) error {
	if s == "" {
		*v.p = nil
		return nil
	}
	const comma = "\x00"
	if strings.ContainsFunc(s, unicode.IsControl) {
		return errors.New("has a control character")
	}
	parts := strings.Split(strings.ReplaceAll(s, `\,`, comma), ",")
	if len(parts) > maxRoles {
		return errors.New("has too many parts")
	}
	list := make([]OIDCRole, len(parts))
	for i, part := range parts {
		r, err := parseRole(strings.TrimSpace(strings.ReplaceAll(part, comma, ",")))
		if err != nil {
			return fmt.Errorf("has a part, number %d, that %w", i+1, err)
		}
		list[i] = r
	}
	*v.p = list
	return nil
}

// parseRole reads group=role. A group's name may hold "=", a role never.
func parseRole(s string) (OIDCRole, error) {
	at := strings.LastIndexByte(s, '=')
	if at < 0 {
		return OIDCRole{}, errors.New("is not group=role")
	}
	r, role := OIDCRole{Group: strings.TrimSpace(s[:at])}, strings.TrimSpace(s[at+1:])
	if r.Group == "" || len(r.Group) > maxGroup {
		return r, errors.New("names no group, or one with a name that is too long")
	}
	switch role {
	case "admin":
		r.Admin = true
		return r, nil
	case "read":
		r.Tenant, r.Allow = "*", []string{"read"}
		return r, nil
	}
	tenant, allow, ok := strings.Cut(role, ":")
	if !ok || tenant == "" || len(tenant) > maxGroup {
		return r, errors.New("has no role: admin, read, or a tenant and what may be done there, such as acme:read+publish")
	}
	r.Tenant = tenant
	for p := range strings.SplitSeq(allow, "+") {
		if !slices.Contains([]string{"publish", "read", "manage"}, p) || slices.Contains(r.Allow, p) {
			return r, errors.New("allows something else than publish, read and manage, or one of them twice")
		}
		r.Allow = append(r.Allow, p)
	}
	return r, nil
}
