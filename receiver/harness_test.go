package receiver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The harness: a provider's file of tests adds one case for each way in which the provider's requests look, and every case
// goes through the whole attack list of TestProviders, as far as it can apply.

// now is the time at which all tests' requests are made.
var now = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// Secrets that are used where a provider does not want some form of its own.
const (
	secretOne   = "8Hq2yC0dT6m4sV1xZk9b3nW7uJ5pRfLa"
	secretTwo   = "Kd93mfPq0aZxT7vB2hYc6LsWn1RuJg4E"
	secretWrong = "wRoNg-5eCr3t-0000000000000000000"
)

// message is a request on its way from a provider.
type message struct {
	method string
	url    string // whole: https://hooks.example.com/in/acme/x?…
	header http.Header
	body   []byte
}

// request makes what the server sees: the tests' address is that of a server with TLS.
func (m message) request() *http.Request {
	r := httptest.NewRequestWithContext(context.Background(), m.method, m.url, bytes.NewReader(m.body))
	r.Header = m.header.Clone()
	return r
}

// testCase is one kind of request of one provider.
type testCase struct {
	provider string
	name     string // what is special about it, "" for the usual kind

	secret, second, wrong string            // default secretOne, secretTwo, secretWrong; sign gets one of them
	settings              map[string]string // for Setting
	opts                  []Option          // more options

	method string            // default POST
	url    string            // default https://hooks.example.com/hook
	header map[string]string // besides what sign sets; Content-Type is application/json by default
	body   string
	// sign makes the message the provider's, with one of the secrets, at a time. It may change anything in it.
	sign func(m *message, secret string, at time.Time)

	// want is what Verify returns for it; Provider may be left out.
	want Delivery

	proof     []string      // headers without which, or with two of which, nothing may verify
	query     []string      // parameters of the address of which the same is true
	marks     []string      // texts in the body without which, or with another letter in which, nothing may verify
	unsigned  bool          // the body is not covered by the proof: changing it is not noticed
	tolerance time.Duration // how far the timestamp may be off; 0: there is none
	noSecret  bool          // verified without a secret, or accepting all
	elsewhere string        // the test that attacks a proof that is in neither
}

// cases are all. Each file of tests adds its own.
var cases []testCase

func addCase(c ...testCase) { cases = append(cases, c...) }

func (c testCase) title() string {
	if c.name == "" {
		return c.provider
	}
	return c.provider + "/" + c.name
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func (c testCase) one() string      { return orElse(c.secret, secretOne) }
func (c testCase) two() string      { return orElse(c.second, secretTwo) }
func (c testCase) other() string    { return orElse(c.wrong, secretWrong) }
func (c testCase) secretless() bool { return c.noSecret }

// message makes a message signed with a secret at a time.
func (c testCase) message(secret string, at time.Time) message {
	m := message{method: orElse(c.method, http.MethodPost), url: orElse(c.url, "https://hooks.example.com/hook"), header: http.Header{}, body: []byte(c.body)}
	m.header.Set("Content-Type", "application/json")
	for name, value := range c.header {
		m.header.Set(name, value)
	}
	if c.sign != nil {
		c.sign(&m, secret, at)
	}
	return m
}

// verify gives a message to Verify at a time.
func (c testCase) verify(m message, secrets []string, at time.Time) (Delivery, error) {
	opts := []Option{At(func() time.Time { return at }), Once(NewMemory(100))}
	for name, value := range c.settings {
		opts = append(opts, Setting(name, value))
	}
	return Verify(c.provider, secrets, m.request(), m.body, append(opts, c.opts...)...)
}

// refused checks that a message is refused with an error of a kind, nil for any.
func (c testCase) refused(t *testing.T, m message, secrets []string, at time.Time, kinds ...error) {
	t.Helper()
	d, err := c.verify(m, secrets, at)
	if err == nil {
		t.Fatal("it was accepted")
	}
	if d != (Delivery{}) {
		t.Errorf("a refused request is described as %+v", d)
	}
	checkError(t, c.provider, err, append(secrets, string(m.body)))
	if len(kinds) > 0 && !slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) }) {
		t.Errorf("error %q, want one of %v", err, kinds)
	}
}

// checkError checks what is true of every error.
func checkError(t *testing.T, name string, err error, hidden []string) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("error of type %T: %v", err, err)
	}
	if e.Provider != name || e.Code == "" || e.Detail == "" || e.Status < 400 || e.Status > 599 {
		t.Errorf("an error is incomplete: %+v", e)
	}
	for _, text := range hidden {
		if len(strings.TrimSpace(text)) > 3 && strings.Contains(fmt.Sprintf("%v %+v", e, *e), text) {
			t.Errorf("an error shows a secret or the body: %q", e)
		}
	}
	if answer := Refused(name, err); answer.Status < 200 || answer.Status > 599 {
		t.Errorf("the answer to a refused request is %+v", answer)
	}
}

