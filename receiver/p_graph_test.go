package receiver

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/x509"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const graphApp = "8e460676-ae3f-4b1e-8790-ee0fb5d6148f"

func signGraph(m *message, secret string, _ time.Time) {
	m.body = []byte(`{"value":[{"id":"lsgTZMr9KwAAA","subscriptionId":"7f10","clientState":"` + secret + `","changeType":"created","resource":"me/messages/1"}]}`)
}

func graphClaims(change jwt.MapClaims) jwt.MapClaims {
	claims := jwt.MapClaims{
		"aud": graphApp, "iss": "https://sts.windows.net/84bd8158/", "tid": "84bd8158", "appid": graphPublisher,
		"iat": now.Add(-time.Minute).Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	maps.Copy(claims, change)
	return claims
}

func graphRich(t string) func(m *message, secret string, _ time.Time) {
	return func(m *message, secret string, _ time.Time) {
		m.body = []byte(`{"value":[{"id":"1","clientState":"` + secret + `","changeType":"created","resource":"chats/1","encryptedContent":{"data":"x"}}],"validationTokens":["` + t + `"]}`)
	}
}

func graphPages() *pages {
	return &pages{at: map[string]string{graphKeys.url: keySet(map[string]crypto.PublicKey{"k1": rsaKeys()[0].Public()})}}
}

func init() {
	c := testCase{
		provider: "graph", sign: signGraph, unsigned: true, want: Delivery{Type: "created", ID: "lsgTZMr9KwAAA", Subject: "me/messages/1"},
		marks: []string{secretOne},
	}
	several := c
	several.name = "several"
	several.sign = func(m *message, secret string, _ time.Time) {
		m.body = []byte(`{"value":[{"id":"1","clientState":"` + secret + `","changeType":"created","resource":"a"},{"id":"2","clientState":"` + secret + `","lifecycleEvent":"missed","resource":"b"}]}`)
	}
	several.want = Delivery{Type: "batch", ID: batchID([]string{"1", "2"})}
	rich := c
	rich.name = "with data"
	rich.settings = map[string]string{"app_id": graphApp}
	rich.opts = []Option{Fetch(graphPages())}
	rich.sign = graphRich(token(jwt.SigningMethodRS256, rsaKeys()[0], "k1", graphClaims(nil)))
	rich.want = Delivery{Type: "created", ID: "1", Subject: "chats/1"}
	addCase(c, several, rich)

	question := handshakeCase{
		provider: "graph", name: "validation", url: "https://hooks.example.com/hook?validationToken=Validation%3A+Testing+%3Cscript%3Ealert(1)%3C%2Fscript%3E",
		want: "Validation: Testing <script>alert(1)</script>", headers: map[string]string{"Content-Type": "text/plain; charset=utf-8"},
	}
	two, empty, none, get := question, question, question, question
	get.name, get.method, get.none = "by a browser", "GET", true
	two.name, two.url, two.err = "two tokens", "https://hooks.example.com/hook?validationToken=a&validationToken=b", ErrRepeated
	empty.name, empty.url, empty.err = "empty token", "https://hooks.example.com/hook?validationToken=", ErrMissing
	none.name, none.url, none.none = "event", "", true
	addHandshake(question, two, empty, none, get)
}

func TestGraphOneOfManyIsAnothers(t *testing.T) {
	c := testCase{provider: "graph"}
	for _, body := range []string{
		`{"value":[{"clientState":"` + secretOne + `"},{"clientState":"x"}]}`, `{"value":[{"clientState":"` + secretOne + `"},{}]}`,
		`{"value":[]}`, `{"value":{"clientState":"` + secretOne + `"}}`, `{}`, `[]`, ``, `{"value":[{"clientState":["` + secretOne + `"]}]}`,
	} {
		m := c.message("", now)
		m.body = []byte(body)
		c.refused(t, m, []string{secretOne}, now)
	}
}

// TestGraphCompressed holds that what is read is what was compressed, and that no more than a few megabytes are.
func TestGraphCompressed(t *testing.T) {
	c := testCase{provider: "graph", header: map[string]string{"Content-Encoding": "gzip"}, sign: signGraph}
	pack := func(text string) message {
		m := c.message(secretOne, now)
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(text))
		_ = z.Close()
		m.body = b.Bytes()
		return m
	}
	if _, err := c.verify(pack(string(c.message(secretOne, now).body)), []string{secretOne}, now); err != nil {
		t.Error(err)
	}
	c.refused(t, pack(strings.Replace(string(c.message(secretOne, now).body), secretOne, secretTwo, 1)), []string{secretOne}, now, ErrSignature)
	bomb := pack(`{"value":[{"clientState":"` + secretOne + `","x":"` + strings.Repeat("x", 64<<20) + `"}]}`)
	c.refused(t, bomb, []string{secretOne}, now)
	c.refused(t, c.message(secretTwo, now), []string{secretOne}, now)
}

