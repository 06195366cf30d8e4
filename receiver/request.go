package receiver

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Limits on what a request can make a rule do.
const (
	maxMACs      = 16       // signatures in one header
	maxHeader    = 16 << 10 // bytes of a header that a rule reads
	maxChallenge = 1 << 10  // bytes of a challenge that is echoed
)

// request is one request with all that a rule may ask about it.
type request struct {
	http      *http.Request
	body      []byte   // as it arrived
	secrets   []string // none is empty
	now       time.Time
	tolerance time.Duration
	fetcher   Fetcher
	once      Seen
	matched   string // the secret that matched last

	provider *provider
	opts     *options

	// Made when they are first asked for.
	unpacked   []byte
	isUnpacked bool
	object     []member
	isParsed   bool
	values     url.Values
	params     url.Values
}

func newRequest(p *provider, secrets []string, r *http.Request, body []byte, o *options) *request {
	req := &request{
		http: r, body: body, secrets: usable(secrets), now: o.now(), tolerance: o.tolerance,
		fetcher: o.fetcher, once: o.once, provider: p, opts: o,
	}
	if req.tolerance <= 0 {
		req.tolerance = p.tolerance
	}
	if req.tolerance <= 0 {
		req.tolerance = DefaultTolerance
	}
	return req
}

// usable leaves out secrets in which nothing can be seen: anybody could sign with them. (To an HMAC, zeros are the same as no key.)
func usable(secrets []string) []string {
	if !slices.ContainsFunc(secrets, unseen) {
		return secrets
	}
	return slices.DeleteFunc(slices.Clone(secrets), unseen)
}

func unseen(secret string) bool {
	return strings.IndexFunc(secret, func(c rune) bool { return unicode.IsGraphic(c) && !unicode.IsSpace(c) }) < 0
}

// header returns the one value of a header. A header that is there twice is refused: a proxy on the way could have read
// another one than the rule does.
func (r *request) header(name string) (string, error) {
	values := r.http.Header.Values(name)
	switch {
	case len(values) == 0 || values[0] == "" && len(values) == 1:
		return "", fail(CodeMissing, "the header "+name+" is missing")
	case len(values) > 1:
		return "", fail(CodeRepeated, "the header "+name+" is there several times")
	case len(values[0]) > maxHeader:
		return "", fail(CodeMalformed, "the header "+name+" is too long")
	}
	return values[0], nil
}

// headerCut is header without a prefix that has to be there.
func (r *request) headerCut(name, prefix string) (string, error) {
	value, err := r.header(name)
	if err != nil {
		return "", err
	}
	rest, ok := strings.CutPrefix(value, prefix)
	if !ok || rest == "" {
		return "", fail(CodeMalformed, "the header "+name+" does not begin with "+prefix)
	}
	return rest, nil
}

// has reports whether a header is there, even if it is empty.
func (r *request) has(name string) bool { return len(r.http.Header.Values(name)) > 0 }

// url returns the address that was called, as the sender knows it.
func (r *request) url() string {
	if r.opts.url != "" {
		return r.opts.url
	}
	target := r.http.RequestURI
	if target == "" {
		target = r.http.URL.RequestURI()
	}
	if !strings.HasPrefix(target, "/") { // The absolute form, of a proxy's client.
		if u, err := url.Parse(target); err == nil {
			target = u.RequestURI()
		}
	}
	if r.opts.origin != "" {
		return strings.TrimSuffix(r.opts.origin, "/") + target
	}
	scheme := "http://"
	if r.http.TLS != nil {
		scheme = "https://"
	}
	return scheme + r.http.Host + target
}

// query returns the parameters of the address.
func (r *request) query() url.Values {
	if r.params == nil {
		// What cannot be read is left out; no rule needs it.
		r.params, _ = url.ParseQuery(r.http.URL.RawQuery)
	}
	return r.params
}

// param returns the one value of a parameter of the address.
func (r *request) param(name string) (string, error) {
	return only(r.query()[name], "the parameter "+name)
}

func only(values []string, what string) (string, error) {
	switch {
	case len(values) == 0 || len(values) == 1 && values[0] == "":
		return "", fail(CodeMissing, what+" is missing")
	case len(values) > 1:
		return "", fail(CodeRepeated, what+" is there several times")
	}
	return values[0], nil
}

// setting returns a setting, "" if it is not set.
func (r *request) setting(name string) string { return r.opts.settings[name] }

// checkSettings refuses settings that the provider does not know, and the lack of those that it needs.
func (r *request) checkSettings() error {
	for name := range r.opts.settings {
		if _, ok := r.provider.setting(name); !ok {
			return fail(CodeWrongSetting, "there is no setting "+strconv.Quote(name))
		}
	}
	for _, s := range r.provider.Settings {
		if s.Required && r.setting(s.Name) == "" {
			return fail(CodeWrongSetting, "the setting "+s.Name+" is needed: "+s.Doc)
		}
	}
	return nil
}

// fresh reads a timestamp, a number of units since 1970 in plain digits, and refuses one that is further from now than the
// tolerance, either way.
func (r *request) fresh(text string, unit time.Duration) error {
	at, err := parseUnix(text, unit)
	if err != nil {
		return err
	}
	return r.recent(at)
}

// recent refuses a time that is further from now than the tolerance, either way.
func (r *request) recent(at time.Time) error {
	switch age := r.now.Sub(at); {
	case age > r.tolerance:
		return fail(CodeExpired, "the timestamp is too old")
	case age < -r.tolerance:
		return fail(CodeExpired, "the timestamp is in the future")
	}
	return nil
}

// parseUnix reads a number of units since 1970. Only the plain way to write it is taken.
func parseUnix(text string, unit time.Duration) (time.Time, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != text {
		return time.Time{}, fail(CodeMalformed, "the timestamp is not a number in plain digits")
	}
	perSecond := int64(time.Second / unit)
	if n/perSecond > 1<<40 {
		return time.Time{}, fail(CodeMalformed, "the timestamp is out of range")
	}
	return time.Unix(n/perSecond, n%perSecond*int64(unit)).UTC(), nil
}
