package webhook

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Errors of signing.
var (
	// ErrID refuses an id that is empty, longer than [MaxID], or has a byte that is not printable ASCII, or a dot.
	ErrID = errors.New("webhook: an id must be 1 to 256 printable ASCII characters without a dot or a space")
	// ErrTimestamp refuses a time before 1970 or after 9999, or a header that is not one.
	ErrTimestamp = errors.New("webhook: a timestamp must be Unix seconds in plain digits")
)

// Signer signs messages with one or more keys. It is safe for concurrent use. It keeps hash states between calls, so
// keep one Signer for as long as its keys are in use.
type Signer struct {
	keys []*signingKey
}

// signingKey is one key with the working memory of its calls.
type signingKey struct {
	private ed25519.PrivateKey // nil for a shared secret
	states  sync.Pool          // of *state
}

// state is the working memory of one signature at a time.
type state struct {
	mac     hash.Hash // nil for Ed25519
	scratch []byte    // what is hashed before the body, and then the sum; for Ed25519 the whole message
}

// NewSigner returns a Signer that signs with every one of the keys, in that order. During a rotation these are the
// new and the old key. It returns [ErrKeyCount], [ErrSecretEmpty] or [ErrSecretPublic].
func NewSigner(keys ...Key) (*Signer, error) {
	if len(keys) == 0 || len(keys) > MaxKeys {
		return nil, ErrKeyCount
	}
	s := &Signer{}
	for _, k := range keys {
		switch {
		case k.m == nil:
			return nil, ErrSecretEmpty
		case k.m.secret != nil:
			s.keys = append(s.keys, hmacKey(k.m.secret))
		case k.m.private != nil:
			s.keys = append(s.keys, &signingKey{
				private: k.m.private,
				states:  sync.Pool{New: func() any { return &state{} }},
			})
		default:
			return nil, ErrSecretPublic
		}
	}
	return s, nil
}

func hmacKey(secret []byte) *signingKey {
	return &signingKey{states: sync.Pool{New: func() any {
		mac := hmac.New(sha256.New, secret)
		// From its first Reset on the hash starts from the key's saved state instead of hashing the key again.
		mac.Reset()
		return &state{mac: mac, scratch: make([]byte, 0, MaxID+32)}
	}}}
}

// Sign returns the three headers of a message: the id, the time of this attempt, in seconds, and the signatures of
// the body. It returns [ErrID] or [ErrTimestamp].
func (s *Signer) Sign(id string, at time.Time, body []byte) (http.Header, error) {
	signature, err := s.AppendSignature(nil, id, at, body)
	if err != nil {
		return nil, err
	}
	return http.Header{
		canonicalID:        {id},
		canonicalTimestamp: {strconv.FormatInt(at.Unix(), 10)},
		canonicalSignature: {string(signature)},
	}, nil
}

// AppendSignature appends the value of the webhook-signature header to dst: the signature by each key, separated by
// spaces. The message has to be sent with the same id and at.Unix() in its other two headers. With shared secrets it
// allocates only to grow dst. On an error, [ErrID] or [ErrTimestamp], it returns dst as it was.
func (s *Signer) AppendSignature(dst []byte, id string, at time.Time, body []byte) ([]byte, error) {
	if !checkID(id) {
		return dst, ErrID
	}
	seconds := at.Unix()
	if seconds < 0 || seconds > maxTimestamp {
		return dst, ErrTimestamp
	}
	for i, k := range s.keys {
		if i > 0 {
			dst = append(dst, ' ')
		}
		if k.private != nil {
			dst = k.appendEd25519(dst, id, seconds, body)
		} else {
			dst = k.appendHMAC(dst, id, seconds, body)
		}
	}
	return dst, nil
}

func (k *signingKey) appendHMAC(dst []byte, id string, seconds int64, body []byte) []byte {
	st := k.states.Get().(*state) //nolint:errcheck // the pool holds nothing else
	st.scratch = appendPrefix(st.scratch[:0], id, seconds)
	st.mac.Reset()
	st.mac.Write(st.scratch)
	st.mac.Write(body)
	st.scratch = st.mac.Sum(st.scratch[:0])
	dst = append(dst, versionHMAC...)
	dst = base64.StdEncoding.AppendEncode(dst, st.scratch)
	k.states.Put(st)
	return dst
}

// keptScratch bounds the copy of a message that an idle Ed25519 state holds on to, in bytes.
const keptScratch = 64 << 10

func (k *signingKey) appendEd25519(dst []byte, id string, seconds int64, body []byte) []byte {
	st := k.states.Get().(*state) //nolint:errcheck // the pool holds nothing else
	// Ed25519 reads its message twice, so the message has to be in one piece.
	st.scratch = appendPrefix(st.scratch[:0], id, seconds)
	st.scratch = append(st.scratch, body...)
	dst = append(dst, versionEd25519...)
	dst = base64.StdEncoding.AppendEncode(dst, ed25519.Sign(k.private, st.scratch))
	if cap(st.scratch) <= keptScratch {
		k.states.Put(st)
	}
	return dst
}

// appendPrefix appends what is signed before the body.
func appendPrefix(dst []byte, id string, seconds int64) []byte {
	dst = append(dst, id...)
	dst = append(dst, '.')
	dst = strconv.AppendInt(dst, seconds, 10)
	return append(dst, '.')
}
