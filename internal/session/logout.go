package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/posthornhq/posthorn/internal/event"
)

// LogOutPath is where the provider tells that somebody has logged out there: its back-channel log-out URI.
const LogOutPath = BeginPath + "/logout"

// LeavePath is where the browser of a person goes who has logged out here: on to the provider's page of logging out, where the
// options say so, or else to the page of signing in.
const LeavePath = BeginPath + "/leave"

const (
	// maxLogOut bounds what the provider may send, in bytes.
	maxLogOut = 64 << 10
	// logOutAge is how old a provider's word may be, clockSkew how far its clock may be ahead.
	logOutAge = time.Hour
	clockSkew = 5 * time.Minute
	// logOutsAtOnce bounds the tokens that are looked at at once; the others wait.
	logOutsAtOnce = 4
	// maxHeard bounds the tokens that are remembered, so that none counts twice: all of an hour, but for a provider that ends
	// very many.
	maxHeard = 10_000
	// scanned is how many sessions are read at once where the provider does not say whose session it is.
	scanned = 500
	// backChannelEvent is the member of a logout token's events (OpenID Connect Back-Channel Logout, 2.4).
	backChannelEvent = "http://schemas.openid.net/event/backchannel-logout"
)

// heard remembers the ids of tokens that did what they were for.
type heard struct {
	mu  sync.Mutex
	ids map[string]time.Time // until when
}

// has reports whether an id is remembered.
func (h *heard) has(id string, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return now.Before(h.ids[id])
}

// add remembers an id. Without room the one that is forgotten soonest anyway gives way.
func (h *heard) add(id string, now, until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ids == nil {
		h.ids = map[string]time.Time{}
	}
	if len(h.ids) >= maxHeard {
		first := ""
		for other, at := range h.ids {
			if !now.Before(at) {
				delete(h.ids, other)
			} else if first == "" || at.Before(h.ids[first]) {
				first = other
			}
		}
		if len(h.ids) >= maxHeard {
			delete(h.ids, first)
		}
	}
	h.ids[id] = until
}

// Leave sends the browser on after its session was ended (OpenID Connect RP-Initiated Logout 1.0, 2). It ends nothing by itself,
// and tells the provider no more than which client asks: so the provider asks whether that is what its user wants.
func (s *Service) Leave(w http.ResponseWriter, r *http.Request) {
	private(w)
	http.Redirect(w, r, s.provider.leaveTo(r.Context(), s.options.PublicURL+LoginPath), http.StatusFound)
}

// leaveTo is the provider's page of logging out that comes back to an address; the page of signing in where that is not to be, or
// cannot be.
func (p *provider) leaveTo(ctx context.Context, back string) string {
	if !p.LogOut {
		return LoginPath
	}
	k, err := p.get(ctx)
	if err != nil || k.leave == "" {
		return LoginPath
	}
	u, err := url.Parse(k.leave)
	if err != nil {
		return LoginPath
	}
	query := u.Query()
	query.Set("client_id", p.ClientID)
	query.Set("post_logout_redirect_uri", back)
	u.RawQuery = query.Encode()
	return u.String()
}

// LogOut takes the provider's word that somebody has logged out there, and ends their sessions here: OpenID Connect Back-Channel
// Logout 1.0. The answer is 200, also when there is no session, 429 for who has sent too many tokens that are not good, and 400
// for those and whenever ending fails.
func (s *Service) LogOut(w http.ResponseWriter, r *http.Request) {
	private(w)
	raw, err := logoutToken(w, r)
	if err != nil {
		refuseLogOut(w, http.StatusBadRequest, err)
		return
	}
	select {
	case s.loggingOut <- struct{}{}:
		defer func() { <-s.loggingOut }()
	case <-r.Context().Done(): // the provider is gone, or the server stops: not to be taken for done
		refuseLogOut(w, http.StatusBadRequest, errors.New("there was no time to look at the logout token"))
		return
	}
	// A token that is good costs nothing: a provider sends one for each of many people at once.
	from := s.options.Address(r)
	if err := s.limiter.take(from); err != nil {
		if e, ok := errors.AsType[*event.Error](err); ok {
			w.Header().Set("Retry-After", strconv.Itoa(int(e.RetryAfter/time.Second)+1))
		}
		refuseLogOut(w, http.StatusTooManyRequests, err)
		return
	}
	token, err := s.provider.loggedOut(r.Context(), raw, time.Now())
	if err == nil {
		s.limiter.giveBack(from)
		if s.heard.has(token.TokenID, time.Now()) {
			err = errors.New("session: the logout token was sent before")
		}
	}
	if err == nil {
		err = s.endThere(r, w.Header().Get("X-Request-Id"), token)
	}
	if err != nil {
		s.options.Logger.WarnContext(r.Context(), "the provider's log-out is not done", slog.String("error", short(err)))
		refuseLogOut(w, http.StatusBadRequest, errors.New("the logout token is not valid, or cannot be acted on now; the server's log says more"))
		return
	}
	now := time.Now()
	s.heard.add(token.TokenID, now, now.Add(logOutAge+clockSkew))
	w.WriteHeader(http.StatusOK)
}

