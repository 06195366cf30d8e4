package rest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// maxIdempotencyKey bounds an Idempotency-Key, in bytes.
const maxIdempotencyKey = 255

// inFlight holds the scope and key of the writes with an Idempotency-Key that are being worked on.
type inFlight struct{ m sync.Map }

func (f *inFlight) begin(name string) bool {
	_, busy := f.m.LoadOrStore(name, struct{}{})
	return !busy
}

func (f *inFlight) end(name string) { f.m.Delete(name) }

// keptAnswer is what is kept of an answer, encrypted.
type keptAnswer struct {
	Header map[string]string `json:"header"`
	Body   []byte            `json:"body"`
}

// checkIdempotencyKey refuses keys that are too long or hold anything but visible ASCII.
func checkIdempotencyKey(key string) *problem {
	if len(key) > maxIdempotencyKey {
		return invalid("Idempotency-Key", fmt.Sprintf("must have at most %d bytes", maxIdempotencyKey))
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return invalid("Idempotency-Key", "must be visible ASCII characters")
		}
	}
	return nil
}

// once runs a write, or, when it was made before with the same Idempotency-Key, returns the answer that it had.
// Only successes are kept: a write that failed had no effect, and may be made again.
//
// A token's answers are its own, like an API key's: another token, also of the same holder, does not get them.
//
// Answers can hold secrets: a new API key, a rotated signing secret, an endpoint's headers. So they are kept encrypted
// with a key derived from the caller's own API key, of which the server keeps a hash only: the database alone does not
// reveal them.
func (a *API) once(r *http.Request, c *call, body []byte, run func() *answer) (*answer, *problem) {
	key := r.Header.Get("Idempotency-Key")
	if key == "" || r.Method == http.MethodGet || r.Method == http.MethodHead || c.text == "" {
		return run(), nil // also of who has no credential: whose answer would it be?
	}
	if p := checkIdempotencyKey(key); p != nil {
		return nil, p
	}
	scope := c.who() + " " + r.Method + " " + r.URL.RequestURI()
	if !a.writing.begin(scope + "\n" + key) {
		p := newProblem(http.StatusConflict, "idempotency_key_in_use", "the first request with this Idempotency-Key is still being worked on")
		return nil, p.with("Retry-After", "1")
	}
	defer a.writing.end(scope + "\n" + key)

	box := newAnswerBox(c.text, scope, key)
	parts := [][]byte{[]byte(r.Header.Get("Content-Type")), []byte(r.Header.Get("If-Match")), body}
	if tenant := r.Header.Get(tenantHeader); tenant != "" {
		parts = append(parts, []byte(tenant)) // the same in another tenant is another request
	}
	fingerprint := box.fingerprint(parts...)
	kept, err := a.Answers.Answer(r.Context(), scope, key)
	switch {
	case err == nil && kept.Fingerprint != fingerprint:
		return nil, newProblem(http.StatusConflict, "idempotency_key_reused", "this Idempotency-Key was used for another request")
	case err == nil:
		return box.open(&kept)
	case event.KindOf(err) != event.KindNotFound:
		return nil, problemOf(err)
	}
	out := run()
	if out.status < 200 || out.status > 299 {
		return out, nil
	}
	save := Answer{Fingerprint: fingerprint, Status: out.status, Body: box.seal(out), At: time.Now().UTC().Truncate(time.Microsecond)}
	if err := a.Answers.SaveAnswer(r.Context(), scope, key, save); err != nil && event.KindOf(err) != event.KindConflict {
		// The write has had its effect: its answer is worth more than the repetition that may now go wrong.
		a.log.LogAttrs(r.Context(), slog.LevelWarn, "answer not kept for its Idempotency-Key",
			slog.String("request_id", c.id), slog.Any("error", err))
	}
	return out, nil
}

// who names the caller among those whose answers are kept. Tokens have no number. The answers of a session are its own: only
// its cookie opens them.
func (c *call) who() string {
	if c.session {
		return "session " + c.key.Session
	}
	if c.key.Token == "" {
		return strconv.FormatInt(c.key.ID, 36)
	}
	return "token " + hex.EncodeToString(hash([]byte(c.text), []byte("posthorn caller"))[:16])
}

// answerBox encrypts the answer of one scope and Idempotency-Key.
type answerBox struct{ secret []byte }

func newAnswerBox(bearer, scope, key string) answerBox {
	return answerBox{hash([]byte(bearer), []byte("posthorn answer"), []byte(scope), []byte(key))}
}

// hash is HMAC-SHA256 over parts, each with its length before it.
func hash(secret []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, secret)
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:", len(p)) // never fails (package hash)
		_, _ = h.Write(p)
	}
	return h.Sum(nil)
}

// fingerprint tells requests apart. It is keyed, since a body may hold a short password.
func (b answerBox) fingerprint(parts ...[]byte) [32]byte {
	return [32]byte(hash(hash(b.secret, []byte("fingerprint")), parts...))
}

func (b answerBox) cipher() cipher.AEAD {
	block, err := aes.NewCipher(hash(b.secret, []byte("encryption")))
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has blocks of 16 bytes
	}
	return aead
}

func (b answerBox) seal(out *answer) []byte {
	k := keptAnswer{Header: map[string]string{}, Body: out.body.Bytes()}
	for name := range out.header {
		k.Header[name] = out.header.Get(name)
	}
	plain, err := json.Marshal(k)
	if err != nil {
		panic(err) // strings and bytes only
	}
	return b.cipher().Seal(nil, nil, plain, []byte(strconv.Itoa(out.status)))
}

func (b answerBox) open(kept *Answer) (*answer, *problem) {
	plain, err := b.cipher().Open(nil, nil, kept.Body, []byte(strconv.Itoa(kept.Status)))
	if err != nil {
		return nil, problemOf(errors.New("a kept answer cannot be decrypted"))
	}
	var k keptAnswer
	if err := json.Unmarshal(plain, &k); err != nil {
		return nil, problemOf(fmt.Errorf("a kept answer cannot be read: %w", err))
	}
	out := &answer{header: http.Header{"Idempotent-Replayed": {"true"}}, status: kept.Status}
	for name, value := range k.Header {
		out.header.Set(name, value)
	}
	_, _ = out.body.Write(k.Body) // never fails (package bytes)
	return out, nil
}

// randomHex returns n random bytes in base 16.
func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return fmt.Sprintf("%x", b)
}
