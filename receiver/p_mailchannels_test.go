package receiver

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

const mailChannelsKeyURL = "https://api.mailchannels.net/tx/v1/webhook/public-key?id=mckey"

func digest256(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// signMail signs with parameters after the list of components.
func signMail(components, params string) func(*message, string, time.Time) {
	return func(m *message, secret string, at time.Time) {
		key, _ := signerOf(secret).(ed25519.PrivateKey)
		m.header.Set("Content-Digest", digest256(m.body))
		input := "(" + components + ")" + strings.ReplaceAll(params, "NOW", unix(at))
		base := `"content-digest": ` + m.header.Get("Content-Digest") + "\n" + `"@signature-params": ` + input
		m.header.Set("Signature-Input", "sig_1="+input)
		m.header.Set("Signature", "sig_1=:"+base64.StdEncoding.EncodeToString(ed25519.Sign(key, []byte(base)))+":")
	}
}

const mailParams = `;created=NOW;alg="ed25519";keyid="mckey"`

func mailPages(key string) *pages {
	return &pages{at: map[string]string{mailChannelsKeyURL: string(must(json.Marshal(map[string]string{"id": "mckey", "key": key})))}}
}

func mailCase() testCase {
	c := testCase{
		provider: "mailchannels", sign: signMail(`"content-digest"`, mailParams),
		body:      `[{"email":"s@example.com","customer_handle":"abc123","timestamp":1773500966,"event":"delivered","request_id":"3f1c","recipients":["r@example.com"]}]`,
		want:      Delivery{Type: "delivered", ID: "3f1c-delivered", Subject: "r@example.com"},
		proof:     []string{"Signature", "Signature-Input", "Content-Digest"},
		tolerance: 5 * time.Minute,
	}
	c.secret, c.second, c.wrong = ed25519Texts(true)
	c.opts = []Option{Fetch(mailPages(c.other()))}
	return c
}

func init() {
	c := mailCase()
	own := c
	own.name = "own account"
	own.settings = map[string]string{"customer_handle": "abc123"}
	fetched := c
	fetched.name, fetched.noSecret = "fetched key", true
	fetched.opts = []Option{Fetch(mailPages(c.one()))}
	addCase(c, own, fetched)
}

func TestMailChannelsRefuses(t *testing.T) {
	for name, sign := range map[string]func(*message, string, time.Time){
		"body not covered":    signMail(`"content-digest";key="sha-256"`, mailParams),
		"nothing covered":     signMail(``, mailParams),
		"another algorithm":   signMail(`"content-digest"`, `;created=NOW;alg="hmac-sha256";keyid="mckey"`),
		"no time":             signMail(`"content-digest"`, `;alg="ed25519";keyid="mckey"`),
		"expired":             signMail(`"content-digest"`, `;created=NOW;expires=1700000000;alg="ed25519";keyid="mckey"`),
		"time is a text":      signMail(`"content-digest"`, `;created="NOW";alg="ed25519";keyid="mckey"`),
		"twice the component": signMail(`"content-digest" "content-digest"`, mailParams),
	} {
		t.Run(name, func(t *testing.T) {
			c := mailCase()
			c.sign = sign
			c.refused(t, c.message(c.one(), now), []string{c.one()}, now)
		})
	}
	t.Run("another customer", func(t *testing.T) {
		c := mailCase()
		c.settings = map[string]string{"customer_handle": "other"}
		c.refused(t, c.message(c.one(), now), []string{c.one()}, now, ErrSignature)
	})
	t.Run("a key that is none", func(t *testing.T) {
		c := mailCase()
		for _, page := range []*pages{mailPages(""), mailPages("AAAA"), {}, {at: map[string]string{mailChannelsKeyURL: "<html>"}}} {
			c.opts = []Option{Fetch(page)}
			c.refused(t, c.message(c.one(), now), nil, now, ErrFetch)
		}
	})
	t.Run("a key's id that leads elsewhere", func(t *testing.T) {
		c := mailCase()
		asked := &pages{}
		c.opts = []Option{Fetch(asked)}
		c.sign = signMail(`"content-digest"`, `;created=NOW;alg="ed25519";keyid="x&y=/../@evil.example#"`)
		c.refused(t, c.message(c.one(), now), nil, now, ErrFetch)
		want := "https://api.mailchannels.net/tx/v1/webhook/public-key?id=x%26y%3D%2F..%2F%40evil.example%23"
		if got := asked.askedFor(); len(got) != 1 || got[0] != want {
			t.Errorf("asked for %q", got)
		}
	})
	t.Run("digest of another kind only", func(t *testing.T) {
		for _, value := range []string{"md5=:AAAA:", "sha-256=AAAA", "sha-256=:AAAA:", digest256([]byte("x")), digest256(nil) + ", sha-512=:AAAA:", "x", strings.Repeat("a", maxSignatureHeader+1)} {
			if verifyContentDigest(http.Header{"Content-Digest": {value}}, nil) == nil {
				t.Errorf("accepted %.40q", value)
			}
		}
	})
}
