package rest

import (
	"context"
	"net/http"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

const (
	sessionPath  = "/v1/session"
	sessionsPath = "/v1/sessions"
)

// sessionRoutes adds who calls and, when there are sessions, signing in and out.
func (a *API) sessionRoutes() {
	register(a, operation{
		id: "get-me", method: http.MethodGet, path: "/v1/me", tag: "Sessions", summary: "Who calls, and what they may",
		doc: "For every API key, token and session.", anyone: true, narrowed: true, portal: true,
	}, a.me)
	if a.Sessions == nil {
		return
	}
	const tag = "Sessions"
	register(a, operation{
		id: "get-session-options", method: http.MethodGet, path: sessionPath + "/options", tag: tag, summary: "How one can sign in",
		doc: "Needs no key.", public: true,
	}, a.sessionOptions)
	register(a, operation{
		id: "log-in", method: http.MethodPost, path: sessionPath, tag: tag, summary: "Sign a browser in with an API key",
		doc: "Sets a cookie that the other routes take from the server's own pages in place of a key. After ten failures in five minutes from an address: 429. " +
			"The session ends with the key. Needs no key besides.",
		public: true, secret: true, errors: []int{http.StatusTooManyRequests},
		unaudited: "its entry is made where it is known who it is, by package session",
	}, a.logIn)
	register(a, operation{
		id: "log-out", method: http.MethodDelete, path: sessionPath, tag: tag, summary: "Sign out",
		doc: "Ends the session whose cookie is sent.", anyone: true, secret: true,
	}, a.logOut)
	register(a, operation{
		id: "list-sessions", method: http.MethodGet, path: sessionsPath, tag: tag, summary: "List the caller's sessions",
		doc: "Those begun with the same API key, or by the same person; the newest first. With all, which needs an admin key, everybody's, in the order of their ids, " +
			"as pages; a page may hold fewer than limit and still have a next.", anyone: true, keysOnly: true,
	}, a.listSessions)
	register(a, operation{
		id: "end-session", method: http.MethodDelete, path: sessionsPath + "/{session}", tag: tag, summary: "End a session",
		doc: "One of the caller's, or, with an admin key, anybody's.", anyone: true, keysOnly: true, secret: true,
	}, a.endSession)
	register(a, operation{
		id: "log-out-everywhere", method: http.MethodDelete, path: sessionsPath, tag: tag, summary: "End all of the caller's sessions",
		anyone: true, keysOnly: true, secret: true,
	}, a.logOutEverywhere)
}

func (a *API) sessionOptions(context.Context, *call, *struct{}) (*outBody[client.SessionOptions], error) {
	out := client.SessionOptions{APIKey: true}
	if name := a.Sessions.Provider(); name != "" {
		out.OIDC = &client.OIDCOption{Name: name}
	}
	return &outBody[client.SessionOptions]{out}, nil
}

// outCookie is an answer without a body that sets a cookie.
type outCookie struct {
	SetCookie string `header:"Set-Cookie" doc:"The session's cookie"`
}

// cookieOf is the value of the session's cookie in a request, "" when there is none.
func (a *API) cookieOf(r *http.Request) string {
	if list := r.CookiesNamed(a.Sessions.Cookie()); len(list) == 1 {
		return list[0].Value
	}
	return ""
}

func (a *API) logIn(ctx context.Context, c *call, in *struct {
	Body client.LogIn
}) (*struct {
	SetCookie string `header:"Set-Cookie" doc:"The session's cookie"`
	Body      client.Me
}, error,
) {
	key, cookie, err := a.Sessions.SignIn(c.request, c.id, in.Body.Key, a.cookieOf(c.request))
	if err != nil {
		return nil, err
	}
	c.key = key
	body, err := a.showMe(ctx, &key)
	if err != nil {
		return nil, err
	}
	return &struct {
		SetCookie string `header:"Set-Cookie" doc:"The session's cookie"`
		Body      client.Me
	}{cookie.String(), body}, nil
}

func (a *API) logOut(ctx context.Context, c *call, _ *struct{}) (*outCookie, error) {
	if c.key.Session == "" {
		return nil, event.Errorf(event.KindConflict, "no_session", "there is no session to end: the request has none")
	}
	if err := a.Sessions.End(ctx, &c.key, c.key.Session); err != nil && event.KindOf(err) != event.KindNotFound {
		return nil, err
	}
	return &outCookie{a.Sessions.Forget().String()}, nil
}

func (a *API) listSessions(ctx context.Context, c *call, in *struct {
	InPage
	All bool `query:"all" doc:"Everybody's sessions"`
},
) (*outBody[client.Page[client.Session]], error) {
	var list []SessionView
	var err error
	next := ""
	if in.All {
		after, p := decodeCursor(listSessions, in.Cursor)
		if p != nil {
			return nil, p
		}
		if list, next, err = a.Sessions.AllSessions(ctx, &c.key, after, in.Limit); next != "" {
			next = encodeCursor(listSessions, next)
		}
	} else {
		list, err = a.Sessions.Sessions(ctx, &c.key)
	}
	if err != nil {
		return nil, err
	}
	out := client.Page[client.Session]{Data: make([]client.Session, 0, len(list)), Next: next}
	for _, s := range list {
		out.Data = append(out.Data, client.Session{
			ID: s.ID, By: client.Caller{Kind: s.Kind, ID: s.Who, Name: s.Name}, Current: s.Current, Created: s.Created.UTC(), Seen: s.Seen.UTC(), Expires: s.Expires.UTC(), Address: s.Address, UserAgent: s.UserAgent,
		})
	}
	return &outBody[client.Page[client.Session]]{out}, nil
}

func (a *API) endSession(ctx context.Context, c *call, in *struct {
	Session string `path:"session" doc:"The session's id"`
},
) (*struct{}, error) {
	return nil, a.Sessions.End(ctx, &c.key, in.Session)
}

func (a *API) logOutEverywhere(ctx context.Context, c *call, _ *struct{}) (*outCookie, error) {
	if err := a.Sessions.EndAll(ctx, &c.key); err != nil {
		return nil, err
	}
	return &outCookie{a.Sessions.Forget().String()}, nil
}
