package receiver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func withMark(mark asn1.ObjectIdentifier) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{{Id: mark, Value: []byte{5, 0}}} }
}

// appleSigner is a root with what is below it; it signs payloads as Apple does.
type appleSigner struct {
	root  *testCA
	chain []*x509.Certificate
	key   *ecdsa.PrivateKey
}

func newAppleSigner(leaf, issuer func(*x509.Certificate)) appleSigner {
	s := appleSigner{root: newCA(nil, nil), key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	middle := newCA(s.root, issuer)
	s.chain = []*x509.Certificate{certificate(middle, s.key, leaf), middle.cert, s.root.cert}
	return s
}

var appleSigners = map[string]appleSigner{}

func appleSecret() string {
	s := newAppleSigner(withMark(appleLeafMark), withMark(appleIssuerMark))
	text := pemOf(s.root.cert)
	appleSigners[text] = s
	return text
}

func (s appleSigner) sign(method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t := jwt.NewWithClaims(method, claims)
	list := []string{}
	for _, c := range s.chain {
		list = append(list, base64.StdEncoding.EncodeToString(c.Raw))
	}
	t.Header["x5c"] = list
	return must(t.SignedString(key))
}

func appleClaims(at time.Time, change jwt.MapClaims) jwt.MapClaims {
	claims := jwt.MapClaims{
		"notificationType": "SUBSCRIBED", "subtype": "INITIAL_BUY", "notificationUUID": "002e14d5", "version": "2.0", "signedDate": at.UnixMilli(),
		"data": map[string]any{"bundleId": "com.example.app", "environment": "Production"},
	}
	maps.Copy(claims, change)
	return claims
}

func applePayload(t string) []byte { return []byte(`{"signedPayload":"` + t + `"}`) }

func init() {
	c := testCase{
		provider: "apple", settings: map[string]string{"bundle_id": "com.example.app"}, unsigned: true, marks: []string{`"signedPayload":"eyJ`},
		sign: func(m *message, secret string, at time.Time) {
			s, ok := appleSigners[secret]
			if !ok {
				panic("no such root")
			}
			m.body = applePayload(s.sign(jwt.SigningMethodES256, s.key, appleClaims(at, nil)))
		},
		want:      Delivery{Type: "SUBSCRIBED.INITIAL_BUY", ID: "002e14d5", Subject: "com.example.app", Time: now},
		tolerance: 7 * 24 * time.Hour,
	}
	c.secret, c.second, c.wrong = appleSecret(), appleSecret(), appleSecret()
	sandbox := c
	sandbox.name = "environment"
	sandbox.settings = map[string]string{"bundle_id": "com.example.app", "environment": "Production"}
	addCase(c, sandbox)
}

func TestAppleRoot(t *testing.T) {
	certs := must(parseCertificates([]byte(appleRoot)))
	sum := sha256.Sum256(certs[0].Raw)
	if got := hex.EncodeToString(sum[:]); got != "63343abfb89a6a03ebb57e9b3f5fa7be7c4f5c756f3017b3a8c488c3653e9179" {
		t.Errorf("the built-in root's fingerprint is %s", got)
	}
	if err := certs[0].CheckSignatureFrom(certs[0]); err != nil || certs[0].Subject.CommonName != "Apple Root CA - G3" {
		t.Errorf("%s: %v", certs[0].Subject, err)
	}
}

func TestAppleRefuses(t *testing.T) {
	good := newAppleSigner(withMark(appleLeafMark), withMark(appleIssuerMark))
	secret := pemOf(good.root.cert)
	claims := appleClaims(now, nil)
	sign := func(s appleSigner) string { return s.sign(jwt.SigningMethodES256, s.key, claims) }
	// with changes the chain.
	with := func(s appleSigner, chain ...*x509.Certificate) appleSigner { s.chain = chain; return s }
	stranger := newAppleSigner(withMark(appleLeafMark), withMark(appleIssuerMark))
	leafless := newAppleSigner(nil, withMark(appleIssuerMark))
	markless := newAppleSigner(withMark(appleLeafMark), nil)
	old := newAppleSigner(func(c *x509.Certificate) {
		withMark(appleLeafMark)(c)
		c.NotAfter = now.Add(-time.Hour)
	}, withMark(appleIssuerMark))
	bad := map[string]struct {
		token string
		roots string
	}{
		"another root":              {token: sign(stranger), roots: secret},
		"our root at a foreign end": {token: sign(with(stranger, stranger.chain[0], stranger.chain[1], good.root.cert)), roots: secret},
		"no mark of the App Store":  {token: sign(leafless), roots: pemOf(leafless.root.cert)},
		"no mark of the issuer":     {token: sign(markless), roots: pemOf(markless.root.cert)},
		"expired":                   {token: sign(old), roots: pemOf(old.root.cert)},
		"two certificates":          {token: sign(with(good, good.chain[:2]...)), roots: secret},
		"four certificates":         {token: sign(with(good, append(good.chain, good.root.cert)...)), roots: secret},
		"no chain":                  {token: sign(with(good)), roots: secret},
		"another key":               {token: good.sign(jwt.SigningMethodES256, stranger.key, claims), roots: secret},
		"none":                      {token: good.sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims), roots: secret},
		"certificate as a secret":   {token: good.sign(jwt.SigningMethodHS256, good.chain[0].Raw, claims), roots: secret},
		"another app":               {token: good.sign(jwt.SigningMethodES256, good.key, appleClaims(now, jwt.MapClaims{"data": map[string]any{"bundleId": "com.evil"}})), roots: secret},
		"no app":                    {token: good.sign(jwt.SigningMethodES256, good.key, appleClaims(now, jwt.MapClaims{"data": nil})), roots: secret},
		"no date":                   {token: good.sign(jwt.SigningMethodES256, good.key, appleClaims(now, jwt.MapClaims{"signedDate": nil})), roots: secret},
		"another environment":       {token: good.sign(jwt.SigningMethodES256, good.key, appleClaims(now, jwt.MapClaims{"data": map[string]any{"bundleId": "com.example.app", "environment": "Sandbox"}})), roots: secret},
		"roots that are none":       {token: sign(good), roots: "-----BEGIN CERTIFICATE-----"},
		"no token":                  {token: "a.b", roots: secret},
	}
	for name, b := range bad {
		t.Run(name, func(t *testing.T) {
			c := testCase{provider: "apple", settings: map[string]string{"bundle_id": "com.example.app", "environment": "Production"}}
			m := c.message("", now)
			m.body = applePayload(b.token)
			c.refused(t, m, []string{b.roots}, now)
		})
	}
	for _, body := range []string{"", "{}", `{"signedPayload":1}`, `{"signedPayload":["x"]}`, "[]"} {
		c := testCase{provider: "apple", settings: map[string]string{"bundle_id": "com.example.app"}}
		m := c.message("", now)
		m.body = []byte(body)
		c.refused(t, m, []string{secret}, now)
	}
	// A summary has its bundle elsewhere.
	c := testCase{provider: "apple", settings: map[string]string{"bundle_id": "com.example.app"}}
	m := c.message("", now)
	m.body = applePayload(good.sign(jwt.SigningMethodES256, good.key, appleClaims(now, jwt.MapClaims{"data": nil, "summary": map[string]any{"bundleId": "com.example.app"}})))
	if d, err := c.verify(m, []string{secret}, now); err != nil || d.Subject != "com.example.app" {
		t.Errorf("delivery %+v, error %v", d, err)
	}
}

