package receiver

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Keys, certificates and fetchers for the tests of providers that sign with keys. They are made when the tests start.

// signer is a private key of a provider. Its name in the cases' secrets is its public key as text.
type signer struct {
	key  crypto.Signer
	text string // PEM, or base64 where base64 is set
}

// signers are all, by the text of their public keys.
var signers = map[string]signer{}

func newSigner(key crypto.Signer, asBase64 bool) string {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic(err)
	}
	text := base64.StdEncoding.EncodeToString(der)
	if !asBase64 {
		text = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	signers[text] = signer{key: key, text: text}
	return text
}

// signerOf returns the private key of a public one; it panics if there is none, which the harness takes for "cannot sign".
func signerOf(text string) crypto.Signer {
	s, ok := signers[text]
	if !ok {
		panic("no such key")
	}
	return s.key
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// rsaKeys are three: one, two and wrong.
var rsaKeys = sync.OnceValue(func() [3]*rsa.PrivateKey {
	var keys [3]*rsa.PrivateKey
	for i := range keys {
		keys[i] = must(rsa.GenerateKey(rand.Reader, 2048))
	}
	return keys
})

func rsaTexts() (one, two, wrong string) {
	keys := rsaKeys()
	return newSigner(keys[0], false), newSigner(keys[1], false), newSigner(keys[2], false)
}

func ecdsaTexts(curve elliptic.Curve, asBase64 bool) (one, two, wrong string) {
	var texts [3]string
	for i := range texts {
		texts[i] = newSigner(must(ecdsa.GenerateKey(curve, rand.Reader)), asBase64)
	}
	return texts[0], texts[1], texts[2]
}

func ed25519Texts(asBase64 bool) (one, two, wrong string) {
	var texts [3]string
	for i := range texts {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			panic(err)
		}
		texts[i] = newSigner(key, asBase64)
	}
	return texts[0], texts[1], texts[2]
}

func signRSA256(key *rsa.PrivateKey, text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(must(rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])))
}

// token makes a JWT.
func token(method jwt.SigningMethod, key any, kid string, claims jwt.MapClaims) string {
	t := jwt.NewWithClaims(method, claims)
	if kid != "" {
		t.Header["kid"] = kid
	}
	return must(t.SignedString(key))
}

// authority is a test's certificate authority.
type testCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var serial = int64(1)

// certificate makes a certificate that is good for fifty years around now, signed by a parent or itself.
func certificate(parent *testCA, key crypto.Signer, change func(*x509.Certificate)) *x509.Certificate {
	serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: fmt.Sprintf("test %d", serial)},
		NotBefore: now.Add(-25 * 8766 * time.Hour), NotAfter: now.Add(25 * 8766 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if change != nil {
		change(template)
	}
	issuer, issuerKey := template, key
	if parent != nil {
		issuer, issuerKey = parent.cert, parent.key
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), issuerKey))))
}

func newCA(parent *testCA, change func(*x509.Certificate)) *testCA {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	return &testCA{key: key, cert: certificate(parent, key, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		if change != nil {
			change(c)
		}
	})}
}

func (ca *testCA) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

func pemOf(certs ...*x509.Certificate) string {
	text := ""
	for _, c := range certs {
		text += string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return text
}

// pages is a Fetcher with what it is given, and nothing else.
type pages struct {
	mu    sync.Mutex
	at    map[string]string
	asked []string
}

func (p *pages) Fetch(_ context.Context, url string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, url)
	body, ok := p.at[url]
	if !ok {
		return nil, errors.New("404")
	}
	return []byte(body), nil
}

func (p *pages) askedFor() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.asked...)
}

// keySet makes a JSON Web Key Set of public keys by id.
func keySet(keys map[string]crypto.PublicKey) string {
	raw := base64.RawURLEncoding.EncodeToString
	list := []map[string]string{{"kty": "oct", "kid": "shared", "k": "AAAA"}}
	for id, key := range keys {
		one := map[string]string{"kid": id, "use": "sig"}
		switch k := key.(type) {
		case *rsa.PublicKey:
			one["kty"], one["n"], one["e"] = "RSA", raw(k.N.Bytes()), raw(big.NewInt(int64(k.E)).Bytes())
		case *ecdsa.PublicKey:
			point := must(k.Bytes())
			half := (len(point) - 1) / 2
			one["kty"], one["crv"], one["x"], one["y"] = "EC", k.Params().Name, raw(point[1:1+half]), raw(point[1+half:])
		case ed25519.PublicKey:
			one["kty"], one["crv"], one["x"] = "OKP", "Ed25519", raw(k)
		}
		list = append(list, one)
	}
	return string(must(json.Marshal(map[string]any{"keys": list})))
}
