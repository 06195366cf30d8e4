package receiver

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func netlifyToken(body []byte, change jwt.MapClaims) jwt.MapClaims {
	sum := sha256.Sum256(body)
	claims := jwt.MapClaims{"iss": "netlify", "sha256": hex.EncodeToString(sum[:])}
	maps.Copy(claims, change)
	return claims
}

func init() {
	c := testCase{
		provider: "netlify", body: `{"id":"5f9c","name":"site","state":"ready","updated_at":"2026-03-14T15:09:00Z"}`,
		sign: func(m *message, secret string, _ time.Time) {
			m.header.Set("X-Webhook-Signature", token(jwt.SigningMethodHS256, []byte(secret), "", netlifyToken(m.body, nil)))
		},
		want:  Delivery{Type: "deploy.ready", ID: "5f9c-ready", Subject: "site", Time: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)},
		proof: []string{"X-Webhook-Signature"},
	}
	form := c
	form.name = "form"
	form.body = `{"id":"77","form_name":"contact","created_at":"2026-03-14T15:09:00Z"}`
	form.want = Delivery{Type: "form", ID: "77", Subject: "contact", Time: c.want.Time}
	addCase(c, form)
}

// TestTokensOfBodies sends the tokens that JWT libraries were caught with, to both providers that have a body's hash in one.
func TestTokensOfBodies(t *testing.T) {
	body := []byte(`{"id":"1"}`)
	good := netlifyToken(body, nil)
	tokens := map[string]string{
		"none":               token(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "", good),
		"another issuer":     token(jwt.SigningMethodHS256, []byte(secretOne), "", netlifyToken(body, jwt.MapClaims{"iss": "netlify.evil"})),
		"no issuer":          token(jwt.SigningMethodHS256, []byte(secretOne), "", netlifyToken(body, jwt.MapClaims{"iss": nil})),
		"issuers":            token(jwt.SigningMethodHS256, []byte(secretOne), "", netlifyToken(body, jwt.MapClaims{"iss": []string{"netlify"}})),
		"no hash":            token(jwt.SigningMethodHS256, []byte(secretOne), "", jwt.MapClaims{"iss": "netlify"}),
		"empty hash":         token(jwt.SigningMethodHS256, []byte(secretOne), "", netlifyToken(body, jwt.MapClaims{"sha256": ""})),
		"hash is a list":     token(jwt.SigningMethodHS256, []byte(secretOne), "", netlifyToken(body, jwt.MapClaims{"sha256": []any{good["sha256"]}})),
		"another body's":     token(jwt.SigningMethodHS256, []byte(secretOne), "", netlifyToken([]byte("x"), nil)),
		"expired":            token(jwt.SigningMethodHS256, []byte(secretOne), "", netlifyToken(body, jwt.MapClaims{"exp": now.Add(-time.Hour).Unix()})),
		"not yet":            token(jwt.SigningMethodHS256, []byte(secretOne), "", netlifyToken(body, jwt.MapClaims{"nbf": now.Add(time.Hour).Unix()})),
		"from the future":    token(jwt.SigningMethodHS256, []byte(secretOne), "", netlifyToken(body, jwt.MapClaims{"iat": now.Add(time.Hour).Unix()})),
		"signature left out": cutSignature(token(jwt.SigningMethodHS256, []byte(secretOne), "", good)),
		"two dots":           "..", "four parts": token(jwt.SigningMethodHS256, []byte(secretOne), "", good) + ".x",
		"NONE": strings.Replace(token(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "", good), "eyJhbGciOiJub25l", "eyJhbGciOiJOT05F", 1),
	}
	for name, text := range tokens {
		t.Run(name, func(t *testing.T) {
			m := testCase{}.message("", now)
			m.body = body
			m.header.Set("X-Webhook-Signature", text)
			testCase{provider: "netlify"}.refused(t, m, []string{secretOne}, now, ErrSignature, ErrExpired)
		})
	}
	t.Run("a public key is no shared secret", func(t *testing.T) {
		one, _, _ := rsaTexts()
		key := must(parsePublicKey(one))
		public, _ := key.(*rsa.PublicKey)
		claims := jwt.MapClaims{"request_body_sha256": fusionHash(body)}
		for _, guess := range [][]byte{[]byte(one), []byte(strings.TrimSpace(one)), must(x509.MarshalPKIXPublicKey(key)), x509.MarshalPKCS1PublicKey(public)} {
			m := testCase{}.message("", now)
			m.body = body
			m.header.Set("X-Fusionauth-Signature-Jwt", token(jwt.SigningMethodHS256, guess, "", claims))
			testCase{provider: "fusionauth"}.refused(t, m, []string{one}, now, ErrSignature)
		}
	})
}

func cutSignature(t string) string { return t[:strings.LastIndex(t, ".")+1] }
