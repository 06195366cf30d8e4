package session

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/posthornhq/posthorn/internal/event"
)

// Paths of signing in at a provider. LoginPath is the page that shows what went wrong, as its parameter error.
const (
	BeginPath    = "/ui/login/oidc"
	CallbackPath = BeginPath + "/callback"
	LoginPath    = "/ui/login"
	homePath     = "/ui/"
)

// What went wrong, as the page of signing in is told.
const (
	CodeDenied  = "oidc_denied"       // the person or the provider said no
	CodeNoRole  = "oidc_no_role"      // no group of theirs has a role
	CodeExpired = "oidc_expired"      // it took too long, or another attempt was begun since
	CodeFailed  = "oidc_failed"       // the provider cannot be reached or sent what is not right; the log says more
	CodeTooMany = "too_many_attempts" // wait
)

const (
	// waitingCookie is the name of the cookie with what must come back from the provider, waitingTime how long it may take.
	waitingCookie = "posthorn_login"
	waitingTime   = 10 * time.Minute
	// sealedFor binds what is sealed to its use.
	sealedFor = "posthorn oidc log-in"
	// maxReturn bounds the page to go on with, in bytes: it travels in a cookie.
	maxReturn = 1 << 10
)

// waiting is what the browser keeps, sealed, while its user is at the provider.
type waiting struct {
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"` // of PKCE (RFC 7636)
	Return   string    `json:"return"`
	Ends     time.Time `json:"ends"`
}

// HasProvider reports whether people can sign in at a provider: whether [Service.Begin] and [Service.Callback] are of use.
func (s *Service) HasProvider() bool { return s.provider != nil }

// Begin sends the browser to the provider. The query's return is the page of the UI to go on with.
func (s *Service) Begin(w http.ResponseWriter, r *http.Request) {
	private(w)
	if r.Method != http.MethodGet {
		return // HEAD asks whether it is there
	}
	if to := s.atHome(r); to != "" {
		http.Redirect(w, r, to, http.StatusFound)
		return
	}
	to := safeReturn(r.URL.Query().Get("return"))
	k, err := s.provider.get(r.Context())
	if err != nil {
		s.fail(w, r, CodeFailed, to, err)
		return
	}
	wait := waiting{
		State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(),
		Return: to, Ends: time.Now().Add(waitingTime).UTC(),
	}
	sealed, err := s.seal(&wait)
	if err != nil {
		s.fail(w, r, CodeFailed, to, err)
		return
	}
	http.SetCookie(w, s.waitingCookie(sealed, int(waitingTime/time.Second)))
	http.Redirect(w, r, k.oauth.AuthCodeURL(wait.State, oidc.Nonce(wait.Nonce), oauth2.S256ChallengeOption(wait.Verifier)), http.StatusFound)
}

// atHome is where a request must go first that came by another name of the server, "" for none: the cookie must be there when
// the provider sends the browser back to the public URL.
func (s *Service) atHome(r *http.Request) string {
	const mark = "here" // so that a proxy which changes the Host leads nobody round and round
	u, err := url.Parse(s.options.PublicURL)
	query := r.URL.Query()
	if err != nil || strings.EqualFold(u.Host, r.Host) || query.Has(mark) {
		return ""
	}
	query.Set(mark, "1")
	return s.options.PublicURL + BeginPath + "?" + query.Encode()
}

// Callback is where the provider sends the browser back to.
func (s *Service) Callback(w http.ResponseWriter, r *http.Request) {
	private(w)
	if r.Method != http.MethodGet {
		return // HEAD must not use the code up
	}
	wait, found := s.waiting(r)
	if !found {
		// Nothing is tried, so nothing is counted: a page of another site could use up the attempts of whoever looks at it.
		s.fail(w, r, CodeExpired, "", nil)
		return
	}
	http.SetCookie(w, s.waitingCookie("", -1))
	to := ""
	if wait != nil {
		to = wait.Return
	}
	from := s.options.Address(r)
	if err := s.limiter.take(from); err != nil {
		s.fail(w, r, CodeTooMany, to, nil)
		return
	}
	id := w.Header().Get("X-Request-Id")
	rec, who, code, err := s.returned(r, wait)
	if code != "" {
		s.refused(r, Attempt{Who: who, Code: code, RequestID: id})
		s.fail(w, r, code, to, err)
		return
	}
	var cookie *http.Cookie
	err = s.options.Record(r, Attempt{Who: who, Session: rec.ID, RequestID: id}, func() (err error) {
		cookie, _, err = s.begin(r.Context(), &rec, s.secretOf(r))
		return err
	})
	if err != nil {
		s.fail(w, r, CodeFailed, to, err)
		return
	}
	s.limiter.giveBack(from)
	http.SetCookie(w, cookie)
	http.Redirect(w, r, to, http.StatusFound)
}

