package rest

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/posthornhq/posthorn/internal/event"
)

// tenantHeader names the tenant of routes outside any tenant's path, for people who have several.
const tenantHeader = "Posthorn-Tenant"

// sessionOf finds the session's cookie of a request to the API that says nothing else of who calls.
//
// A browser sends the cookie by itself, whichever page asked. So it counts for the server's own pages and for no others,
// whatever allow-origins says: by Sec-Fetch-Site, and by Origin, where browsers send them; [http.CrossOriginProtection] has
// the rule for unsafe methods.
func (a *API) sessionOf(r *http.Request) (c credential, found bool, p *problem) {
	if a.Sessions == nil || !strings.HasPrefix(r.URL.Path, "/v1/") {
		return c, false, nil
	}
	list := r.CookiesNamed(a.Sessions.Cookie())
	switch {
	case len(list) == 0:
		return c, false, nil
	case !a.fromOwnPage(r):
		return c, false, otherPage()
	case len(list) > 1:
		return c, false, newProblem(http.StatusBadRequest, "malformed", "the cookie "+a.Sessions.Cookie()+" is there more than once; clear the browser's cookies of this site")
	}
	return credential{text: list[0].Value, session: true}, true, nil
}

// fromOwnPage reports whether a request comes from a page of the server's own origin, or from no page.
func (a *API) fromOwnPage(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" && !a.origins.isOwn(origin, r.Host) {
		return false
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return false
	}
	return a.crossSite.Check(r) == nil
}

func otherPage() *problem {
	return newProblem(http.StatusForbidden, "origin_not_allowed", "a session is for the server's own pages; send an API key or a token")
}

// newCrossSite makes the protection against requests that pages of other sites let a browser send.
func newCrossSite(publicURL string) *http.CrossOriginProtection {
	p := http.NewCrossOriginProtection()
	if own := normalOrigin(publicURL); own != "" {
		_ = p.AddTrustedOrigin(own) // a public URL with a path is checked by isOwn alone
	}
	return p
}

// said finds the credential of a request: what it says by itself, or else the cookie of a session, or else what else browsers
// send.
func (a *API) said(r *http.Request, listens bool) (credential, *problem) {
	if len(r.Header["Authorization"]) > 0 || listens && r.URL.Query().Has(tokenQuery) {
		return credentialOf(r, listens)
	}
	c, found, p := a.sessionOf(r)
	if found || p != nil && (!listens || len(r.CookiesNamed(tokenCookie)) == 0) {
		return c, p
	}
	return credentialOf(r, listens)
}

// admitAnyone is admit for the routes that are not about a tenant and that every caller may use, or people without any
// credential.
func (a *API) admitAnyone(r *http.Request, c *call, o *operation) (*call, *problem) {
	if o.public {
		if r.Method != http.MethodGet && r.Method != http.MethodHead && !a.fromOwnPage(r) {
			return c, otherPage()
		}
		return c, nil
	}
	var err error
	if c.key, err = a.key(r.Context(), c.credential); err != nil {
		return c, problemOf(err)
	}
	return c, o.takes(&c.key)
}

// personIn sets what counts for a person on a route outside any tenant's path: admins everything; others the tenant that the
// header names, or the only one they have.
func (a *API) personIn(r *http.Request, key *event.APIKey) *problem {
	if key.User == "" || key.Admin {
		return nil
	}
	name := r.Header.Get(tenantHeader)
	if name == "" {
		if len(key.Grants) == 1 && key.Grants[0].Tenant != 0 {
			*key = key.In(key.Grants[0].Tenant)
			return nil
		}
		return invalid(tenantHeader, "must name one of the tenants that you may use")
	}
	t, err := a.Control.Tenant(r.Context(), name)
	if err != nil && event.KindOf(err) != event.KindNotFound {
		return problemOf(err)
	}
	if err != nil || !hasGrant(key, t.ID) {
		return otherTenant(key)
	}
	*key = key.In(t.ID)
	return nil
}

// hasGrant reports whether a person has any grant in a tenant; in tenant 0, whether one for every tenant.
func hasGrant(key *event.APIKey, tenant event.TenantID) bool {
	return slices.ContainsFunc(key.Grants, func(g event.Grant) bool { return g.Tenant == 0 || g.Tenant == tenant })
}

// otherTenant is the answer in a tenant that a caller has nothing to do with, whether it exists or not.
func otherTenant(key *event.APIKey) *problem {
	if key.User != "" {
		return newProblem(http.StatusForbidden, "forbidden", "you have no role in this tenant")
	}
	return newProblem(http.StatusForbidden, "forbidden", "this key is not for this tenant")
}

// readsAll reports whether a person who is no admin may read every tenant: then also what is about all of them, where the
// operation says so.
func readsAll(key *event.APIKey) bool {
	if key.User == "" || !hasGrant(key, 0) {
		return false
	}
	for _, g := range key.Grants {
		if g.Tenant == 0 && allows(&event.APIKey{Allow: g.Allow}, scopeRead) {
			return true
		}
	}
	return false
}

// sessionKey looks a session up.
func (a *API) sessionKey(ctx context.Context, c credential) (event.APIKey, error) {
	if a.Sessions == nil {
		return event.APIKey{}, event.Errorf(event.KindUnauthorized, "unauthorized", "there are no sessions here")
	}
	return a.Sessions.Authenticate(ctx, c.text)
}

// browserCredential is the session of a publish that says nothing else of who calls.
func (a *API) browserCredential(req *PublishRequest) (credential, *problem) {
	h := http.Header{"Cookie": {req.Browser.Cookie}}
	for name, value := range map[string]string{"Origin": req.Browser.Origin, "Sec-Fetch-Site": req.Browser.FetchSite} {
		if value != "" {
			h.Set(name, value)
		}
	}
	r := &http.Request{Method: http.MethodPost, Host: req.Browser.Host, URL: &url.URL{Path: "/v1/"}, Header: h}
	c, _, p := a.sessionOf(r)
	return c, p
}
