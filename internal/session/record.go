package session

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// recordKey is under what name scs keeps a record.
const recordKey = "record"

// record is what a session holds: who, and from where.
type record struct {
	ID string `json:"id"`

	// Name is the key's or the person's.
	Name string `json:"name,omitempty"`

	// Of a session by API key.
	KeyID   int64    `json:"key,omitempty"`
	KeyHash [32]byte `json:"hash,omitzero"`

	// Of a person: the provider, its name for them, and those of their groups that roles are for.
	Issuer string   `json:"issuer,omitempty"`
	User   string   `json:"user,omitempty"`
	Groups []string `json:"groups,omitempty"`
	// There names the person's session at the provider, "" when it did not say.
	There string `json:"there,omitempty"`

	Created   time.Time `json:"created"`
	Seen      time.Time `json:"seen"`
	Address   string    `json:"address,omitempty"`
	UserAgent string    `json:"agent,omitempty"`
}

func (r *record) owner() string {
	if r.User != "" {
		return userOwner(r.Issuer, r.User)
	}
	return keyOwner(r.KeyID)
}

// newID names a session.
func newID() string { return "ses_" + rand.Text() }

// codec is how scs writes sessions.
type codec struct{}

// kept is a session as it is written.
type kept struct {
	Ends   time.Time `json:"ends"`
	Record record    `json:"record"`
}

// Encode implements [scs.Codec].
func (codec) Encode(ends time.Time, values map[string]any) ([]byte, error) {
	r, ok := values[recordKey].(record)
	if !ok {
		return nil, fmt.Errorf("%w: it is empty", errDamaged)
	}
	return json.Marshal(kept{ends.UTC(), r})
}

// Decode implements [scs.Codec].
func (codec) Decode(b []byte) (time.Time, map[string]any, error) {
	ends, r, err := decode(b)
	return ends, map[string]any{recordKey: r}, err
}

func decode(b []byte) (time.Time, record, error) {
	var k kept
	if err := json.Unmarshal(b, &k); err != nil || k.Record.ID == "" {
		return time.Time{}, record{}, errDamaged // the cause may quote what is in it
	}
	return k.Ends, k.Record, nil
}

// shelf is the store as scs sees it.
type shelf struct{ store Store }

type newKey struct{}

// asNew marks the context of the saving that begins a session; all others only renew one, so that none comes back that was
// ended between its loading and its saving.
func asNew(ctx context.Context) context.Context { return context.WithValue(ctx, newKey{}, true) }

// FindCtx implements [scs.CtxStore].
func (s shelf) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	v, err := s.store.Session(ctx, token)
	if err != nil {
		if event.KindOf(err) == event.KindNotFound {
			err = nil
		}
		return nil, false, err
	}
	return v.Body, time.Now().Before(v.Expires), nil
}

// CommitCtx implements [scs.CtxStore].
func (s shelf) CommitCtx(ctx context.Context, token string, b []byte, expires time.Time) error {
	if ctx.Value(newKey{}) == nil {
		return s.store.RenewSession(ctx, token, expires, b)
	}
	_, r, err := decode(b)
	if err != nil {
		return err
	}
	return s.store.AddSession(ctx, event.Session{Token: token, ID: r.ID, Owner: r.owner(), Created: r.Created, Expires: expires, Body: b}, maxSessions)
}

// DeleteCtx implements [scs.CtxStore].
func (s shelf) DeleteCtx(ctx context.Context, token string) error {
	return s.store.DeleteSession(ctx, token)
}

// Find implements [scs.Store].
func (s shelf) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit implements [scs.Store].
func (s shelf) Commit(token string, b []byte, expires time.Time) error {
	return s.CommitCtx(context.Background(), token, b, expires)
}

// Delete implements [scs.Store].
func (s shelf) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }
