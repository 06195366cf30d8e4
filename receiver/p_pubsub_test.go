package receiver

import (
	"crypto"
	"crypto/x509"
	"maps"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const pubsubAccount = "push@project.iam.gserviceaccount.com"

func pubsubClaims(audience string, at time.Time, change jwt.MapClaims) jwt.MapClaims {
	claims := jwt.MapClaims{
		"aud": audience, "iss": "https://accounts.google.com", "email": pubsubAccount, "email_verified": true, "sub": "113774264463038321964",
		"iat": at.Unix(), "exp": at.Add(time.Hour).Unix(),
	}
	maps.Copy(claims, change)
	return claims
}

func pubsubCase() testCase {
	return testCase{
		provider: "pubsub", settings: map[string]string{"email": pubsubAccount},
		secret: "https://hooks.example.com/in/acme/pubsub", second: "https://hooks.example.com/in/acme/pubsub2", wrong: "https://another.example",
		opts: []Option{Fetch(&pages{at: map[string]string{googleKeys.url: keySet(map[string]crypto.PublicKey{"g1": rsaKeys()[0].Public()})}})},
		sign: func(m *message, secret string, at time.Time) {
			m.header.Set("Authorization", "Bearer "+token(jwt.SigningMethodRS256, rsaKeys()[0], "g1", pubsubClaims(secret, at, nil)))
		},
		body:     `{"message":{"attributes":{"eventType":"OBJECT_FINALIZE"},"data":"SGVsbG8=","messageId":"2070443601311540","publishTime":"2026-03-14T15:09:00Z"},"subscription":"projects/p/subscriptions/s"}`,
		want:     Delivery{Type: "OBJECT_FINALIZE", ID: "2070443601311540", Subject: "projects/p/subscriptions/s", Time: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)},
		proof:    []string{"Authorization"},
		unsigned: true,
	}
}

func init() {
	c := pubsubCase()
	unwrapped := pubsubCase()
	unwrapped.name = "unwrapped"
	unwrapped.header = map[string]string{
		"X-Goog-Pubsub-Message-Id": "77", "X-Goog-Pubsub-Subscription-Name": "projects/p/subscriptions/s", "X-Goog-Pubsub-Publish-Time": "2026-03-14T15:09:00.5Z",
	}
	unwrapped.body = `{"message":{"messageId":"of the sender's own"}}`
	unwrapped.want = Delivery{Type: "message", ID: "77", Subject: "projects/p/subscriptions/s", Time: time.Date(2026, 3, 14, 15, 9, 0, 500_000_000, time.UTC)}
	addCase(c, unwrapped)
}

func TestPubSubTokens(t *testing.T) {
	key := rsaKeys()[0]
	public := must(x509.MarshalPKIXPublicKey(key.Public()))
	c := pubsubCase()
	signed := func(change jwt.MapClaims) string {
		return token(jwt.SigningMethodRS256, key, "g1", pubsubClaims(c.secret, now, change))
	}
	for name, text := range map[string]string{
		"another account":     signed(jwt.MapClaims{"email": "evil@evil.iam.gserviceaccount.com"}),
		"no account":          signed(jwt.MapClaims{"email": nil}),
		"not verified":        signed(jwt.MapClaims{"email_verified": false}),
		"verified is a text":  signed(jwt.MapClaims{"email_verified": "true"}),
		"another issuer":      signed(jwt.MapClaims{"iss": "https://accounts.google.com.evil.example"}),
		"no issuer":           signed(jwt.MapClaims{"iss": nil}),
		"no audience":         signed(jwt.MapClaims{"aud": nil}),
		"audience's prefix":   signed(jwt.MapClaims{"aud": c.secret[:10]}),
		"expired":             signed(jwt.MapClaims{"exp": now.Add(-2 * time.Minute).Unix()}),
		"from the future":     signed(jwt.MapClaims{"iat": now.Add(2 * time.Minute).Unix()}),
		"no end":              signed(jwt.MapClaims{"exp": nil}),
		"unknown key":         token(jwt.SigningMethodRS256, key, "g2", pubsubClaims(c.secret, now, nil)),
		"no key id":           token(jwt.SigningMethodRS256, key, "", pubsubClaims(c.secret, now, nil)),
		"key id of a secret":  token(jwt.SigningMethodHS256, []byte{0, 0, 0}, "shared", pubsubClaims(c.secret, now, nil)),
		"another's key":       token(jwt.SigningMethodRS256, rsaKeys()[1], "g1", pubsubClaims(c.secret, now, nil)),
		"none":                token(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "g1", pubsubClaims(c.secret, now, nil)),
		"public key a secret": token(jwt.SigningMethodHS256, public, "g1", pubsubClaims(c.secret, now, nil)),
		"PS256":               token(jwt.SigningMethodPS256, key, "g1", pubsubClaims(c.secret, now, nil)),
	} {
		t.Run(name, func(t *testing.T) {
			m := c.message(c.secret, now)
			m.header.Set("Authorization", "Bearer "+text)
			c.refused(t, m, []string{c.secret}, now, ErrSignature, ErrExpired)
		})
	}
	for _, text := range []string{"Basic abc", "Bearer", "Bearer ", "bearer  "} {
		m := c.message(c.secret, now)
		m.header.Set("Authorization", text)
		c.refused(t, m, []string{c.secret}, now)
	}
	t.Run("several audiences and the short issuer", func(t *testing.T) {
		m := c.message(c.secret, now)
		m.header.Set("Authorization", "bearer "+signed(jwt.MapClaims{"aud": []string{"x", c.secret}, "iss": "accounts.google.com"}))
		if _, err := c.verify(m, []string{c.secret}, now); err != nil {
			t.Error(err)
		}
	})
}
