package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/alexedwards/scs/v2"

	"github.com/posthornhq/posthorn/internal/event"
)

const (
	// cookieName and hostPrefix make the cookie's name. With the prefix browsers take it over TLS only, and from this host
	// only (RFC 6265bis, 4.1.3.2).
	cookieName = "posthorn_session"
	hostPrefix = "__Host-"
	// secretLength is that of every secret scs makes: 32 bytes in base 64.
	secretLength = 43
	// maxSessions is how many sessions one owner may have; the oldest ends for one more.
	maxSessions = 100
	// renewEvery is the longest time between two savings of when a session was used last.
	renewEvery = time.Minute
	// maxText bounds what is kept of a browser's name and of a person's, in bytes.
	maxText = 256
)

// Options are what a [Service] is made of. All but Address, OIDC, Ended, Record and RecordEnd must be given.
type Options struct {
	Store   Store
	Keys    Keys
	Tenants Tenants
	Sealer  Sealer
	Logger  *slog.Logger
	// PublicURL is the server's address as browsers see it, without a path. With https cookies are sent over TLS only.
	PublicURL string
	// Lifetime is how long a session lasts at most, Idle how long without being used.
	Lifetime, Idle time.Duration
	// Address returns the address of a request's client, invalid when it is not known; nil: that of the connection.
	Address func(*http.Request) netip.Addr
	// OIDC is a provider of identities; nil: there is none.
	OIDC *OIDC
	// Ended is told the id of every session that somebody ends, so that what it holds open is closed.
	Ended func(id string)
	// Record records every attempt to sign in once it is decided, but for those that come too often. It calls begin, which
	// begins the session, and returns its error; when nobody is signed in there is no begin.
	Record func(r *http.Request, a Attempt, begin func() error) error
	// RecordEnd records every session that the provider ends. It calls end, which ends it, and returns its error.
	RecordEnd func(r *http.Request, a Attempt, end func() error) error
}

// Attempt is an attempt to sign in.
type Attempt struct {
	// Who is the API key or the person; empty when that is not known.
	Who event.APIKey
	// Session is the id of the session that is about to begin.
	Session string
	// Code is why nobody is signed in: that of a problem or of the page of signing in. Empty: somebody is.
	Code string
	// RequestID is the request's.
	RequestID string
}

// Service signs in and knows who is signed in. Make one with [New]; it is safe for concurrent use.
type Service struct {
	options  Options
	scs      *scs.SessionManager
	cookie   string
	secure   bool
	limiter  *limiter
	provider *provider // nil: none
	renew    time.Duration
	// What the provider says of who has logged out.
	heard      heard
	loggingOut chan struct{}
}

// New makes a service. It does not look for the provider yet. An error says what of OIDC is wrong.
func New(o Options) (*Service, error) {
	s := &Service{
		options: o, cookie: cookieName, limiter: newLimiter(time.Now), renew: min(renewEvery, o.Idle/10), loggingOut: make(chan struct{}, logOutsAtOnce),
	}
	if s.secure = strings.HasPrefix(o.PublicURL, "https://"); s.secure {
		s.cookie = hostPrefix + cookieName
	}
	if o.Address == nil {
		s.options.Address = remote
	}
	if o.Ended == nil {
		s.options.Ended = func(string) {}
	}
	if o.Record == nil {
		s.options.Record = func(_ *http.Request, _ Attempt, begin func() error) error {
			if begin == nil {
				return nil
			}
			return begin()
		}
	}
	if o.RecordEnd == nil {
		s.options.RecordEnd = func(_ *http.Request, _ Attempt, end func() error) error { return end() }
	}
	if o.OIDC != nil {
		var err error
		if s.provider, err = newProvider(o.OIDC, o.PublicURL, o.Logger); err != nil {
			return nil, err
		}
	}
	// Not by scs.New, whose store in memory has a goroutine that cannot be relied on to end.
	s.scs = &scs.SessionManager{Store: shelf{o.Store}, Codec: codec{}, HashTokenInStore: true, Lifetime: o.Lifetime, IdleTimeout: o.Idle}
	return s, nil
}

