package storetest

import (
	"context"
	"testing"

	"pgregory.net/rapid"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

func testSessions(t *testing.T, s store.Store) {
	session := func(token, owner string, created int) event.Session {
		return event.Session{Token: token, ID: "ses_" + token, Owner: owner, Created: clock(created), Expires: clock(created + 100), Body: []byte{0, byte(created)}}
	}
	a, b, c, foreign := session("a", "ann", 1), session("b", "ann", 2), session("c", "ann", 2), session("d", "bob", 0)
	for _, v := range []event.Session{b, foreign, a, c} {
		noError(t, s.AddSession(t.Context(), v, 3))
	}
	list := func(owner string) []event.Session { return must[[]event.Session](t)(s.SessionsOf(t.Context(), owner)) }
	same(t, "a list, the newest first", list("ann"), []event.Session{c, b, a})
	all := must[[]event.Session](t)(s.Sessions(t.Context(), "", 3))
	same(t, "all by id, so many", all, []event.Session{a, b, c})
	same(t, "the next", must[[]event.Session](t)(s.Sessions(t.Context(), all[2].ID, 3)), []event.Session{foreign})
	same(t, "one", must[event.Session](t)(s.Session(t.Context(), "b")), b)
	same(t, "one by its id", must[event.Session](t)(s.SessionByID(t.Context(), "ses_b")), b)
	_, err := s.Session(t.Context(), "ses_b")
	wantKind(t, err, event.KindNotFound)
	_, err = s.SessionByID(t.Context(), "b")
	wantKind(t, err, event.KindNotFound)

	wantKind(t, s.AddSession(t.Context(), session("a", "eve", 9), 3), event.KindConflict)
	taken := session("x", "eve", 9)
	taken.ID = a.ID
	wantKind(t, s.AddSession(t.Context(), taken, 3), event.KindConflict)
	same(t, "what a refused one leaves", list("eve"), []event.Session{})

	e := session("e", "ann", 5)
	noError(t, s.AddSession(t.Context(), e, 3))
	same(t, "so many of an owner", list("ann"), []event.Session{e, c, b})
	same(t, "of another owner", list("bob"), []event.Session{foreign})

	b.Expires, b.Body = clock(500), []byte("more")
	noError(t, s.RenewSession(t.Context(), "b", b.Expires, b.Body))
	same(t, "a renewed one", list("ann"), []event.Session{e, c, b})
	noError(t, s.DeleteSession(t.Context(), "c"))
	noError(t, s.DeleteSession(t.Context(), "c"))
	wantKind(t, s.RenewSession(t.Context(), "c", clock(500), nil), event.KindNotFound)
	same(t, "without the ended one", list("ann"), []event.Session{e, b})

	same(t, "nothing to trim", must[int](t)(s.TrimSessions(t.Context(), clock(100), 10)), 0)
	same(t, "a small batch", must[int](t)(s.TrimSessions(t.Context(), clock(300), 1)), 1)
	same(t, "the first to expire went", list("bob"), []event.Session{})
	same(t, "the rest", must[int](t)(s.TrimSessions(t.Context(), clock(300), 10)), 1)
	same(t, "one that lives", list("ann"), []event.Session{b})
	noError(t, s.AddSession(t.Context(), foreign, 3))
	noError(t, s.DeleteSessionsOf(t.Context(), "ann"))
	same(t, "nobody's", list("ann"), []event.Session{})
	same(t, "not another's", list("bob"), []event.Session{foreign})
}

func (w *world) drawSession(rt *rapid.T) step {
	token, owner := rapid.SampledFrom([]string{"s1", "s2", "s3", "s4"}).Draw(rt, "token"), rapid.SampledFrom(worldNames).Draw(rt, "owner")
	at, later := clock(w.now), clock(w.now+rapid.IntRange(0, 50).Draw(rt, "life"))
	return rapid.SampledFrom([]step{
		{"AddSession", func(ctx context.Context, s store.Store) (any, error) {
			return nil, s.AddSession(ctx, event.Session{Token: token, ID: "id" + token, Owner: owner, Created: at, Expires: later, Body: []byte(owner)}, 2)
		}},
		{"RenewSession", func(ctx context.Context, s store.Store) (any, error) {
			return nil, s.RenewSession(ctx, token, later, []byte(token))
		}},
		{"DeleteSession", func(ctx context.Context, s store.Store) (any, error) { return nil, s.DeleteSession(ctx, token) }},
		{"DeleteSessionsOf", func(ctx context.Context, s store.Store) (any, error) { return nil, s.DeleteSessionsOf(ctx, owner) }},
		{"TrimSessions", func(ctx context.Context, s store.Store) (any, error) { return s.TrimSessions(ctx, at, 1000) }},
	}).Draw(rt, "session")
}

// sessions reads the sessions of the small world of the property tests.
func (r *reader) sessions(d *dump) {
	d.Sessions = map[string][]event.Session{}
	for _, owner := range worldNames {
		list, err := r.s.SessionsOf(r.ctx, owner)
		d.Sessions[owner] = read(r, list, err)
	}
}
