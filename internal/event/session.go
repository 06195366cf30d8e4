package event

import "time"

// Session is a browser that is signed in, as the store keeps it.
type Session struct {
	// Token is a hash of the secret in the browser's cookie.
	Token string
	// ID names the session where it is shown; it gives nothing away.
	ID string
	// Owner is whose session it is: all of one owner can be listed and ended together.
	Owner string
	// Created is when somebody signed in, Expires when the session ends unless it is used before.
	Created, Expires time.Time
	// Body is what package session keeps in it.
	Body []byte
}
