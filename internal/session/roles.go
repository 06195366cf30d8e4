package session

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/posthornhq/posthorn/internal/event"
)

const (
	// EveryTenant is the Tenant of a role that is for all.
	EveryTenant = "*"
	// Everyone is the Group of a role that all have whom the provider lets sign in.
	Everyone = "*"
	// maxGroups bounds the groups that are looked at of one person.
	maxGroups = 10_000
)

// Role is what the members of a group may do.
type Role struct {
	Group string
	// Admin roles may do everything; others have Tenant, a name or [EveryTenant], and Allow.
	Admin  bool
	Tenant string
	Allow  []event.Permission
}

// rolesOf are the roles that groups have.
func (p *provider) rolesOf(groups []string) []Role {
	var list []Role
	for _, r := range p.Roles {
		if r.Group == Everyone || slices.Contains(groups, r.Group) {
			list = append(list, r)
		}
	}
	return list
}

// relevant are those of some groups that roles are for, each once: what a session needs to know.
func (p *provider) relevant(groups []string) []string {
	var list []string
	for _, r := range p.Roles {
		if slices.Contains(groups, r.Group) && !slices.Contains(list, r.Group) {
			list = append(list, r.Group)
		}
	}
	return list
}

// claims are those of an ID token or of userinfo.
type claims map[string]json.RawMessage

// text returns a claim that is a text, "" when there is none.
func (c claims) text(name string) string {
	var s string
	if json.Unmarshal(c[name], &s) != nil {
		return ""
	}
	return s
}

// groups returns the groups of a claim: a text or a list of texts. A name that is no claim's leads through objects by its
// dots, as in realm_access.roles. found is false when there is no such claim.
//
// An address counts when the provider has verified it: elsewhere people write there what they like.
func (c claims) groups(name string) (list []string, found bool) {
	raw, ok := c[name]
	if name == "email" && string(c["email_verified"]) != "true" && string(c["email_verified"]) != `"true"` {
		return nil, false
	}
	if !ok {
		raw, ok = c.nested(name)
	}
	if !ok || string(raw) == "null" {
		return nil, false
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}, true
	}
	var values []json.RawMessage
	if json.Unmarshal(raw, &values) != nil {
		return nil, true
	}
	for _, v := range values[:min(len(values), maxGroups)] {
		if json.Unmarshal(v, &one) == nil { // what is not a text is not a group
			list = append(list, one)
		}
	}
	return list, true
}

func (c claims) nested(name string) (json.RawMessage, bool) {
	first, rest, more := strings.Cut(name, ".")
	for {
		raw, ok := c[first]
		if !more || !ok {
			return raw, ok && !more
		}
		inner := claims{}
		if json.Unmarshal(raw, &inner) != nil {
			return nil, false
		}
		c = inner
		first, rest, more = strings.Cut(rest, ".")
	}
}
