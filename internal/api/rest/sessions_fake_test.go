package rest_test

import (
	"context"
	"net/http"

	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/event"
)

const sessionCookie = "posthorn_session"

// fakeSessions takes the names of keys for secrets, and the last one for all that is ended.
type fakeSessions struct{ f *fake }

func (s fakeSessions) Cookie() string   { return sessionCookie }
func (s fakeSessions) Provider() string { return "Example ID" }

func (s fakeSessions) Authenticate(_ context.Context, secret string) (event.APIKey, error) {
	defer s.f.lock()()
	k, ok := s.f.bearers[secret]
	if s.f.failKey && s.f.fail != nil {
		return k, s.f.fail
	}
	if !ok {
		return k, event.Errorf(event.KindUnauthorized, "session_ended", "the session has ended")
	}
	k.Session = "ses_" + secret
	return k, nil
}

func (s fakeSessions) SignIn(_ *http.Request, _, key, _ string) (event.APIKey, *http.Cookie, error) {
	k, err := s.Authenticate(context.Background(), key)
	if s.f.fail != nil {
		err = s.f.fail
	}
	return k, &http.Cookie{Name: sessionCookie, Value: key}, err
}

func (s fakeSessions) Forget() *http.Cookie { return &http.Cookie{Name: sessionCookie, MaxAge: -1} }

func (s fakeSessions) Sessions(_ context.Context, by *event.APIKey) ([]rest.SessionView, error) {
	return []rest.SessionView{{ID: "ses_admin", Kind: event.ByKey, Who: "key_1", Current: by.Session != "", Created: start, Seen: start, Expires: start}}, s.f.fail
}

func (s fakeSessions) AllSessions(ctx context.Context, by *event.APIKey, after string, _ int) ([]rest.SessionView, string, error) {
	list, err := s.Sessions(ctx, by)
	if !by.Admin {
		err = event.Errorf(event.KindForbidden, "forbidden", "no")
	}
	if after == "" {
		return list, "ses_admin", err
	}
	return nil, "", err
}

func (s fakeSessions) End(_ context.Context, _ *event.APIKey, id string) error {
	if s.f.fail == nil && id == "ses_none" {
		return event.NotFound("session")
	}
	return s.f.fail
}

func (s fakeSessions) EndAll(context.Context, *event.APIKey) error { return s.f.fail }
