package receiver

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"time"
)

// Limits of keys and certificates.
const (
	minRSABits      = 2048
	maxRSABits      = 8192
	maxKeys         = 100      // in a key set
	maxCertificates = 10       // in a chain
	maxCertificate  = 16 << 10 // bytes
)

// errKey says that a text is no public key; it never quotes it, since somebody may have put a private one there.
var errKey = fail(CodeWrongSecret, "not a public key of a kind that is known (RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, Ed25519)")

// parsePublicKey reads a public key: PEM (a public key or a certificate), or its DER as base64.
func parsePublicKey(text string) (crypto.PublicKey, error) {
	text = strings.TrimSpace(text)
	if strings.Contains(text, "-----BEGIN") {
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			return nil, errKey
		}
		switch block.Type {
		case "CERTIFICATE":
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, errKey
			}
			return checkPublicKey(cert.PublicKey)
		case "RSA PUBLIC KEY":
			key, err := x509.ParsePKCS1PublicKey(block.Bytes)
			if err != nil {
				return nil, errKey
			}
			return checkPublicKey(key)
		case "PUBLIC KEY":
			return parseDER(block.Bytes)
		}
		return nil, errKey
	}
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errKey
	}
	return parseDER(der)
}

func parseDER(der []byte) (crypto.PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errKey
	}
	return checkPublicKey(key)
}

// checkPublicKey refuses keys that are too weak, and too large to be tried at leisure.
func checkPublicKey(key crypto.PublicKey) (crypto.PublicKey, error) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits || k.E < 3 {
			return nil, errKey
		}
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() && k.Curve != elliptic.P521() {
			return nil, errKey
		}
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return nil, errKey
		}
	default:
		return nil, errKey
	}
	return key, nil
}

// parseCertificates reads the certificates of a PEM file, at most ten.
func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for len(certs) <= maxCertificates {
		var block *pem.Block
		block, text = pem.Decode(text)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fail(CodeMalformed, "a certificate cannot be read")
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 || len(certs) > maxCertificates {
		return nil, fail(CodeMalformed, "there are no certificates, or too many")
	}
	return certs, nil
}

// verifyChain checks that the first certificate leads through the others to a root, now. A nil pool is the system's. The sender may have made
// the certificates up: none with a key of an unusual size is tried, which could take minutes.
func verifyChain(certs []*x509.Certificate, roots *x509.CertPool, now time.Time) error {
	for _, c := range certs {
		if _, err := checkPublicKey(c.PublicKey); err != nil {
			return err
		}
		if len(c.Raw) > maxCertificate {
			return errors.New("a certificate is too long")
		}
	}
	between := x509.NewCertPool()
	for _, c := range certs[1:] {
		between.AddCert(c)
	}
	_, err := certs[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err
}

// verifyRSA256 checks an RSASSA-PKCS1-v1_5 signature with SHA-256.
func verifyRSA256(key *rsa.PublicKey, message, signature []byte) bool {
	sum := sha256.Sum256(message)
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
}

// webKey is one public key of a JSON Web Key Set (RFC 7517).
type webKey struct {
	id  string
	key crypto.PublicKey
}

// parseKeySet reads the public keys for signatures of a JSON Web Key Set. Keys of other kinds are left out.
func parseKeySet(text []byte) ([]webKey, error) {
	var set struct {
		Keys []struct{ Kty, Kid, Use, Crv, N, E, X, Y string } `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil || len(set.Keys) > maxKeys {
		return nil, fail(CodeFetch, "the provider's key set cannot be read")
	}
	keys := make([]webKey, 0, len(set.Keys))
	for _, k := range set.Keys {
		if k.Use != "" && k.Use != "sig" {
			continue
		}
		var key crypto.PublicKey
		switch k.Kty {
		case "RSA":
			key = rsaKey(k.N, k.E)
		case "EC":
			key = ecKey(k.Crv, k.X, k.Y)
		case "OKP":
			if x, err := base64.RawURLEncoding.DecodeString(k.X); err == nil && k.Crv == "Ed25519" {
				key = ed25519.PublicKey(x)
			}
		}
		if key, err := checkPublicKey(key); err == nil {
			keys = append(keys, webKey{id: k.Kid, key: key})
		}
	}
	return keys, nil
}

func rsaKey(modulus, exponent string) crypto.PublicKey {
	n, err := base64.RawURLEncoding.DecodeString(modulus)
	if err != nil || len(n) > maxRSABits/8 {
		return nil
	}
	e, err := base64.RawURLEncoding.DecodeString(exponent)
	if err != nil || len(e) > 4 {
		return nil
	}
	exp := 0
	for _, b := range e {
		exp = exp<<8 | int(b)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: exp}
}

func ecKey(curve, x, y string) crypto.PublicKey {
	curves := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}
	c, ok := curves[curve]
	if !ok {
		return nil
	}
	size := (c.Params().BitSize + 7) / 8
	point := make([]byte, 1, 1+2*size)
	point[0] = 4 // uncompressed
	for _, half := range []string{x, y} {
		b, err := base64.RawURLEncoding.DecodeString(half)
		if err != nil || len(b) != size {
			return nil
		}
		point = append(point, b...)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(c, point)
	if err != nil {
		return nil
	}
	return key
}

// errUnknownKey says that a signature names a key that its provider does not have.
var errUnknownKey = fail(CodeSignature, "the key is not one of the provider's")

// keySetAt is where a provider publishes its keys.
type keySetAt struct {
	url string
	own hostRule
}

// all returns the keys.
func (s keySetAt) all(ctx context.Context, f Fetcher) ([]webKey, error) {
	text, err := fetchFrom(ctx, f, s.url, s.own)
	if err != nil {
		return nil, err
	}
	return parseKeySet(text)
}

// newer returns the keys as they are now, or as they were less than a minute ago; none if the fetcher cannot read them anew.
func (s keySetAt) newer(ctx context.Context, f Fetcher) ([]webKey, error) {
	text, err := fetchNewer(ctx, f, s.url, s.own)
	if err != nil || text == nil {
		return nil, err
	}
	return parseKeySet(text)
}

// find returns the key with an id. If it is not among those that are known they are fetched again, at most once a minute.
func (s keySetAt) find(ctx context.Context, f Fetcher, id string) (crypto.PublicKey, error) {
	keys, err := s.all(ctx, f)
	if err != nil {
		return nil, err
	}
	if key, ok := keyByID(keys, id); ok {
		return key, nil
	}
	if keys, err = s.newer(ctx, f); err != nil {
		return nil, err
	}
	if key, ok := keyByID(keys, id); ok {
		return key, nil
	}
	return nil, errUnknownKey
}

func keyByID(keys []webKey, id string) (crypto.PublicKey, bool) {
	for _, k := range keys {
		if id != "" && k.id == id {
			return k.key, true
		}
	}
	return nil, false
}

// anyKey refuses the request unless a public key, which a secret holds, verifies it.
func (r *request) anyKey(match func(crypto.PublicKey) bool) error {
	readable := false
	err := r.anySecret(func(secret string) bool {
		key, err := parsePublicKey(secret)
		if err != nil {
			return false
		}
		readable = true
		return match(key)
	})
	if err != nil && !readable && len(r.secrets) > 0 {
		return errKey
	}
	return err
}