func TestProviders(t *testing.T) {
	for _, c := range cases {
		t.Run(c.title(), func(t *testing.T) {
			secrets := []string{c.one()}
			if c.secretless() {
				secrets = nil
			}
			good := c.message(c.one(), now)
			got, err := c.verify(good, secrets, now)
			if err != nil {
				t.Fatalf("a good request was refused: %v (%v)", err, errors.Unwrap(err))
			}
			want := c.want
			want.Provider = c.provider
			if got != want {
				t.Errorf("delivery\n%+v, want\n%+v", got, want)
			}
			if answer := Accepted(c.provider, got); answer.Status/100 != 2 {
				t.Errorf("an accepted request is answered %d", answer.Status)
			}
			if !c.secretless() {
				t.Run("secrets", c.attackSecrets)
			}
			t.Run("proof", c.attackProof)
			t.Run("marks", c.attackMarks)
			if !c.unsigned {
				t.Run("body", c.attackBody)
			}
			if c.tolerance > 0 {
				t.Run("time", c.attackTime)
			}
		})
	}
}

func (c testCase) attackSecrets(t *testing.T) {
	good := c.message(c.one(), now)
	for _, secrets := range [][]string{{c.two(), c.one()}, {c.one(), c.two()}, {"", c.one(), " "}} {
		if _, err := c.verify(good, secrets, now); err != nil {
			t.Errorf("secret %d of %d was refused: %v", slices.Index(secrets, c.one())+1, len(secrets), err)
		}
	}
	if _, err := c.verify(c.message(c.two(), now), []string{c.one(), c.two()}, now); err != nil {
		t.Errorf("the rotated secret was refused: %v", err)
	}
	c.refused(t, c.message(c.other(), now), []string{c.one(), c.two()}, now, ErrSignature)
	c.refused(t, good, []string{c.two()}, now, ErrSignature)
	none := []error{ErrSecret}
	if info, _ := Provider(c.provider); info.Optional { // It has a key of its own then, which did not sign this.
		none = append(none, ErrSignature)
	}
	c.refused(t, good, nil, now, none...)
	c.refused(t, good, []string{}, now, none...)
	c.refused(t, good, []string{""}, now, none...)
	c.refused(t, good, []string{"", "  \t"}, now, none...)
	// What somebody could sign who guesses that the secret is empty.
	for _, secrets := range [][]string{nil, {""}} {
		func() {
			defer func() { _ = recover() }() // Not every sign can do without a secret.
			empty := c.message("", now)
			c.refused(t, empty, secrets, now, none...)
		}()
	}
}

var (
	hexRun    = regexp.MustCompile(`[0-9a-f]{32,}`)
	base64Run = regexp.MustCompile(`[A-Za-z0-9+/_-]{22,}={0,2}`)
)

func (c testCase) attackProof(t *testing.T) {
	good := c.message(c.one(), now)
	secrets := []string{c.one()}
	if c.secretless() {
		secrets = nil
	}
	for _, name := range c.proof {
		value := good.header.Get(name)
		if value == "" {
			t.Fatalf("the case signs no header %s", name)
		}
		with := func(values ...string) message {
			m := good
			m.header = good.header.Clone()
			m.header[http.CanonicalHeaderKey(name)] = values
			return m
		}
		c.refused(t, with(), secrets, now, ErrMissing)
		c.refused(t, with(""), secrets, now, ErrMissing)
		c.refused(t, with(value, value), secrets, now, ErrRepeated)
		c.refused(t, with("x", value), secrets, now, ErrRepeated)
		c.refused(t, with("x"), secrets, now)
		c.refused(t, with(strings.Repeat("a", maxHeader+1)), secrets, now)
		c.attackText(t, value, func(text string) message { return with(text) }, secrets)
	}
	for _, name := range c.query {
		r := good.request()
		value := r.URL.Query().Get(name)
		with := func(values ...string) message {
			q := r.URL.Query()
			q[name] = values
			u := *r.URL
			u.RawQuery = q.Encode()
			m := good
			m.url = u.String()
			return m
		}
		c.refused(t, with(), secrets, now, ErrMissing)
		c.refused(t, with(value, value), secrets, now, ErrRepeated)
		c.refused(t, with("x"), secrets, now)
	}
}

// attackMarks changes the texts of a body that is signed in parts.
func (c testCase) attackMarks(t *testing.T) {
	good := c.message(c.one(), now)
	secrets := []string{c.one()}
	if c.secretless() {
		secrets = nil
	}
	for _, mark := range c.marks {
		if !bytes.Contains(good.body, []byte(mark)) {
			t.Fatalf("the body has no %q", mark)
		}
		for _, other := range []string{"", mark[:len(mark)-1] + string(mark[len(mark)-1]^1), string(mark[0]^1) + mark[1:], mark + mark} {
			m := good
			m.body = bytes.Replace(good.body, []byte(mark), []byte(other), 1)
			if _, err := c.verify(m, secrets, now); err == nil {
				t.Errorf("accepted with %q instead of %q", other, mark)
			}
		}
	}
}

