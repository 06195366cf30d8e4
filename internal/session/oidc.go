package session

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	// fetchTimeout bounds each request to the provider, maxFetched its answer, in bytes.
	fetchTimeout = 10 * time.Second
	maxFetched   = 1 << 20
	// rediscover is the age at which what the provider says of itself is read again, retryPause the least time between two
	// readings.
	rediscover = time.Hour
	retryPause = time.Second
	// maxSubject bounds a provider's name for a person (OpenID Connect Core, 2), in bytes.
	maxSubject = 255
	// groupsScope is a scope that some providers want to be asked for.
	groupsScope = "groups"
)

// OIDC is a provider of identities by OpenID Connect.
type OIDC struct {
	// Issuer is the provider's identifier, a URL. What it says of itself is read from there when somebody first signs in.
	Issuer string
	// ClientID and ClientSecret are what the server is registered as; no secret: a public client.
	ClientID, ClientSecret string
	// Scopes are asked for; openid is added, and groups left out where the provider lists its scopes without it.
	Scopes []string
	// GroupsClaim is the claim with a person's groups, with dots through objects.
	GroupsClaim string
	// Name is the provider's as people are shown it.
	Name string
	// LogOut says that who logs out here is led on to the provider's page of logging out.
	LogOut bool
	// Roles say what groups may do.
	Roles []Role
}

// provider is the provider, as far as it is known.
type provider struct {
	*OIDC
	redirect string
	client   *http.Client
	log      *slog.Logger

	mu     sync.Mutex // held while the provider is asked about itself
	known  *known
	at     time.Time // when known was read
	tried  time.Time // when it was tried last
	failed error     // of the last try
}

// known is what the provider has said of itself.
type known struct {
	provider *oidc.Provider
	verifier *oidc.IDTokenVerifier
	oauth    oauth2.Config
	// names says that the provider names itself in what it sends back (RFC 9207).
	names bool
	// leave is the provider's page of logging out, "" when it has none.
	leave string
}

func newProvider(o *OIDC, publicURL string, log *slog.Logger) (*provider, error) {
	u, err := url.Parse(o.Issuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("session: the issuer is not an http or https URL")
	}
	if o.ClientID == "" {
		return nil, errors.New("session: the client's id is missing")
	}
	own := *o
	if !slices.Contains(own.Scopes, oidc.ScopeOpenID) {
		own.Scopes = append([]string{oidc.ScopeOpenID}, own.Scopes...)
	}
	return &provider{OIDC: &own, redirect: publicURL + CallbackPath, client: newClient(), log: log}, nil
}

// newClient makes the HTTP client for the provider: bounded in time and size, and led nowhere else.
func newClient() *http.Client {
	return &http.Client{
		Timeout: fetchTimeout,
		Transport: bounded{&http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: fetchTimeout}).DialContext,
			TLSHandshakeTimeout: fetchTimeout, MaxResponseHeaderBytes: 64 << 10, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bounded refuses answers that are too large.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxFetched)
	}
	return resp, err
}

// get returns what is known of the provider, and asks for it first where needed. One request at a time asks, for all who
// wait; when asking fails, what was known before is good enough.
func (p *provider) get(ctx context.Context) (*known, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.known != nil && now.Sub(p.at) < rediscover {
		return p.known, nil
	}
	if now.Sub(p.tried) < retryPause {
		return p.known, p.unless(p.known)
	}
	// Not by the request's context: others wait for the same answer.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	k, err := p.discover(ctx)
	if p.tried = time.Now(); err != nil {
		p.failed = err
		return p.known, p.unless(p.known)
	}
	p.known, p.at, p.failed = k, p.tried, nil
	return k, nil
}

// unless is why nothing is known of the provider, nil when something is.
func (p *provider) unless(k *known) error {
	if k != nil {
		return nil
	}
	return p.failed
}