// returned checks what the provider sent back and finds out who it is. A code that is not empty says why it is nobody; err
// is for the log.
func (s *Service) returned(r *http.Request, wait *waiting) (rec record, who event.APIKey, code string, err error) {
	query := r.URL.Query()
	switch {
	case wait == nil || !time.Now().Before(wait.Ends):
		return rec, who, CodeExpired, nil
	case subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(wait.State)) != 1:
		return rec, who, CodeFailed, errProvider("is to another attempt")
	}
	k, err := s.provider.get(r.Context())
	if err != nil {
		return rec, who, CodeFailed, err
	}
	if names := query.Has("iss"); (names || k.names) && query.Get("iss") != s.provider.Issuer {
		return rec, who, CodeFailed, errProvider("is another provider's")
	}
	switch refusal := query.Get("error"); refusal {
	case "":
	case "access_denied", "login_required", "consent_required", "interaction_required":
		return rec, who, CodeDenied, nil
	default:
		return rec, who, CodeFailed, errProvider("is the error " + safeCode(refusal))
	}
	person, err := s.provider.exchange(r.Context(), k, query.Get("code"), wait)
	if err != nil {
		return rec, who, CodeFailed, err
	}
	rec = s.record(r)
	rec.Issuer, rec.User, rec.Name, rec.Groups = s.provider.Issuer, person.subject, person.name, s.provider.relevant(person.groups)
	rec.There = person.session
	who, err = s.person(r.Context(), rec)
	switch {
	case event.KindOf(err) == event.KindUnauthorized:
		return rec, event.APIKey{Kind: event.ByUser, User: rec.User, Name: rec.Name}, CodeNoRole, nil
	case err != nil:
		return rec, who, CodeFailed, err
	}
	return rec, who, "", nil
}

// fail sends the browser to the page of signing in with a code and the page that was to be gone on with, and the cause to the log.
func (s *Service) fail(w http.ResponseWriter, r *http.Request, code, to string, cause error) {
	if cause != nil {
		s.options.Logger.WarnContext(r.Context(), "nobody could be signed in", slog.String("code", code), slog.String("error", short(cause)))
	}
	query := url.Values{"error": {code}}
	if to != "" && to != homePath {
		query.Set("return", to)
	}
	http.Redirect(w, r, LoginPath+"?"+query.Encode(), http.StatusFound)
}

// short is an error's text, which may quote what a provider wrote, fit for a log.
func short(err error) string { return clean(err.Error()) }

// private keeps an answer, and the address that it is at, to the browser.
func private(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
}

// secretOf is the secret of the session that a browser has, "" without one.
func (s *Service) secretOf(r *http.Request) string {
	if list := r.CookiesNamed(s.cookie); len(list) == 1 {
		return list[0].Value
	}
	return ""
}

func (s *Service) waitingCookie(value string, maxAge int) *http.Cookie {
	c := &http.Cookie{
		Name: waitingCookie, Value: value, Path: BeginPath, MaxAge: maxAge, HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode,
	}
	if s.secure {
		c.Name, c.Path = hostPrefix+waitingCookie, "/" // the prefix asks for that path
	}
	return c
}

// waiting returns what a browser has kept, nil when that is nothing or not ours; found says that there was something.
func (s *Service) waiting(r *http.Request) (w *waiting, found bool) {
	list := r.CookiesNamed(s.waitingCookie("", 0).Name)
	if len(list) == 0 {
		return nil, false
	}
	sealed, err := base64.RawURLEncoding.DecodeString(list[0].Value)
	if err != nil || len(list) > 1 {
		return nil, true
	}
	plain, err := s.options.Sealer.Open(sealed, []byte(sealedFor))
	if err != nil {
		return nil, true
	}
	w = &waiting{}
	if json.Unmarshal(plain, w) != nil || w.State == "" || w.Verifier == "" || w.Nonce == "" {
		return nil, true
	}
	return w, true
}

func (s *Service) seal(w *waiting) (string, error) {
	plain, err := json.Marshal(w)
	if err != nil {
		return "", err
	}
	sealed, err := s.options.Sealer.Seal(plain, []byte(sealedFor))
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// safeReturn is the page to go on with: one of the UI's, or its first. Anything that a browser could take for another
// server's is not.
func safeReturn(to string) string {
	u, err := url.Parse(to)
	switch {
	case err != nil || len(to) > maxReturn || u.IsAbs() || u.Host != "" || u.User != nil || u.Opaque != "":
	case clean(to) != to || strings.ContainsAny(to, "\\ "):
	case !strings.HasPrefix(to, homePath) || strings.Contains(u.Path, "//") || path.Clean(u.Path)+"/" != strings.TrimSuffix(u.Path, "/")+"/":
	case u.Path == LoginPath || strings.HasPrefix(u.Path, LoginPath+"/"):
	default:
		return u.String()
	}
	return homePath
}

// safeCode keeps of an error code of OAuth (RFC 6749, 5.2) what such codes are made of.
func safeCode(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r == '_' {
			return r
		}
		return -1
	}, s[:min(len(s), 64)])
}

// Routes are the paths of signing in at the provider, as patterns of [http.ServeMux]; none without a provider.
func (s *Service) Routes() map[string]http.Handler {
	if s.provider == nil {
		return nil
	}
	return map[string]http.Handler{
		"GET " + BeginPath: http.HandlerFunc(s.Begin), "GET " + CallbackPath: http.HandlerFunc(s.Callback),
		"POST " + LogOutPath: http.HandlerFunc(s.LogOut),
		"GET " + LeavePath:   http.HandlerFunc(s.Leave),
	}
}