// attackText changes the text of a proof where it looks like hex or base64.
func (c testCase) attackText(t *testing.T, value string, with func(string) message, secrets []string) {
	t.Helper()
	if run := hexRun.FindString(value); run != "" && len(run)%8 == 0 {
		upper := strings.Replace(value, run, strings.ToUpper(run), 1)
		if _, err := c.verify(with(upper), secrets, now); err != nil && c.hexIsNumber(run) {
			t.Errorf("upper-case hex was refused: %v", err)
		}
		c.refused(t, with(strings.Replace(value, run, run[:len(run)-1], 1)), secrets, now)
		c.refused(t, with(strings.Replace(value, run, run[:len(run)-2], 1)), secrets, now)
		c.refused(t, with(strings.Replace(value, run, flip(run), 1)), secrets, now)
		return
	}
	run := base64Run.FindString(value)
	if run == "" {
		return
	}
	c.refused(t, with(strings.Replace(value, run, flip(run), 1)), secrets, now)
	c.refused(t, with(strings.Replace(value, run, run[:len(run)-3], 1)), secrets, now)
	if bare := strings.TrimRight(run, "="); bare != run {
		c.refused(t, with(strings.Replace(value, run, bare, 1)), secrets, now)
		// The same bytes to a decoder that does not look at the loose bits of the last character.
		loose := bare[:len(bare)-1] + string(bare[len(bare)-1]+1) + run[len(bare):]
		c.refused(t, with(strings.Replace(value, run, loose, 1)), secrets, now)
	}
}

// hexIsNumber reports whether hex stands for bytes, rather than being a secret that only looks like it.
func (c testCase) hexIsNumber(run string) bool { return !strings.Contains(c.one(), run) }

// flip changes one character, to another of the same alphabet.
func flip(text string) string {
	raw := []byte(text)
	if raw[3] == '1' {
		raw[3] = '2'
	} else {
		raw[3] = '1'
	}
	return string(raw)
}

func (c testCase) attackBody(t *testing.T) {
	good := c.message(c.one(), now)
	secrets := []string{c.one()}
	if c.secretless() {
		secrets = nil
	}
	with := func(body []byte) message {
		m := good
		m.body = body
		return m
	}
	for _, i := range []int{0, len(good.body) / 2, len(good.body) - 1} {
		if len(good.body) == 0 {
			break
		}
		flipped := bytes.Clone(good.body)
		flipped[i] ^= 1
		c.refused(t, with(flipped), secrets, now)
	}
	if len(good.body) > 0 {
		c.refused(t, with(nil), secrets, now)
		c.refused(t, with(good.body[:len(good.body)-1]), secrets, now)
		// JSON that was parsed and written again.
		c.refused(t, with(append([]byte(" "), good.body...)), secrets, now)
	}
	c.refused(t, with(append(bytes.Clone(good.body), '\n')), secrets, now)
}

func (c testCase) attackTime(t *testing.T) {
	secrets := []string{c.one()}
	if c.secretless() {
		secrets = nil
	}
	good := c.message(c.one(), now)
	for _, off := range []time.Duration{c.tolerance, -c.tolerance, c.tolerance / 2} {
		if _, err := c.verify(good, secrets, now.Add(off)); err != nil {
			t.Errorf("refused when %s off: %v", off, err)
		}
	}
	for _, off := range []time.Duration{c.tolerance + 2*time.Second, -c.tolerance - 2*time.Second, 87600 * time.Hour, -87600 * time.Hour} {
		c.refused(t, good, secrets, now.Add(off), ErrExpired)
	}
	// The tolerance is the caller's, if he names one.
	later := now.Add(3 * c.tolerance)
	opts := c.opts
	c.opts = append(slices.Clone(opts), Tolerance(4*c.tolerance))
	if _, err := c.verify(good, secrets, later); err != nil {
		t.Errorf("refused within the tolerance that was set: %v", err)
	}
}

// TestEveryProviderHasACase holds the table of providers and the table of tests together.
func TestEveryProviderHasACase(t *testing.T) {
	for _, info := range Providers() {
		if !slices.ContainsFunc(cases, func(c testCase) bool { return c.provider == info.Name }) {
			t.Errorf("no test case for the provider %s: add one to the tests of its file", info.Name)
		}
		if info.Title == "" || info.Event == "" {
			t.Errorf("the provider %s is not described: %+v", info.Name, info)
		}
	}
	for _, c := range cases {
		info, ok := Provider(c.provider)
		if !ok {
			t.Errorf("the case %s is for no provider", c.title())
		}
		if ok && info.Secret == "" && !c.noSecret {
			t.Errorf("the case %s uses a secret, but %s has none", c.title(), info.Name)
		}
		if !c.noSecret && len(c.proof) == 0 && len(c.query) == 0 && len(c.marks) == 0 && c.unsigned && c.elsewhere == "" {
			t.Errorf("the case %s names no proof to attack", c.title())
		}
	}
}