func remote(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

// Cookie is the name of the cookie.
func (s *Service) Cookie() string { return s.cookie }

// Provider is the name of the provider of identities as people are shown it, "" without one.
func (s *Service) Provider() string {
	if s.provider == nil {
		return ""
	}
	return s.provider.Name
}

// errEnded is the answer to a cookie whose session is not there, whyever.
func errEnded() error {
	return event.Errorf(event.KindUnauthorized, "session_ended", "the session has ended; sign in again")
}

// Authenticate returns who a cookie's secret stands for: the record of the API key or of the person, with the session's id, and
// with the session's end if that is before the key's. It counts as use. Error: KindUnauthorized.
func (s *Service) Authenticate(ctx context.Context, secret string) (event.APIKey, error) {
	held, r, err := s.load(ctx, secret)
	if err != nil {
		return event.APIKey{}, err
	}
	key, err := s.who(ctx, r)
	if event.KindOf(err) == event.KindUnauthorized {
		// The key was revoked, or the roles were taken away: the session is of no more use.
		if err := s.scs.Destroy(held); err != nil {
			s.options.Logger.DebugContext(ctx, "a session that is of no more use stays until it expires", slog.Any("error", err))
		}
		return event.APIKey{}, errEnded()
	}
	if err != nil {
		return event.APIKey{}, err
	}
	if ends := s.ends(held); key.Expires.IsZero() || ends.Before(key.Expires) {
		key.Expires = ends
	}
	key.Session = r.ID
	if now := time.Now(); now.Sub(r.Seen) >= s.renew {
		r.Seen = now.UTC().Truncate(time.Microsecond)
		s.scs.Put(held, recordKey, r)
		if _, _, err := s.scs.Commit(held); event.KindOf(err) == event.KindNotFound {
			return event.APIKey{}, errEnded() // somebody ended it just now
		} else if err != nil {
			s.options.Logger.WarnContext(ctx, "the use of a session cannot be saved", slog.Any("error", err))
		}
	}
	return key, nil
}

// load returns a context for scs with the session of a secret, and what is kept in it.
func (s *Service) load(ctx context.Context, secret string) (context.Context, record, error) {
	if len(secret) != secretLength {
		return nil, record{}, errEnded()
	}
	held, err := s.scs.Load(ctx, secret)
	if err != nil {
		return nil, record{}, err
	}
	r, ok := s.scs.Get(held, recordKey).(record)
	if !ok {
		return nil, record{}, errEnded() // scs begins a new session when there is none
	}
	return held, r, nil
}

// who returns the record of the API key or the person that a session is of. KindUnauthorized: they may nothing any more.
func (s *Service) who(ctx context.Context, r record) (event.APIKey, error) {
	if r.User == "" {
		key, err := s.options.Keys.AuthenticateHash(ctx, r.KeyHash)
		if err == nil && key.ID != r.KeyID {
			return event.APIKey{}, errEnded()
		}
		key.Identify()
		return key, err
	}
	if s.provider == nil || r.Issuer != s.provider.Issuer {
		return event.APIKey{}, errEnded()
	}
	return s.person(ctx, r)
}

// person returns the record of somebody who signed in through the provider.
func (s *Service) person(ctx context.Context, r record) (event.APIKey, error) {
	key := event.APIKey{Kind: event.ByUser, User: r.User, Name: r.Name, Created: r.Created}
	var has bool
	var err error
	if key.Admin, key.Grants, has, err = s.grants(ctx, r.Groups); err == nil && !has {
		err = errEnded()
	}
	return key, err
}

// Holds reports whether the session of a request that was accepted, such as a live connection's, is still good. A store that
// fails ends nothing. A connection that is open counts as use, so it is to be asked about more often than Idle.
func (s *Service) Holds(ctx context.Context, key *event.APIKey) bool {
	v, err := s.options.Store.SessionByID(ctx, key.Session)
	if err != nil {
		return event.KindOf(err) != event.KindNotFound
	}
	ends, r, err := decode(v.Body)
	now := time.Now()
	if err != nil || !now.Before(v.Expires) || !now.Before(ends) {
		return false
	}
	if _, err = s.who(ctx, r); event.KindOf(err) == event.KindUnauthorized {
		return false
	}
	if now.Sub(r.Seen) < s.renew {
		return true
	}
	return s.seen(ctx, &v, ends, r, now)
}

// seen saves that a session is in use. It reports whether the session is still there.
func (s *Service) seen(ctx context.Context, v *event.Session, ends time.Time, r record, now time.Time) bool {
	r.Seen = now.UTC().Truncate(time.Microsecond)
	expires := now.Add(s.options.Idle)
	if ends.Before(expires) {
		expires = ends
	}
	body, err := codec{}.Encode(ends, map[string]any{recordKey: r})
	if err == nil {
		err = s.options.Store.RenewSession(ctx, v.Token, expires, body)
	}
	if event.KindOf(err) == event.KindNotFound {
		return false
	}
	if err != nil && ctx.Err() == nil {
		s.options.Logger.WarnContext(ctx, "the use of a session cannot be saved", slog.Any("error", err))
	}
	return true
}

// SignIn begins a session for who has an API key, in place of the one whose secret is old, if any, and returns who that is and
// the cookie. id is the request's. Errors: KindUnauthorized for a key that is not valid, KindRateLimited after too many of those.
func (s *Service) SignIn(r *http.Request, id, bearer, old string) (event.APIKey, *http.Cookie, error) {
	from := s.options.Address(r)
	if err := s.limiter.take(from); err != nil {
		return event.APIKey{}, nil, err
	}
	key, err := s.options.Keys.Authenticate(r.Context(), bearer)
	if event.KindOf(err) != event.KindUnauthorized {
		s.limiter.giveBack(from)
	}
	if err != nil {
		if e, ok := errors.AsType[*event.Error](err); ok && e.Kind == event.KindUnauthorized {
			s.refused(r, Attempt{Code: e.Code, RequestID: id})
		}
		return event.APIKey{}, nil, err
	}
	rec := s.record(r)
	// The hash of what was given: while a key is being rotated, a session ends with the one it was begun with.
	rec.KeyID, rec.KeyHash, rec.Name = key.ID, sha256.Sum256([]byte(bearer)), key.Name
	key.Identify()
	var cookie *http.Cookie
	var ends time.Time
	err = s.options.Record(r, Attempt{Who: key, Session: rec.ID, RequestID: id}, func() (err error) {
		cookie, ends, err = s.begin(r.Context(), &rec, old)
		return err
	})
	if err != nil {
		return event.APIKey{}, nil, err
	}
	key.Session = rec.ID
	if key.Expires.IsZero() || ends.Before(key.Expires) {
		key.Expires = ends
	}
	return key, cookie, nil
}

// refused records that nobody was signed in.
func (s *Service) refused(r *http.Request, a Attempt) {
	if err := s.options.Record(r, a, nil); err != nil {
		s.options.Logger.WarnContext(r.Context(), "that nobody was signed in cannot be recorded", slog.Any("error", err))
	}
}

// record begins the record of a request's browser.
func (s *Service) record(r *http.Request) record {
	now := time.Now().UTC().Truncate(time.Microsecond)
	rec := record{ID: newID(), Created: now, Seen: now, UserAgent: clean(r.UserAgent())}
	if a := s.options.Address(r); a.IsValid() {
		rec.Address = a.String()
	}
	return rec
}

// clean makes a text of others fit to be shown: valid, on one line, in the order in which it is written, and not long.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError || turns(r) {
			return -1
		}
		return r
	}, s)
	for len(s) > maxText {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// turns reports characters that change the direction in which what follows is shown, also on the rest of a line (UAX 9, 2).
func turns(r rune) bool {
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' || r == '\u200e' || r == '\u200f' || r == '\u061c'
}

// begin saves a new session with a new secret and ends the one of old.
func (s *Service) begin(ctx context.Context, rec *record, old string) (*http.Cookie, time.Time, error) {
	if len(old) != secretLength {
		old = ""
	}
	held, err := s.scs.Load(ctx, old)
	if err != nil {
		return nil, time.Time{}, err
	}
	if was, ok := s.scs.Get(held, recordKey).(record); ok {
		defer s.options.Ended(was.ID)
	}
	if err := s.scs.RenewToken(held); err != nil {
		return nil, time.Time{}, err
	}
	s.scs.Put(held, recordKey, *rec)
	secret, _, err := s.scs.Commit(asNew(held))
	if err != nil {
		return nil, time.Time{}, err
	}
	ends := s.ends(held)
	c := s.newCookie(secret)
	c.Expires, c.MaxAge = ends, int(s.options.Lifetime/time.Second)
	return c, ends, nil
}

// ends is when a session ends at the latest, in whole seconds.
func (s *Service) ends(held context.Context) time.Time {
	return s.scs.Deadline(held).Truncate(time.Second)
}

func (s *Service) newCookie(value string) *http.Cookie {
	return &http.Cookie{Name: s.cookie, Value: value, Path: "/", HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode}
}

// Forget is a cookie that makes the browser forget the session's.
func (s *Service) Forget() *http.Cookie {
	c := s.newCookie("")
	c.MaxAge, c.Expires = -1, time.Unix(1, 0)
	return c
}

// View is a session as it is shown.
type View struct {
	ID                     string
	Kind, Who, Name        string // whose it is: as of [event.APIKey]
	Current                bool   // the one that asks
	Created, Seen, Expires time.Time
	Address, UserAgent     string
}

// List returns the sessions of a caller, the newest first. Error: KindForbidden for tokens.
func (s *Service) List(ctx context.Context, by *event.APIKey) ([]View, error) {
	list, err := s.of(ctx, by)
	if err != nil {
		return nil, err
	}
	return views(list, by)
}

// views shows sessions, without those that have expired.
func views(list []event.Session, by *event.APIKey) ([]View, error) {
	out, now := make([]View, 0, len(list)), time.Now()
	for i := range list {
		ends, r, err := decode(list[i].Body)
		if err != nil {
			return nil, err
		}
		if !now.Before(list[i].Expires) {
			continue
		}
		who := event.APIKey{ID: r.KeyID, User: r.User, Name: r.Name}
		who.Identify()
		out = append(out, View{
			ID: r.ID, Kind: who.Kind, Who: who.Who(), Name: who.Name, Current: r.ID == by.Session, Created: r.Created, Seen: r.Seen,
			Expires: ends.Truncate(time.Second), Address: r.Address, UserAgent: r.UserAgent,
		})
	}
	return out, nil
}

// All lists everybody's sessions by id, after the given one. It looks at limit of them: next is the after to go on with, ""
// at the end. Error: KindForbidden for who is no admin.
func (s *Service) All(ctx context.Context, by *event.APIKey, after string, limit int) (list []View, next string, err error) {
	if !by.Admin || by.Token != "" {
		return nil, "", event.Errorf(event.KindForbidden, "forbidden", "this needs an admin key")
	}
	found, err := s.options.Store.Sessions(ctx, after, limit)
	if err != nil {
		return nil, "", err
	}
	if len(found) == limit {
		next = found[limit-1].ID
	}
	list, err = views(found, by)
	return list, next, err
}

func (s *Service) of(ctx context.Context, by *event.APIKey) ([]event.Session, error) {
	owner, err := s.owner(by)
	if err != nil {
		return nil, err
	}
	return s.options.Store.SessionsOf(ctx, owner)
}

// owner is whose sessions a caller's are.
func (s *Service) owner(by *event.APIKey) (string, error) {
	switch {
	case by.Token != "":
		return "", event.Errorf(event.KindForbidden, "forbidden", "a token has no sessions; this needs an API key or a session")
	case by.User != "" && s.provider != nil:
		return userOwner(s.provider.Issuer, by.User), nil
	default:
		return keyOwner(by.ID), nil
	}
}

func keyOwner(id int64) string             { return "key:" + strconv.FormatInt(id, 36) }
func userOwner(issuer, user string) string { return "user:" + issuer + " " + user }

// End ends one of a caller's sessions; of an admin, anybody's. Errors: KindNotFound, KindForbidden for tokens.
func (s *Service) End(ctx context.Context, by *event.APIKey, id string) error {
	owner, err := s.owner(by)
	if err != nil {
		return err
	}
	v, err := s.options.Store.SessionByID(ctx, id)
	if err != nil {
		return err
	}
	if v.Owner != owner && !by.Admin {
		return event.NotFound("session")
	}
	defer s.options.Ended(id)
	return s.options.Store.DeleteSession(ctx, v.Token)
}

// EndAll ends all of a caller's sessions. Error: KindForbidden for tokens.
func (s *Service) EndAll(ctx context.Context, by *event.APIKey) error {
	list, err := s.of(ctx, by)
	if err != nil {
		return err
	}
	owner, _ := s.owner(by) // as before
	err = s.options.Store.DeleteSessionsOf(ctx, owner)
	for i := range list {
		s.options.Ended(list[i].ID)
	}
	return err
}

// Trim deletes a small batch of sessions that have expired, and returns how many.
func (s *Service) Trim(ctx context.Context, limit int) (int, error) {
	// A clock that is set back must not bring one back.
	return s.options.Store.TrimSessions(ctx, time.Now().Add(-time.Hour), limit)
}

// grants goes through the roles of groups: whether they make an admin, what they give in which tenants, and whether they
// give anything at all. What they give in tenants that are not there counts as something.
func (s *Service) grants(ctx context.Context, groups []string) (admin bool, list []event.Grant, has bool, err error) {
	for _, role := range s.provider.rolesOf(groups) {
		has = true
		g := event.Grant{Allow: role.Allow}
		switch {
		case role.Admin:
			admin = true
			continue
		case role.Tenant != EveryTenant:
			t, err := s.options.Tenants.Tenant(ctx, role.Tenant)
			if event.KindOf(err) == event.KindNotFound {
				continue
			}
			if err != nil {
				return false, nil, false, err
			}
			g.Tenant = t.ID
		}
		list = merge(list, g)
	}
	return admin, list, has, nil
}

// merge adds a grant to those of the same tenant.
func merge(list []event.Grant, g event.Grant) []event.Grant {
	for i := range list {
		if list[i].Tenant != g.Tenant {
			continue
		}
		both := slices.Clone(list[i].Allow) // roles are shared
		for _, p := range g.Allow {
			if !slices.Contains(both, p) {
				both = append(both, p)
			}
		}
		list[i].Allow = both
		return list
	}
	return append(list, g)
}

var errDamaged = errors.New("session: a session in the store cannot be read")
