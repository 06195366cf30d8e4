package receiver

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

// signMessage signs the method, the address, the date and the body's digest.
func signMessage(sum func(secret, base string) []byte) func(*message, string, time.Time) {
	return func(m *message, secret string, at time.Time) {
		m.header.Set("Content-Digest", digest256(m.body))
		input := `("@method" "@target-uri" "date" "content-digest");created=` + unix(at)
		base := `"@method": ` + m.method + "\n" + `"@target-uri": ` + m.url + "\n" + `"date": ` + m.header.Get("Date") + "\n" +
			`"content-digest": ` + digest256(m.body) + "\n" + `"@signature-params": ` + input
		m.header.Set("Signature-Input", "a=()"+`;created=1, s=`+input)
		m.header.Set("Signature", "s=:"+base64.StdEncoding.EncodeToString(sum(secret, base))+":")
	}
}

func init() {
	c := testCase{
		provider: "httpsig", url: "https://hooks.example.com/hook?x=%20y", body: `{"a":1}`,
		header:   map[string]string{"Date": "Sat, 14 Mar 2026 15:09:26 GMT", "X-Type": "made", "X-Id": "1"},
		settings: map[string]string{"components": "@method  @target-uri date", "type_header": "X-Type", "id_header": "X-Id"},
		sign:     signMessage(func(secret, base string) []byte { return mac(sha256.New, secret, base) }),
		want:     Delivery{Type: "made", ID: "1"}, proof: []string{"Signature", "Signature-Input", "Content-Digest"}, tolerance: 5 * time.Minute,
	}
	public := c
	public.name = "public key"
	public.secret, public.second, public.wrong = ed25519Texts(false)
	public.sign = signMessage(func(secret, base string) []byte {
		key, _ := signerOf(secret).(ed25519.PrivateKey)
		return ed25519.Sign(key, []byte(base))
	})
	addCase(c, public)
}

func TestMessageSignatureOfAnotherRequest(t *testing.T) {
	c := testCase{
		provider: "httpsig", body: "{}", header: map[string]string{"Date": "x"}, settings: map[string]string{"components": "@method @target-uri date"},
		sign: signMessage(func(secret, base string) []byte { return mac(sha256.New, secret, base) }),
	}
	good := c.message(secretOne, now)
	if _, err := c.verify(good, []string{secretOne}, now); err != nil {
		t.Fatal(err)
	}
	method, address, date := good, good, good
	method.method = "PUT"
	address.url += "?x"
	date.header = good.header.Clone()
	date.header.Set("Date", "y")
	for _, m := range []message{method, address, date} {
		c.refused(t, m, []string{secretOne}, now, ErrSignature)
	}
	// What is wanted and not signed.
	more := c
	more.settings = map[string]string{"components": "@method host"}
	more.refused(t, good, []string{secretOne}, now, ErrSignature)
	// A public key is no shared secret.
	one, _, _ := ed25519Texts(false)
	c.refused(t, c.message(one, now), []string{one}, now, ErrSignature)
	c.refused(t, good, []string{strings.Replace(one, "PUBLIC", "PRIVATE", 2)}, now, ErrWrongSecret)
}