// discover asks the provider about itself (OpenID Connect Discovery, 4).
func (p *provider) discover(ctx context.Context) (*known, error) {
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.Issuer)
	if err != nil {
		return nil, fmt.Errorf("session: the provider cannot be asked about itself: %w", err)
	}
	var more struct {
		Keys    string   `json:"jwks_uri"`
		Scopes  []string `json:"scopes_supported"`
		Methods []string `json:"token_endpoint_auth_methods_supported"`
		Names   bool     `json:"authorization_response_iss_parameter_supported"`
		Leave   string   `json:"end_session_endpoint"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, errors.New("session: what the provider says of itself cannot be read")
	}
	endpoint := found.Endpoint()
	for i, at := range []string{endpoint.AuthURL, endpoint.TokenURL, more.Keys, found.UserInfoEndpoint()} {
		if err := p.checkURL(at, i > 2); err != nil {
			return nil, err
		}
	}
	if p.checkURL(more.Leave, true) != nil { // nobody is kept from signing in by where they would log out
		more.Leave = ""
	}
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if p.ClientSecret == "" || len(more.Methods) > 0 && !slices.Contains(more.Methods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &known{
		provider: found, verifier: found.Verifier(&oidc.Config{ClientID: p.ClientID}), names: more.Names, leave: more.Leave,
		oauth: oauth2.Config{ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: endpoint, RedirectURL: p.redirect, Scopes: p.asked(more.Scopes)},
	}, nil
}

// asked are the scopes to ask for: without that for groups where the provider does not list it, since many then refuse the
// whole request.
func (p *provider) asked(listed []string) []string {
	if len(listed) == 0 || slices.Contains(listed, groupsScope) {
		return p.Scopes
	}
	return slices.DeleteFunc(slices.Clone(p.Scopes), func(s string) bool { return s == groupsScope })
}

// checkURL refuses an address of the provider that is none, or that is not kept secret on the way where the issuer's is.
func (p *provider) checkURL(at string, optional bool) error {
	if at == "" && optional {
		return nil
	}
	u, err := url.Parse(at)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || strings.HasPrefix(p.Issuer, "https://")) {
		return errors.New("session: the provider says of itself an address that cannot be used")
	}
	return nil
}

// identity is who has signed in at the provider.
type identity struct {
	subject, name string
	session       string // of theirs at the provider; "" when it does not say
	groups        []string
}

// errProvider is a fault of what the provider sent.
func errProvider(what string) error { return errors.New("session: the provider's answer " + what) }

// errProviderBy is a fault of what the provider sent, with its cause.
func errProviderBy(what string, err error) error {
	return fmt.Errorf("session: the provider's answer %s: %w", what, err)
}

// exchange trades the code that the browser brought for who it is (OpenID Connect Core, 3.1.3).
func (p *provider) exchange(ctx context.Context, k *known, code string, w *waiting) (identity, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.client), 2*fetchTimeout)
	defer cancel()
	token, err := k.oauth.Exchange(ctx, code, oauth2.VerifierOption(w.Verifier))
	if err != nil {
		return identity{}, refusedBy(err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return identity{}, errProvider("has no ID token")
	}
	id, err := k.verifier.Verify(ctx, raw)
	if err != nil {
		return identity{}, fmt.Errorf("session: the ID token is not valid: %w", err)
	}
	got := claims{}
	if err := id.Claims(&got); err != nil {
		return identity{}, errProvider("has an ID token that cannot be read")
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(w.Nonce)) != 1:
		return identity{}, errProvider("has an ID token for another attempt")
	case len(id.Audience) > 1 && got.text("azp") != p.ClientID:
		return identity{}, errProvider("has an ID token for another client")
	case id.AccessTokenHash != "" && id.VerifyAccessToken(token.AccessToken) != nil:
		return identity{}, errProvider("has an access token that is not of its ID token")
	case !validSubject(id.Subject) || len(got.text("sid")) > maxSubject:
		return identity{}, errProvider("names nobody")
	}
	return p.identify(ctx, k, id, got, token)
}

// identify reads who it is from the ID token and, as far as that does not say, from userinfo.
func (p *provider) identify(ctx context.Context, k *known, id *oidc.IDToken, got claims, token *oauth2.Token) (identity, error) {
	out := identity{subject: id.Subject, name: nameOf(got), session: got.text("sid")}
	var found bool
	out.groups, found = got.groups(p.GroupsClaim)
	if k.provider.UserInfoEndpoint() == "" || found && out.name != "" {
		out.name = cmp.Or(out.name, id.Subject)
		return out, nil
	}
	more, err := userinfo(ctx, k, id.Subject, token)
	if err != nil && !found {
		return identity{}, err
	}
	if !found {
		out.groups, _ = more.groups(p.GroupsClaim)
	}
	out.name = cmp.Or(out.name, nameOf(more), id.Subject)
	return out, nil
}

// userinfo asks the provider about a person (OpenID Connect Core, 5.3).
func userinfo(ctx context.Context, k *known, subject string, token *oauth2.Token) (claims, error) {
	info, err := k.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, fmt.Errorf("session: userinfo cannot be read: %w", err)
	}
	if info.Subject != subject {
		return nil, errProvider("has a userinfo of somebody else")
	}
	out := claims{}
	if err := info.Claims(&out); err != nil {
		return nil, errProvider("has a userinfo that cannot be read")
	}
	return out, nil
}

// nameOf is a person's name as they are shown to others.
func nameOf(c claims) string {
	return cmp.Or(clean(c.text("name")), clean(c.text("preferred_username")), clean(c.text("email")))
}

func validSubject(s string) bool {
	return s != "" && len(s) <= maxSubject && clean(s) == s
}

// refusedBy is why a code was not traded, without what the provider wrote: its answer may hold tokens.
func refusedBy(err error) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return fmt.Errorf("session: the provider does not take the code: status %d, %s", e.Response.StatusCode, safeCode(e.ErrorCode))
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("session: the provider cannot be reached: %w", e.Err)
	}
	return errProvider("to the code cannot be read")
}
