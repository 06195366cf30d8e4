// Package session signs people in with a browser, by an API key or by OpenID Connect, and knows them by a cookie from then on.
//
// The cookie holds a random secret, of which the store keeps a hash; the library scs makes both and looks after the two ends
// of a session, the one after its beginning and the one after its last use. A session says who, not what: that of an API key
// looks the key up at each request, that of a person goes through the roles of the groups they had when they signed in.
// Before a cookie is taken, package rest makes sure that one of the server's own pages sent it.
//
// Signing in by OpenID Connect: [Service.Begin] sends the browser to the provider and gives it a sealed cookie with what
// must come back, [Service.Callback] checks that, trades the code for an ID token, and checks that.
package session
