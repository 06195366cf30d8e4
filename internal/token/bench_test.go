package token

import "testing"

// BenchmarkAuthenticate is the check of one of the server's own tokens, whole (first) and from memory.
func BenchmarkAuthenticate(b *testing.B) {
	w := newWorld(b)
	tok := w.create("acme", Grant{Types: []string{"order.*"}, Subjects: []string{"order/42"}})
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := w.check(b.Context(), tok); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("again", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := w.Authenticate(b.Context(), tok); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkCreate is the making of a token.
func BenchmarkCreate(b *testing.B) {
	w := newWorld(b)
	b.ReportAllocs()
	for b.Loop() {
		_ = w.create("acme", Grant{})
	}
}

// BenchmarkOther is the check of tokens of another issuer, by algorithm, without the memory of checked ones.
func BenchmarkOther(b *testing.B) {
	for name, p := range pairs() {
		b.Run(name, func(b *testing.B) {
			w, _ := withFile(b, jwks(p.jwk()))
			tok := p.sign(w.theirClaims())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.check(b.Context(), tok); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
