package webhook

import (
	"bytes"
	"crypto/ed25519"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// DefaultTolerance is how far a timestamp may be from the receiver's clock, in the past and in the future.
const DefaultTolerance = 5 * time.Minute

// Errors of [Verifier.Verify], besides [ErrID] and [ErrTimestamp]. Errors about one header are wrapped with its name.
var (
	ErrMissingHeader     = errors.New("webhook: a header is missing")
	ErrDuplicateHeader   = errors.New("webhook: a header is given more than once")
	ErrHeaderTooLong     = errors.New("webhook: a header is too long")
	ErrTooManySignatures = errors.New("webhook: there are too many signatures")
	ErrTooOld            = errors.New("webhook: the timestamp is too old")
	ErrTooNew            = errors.New("webhook: the timestamp is too far in the future")
	ErrNoMatch           = errors.New("webhook: no signature matches")
)

// Verifier checks messages against one or more keys. It is safe for concurrent use once its fields are set.
type Verifier struct {
	// Now is the clock; nil means [time.Now]. Set it before the first use.
	Now func() time.Time
	// Tolerance is how far the timestamp may be from Now either way; 0 means [DefaultTolerance]. Set it before the
	// first use.
	Tolerance time.Duration

	hmac   *Signer // of all shared secrets, nil if there is none
	public []ed25519.PublicKey
}

// NewVerifier returns a Verifier that accepts a message signed by any of the keys: shared secrets (v1), public keys
// and private ones (v1a). It returns [ErrKeyCount] or [ErrSecretEmpty].
func NewVerifier(keys ...Key) (*Verifier, error) {
	if len(keys) == 0 || len(keys) > MaxKeys {
		return nil, ErrKeyCount
	}
	v := &Verifier{}
	var shared []Key
	for _, k := range keys {
		switch {
		case k.m == nil:
			return nil, ErrSecretEmpty
		case k.m.secret != nil:
			shared = append(shared, k)
		default:
			v.public = append(v.public, k.m.public)
		}
	}
	if len(shared) > 0 {
		signer, err := NewSigner(shared...)
		if err != nil {
			return nil, err
		}
		v.hmac = signer
	}
	return v, nil
}

// Verify checks that a message was signed by one of the keys within the tolerance. The body has to be the bytes as
// they arrived, before any parsing. Signatures of unknown versions are ignored; comparing takes the same time
// wherever a difference is. It returns nil, [ErrID], [ErrTimestamp] or one of the errors above, and each can be
// told with [errors.Is].
func (v *Verifier) Verify(header http.Header, body []byte) error {
	id, err := one(header, canonicalID, MaxID)
	if err != nil {
		return err
	}
	if !checkID(id) {
		return ErrID
	}
	timestamp, err := one(header, canonicalTimestamp, len(strconv.Itoa(maxTimestamp)))
	if err != nil {
		return err
	}
	at, err := v.checkTimestamp(timestamp)
	if err != nil {
		return err
	}
	signatures, err := one(header, canonicalSignature, MaxSignatureHeader)
	if err != nil {
		return err
	}
	if strings.Count(signatures, " ") >= MaxSignatures {
		return fmt.Errorf("%w: at most %d are allowed", ErrTooManySignatures, MaxSignatures)
	}
	if !v.match(signatures, id, at, body) {
		return ErrNoMatch
	}
	return nil
}

// one returns the only value of a header.
func one(header http.Header, name string, limit int) (string, error) {
	switch values := header.Values(name); {
	case len(values) > 1:
		return "", fmt.Errorf("%w: %s", ErrDuplicateHeader, strings.ToLower(name))
	case len(values) == 0 || values[0] == "":
		return "", fmt.Errorf("%w: %s", ErrMissingHeader, strings.ToLower(name))
	case len(values[0]) > limit:
		return "", fmt.Errorf("%w: %s may have %d bytes", ErrHeaderTooLong, strings.ToLower(name), limit)
	default:
		return values[0], nil
	}
}

// checkTimestamp reads a timestamp and compares it with the clock. Only the one way to write a number is accepted,
// so that what is signed anew from the number is what was signed.
func (v *Verifier) checkTimestamp(text string) (time.Time, error) {
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 || seconds > maxTimestamp || strconv.FormatInt(seconds, 10) != text {
		return time.Time{}, ErrTimestamp
	}
	at := time.Unix(seconds, 0)
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	tolerance := v.Tolerance
	if tolerance <= 0 {
		tolerance = DefaultTolerance
	}
	switch age := now().Sub(at); {
	case age > tolerance:
		return time.Time{}, ErrTooOld
	case age < -tolerance:
		return time.Time{}, ErrTooNew
	default:
		return at, nil
	}
}

// match reports whether any of the signatures is by one of the keys. What they are compared with is made once,
// however many there are.
func (v *Verifier) match(signatures, id string, at time.Time, body []byte) bool {
	var buffer [MaxKeys * (len(versionHMAC) + 44 + 1)]byte
	var expected, message []byte
	if v.hmac != nil {
		// The id and the time were checked, so there is no error.
		expected, _ = v.hmac.AppendSignature(buffer[:0], id, at, body)
	}
	for signature := range strings.SplitSeq(signatures, " ") {
		if strings.HasPrefix(signature, versionHMAC) && matchHMAC(expected, signature) {
			return true
		}
		encoded, found := strings.CutPrefix(signature, versionEd25519)
		if !found || len(v.public) == 0 {
			continue
		}
		if message == nil {
			message = append(appendPrefix(nil, id, at.Unix()), body...)
		}
		if v.matchEd25519(message, encoded) {
			return true
		}
	}
	return false
}

// matchHMAC compares a signature with all of the expected ones, which are separated by spaces.
func matchHMAC(expected []byte, signature string) bool {
	match := 0
	for want := range bytes.SplitSeq(expected, []byte(" ")) {
		match |= subtle.ConstantTimeCompare(want, []byte(signature))
	}
	return match == 1
}

func (v *Verifier) matchEd25519(message []byte, encoded string) bool {
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(encoded) != base64.StdEncoding.EncodedLen(ed25519.SignatureSize) {
		return false
	}
	for _, public := range v.public {
		if ed25519.Verify(public, message, raw) {
			return true
		}
	}
	return false
}

// Handler lets only verified requests through to next, which finds the whole body, of at most maxBody bytes, in its
// request. It answers 413 to a larger body, 400 to one that cannot be read, and 401 to a message that does not verify.
func (v *Verifier) Handler(maxBody int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			http.Error(w, fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit), http.StatusRequestEntityTooLarge)
			return
		}
		if err != nil {
			http.Error(w, "the body could not be read", http.StatusBadRequest)
			return
		}
		if err := v.Verify(r.Header, body); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}
