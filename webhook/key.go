package webhook

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Prefixes of the textual form of keys; base64 (standard alphabet, padded) follows.
const (
	PrefixSecret  = "whsec_" // a shared HMAC-SHA256 secret, 24 to 64 bytes (v1)
	PrefixPrivate = "whsk_"  // an Ed25519 private key, 64 bytes: seed, then public key (v1a)
	PrefixPublic  = "whpk_"  // an Ed25519 public key, 32 bytes (v1a)
)

// Sizes of a shared secret, in bytes.
const (
	MinSecret = 24
	MaxSecret = 64
	// newSecret is as long as the hash: more adds nothing.
	newSecret = 32
)

// Errors of [ParseKey], [NewSigner] and [NewVerifier]. None of them holds any part of a secret.
var (
	ErrSecretPrefix   = errors.New("webhook: a secret must begin with whsec_, whsk_ or whpk_")
	ErrSecretEncoding = errors.New("webhook: a secret must be padded standard base64 after its prefix")
	ErrSecretLength   = errors.New("webhook: a secret has the wrong length")
	ErrSecretPair     = errors.New("webhook: the two halves of a private key do not belong together")
	ErrSecretEmpty    = errors.New("webhook: a key is empty; make it with ParseKey, NewSecret or NewPrivateKey")
	ErrSecretPublic   = errors.New("webhook: a public key cannot sign")
	ErrKeyCount       = fmt.Errorf("webhook: there must be 1 to %d keys", MaxKeys)
)

// Key is one secret or key in memory. It never prints itself: use [Key.Text] to get its textual form. The zero Key
// is empty; it signs nothing and verifies nothing. Keys are immutable and may be shared.
type Key struct {
	// Two pointers away, because package fmt prints what is in an unexported field of another struct without asking
	// for its methods. It follows one pointer, of the next it prints the address.
	m *sealed
}

type sealed struct{ *material }

// material holds exactly one of: secret; public; private with its public.
type material struct {
	secret  []byte
	private ed25519.PrivateKey
	public  ed25519.PublicKey
}

// ParseKey reads the textual form of a key: whsec_ (24 to 64 bytes), whsk_ (64 bytes) or whpk_ (32 bytes). It
// returns an error wrapping [ErrSecretPrefix], [ErrSecretEncoding], [ErrSecretLength] or [ErrSecretPair].
func ParseKey(text string) (Key, error) {
	for _, prefix := range []string{PrefixSecret, PrefixPrivate, PrefixPublic} {
		encoded, found := strings.CutPrefix(text, prefix)
		if !found {
			continue
		}
		// The longest secret is 64 bytes, 88 characters.
		if len(encoded) > base64.StdEncoding.EncodedLen(MaxSecret) {
			return Key{}, fmt.Errorf("%w: it is too long", ErrSecretLength)
		}
		// Package base64 skips line ends, which a secret has only by mistake.
		raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err != nil || strings.ContainsAny(encoded, "\r\n") {
			return Key{}, ErrSecretEncoding
		}
		return keyFromBytes(prefix, raw)
	}
	return Key{}, ErrSecretPrefix
}

func keyFromBytes(prefix string, raw []byte) (Key, error) {
	switch prefix {
	case PrefixSecret:
		if len(raw) < MinSecret || len(raw) > MaxSecret {
			return Key{}, fmt.Errorf("%w: whsec_ needs %d to %d bytes, not %d", ErrSecretLength, MinSecret, MaxSecret, len(raw))
		}
		return newKey(material{secret: raw}), nil
	case PrefixPrivate:
		if len(raw) != ed25519.PrivateKeySize {
			return Key{}, fmt.Errorf("%w: whsk_ needs %d bytes, not %d", ErrSecretLength, ed25519.PrivateKeySize, len(raw))
		}
		private := ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])
		if !bytes.Equal(private[ed25519.SeedSize:], raw[ed25519.SeedSize:]) {
			return Key{}, ErrSecretPair
		}
		return privateKey(private), nil
	default:
		if len(raw) != ed25519.PublicKeySize {
			return Key{}, fmt.Errorf("%w: whpk_ needs %d bytes, not %d", ErrSecretLength, ed25519.PublicKeySize, len(raw))
		}
		return newKey(material{public: raw}), nil
	}
}

// NewSecret makes a random shared secret of 32 bytes (v1).
func NewSecret() Key {
	secret := make([]byte, newSecret)
	_, _ = rand.Read(secret) // never fails: crypto/rand ends the program instead
	return newKey(material{secret: secret})
}

// NewPrivateKey makes a random Ed25519 key (v1a). Its receivers get [Key.Public].
func NewPrivateKey() Key {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // never fails: crypto/rand ends the program instead
	return privateKey(ed25519.NewKeyFromSeed(seed))
}

func newKey(m material) Key { return Key{&sealed{&m}} }

func privateKey(private ed25519.PrivateKey) Key {
	return newKey(material{private: private, public: ed25519.PublicKey(private[ed25519.SeedSize:])})
}

// Public returns what a receiver needs to verify: the public half of a private key, and any other key as it is.
func (k Key) Public() Key {
	if k.m == nil || k.m.private == nil {
		return k
	}
	return newKey(material{public: k.m.public})
}

// Text returns the textual form, which [ParseKey] reads: the secret itself, unless the key is a public one. It is ""
// for an empty key.
func (k Key) Text() string {
	switch {
	case k.m == nil:
		return ""
	case k.m.secret != nil:
		return PrefixSecret + base64.StdEncoding.EncodeToString(k.m.secret)
	case k.m.private != nil:
		return PrefixPrivate + base64.StdEncoding.EncodeToString(k.m.private)
	default:
		return PrefixPublic + base64.StdEncoding.EncodeToString(k.m.public)
	}
}

// Format prints a public key as its text and any other key as its prefix and stars, whatever the verb, so that a
// secret does not reach a log by accident.
func (k Key) Format(f fmt.State, _ rune) {
	text := "(empty)"
	switch {
	case k.m == nil:
	case k.m.secret != nil:
		text = PrefixSecret + "***"
	case k.m.private != nil:
		text = PrefixPrivate + "***"
	default:
		text = k.Text()
	}
	_, _ = io.WriteString(f, text)
}
