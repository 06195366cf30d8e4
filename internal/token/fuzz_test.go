package token

import (
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
)

// FuzzAuthenticate gives any text as a token: it panics with none, accepts none but those made here, and repeats none.
func FuzzAuthenticate(f *testing.F) {
	p := pairs()["EdDSA"]
	w, _ := withFile(f, jwks(p.jwk()))
	good := map[string]bool{w.create("acme", Grant{Types: []string{"order.*"}}): true, p.sign(w.theirClaims()): true}
	for tok := range good {
		f.Add(tok)
		f.Add(strings.ToUpper(tok))
		header, claims := opened(f, tok)
		f.Add(segment(object{"alg": "none"}) + "." + segment(claims) + ".")
		f.Add(forge(header, claims, nil))
		f.Add(segment(header) + "." + segment(nil) + ".AAAA")
	}
	f.Fuzz(func(t *testing.T, tok string) {
		k, err := w.Authenticate(t.Context(), tok)
		if good[tok] {
			if err != nil || k.Tenant != 1 || k.Admin {
				t.Errorf("%+v, %v", k, err)
			}
			return
		}
		if event.KindOf(err) != event.KindUnauthorized || k.Token != "" {
			t.Errorf("%q: %+v, %v", tok, k, err)
		}
		if len(tok) > 12 && strings.Contains(err.Error(), tok) {
			t.Errorf("%q is repeated", tok)
		}
	})
}

// FuzzKeys reads any text as a set of keys: whatever is taken can check something.
func FuzzKeys(f *testing.F) {
	for _, p := range pairs() {
		f.Add(jwks(p.jwk()))
	}
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"","y":""}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := parseKeys(data)
		if (err == nil) == (keys == nil || len(keys.keys) == 0) {
			t.Fatalf("%v, %v", keys, err)
		}
		if err == nil && len(keys.candidates("", keys.keys[0].algorithms[0])) == 0 {
			t.Error("a key that fits nothing")
		}
	})
}