// logoutToken reads the token of a request. What it says is safe to be shown.
func logoutToken(w http.ResponseWriter, r *http.Request) (string, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/x-www-form-urlencoded" {
		return "", errors.New("the body must be application/x-www-form-urlencoded")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxLogOut)
	if r.ParseForm() != nil {
		return "", errors.New("the body cannot be read")
	}
	list := r.PostForm["logout_token"]
	if len(list) != 1 || list[0] == "" {
		return "", errors.New("logout_token must be given once")
	}
	return list[0], nil
}

// refuseLogOut answers as OpenID Connect Back-Channel Logout, 2.8, and RFC 6749, 5.2, say.
func refuseLogOut(w http.ResponseWriter, status int, why error) {
	body, err := json.Marshal(map[string]string{"error": "invalid_request", "error_description": why.Error()})
	if err != nil { // texts only
		body = nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the provider may be gone; nobody is left to tell
}

// loggedOut checks a logout token (OpenID Connect Back-Channel Logout, 2.6): its signature, iss, aud, exp, events, that it has a
// sub or sid, a jti and no nonce by go-oidc, the rest here.
func (p *provider) loggedOut(ctx context.Context, raw string, now time.Time) (*oidc.LogoutToken, error) {
	k, err := p.get(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.client), fetchTimeout)
	defer cancel()
	token, err := k.verifier.VerifyLogout(ctx, raw)
	if err != nil {
		return nil, errProviderBy("has a logout token that is not valid", err)
	}
	var more struct {
		Events map[string]json.RawMessage `json:"events"`
	}
	switch {
	case token.Claims(&more) != nil || !bytes.HasPrefix(more.Events[backChannelEvent], []byte("{")):
		return nil, errProvider("has a logout token without the event of a log-out")
	case token.IssuedAt.Unix() <= 0 || token.IssuedAt.After(now.Add(clockSkew)) || token.IssuedAt.Before(now.Add(-logOutAge)):
		return nil, errProvider("has a logout token of another time")
	case len(token.TokenID) > maxSubject || len(token.SessionID) > maxSubject || token.Subject != "" && !validSubject(token.Subject):
		return nil, errProvider("has a logout token of names that are too long")
	}
	return token, nil
}

// endThere ends the sessions that a logout token is about: those of its session at the provider, or all of a person. A session
// whose name at the provider is not known, because it did not say, is ended with the others of its person.
func (s *Service) endThere(r *http.Request, requestID string, token *oidc.LogoutToken) error {
	ctx := r.Context()
	list, err := s.ofPerson(ctx, token)
	if err != nil {
		return err
	}
	for i := range list {
		_, rec, err := decode(list[i].Body)
		if err != nil {
			continue // nobody can use one that cannot be read, so the others are what counts
		}
		known := rec.There != "" || token.Subject == ""
		if rec.User == "" || rec.Issuer != s.provider.Issuer || token.SessionID != "" && known && rec.There != token.SessionID {
			continue
		}
		who := event.APIKey{Kind: event.ByUser, User: rec.User, Name: rec.Name}
		err = s.options.RecordEnd(r, Attempt{Who: who, Session: rec.ID, RequestID: requestID}, func() error {
			return s.options.Store.DeleteSession(ctx, list[i].Token)
		})
		if err != nil {
			return err
		}
		s.options.Ended(rec.ID)
	}
	return nil
}

// ofPerson lists the sessions of whom a logout token names, or, when it names a session only, everybody's.
func (s *Service) ofPerson(ctx context.Context, token *oidc.LogoutToken) ([]event.Session, error) {
	if token.Subject != "" {
		return s.options.Store.SessionsOf(ctx, userOwner(s.provider.Issuer, token.Subject))
	}
	var all []event.Session
	for after := ""; ; {
		page, err := s.options.Store.Sessions(ctx, after, scanned)
		if err != nil {
			return nil, err
		}
		for i := range page {
			if _, rec, err := decode(page[i].Body); err == nil && rec.There == token.SessionID {
				all = append(all, page[i])
			}
		}
		if len(page) < scanned {
			return all, nil
		}
		after = page[len(page)-1].ID
	}
}
