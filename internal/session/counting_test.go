package session

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// counting counts renewals. Writes fail with fail, reads with failRead.
type counting struct {
	Store
	renewed        int
	fail, failRead error
}

func (c *counting) AddSession(ctx context.Context, s event.Session, most int) error {
	if c.fail != nil {
		return c.fail
	}
	return c.Store.AddSession(ctx, s, most)
}

func (c *counting) RenewSession(ctx context.Context, token string, expires time.Time, body []byte) error {
	if c.renewed++; c.fail != nil {
		return c.fail
	}
	return c.Store.RenewSession(ctx, token, expires, body)
}

func (c *counting) Session(ctx context.Context, token string) (event.Session, error) {
	if c.failRead != nil {
		return event.Session{}, c.failRead
	}
	return c.Store.Session(ctx, token)
}

func (c *counting) SessionByID(ctx context.Context, id string) (event.Session, error) {
	if c.failRead != nil {
		return event.Session{}, c.failRead
	}
	return c.Store.SessionByID(ctx, id)
}

func (c *counting) SessionsOf(ctx context.Context, owner string) ([]event.Session, error) {
	if c.failRead != nil {
		return nil, c.failRead
	}
	return c.Store.SessionsOf(ctx, owner)
}
