package rest

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/codec"
	"github.com/posthornhq/posthorn/internal/event"
)

// scope says which keys and tokens may use a route.
type scope string

const (
	scopeAdmin   scope = "admin"
	scopePublish scope = "publish"
	scopeRead    scope = "read"
	scopeManage  scope = "manage"
)

// Where a token may be sent besides the Authorization header, on the routes of listeners.
const (
	tokenQuery  = "access_token"
	tokenCookie = codec.OwnCookie
)

// credential is what a request says of who calls: an API key or a token.
type credential struct {
	text string
	// open is set when it came by the query or by a cookie, where only tokens are taken: addresses end up in logs and
	// histories, and neither place is for what does not end by itself.
	open bool
	// cookie is set when a browser sent it by itself, whichever page asked.
	cookie bool
	// session is set when it is the secret of a session, which one of the server's own pages let its browser send.
	session bool
}

// credentialOf finds the credential of a request. With listens set, the query and the cookie are looked at, too. A cookie
// counts when the request says nothing else: browsers send it by themselves.
func credentialOf(r *http.Request, listens bool) (credential, *problem) {
	headers := r.Header["Authorization"]
	if len(headers) > 1 {
		return credential{}, repeatedHeader("Authorization")
	}
	c := credential{text: bearer(first(headers))}
	if !listens {
		return c, nil
	}
	var ways []credential
	if c.text != "" {
		ways = append(ways, c)
	}
	for _, token := range r.URL.Query()[tokenQuery] {
		ways = append(ways, credential{text: token, open: true})
	}
	if len(ways) == 0 {
		for _, cookie := range r.CookiesNamed(tokenCookie) {
			ways = append(ways, credential{text: cookie.Value, open: true, cookie: true})
		}
	}
	switch len(ways) {
	case 0:
		return c, nil
	case 1:
		return ways[0], nil
	}
	return c, newProblem(http.StatusBadRequest, "malformed",
		"say who calls once: in the header Authorization, or the query parameter "+tokenQuery+", or in one cookie "+tokenCookie)
}

// repeatedHeader is the answer when it cannot be told which value of a header was meant.
func repeatedHeader(name string) *problem {
	return newProblem(http.StatusBadRequest, "malformed", "a header that may be given once is given more than once",
		client.FieldError{Field: name, Message: "must be given once"})
}

// bearer returns the key of an Authorization header, or "".
func bearer(authorization string) string {
	const prefix = "bearer "
	if len(authorization) <= len(prefix) || !strings.EqualFold(authorization[:len(prefix)], prefix) {
		return ""
	}
	return strings.TrimSpace(authorization[len(prefix):])
}

// call is what the pipeline has found out about a request.
type call struct {
	id      string // the request's
	request *http.Request
	credential
	key    event.APIKey
	tenant *event.Tenant     // of routes under /v1/tenants/{tenant}
	entry  *event.AuditEntry // on the audit log; nil: it leaves none
}

// may reports whether the caller's key has a permission in the tenant of the call.
func (c *call) may(s scope) bool { return allows(&c.key, s) }

// admit finds out who calls, whether the key may, and for which tenant. With a problem the call says who calls, if that is known.
func (a *API) admit(r *http.Request, o *operation) (*call, *problem) {
	c := &call{request: r}
	if o.public {
		return a.admitAnyone(r, c, o)
	}
	var p *problem
	if c.credential, p = a.said(r, o.listens); p != nil {
		return c, p
	}
	if o.anyone {
		return a.admitAnyone(r, c, o)
	}
	if o.own {
		return a.admitOwn(r, c, o)
	}
	name := r.PathValue("tenant")
	if name == "" || o.scope == scopeAdmin {
		if c.key, p = a.authenticate(r.Context(), c.credential, o.overall); p != nil {
			return c, p
		}
		if name == "" {
			return c, nil
		}
		t, err := a.Control.Tenant(r.Context(), name)
		if err != nil {
			return c, problemOf(err)
		}
		c.tenant = t
		return c, nil
	}
	var err error
	if c.key, c.tenant, err = a.authorize(r.Context(), c.credential, name, o); err != nil {
		return c, problemOf(err)
	}
	return c, a.mayUseCookie(r, c)
}

// mayUseCookie refuses a cookie that a page of an origin that is not named lets its browser send.
func (a *API) mayUseCookie(r *http.Request, c *call) *problem {
	if c.cookie && !a.origins.mayUseCookies(r) {
		return newProblem(http.StatusForbidden, "origin_not_allowed", "a page of this origin may not use the cookie "+tokenCookie+"; allow-origins must name it")
	}
	return nil
}

// admitOwn is admit for a route whose things belong to a tenant that its path does not name.
func (a *API) admitOwn(r *http.Request, c *call, o *operation) (*call, *problem) {
	var err error
	if c.key, err = a.key(r.Context(), c.credential); err != nil {
		return c, problemOf(err)
	}
	if p := a.personIn(r, &c.key); p != nil {
		return c, p
	}
	if !c.key.Admin && (c.key.Tenant == 0 || !allows(&c.key, o.scope)) {
		return c, forbidden(o.scope)
	}
	if c.key.Admin && c.key.Token != "" {
		return c, forbidden(scopeAdmin)
	}
	if p := o.takes(&c.key); p != nil {
		return c, p
	}
	return c, a.mayUseCookie(r, c)
}

