package receiver

import (
	"bytes"
	"crypto/hmac"

	//nolint:gosec // Some providers sign with HMAC-SHA1, which is not broken; the choice is theirs.
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"strings"
)

// scheme is an HMAC and how its result is written.
type scheme struct {
	hash   func() hash.Hash
	decode func(string) ([]byte, error)
}

var (
	sha1Hex      = scheme{sha1.New, hex.DecodeString}
	sha1Base64   = scheme{sha1.New, decodeBase64}
	sha256Hex    = scheme{sha256.New, hex.DecodeString}
	sha256Base64 = scheme{sha256.New, decodeBase64}
	sha384Hex    = scheme{sha512.New384, hex.DecodeString}
	sha512Hex    = scheme{sha512.New, hex.DecodeString}
)

var errNewline = errors.New("a line break in base64")

// decodeBase64 takes the one way to write bytes: the standard alphabet, padded, no line breaks, no loose bits.
func decodeBase64(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errNewline
	}
	return base64.StdEncoding.Strict().DecodeString(text)
}

// anyHMAC checks a signature over the parts, one after the other, with each secret as the key.
func (r *request) anyHMAC(s scheme, got string, parts ...[]byte) error {
	return r.anyOfHMAC(s, []string{got}, parts...)
}

// anyOfHMAC is anyHMAC for several signatures: one that matches is enough.
func (r *request) anyOfHMAC(s scheme, got []string, parts ...[]byte) error {
	if len(got) > maxMACs {
		return fail(CodeMalformed, "there are too many signatures")
	}
	var decoded [][]byte
	for _, text := range got {
		if raw, err := s.decode(text); err == nil {
			decoded = append(decoded, raw)
		}
	}
	if len(decoded) == 0 {
		return fail(CodeSignature, "the signature is not written as this provider writes it")
	}
	return r.anySecret(func(secret string) bool {
		mac := hmac.New(s.hash, []byte(secret))
		for _, part := range parts {
			mac.Write(part)
		}
		want := mac.Sum(nil)
		for _, sum := range decoded {
			if hmac.Equal(sum, want) {
				return true
			}
		}
		return false
	})
}

// anySecret refuses the request unless a secret matches. It never calls match with an empty secret, nor at all without one.
func (r *request) anySecret(match func(secret string) bool) error {
	if len(r.secrets) == 0 {
		return fail(CodeNoSecret, "no secret is set")
	}
	for _, secret := range r.secrets {
		if secret != "" && match(secret) {
			r.matched = secret
			return nil
		}
	}
	return fail(CodeSignature, "no secret matches")
}

// allZero reports whether a key is to an HMAC the same as none.
func allZero(key []byte) bool { return len(bytes.Trim(key, "\x00")) == 0 }

// anyToken checks a secret that the request carries as it is. What is compared are hashes, so that the time taken
// says nothing about the secret's length either.
func (r *request) anyToken(got string) error {
	return r.anySecret(func(secret string) bool { return same(got, secret) })
}

// same compares in constant time.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// bodyHMAC is the commonest rule: a header holds the body's HMAC, with something before it.
func bodyHMAC(header, prefix string, s scheme) func(*request) error {
	return func(r *request) error {
		got, err := r.headerCut(header, prefix)
		if err != nil {
			return err
		}
		return r.anyHMAC(s, got, r.body)
	}
}

// headerToken is the rule of a header that holds the secret itself.
func headerToken(header string) func(*request) error {
	return func(r *request) error {
		got, err := r.header(header)
		if err != nil {
			return err
		}
		return r.anyToken(got)
	}
}

// pairs reads a header such as "t=1,v1=ab,v1=cd": all values of each name.
func pairs(text, separator string) map[string][]string {
	found := map[string][]string{}
	n := 0
	for pair := range strings.SplitSeq(text, separator) {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if n++; !ok || n > 4*maxMACs {
			continue
		}
		found[name] = append(found[name], value)
	}
	return found
}

// one returns the only value of a name in a header of pairs.
func one(found map[string][]string, header, name string) (string, error) {
	return only(found[name], name+" in the header "+header)
}
