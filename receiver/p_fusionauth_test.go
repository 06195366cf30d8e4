package receiver

import (
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func fusionHash(body []byte) string {
	sum := sha256.Sum256(body)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func signFusion(method jwt.SigningMethod) func(*message, string, time.Time) {
	return func(m *message, secret string, _ time.Time) {
		var key any = []byte(secret)
		if _, ok := method.(*jwt.SigningMethodHMAC); !ok {
			key = signerOf(secret)
		}
		m.header.Set("X-Fusionauth-Signature-Jwt", token(method, key, "", jwt.MapClaims{"request_body_sha256": fusionHash(m.body)}))
	}
}

func init() {
	c := testCase{
		provider: "fusionauth", body: `{"event":{"id":"e98b","type":"user.create","createInstant":1773500966000,"tenantId":"t1","user":{"id":"u1"}}}`,
		sign: signFusion(jwt.SigningMethodHS256), proof: []string{"X-Fusionauth-Signature-Jwt"},
		want: Delivery{Type: "user.create", ID: "e98b", Subject: "u1", Time: time.UnixMilli(1773500966000).UTC()},
	}
	addCase(c)
	c.name, c.sign = "HS512", signFusion(jwt.SigningMethodHS512)
	addCase(c)
	c.name, c.sign = "RS256", signFusion(jwt.SigningMethodRS256)
	c.secret, c.second, c.wrong = rsaTexts()
	addCase(c)
	c.name, c.sign = "ES256", signFusion(jwt.SigningMethodES256)
	c.secret, c.second, c.wrong = ecdsaTexts(elliptic.P256(), false)
	addCase(c)
	c.name, c.sign = "ES384", signFusion(jwt.SigningMethodES384)
	c.secret, c.second, c.wrong = ecdsaTexts(elliptic.P384(), false)
	addCase(c)
	c.name, c.sign = "EdDSA", signFusion(jwt.SigningMethodEdDSA)
	c.secret, c.second, c.wrong = ed25519Texts(false)
	addCase(c)
}