// takes refuses tokens where they, or narrowed ones, are not taken.
func (o *operation) takes(key *event.APIKey) *problem {
	switch {
	case key.Portal() && !o.portal:
		return newProblem(http.StatusForbidden, "forbidden", "the token of a portal may not do this")
	case key.Token != "" && o.keysOnly:
		return newProblem(http.StatusForbidden, "forbidden", "this needs an API key; a token may not")
	case key.Only != nil && !o.narrowed:
		return newProblem(http.StatusForbidden, "forbidden",
			"this token is for some types or subjects only; it may be used for changes, stream, socket, for reading one event and for publishing")
	}
	return nil
}

// authenticate returns the caller's key for routes outside any tenant, which are for admin keys and, with overall set, for
// people who may read every tenant.
func (a *API) authenticate(ctx context.Context, c credential, overall bool) (event.APIKey, *problem) {
	key, err := a.key(ctx, c)
	if err != nil {
		return key, problemOf(err)
	}
	if overall && readsAll(&key) {
		return key, nil
	}
	if !key.Admin || key.Token != "" {
		return key, forbidden(scopeAdmin)
	}
	return key, nil
}

// key looks a key or token up.
func (a *API) key(ctx context.Context, c credential) (event.APIKey, error) {
	if c.session {
		return a.sessionKey(ctx, c)
	}
	if c.text == "" {
		return event.APIKey{}, event.Errorf(event.KindUnauthorized, "unauthorized", "send an API key or a token as: Authorization: Bearer <key>")
	}
	key, err := a.Auth.Authenticate(ctx, c.text)
	if err == nil && c.open && key.Token == "" {
		return event.APIKey{}, event.Errorf(event.KindUnauthorized, "unauthorized",
			"the query parameter "+tokenQuery+" and the cookie "+tokenCookie+" take tokens only; send an API key as: Authorization: Bearer <key>")
	}
	return key, err
}

// authorize returns the caller's key and the tenant when the key may use a route there. A key of another tenant gets
// the same answer whether the tenant exists or not.
func (a *API) authorize(ctx context.Context, c credential, tenant string, o *operation) (event.APIKey, *event.Tenant, error) {
	key, err := a.key(ctx, c)
	if err != nil {
		return key, nil, err
	}
	t, err := a.Control.Tenant(ctx, tenant)
	if !key.Admin {
		switch {
		case event.KindOf(err) == event.KindNotFound, err == nil && !isOf(&key, t.ID):
			return key, nil, otherTenant(&key)
		case err == nil:
			key = key.In(t.ID)
		}
		if !allows(&key, o.scope) {
			return key, nil, forbidden(o.scope)
		}
	}
	if p := o.takes(&key); p != nil {
		return key, nil, p
	}
	return key, t, err
}

// allows reports whether a key has a permission in its tenant; manage includes read. What the token of a portal has counts on
// the routes of portals only; see [operation.takes].
func allows(k *event.APIKey, s scope) bool {
	if k.Admin {
		return true
	}
	for _, p := range k.Allow {
		switch {
		case scope(p) == s, s == scopeRead && (p == event.AllowManage || p == event.AllowPortalRead),
			p == event.AllowPortal && (s == scopeRead || s == scopeManage):
			return true
		}
	}
	return false
}

// isOf reports whether a caller who is no admin has anything to do with a tenant.
func isOf(key *event.APIKey, tenant event.TenantID) bool {
	if key.User != "" {
		return hasGrant(key, tenant)
	}
	return key.Tenant == tenant
}

func forbidden(s scope) *problem {
	detail := "this key may not " + string(s) + " here"
	if s == scopeAdmin {
		detail = "this needs an admin key"
	}
	return newProblem(http.StatusForbidden, "forbidden", detail)
}

// MayPublish returns the rule that says which events a key or token may publish: API keys, and tokens that name neither
// types nor subjects, any. Its error is KindForbidden and names the field, as "events[2].type" of an array. Whether the
// key may publish at all is not looked at. Patterns are as in [Config].
func MayPublish(patterns func([]string) (func(string) bool, error)) func(k *event.APIKey, events []event.Event, array bool) error {
	return func(k *event.APIKey, events []event.Event, array bool) error {
		if k.Only == nil {
			return nil
		}
		if k.Only.Filter != "" {
			// A filter may look at what an event gets only when it is stored.
			return event.Errorf(event.KindForbidden, "forbidden", "this token is narrowed by a filter: it may read, not publish")
		}
		fits := func(string) bool { return true }
		if len(k.Only.Types) > 0 {
			var err error
			if fits, err = patterns(k.Only.Types); err != nil {
				return err
			}
		}
		for i := range events {
			switch {
			case !fits(events[i].Type):
				return mayNotPublish("type", i, array)
			case !k.Only.MatchSubject(events[i].Subject):
				return mayNotPublish("subject", i, array)
			}
		}
		return nil
	}
}

func mayNotPublish(field string, i int, array bool) error {
	message := "this token may not publish events of this " + field
	if array {
		field = "events[" + strconv.Itoa(i) + "]." + field
	}
	return &event.Error{
		Kind: event.KindForbidden, Code: "forbidden", Detail: "this token may publish events of some types or subjects only",
		Fields: []event.FieldError{{Field: field, Message: message}},
	}
}