func TestGraphTokens(t *testing.T) {
	key := rsaKeys()[0]
	public := must(x509.MarshalPKIXPublicKey(key.Public()))
	bad := map[string]string{
		"another audience":        token(jwt.SigningMethodRS256, key, "k1", graphClaims(jwt.MapClaims{"aud": "another"})),
		"another publisher":       token(jwt.SigningMethodRS256, key, "k1", graphClaims(jwt.MapClaims{"appid": "another"})),
		"another issuer":          token(jwt.SigningMethodRS256, key, "k1", graphClaims(jwt.MapClaims{"iss": "https://evil.example/84bd8158/"})),
		"another tenant's issuer": token(jwt.SigningMethodRS256, key, "k1", graphClaims(jwt.MapClaims{"tid": "other"})),
		"no tenant":               token(jwt.SigningMethodRS256, key, "k1", graphClaims(jwt.MapClaims{"tid": "", "iss": "https://sts.windows.net//"})),
		"expired":                 token(jwt.SigningMethodRS256, key, "k1", graphClaims(jwt.MapClaims{"exp": now.Add(-time.Hour).Unix()})),
		"not yet":                 token(jwt.SigningMethodRS256, key, "k1", graphClaims(jwt.MapClaims{"nbf": now.Add(time.Hour).Unix()})),
		"no end":                  token(jwt.SigningMethodRS256, key, "k1", graphClaims(jwt.MapClaims{"exp": nil})),
		"unknown key":             token(jwt.SigningMethodRS256, key, "k2", graphClaims(nil)),
		"no key id":               token(jwt.SigningMethodRS256, key, "", graphClaims(nil)),
		"another's key":           token(jwt.SigningMethodRS256, rsaKeys()[1], "k1", graphClaims(nil)),
		"none":                    token(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "k1", graphClaims(nil)),
		"public key as a secret":  token(jwt.SigningMethodHS256, public, "k1", graphClaims(nil)),
		"RS512":                   token(jwt.SigningMethodRS512, key, "k1", graphClaims(nil)),
		"empty":                   "", "no token": "a.b.c",
	}
	c := testCase{provider: "graph", settings: map[string]string{"app_id": graphApp}, opts: []Option{Fetch(graphPages())}}
	for name, text := range bad {
		t.Run(name, func(t *testing.T) {
			c.sign = graphRich(text)
			c.refused(t, c.message(secretOne, now), []string{secretOne}, now, ErrSignature, ErrExpired)
		})
	}
	t.Run("second version", func(t *testing.T) {
		c := c
		c.sign = graphRich(token(jwt.SigningMethodRS256, key, "k1", graphClaims(jwt.MapClaims{
			"iss": "https://login.microsoftonline.com/84bd8158/v2.0", "appid": nil, "azp": graphPublisher,
		})))
		c.settings = map[string]string{"app_id": graphApp, "tenant_id": "84bd8158"}
		if _, err := c.verify(c.message(secretOne, now), []string{secretOne}, now); err != nil {
			t.Error(err)
		}
		c.settings["tenant_id"] = "another"
		c.refused(t, c.message(secretOne, now), []string{secretOne}, now, ErrSignature)
	})
	t.Run("lists that are none", func(t *testing.T) {
		for _, list := range []string{`[]`, `{}`, `"x"`, `null`, `[1]`, `[` + strings.Repeat(`"a.b.c",`, maxGraphTokens) + `"a.b.c"]`} {
			m := c.message(secretOne, now)
			m.body = []byte(`{"value":[{"clientState":"` + secretOne + `","encryptedContent":{}}],"validationTokens":` + list + `}`)
			c.refused(t, m, []string{secretOne}, now)
		}
	})
	t.Run("missing", func(t *testing.T) {
		c := c
		m := c.message(secretOne, now)
		m.body = []byte(`{"value":[{"clientState":"` + secretOne + `","encryptedContent":{}}]}`)
		c.refused(t, m, []string{secretOne}, now, ErrMissing)
	})
	t.Run("Microsoft is down", func(t *testing.T) {
		c := c
		c.opts = []Option{Fetch(&pages{})}
		c.sign = graphRich(token(jwt.SigningMethodRS256, key, "k1", graphClaims(nil)))
		c.refused(t, c.message(secretOne, now), []string{secretOne}, now, ErrFetch)
	})
}
