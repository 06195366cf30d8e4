package token

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// Limits of a set of another issuer's keys.
const (
	maxKeySet     = 256 << 10 // bytes
	maxPublicKeys = 100
	// minRSA and maxRSA are sizes in bits: shorter ones are broken (RFC 7518, 3.3), longer ones cost too much to check.
	minRSA, maxRSA = 2048, 8192
	// maxTried bounds the keys that a token without a kid is checked with.
	maxTried = 8
)

var (
	errNoKeys    = errors.New("it has no public key of RSA (2048 to 8192 bits), P-256, P-384, P-521 or Ed25519 to check signatures with")
	errManyKeys  = fmt.Errorf("it has more than %d keys", maxPublicKeys)
	errLargeSet  = fmt.Errorf("it is larger than %d bytes", maxKeySet)
	errPrivate   = errors.New("it holds a private key; give the public one, and make a new pair: this one has left its place")
	errNotKeySet = errors.New("it is neither a JWK set nor public keys in PEM")
)

// publicKey is a key of another issuer and the algorithms that it may check.
type publicKey struct {
	id         string // its kid, empty when it has none
	algorithms []string
	key        any
}

// publicKeys is a set of keys. It is never changed: a pointer to it stands for its contents.
type publicKeys struct{ keys []publicKey }

// candidates returns the keys that a token with a kid (or none) and an algorithm may have been signed with. A key
// without a kid fits every kid.
func (p *publicKeys) candidates(kid, algorithm string) []jwt.VerificationKey {
	var list []jwt.VerificationKey
	for _, k := range p.keys {
		if (kid == "" || k.id == "" || k.id == kid) && slices.Contains(k.algorithms, algorithm) && len(list) < maxTried {
			list = append(list, k.key)
		}
	}
	return list
}

// readKeySet reads all of a set, which has a limit.
func readKeySet(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxKeySet+1))
	if err == nil && len(data) > maxKeySet {
		err = errLargeSet
	}
	return data, err
}

// parseKeys reads a JWK set (RFC 7517, 5), a single JWK, or PEM blocks. No error repeats what was read.
func parseKeys(data []byte) (*publicKeys, error) {
	data = bytes.TrimSpace(data)
	if bytes.HasPrefix(data, []byte("{")) {
		return parseJWKSet(data)
	}
	return parsePEM(data)
}

// parseJWKSet keeps the keys that can check signatures and leaves the others out, as RFC 7517 asks for: secret ones,
// those for encryption, and kinds that are not known here.
func parseJWKSet(data []byte) (*publicKeys, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
		Kty  string            `json:"kty"`
	}
	if json.Unmarshal(data, &set) != nil {
		return nil, errNotKeySet
	}
	if set.Kty != "" && set.Keys == nil {
		set.Keys = []json.RawMessage{data}
	}
	if len(set.Keys) > maxPublicKeys {
		return nil, errManyKeys
	}
	out := &publicKeys{}
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(raw) != nil || k.Use != "" && k.Use != "sig" || !checks(raw) {
			continue
		}
		if !k.IsPublic() {
			if _, secret := k.Key.([]byte); secret {
				continue
			}
			return nil, errPrivate
		}
		algorithms := algorithmsOf(k.Key)
		if k.Algorithm != "" {
			algorithms = slices.DeleteFunc(algorithms, func(a string) bool { return a != k.Algorithm })
		}
		if len(algorithms) > 0 {
			out.keys = append(out.keys, publicKey{id: k.KeyID, algorithms: algorithms, key: k.Key})
		}
	}
	if len(out.keys) == 0 {
		return nil, errNoKeys
	}
	return out, nil
}

// checks reports whether a JWK's key_ops, when it has any, let it check signatures.
func checks(raw []byte) bool {
	var k struct {
		Ops []string `json:"key_ops"`
	}
	return json.Unmarshal(raw, &k) == nil && (k.Ops == nil || slices.Contains(k.Ops, "verify"))
}

func parsePEM(data []byte) (*publicKeys, error) {
	out := &publicKeys{}
	for len(data) > 0 {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		data = rest
		var key any
		var err error
		switch block.Type {
		case "PUBLIC KEY":
			key, err = x509.ParsePKIXPublicKey(block.Bytes)
		case "RSA PUBLIC KEY":
			key, err = x509.ParsePKCS1PublicKey(block.Bytes)
		case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
			return nil, errPrivate
		default:
			continue
		}
		algorithms := algorithmsOf(key)
		if err != nil || len(algorithms) == 0 {
			return nil, errNoKeys
		}
		if out.keys = append(out.keys, publicKey{algorithms: algorithms, key: key}); len(out.keys) > maxTried {
			return nil, fmt.Errorf("it has more than %d keys without a kid; use a JWK set", maxTried)
		}
	}
	if len(bytes.TrimSpace(data)) > 0 || len(out.keys) == 0 {
		return nil, errNotKeySet
	}
	return out, nil
}

// algorithmsOf returns the algorithms that a public key may check, none for keys that are not taken.
func algorithmsOf(key any) []string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n >= minRSA && n <= maxRSA {
			return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
		}
	case *ecdsa.PublicKey:
		// Each curve has one algorithm (RFC 7518, 3.4).
		switch k.Curve.Params().BitSize {
		case 256:
			return []string{"ES256"}
		case 384:
			return []string{"ES384"}
		case 521:
			return []string{"ES512"}
		}
	case ed25519.PublicKey:
		return []string{"EdDSA"}
	}
	return nil
}