// TestAppleParts has the notifications that say whose they are elsewhere than in data.
func TestAppleParts(t *testing.T) {
	s := newAppleSigner(withMark(appleLeafMark), withMark(appleIssuerMark))
	for _, c := range []struct {
		part, environment string
		value             map[string]any
		good              bool
	}{
		{"summary", "Sandbox", map[string]any{"bundleId": "com.example.app", "environment": "Sandbox"}, true},
		{"appData", "Production", map[string]any{"bundleId": "com.example.app", "environment": "Production"}, true},
		{"appData", "Production", map[string]any{"bundleId": "com.example.app", "environment": "Sandbox"}, false},
		{"appData", "", map[string]any{"bundleId": "com.example.other"}, false},
		{"externalPurchaseToken", "Production", map[string]any{"bundleId": "com.example.app", "externalPurchaseId": "00000000-1111"}, true},
		{"externalPurchaseToken", "Production", map[string]any{"bundleId": "com.example.app", "externalPurchaseId": "SANDBOX_00000000-1111"}, false},
		{"externalPurchaseToken", "Sandbox", map[string]any{"bundleId": "com.example.app", "externalPurchaseId": "SANDBOX_00000000-1111"}, true},
		{"other", "", map[string]any{"bundleId": "com.example.app"}, false},
	} {
		claims := appleClaims(now, jwt.MapClaims{c.part: c.value})
		delete(claims, "data")
		m := message{method: "POST", url: "https://hooks.example.com/hook", header: nil, body: applePayload(s.sign(jwt.SigningMethodES256, s.key, claims))}
		d, err := Verify("apple", []string{pemOf(s.root.cert)}, m.request(), m.body, At(func() time.Time { return now }),
			Setting("bundle_id", "com.example.app"), Setting("environment", c.environment))
		if (err == nil) != c.good || c.good && d.Subject != "com.example.app" {
			t.Errorf("%s %v: subject %q, error %v", c.part, c.value, d.Subject, err)
		}
	}
}
