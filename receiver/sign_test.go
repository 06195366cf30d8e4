package receiver

import (
	"crypto/hmac"
	//nolint:gosec // Some providers sign with HMAC-SHA1.
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"strconv"
	"time"
)

// How the providers sign, for the tests. Written apart from the code that verifies.

func mac(h func() hash.Hash, key string, parts ...string) []byte {
	m := hmac.New(h, []byte(key))
	for _, part := range parts {
		m.Write([]byte(part))
	}
	return m.Sum(nil)
}

func hex256(key string, parts ...string) string {
	return hex.EncodeToString(mac(sha256.New, key, parts...))
}

func base256(key string, parts ...string) string {
	return base64.StdEncoding.EncodeToString(mac(sha256.New, key, parts...))
}

func hex1(key string, parts ...string) string {
	return hex.EncodeToString(mac(sha1.New, key, parts...))
}

func base1(key string, parts ...string) string {
	return base64.StdEncoding.EncodeToString(mac(sha1.New, key, parts...))
}

func unix(at time.Time) string      { return strconv.FormatInt(at.Unix(), 10) }
func unixMilli(at time.Time) string { return strconv.FormatInt(at.UnixMilli(), 10) }

// signBody signs the body alone into a header.
func signBody(header, prefix string, sum func(key string, parts ...string) string) func(*message, string, time.Time) {
	return func(m *message, secret string, _ time.Time) {
		m.header.Set(header, prefix+sum(secret, string(m.body)))
	}
}
