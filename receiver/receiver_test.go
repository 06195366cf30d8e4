package receiver

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// zip packs a body.
func zip(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestGzip holds that a signature is over the body as it arrived, that its fields are read unpacked, and that a body that
// grows without end when it is unpacked is only one without fields.
func TestGzip(t *testing.T) {
	c := testCase{provider: "bitbucket", header: map[string]string{"Content-Encoding": "gzip"}, sign: signBody("X-Hub-Signature", "sha256=", hex256)}
	for name, tt := range map[string]struct {
		body []byte
		want string
	}{
		"packed":     {zip(t, []byte(`{"repository":{"full_name":"a/b"}}`)), "a/b"},
		"bomb":       {zip(t, []byte(`{"repository":{"full_name":"a/b"},"x":"`+strings.Repeat("0", 16<<20)+`"}`)), ""},
		"not packed": {[]byte(`{"repository":{"full_name":"a/b"}}`), "a/b"},
		"cut off":    {zip(t, []byte(`{"repository":{"full_name":"a/b"}}`))[:20], ""},
	} {
		c.body = string(tt.body)
		d, err := c.verify(c.message(secretOne, now), []string{secretOne}, now)
		if err != nil || d.Subject != tt.want {
			t.Errorf("%s: subject %q, %v; want %q", name, d.Subject, err, tt.want)
		}
	}
	// Signed unpacked, sent packed: that is another body.
	c.body = `{"repository":{}}`
	m := c.message(secretOne, now)
	m.body = zip(t, m.body)
	c.refused(t, m, []string{secretOne}, now, ErrSignature)
}

// TestOddBodies holds that a verified body that is not what it should be is described without what cannot be read.
func TestOddBodies(t *testing.T) {
	for body, want := range map[string]string{
		`{"repository":{"full_name":"a/b"}`:                               "", // Cut off.
		`{"repository":{"full_name":"a/b"}}{}`:                            "a/b",
		`{"repository":{"full_name":"a"},"repository":{"full_name":"b"}}`: "b",
		`{"repository":{"full_name":7}}`:                                  "7",
		`{"repository":{"full_name":null}}`:                               "",
		`{"repository":{"full_name":["a"]}}`:                              "",
		`{"repository":["a"]}`:                                            "",
		`{"repository":"a"}`:                                              "",
		`[1,2]`:                                                           "",
		`"text"`:                                                          "",
		``:                                                                "",
		`nothing`:                                                         "",
		"\x00\xff":                                                        "",
		`{"repository":{"full_name":"a\nb"}}`:                             "",
		"{\"repository\":{\"full_name\":\"a\xff\"}}":                      "",
		`{"repository":{"full_name":"` + long(maxAttribute+1) + `"}}`:      "",
		`{"a":` + strings.Repeat("[", 100_000) + `}`:                       "",
		strings.Repeat(`{"repository":`, 20_000) + `1`:                     "",
		`{"repository":{"full_name":"a/b"},"x":` + strings.Repeat("[", 50): "",
	} {
		c := testCase{provider: "bitbucket", body: body, sign: signBody("X-Hub-Signature", "sha256=", hex256)}
		d, err := c.verify(c.message(secretOne, now), []string{secretOne}, now)
		if err != nil || d.Subject != want {
			t.Errorf("%.60q: subject %q, %v; want %q", body, d.Subject, err, want)
		}
	}
}

func TestTimestamps(t *testing.T) {
	c := testCase{provider: "stripe", body: `{}`}
	for _, stamp := range []string{"", " 1773500966", "+1773500966", "01773500966", "1773500966.0", "1.7e9", "0x69b57a26", "-1", "99999999999999999999", "9223372036854775807", "now"} {
		m := c.message(secretOne, now)
		m.header.Set("Stripe-Signature", "t="+stamp+",v1="+hex256(secretOne, stamp, ".", string(m.body)))
		c.refused(t, m, []string{secretOne}, now, ErrMalformed, ErrExpired, ErrMissing)
	}
	// Two timestamps: the one that is checked must be the one that is signed.
	m := c.message(secretOne, now)
	old := now.Add(-time.Hour)
	m.header.Set("Stripe-Signature", "t="+unix(old)+",t="+unix(now)+",v1="+hex256(secretOne, unix(old), ".", string(m.body)))
	c.refused(t, m, []string{secretOne}, now, ErrRepeated)
	// More signatures than anybody sends.
	m.header.Set("Stripe-Signature", "t="+unix(now)+strings.Repeat(",v1=00", maxMACs+1))
	c.refused(t, m, []string{secretOne}, now, ErrMalformed)
}

func TestBase64IsStrict(t *testing.T) {
	const good = "iHQdqQxq3W0Kk9hUe4yQ2m8b5m1VbqGx2l0k8Yz3d3E="
	if _, err := decodeBase64(good); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{good[:len(good)-1], good + "=", good + "\n", good[:20] + "\r\n" + good[20:], " " + good, good[:len(good)-2] + "F=", strings.Replace(good, "i", "-", 1), "="} {
		if _, err := decodeBase64(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestUsable(t *testing.T) {
	all := []string{"a", "b"}
	if got := usable(all); &got[0] != &all[0] {
		t.Error("good secrets were copied")
	}
	given := []string{"a", " ", "b", ""}
	if got := usable(given); !slices.Equal(got, []string{"a", "b"}) || given[1] != " " {
		t.Errorf("usable secrets %v of %v", got, given)
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("a secret cause")
	err := error(&Error{Provider: "github", Code: CodeSignature, Detail: "no secret matches", Status: 401, cause: cause})
	if !errors.Is(err, ErrSignature) || errors.Is(err, ErrMissing) || !errors.Is(err, cause) {
		t.Error("an error is not what it is")
	}
	if err.Error() != "receiver: github: bad_signature: no secret matches" {
		t.Errorf("text %q", err)
	}
	for code, status := range map[string]int{
		CodeUnknownProvider: 404, CodeNoSecret: 401, CodeWrongSetting: 500, CodeWrongSecret: 500, CodeMissing: 401, CodeRepeated: 401,
		CodeMalformed: 400, CodeSignature: 401, CodeExpired: 401, CodeReplayed: 401, CodeRefused: 403, CodeFetch: 503, CodeTooLarge: 413,
	} {
		if got := Refused("github", &Error{Code: code}); got.Status != status || got.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s is answered %d %v, want %d", code, got.Status, got.Header, status)
		}
	}
}

// TestProvidersAreACopy holds that nobody can change the table through what he is given.
func TestProvidersAreACopy(t *testing.T) {
	info, ok := Provider("gitlab")
	if !ok {
		t.Fatal("no GitLab")
	}
	info.SecretHeaders[0] = "X"
	if again, _ := Provider("gitlab"); again.SecretHeaders[0] != "X-Gitlab-Token" {
		t.Error("the table was changed")
	}
	list := Providers()
	if !slices.IsSortedFunc(list, func(a, b Info) int { return strings.Compare(a.Name, b.Name) }) || len(list) < 60 {
		t.Errorf("%d providers, or not in order", len(list))
	}
}

// TestSettingsAreKnown holds that a setting with a slip in its name is noticed, not passed over.
func TestSettingsAreKnown(t *testing.T) {
	c := testCase{provider: "github", settings: map[string]string{"verify-token": "x"}, sign: signBody("X-Hub-Signature-256", "sha256=", hex256)}
	c.refused(t, c.message(secretOne, now), []string{secretOne}, now, ErrSetting)
}

// FuzzVerify holds that nothing that arrives makes a rule panic, and that nothing verifies without the secret.
func FuzzVerify(f *testing.F) {
	for i, c := range cases {
		m := c.message(c.one(), now)
		var header strings.Builder
		if err := m.header.Write(&header); err != nil {
			f.Fatal(err)
		}
		f.Add(uint(i), m.method, "?"+m.request().URL.RawQuery, header.String(), m.body)
	}
	f.Fuzz(func(t *testing.T, n uint, method, query, header string, body []byte) {
		c := cases[n%uint(len(cases))]
		m := message{method: http.MethodPost, url: "https://hooks.example.com/hook", header: http.Header{}, body: body}
		r := m.request()
		r.Method, r.URL.RawQuery = method, strings.TrimPrefix(query, "?")
		for line := range strings.SplitSeq(header, "\n") {
			if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\r"), ":"); ok {
				r.Header.Add(name, strings.TrimSpace(value))
			}
		}
		// Whatever the fuzzer makes of the good requests: it does not know this secret.
		secrets := []string{"whsec_" + "c2VjcmV0LW9mLXRoZS1mdXp6ZXItb25seS1oZXJl"}
		opts := append([]Option{At(func() time.Time { return now }), Once(NewMemory(10))}, c.opts...)
		for name, value := range c.settings {
			opts = append(opts, Setting(name, value))
		}
		d, err := Verify(c.provider, secrets, r, body, opts...)
		info, _ := Provider(c.provider)
		if err == nil && info.Secret != "" && !info.Optional && !bytes.Contains(body, []byte(secrets[0])) && !strings.Contains(header+query, secrets[0]) {
			t.Errorf("%s verified without the secret: %+v", c.title(), d)
		}
		answer, _, _ := Handshake(c.provider, secrets, r, body, opts...)
		if answer != nil && (answer.Status < 200 || answer.Status > 299) {
			t.Errorf("%s answers a handshake %d", c.title(), answer.Status)
		}
		Refused(c.provider, err)
		Accepted(c.provider, d)
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, name := range []string{"github", "stripe", "standard"} {
		i := slices.IndexFunc(cases, func(c testCase) bool { return c.provider == name })
		c := cases[i]
		for _, size := range []int{700, 64 << 10} {
			c.body = strings.TrimSuffix(c.body, "}") + `,"padding":"` + strings.Repeat("x", size-len(c.body)) + `"}`
			m := c.message(c.one(), now)
			r, secrets := m.request(), []string{c.one()}
			clock := At(func() time.Time { return now })
			b.Run(name+"/"+map[bool]string{true: "700B", false: "64KiB"}[size == 700], func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(m.body)))
				for b.Loop() {
					if _, err := Verify(c.provider, secrets, r, m.body, clock); err != nil {
						b.Fatal(err)
					}
				}
			})
			c = cases[i]
		}
	}
}
