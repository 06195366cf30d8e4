package receiver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"sync"
	"time"
)

func init() {
	register(provider{
		Info: Info{
			Name: "mailgun", Title: "Mailgun", Secret: "the HTTP webhook signing key",
			Event: "type and id of event-data, subject the message's id, time its timestamp",
		},
		verify: verifyMailgun,
		describe: describe(first(field("event-data", "event"), formOf("event")), first(field("event-data", "id"), formOf("event-id")),
			first(field("event-data", "message", "headers", "message-id"), formOf("Message-Id"), formOf("message-id")), mailgunTime),
	})
}

// verifyMailgun checks a signature that is part of the body and covers a timestamp and a token, but nothing else. So a
// token is good for one body: who caught it could send another body with it.
func verifyMailgun(r *request) error {
	stamp := first(field("signature", "timestamp"), formOf("timestamp"))(r)
	token := first(field("signature", "token"), formOf("token"))(r)
	got := first(field("signature", "signature"), formOf("signature"))(r)
	if stamp == "" || token == "" || got == "" {
		return fail(CodeMissing, "the body has no signature with timestamp, token and signature")
	}
	if err := r.anyHMAC(sha256Hex, got, []byte(stamp+token)); err != nil {
		return err
	}
	if err := r.fresh(stamp, time.Second); err != nil {
		return err
	}
	return r.useOnce("mailgun:" + token)
}

// usedTokens is where values that are good for one request are kept unless Once says otherwise. Asking and keeping is one step for each
// value; many values share a lock, but not all: what Once names may be slow.
var (
	usedTokens = NewMemory(0)
	useLocks   [64]sync.Mutex
	useSeed    = maphash.MakeSeed()
)

// useOnce refuses a value that came with another body before. With the same body it is the same request again, which
// has the same id: the provider may do that when it got no answer.
func (r *request) useOnce(value string) error {
	seen := r.once
	if seen == nil {
		seen = usedTokens
	}
	sum := sha256.Sum256(r.body)
	with := value + ":" + hex.EncodeToString(sum[:])
	lock := &useLocks[maphash.String(useSeed, value)%uint64(len(useLocks))]
	lock.Lock()
	defer lock.Unlock()
	ctx := context.WithoutCancel(r.http.Context())
	used, err := seen.Seen(ctx, value)
	if err == nil && !used {
		if err = seen.Remember(ctx, value); err == nil {
			err = seen.Remember(ctx, with)
		}
	} else if err == nil {
		if used, err = seen.Seen(ctx, with); err == nil && !used {
			return fail(CodeReplayed, "the token came with another body before")
		}
	}
	if err != nil {
		return &Error{Code: CodeFetch, Detail: "the tokens that were used cannot be looked up", cause: err}
	}
	return nil
}

// mailgunTime reads seconds with a fraction.
func mailgunTime(r *request) time.Time {
	d, err := time.ParseDuration(r.text("event-data", "timestamp") + "s")
	if err != nil || d < 0 {
		return time.Time{}
	}
	return time.Unix(0, 0).Add(d.Truncate(time.Millisecond)).UTC()
}
