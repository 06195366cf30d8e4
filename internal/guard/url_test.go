package guard_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/internal/guard"
)

func TestCheckURL(t *testing.T) {
	long := "https://example.com/" + strings.Repeat("a", guard.DefaultMaxURL-len("https://example.com/"))
	ok, invalid, forbidden := error(nil), guard.ErrInvalidURL, guard.ErrForbiddenTarget
	for raw, want := range map[string]error{
		"https://example.com":                       ok,
		"http://example.com/hook?a=b&c=%20":         ok,
		"HTTPS://Example.COM:8443/":                 ok,
		"https://example.com.":                      ok,
		"https://a_b.example.com":                   ok,
		"https://xn--bcher-kva.example":             ok,
		"http://8.8.8.8:22/":                        ok,
		"http://[2606:4700::1]:8080/x":              ok,
		"https://1password.example1":                ok,
		"https://0xy.example/":                      ok,
		"https://example.com:65535":                 ok,
		"https://example.com/@x":                    ok,
		"https://example.com/ä":                     ok,
		"https://" + strings.Repeat("a", 63) + ".b": ok,
		long: ok,

		"":                                             invalid,
		"example.com/hook":                             invalid,
		"/hook":                                        invalid,
		"//example.com/hook":                           invalid,
		"ftp://example.com":                            invalid,
		"file:///etc/passwd":                           invalid,
		"gopher://example.com":                         invalid,
		"javascript:alert(1)":                          invalid,
		"http:example.com":                             invalid,
		"http://":                                      invalid,
		"http:///hook":                                 invalid,
		"http://:80/":                                  invalid,
		"http://./":                                    invalid,
		"http://user@example.com":                      invalid,
		"http://user:pass@example.com":                 invalid,
		"http://@example.com":                          invalid,
		"http://127.0.0.1@example.com":                 invalid,
		"http://example.com@127.0.0.1/":                invalid,
		"https://example.com/#":                        invalid,
		"https://example.com/#part":                    invalid,
		"https://example.com:0":                        invalid,
		"https://example.com:65536":                    invalid,
		"https://example.com:":                         invalid,
		"https://example.com:http":                     invalid,
		"https://example.com:-1":                       invalid,
		"https://example.com:80:80":                    invalid,
		" https://example.com":                         invalid,
		"https://example.com/a b":                      invalid,
		"https://example.com/\r\nX: y":                 invalid,
		"https://example.com/\x00":                     invalid,
		"https://example.com/\x7f":                     invalid,
		"https://example.com/\xff":                     invalid,
		"https://exa mple.com":                         invalid,
		"https://example..com":                         invalid,
		"https://.example.com":                         invalid,
		"https://example.com..":                        invalid,
		"https://bücher.example":                       invalid,
		"https://ⓔxample.com":                          invalid,
		"https://\u212Aelvin.example":                  invalid,
		"https://exa%6dple.com":                        invalid,
		"https://example.com\\@evil.com":               invalid,
		"https://a,b.example":                          invalid,
		"https://*.example.com":                        invalid,
		"https://[example.com]/":                       invalid,
		"https://[8.8.8.8]/":                           invalid,
		"https://2606:4700::1/":                        invalid,
		"https://[::1/":                                invalid,
		"http://[fe80::1%25eth0]/":                     invalid,
		"http://[2606:4700::1%25x]/":                   invalid,
		long + "a":                                     invalid,
		"https://" + strings.Repeat("a", 64) + ".b":    invalid,
		"https://" + strings.Repeat("abc.", 64) + "d/": invalid,

		"http://127.0.0.1":                   forbidden,
		"http://127.0.0.1:8080/x":            forbidden,
		"http://169.254.169.254/latest/":     forbidden,
		"http://10.1.2.3":                    forbidden,
		"http://0.0.0.0":                     forbidden,
		"http://[::1]":                       forbidden,
		"http://[::]":                        forbidden,
		"http://[::ffff:127.0.0.1]/":         forbidden,
		"http://[::ffff:7f00:1]/":            forbidden,
		"http://[0:0:0:0:0:ffff:7f00:0001]/": forbidden,
		"http://[64:ff9b::7f00:1]/":          forbidden,
		"http://[2002:7f00:1::]/":            forbidden,
		"http://[fd00:ec2::254]/":            forbidden,
		"http://localhost":                   forbidden,
		"http://LOCALHOST:80":                forbidden,
		"http://localhost./":                 forbidden,
		"http://a.localhost/":                forbidden,

		// 127.0.0.1 in the forms that C libraries read.
		"http://2130706433/":      invalid,
		"http://0x7f000001/":      invalid,
		"http://0X7F000001/":      invalid,
		"http://017700000001/":    invalid,
		"http://0177.0.0.1/":      invalid,
		"http://0x7f.0.0.1/":      invalid,
		"http://0x7f.0x0.0x0.0x1": invalid,
		"http://127.1/":           invalid,
		"http://127.0.1/":         invalid,
		"http://127.0.0.01/":      invalid,
		"http://127.0.0.1./":      invalid,
		"http://127.0.0.0x1/":     invalid,
		"http://127.0.0.0x/":      invalid,
		"http://0/":               invalid,
		"http://0x/":              invalid,
		"http://256.256.256.256/": invalid,
		"http://8.8.8.8.8/":       invalid,
		"http://example.1/":       invalid,
		"http://①②⑦.⓪.⓪.①/":       invalid,
		"http://127。0。0。1/":       invalid,
	} {
		name := raw
		if len(name) > 60 {
			name = name[:60]
		}
		u, err := guard.New(nil, nil).CheckURL(raw, 0)
		if !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", name, err, want)
		}
		if (u != nil) != (want == nil) {
			t.Errorf("%q: the URL is %v with error %v", name, u, err)
		}
	}
}

func TestCheckURLWithAllowedTargets(t *testing.T) {
	g := guard.New(prefixes(t, "127.0.0.0/8"), nil)
	for raw, want := range map[string]error{
		"http://127.0.0.1:9000/": nil,
		"http://localhost:9000/": nil,
		"http://[::1]:9000/":     guard.ErrForbiddenTarget,
		"http://10.0.0.1/":       guard.ErrForbiddenTarget,
		"http://2130706433/":     guard.ErrInvalidURL,
	} {
		if _, err := g.CheckURL(raw, 0); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", raw, err, want)
		}
	}
	if _, err := g.CheckURL("http://127.0.0.1/", 10); !errors.Is(err, guard.ErrInvalidURL) {
		t.Errorf("a URL over its limit: got %v, want ErrInvalidURL", err)
	}
}

func TestCheckURLErrorsHoldNoSecret(t *testing.T) {
	for _, raw := range []string{
		"http://user:s3cret@example.com", "http://example.com:s3cret/", "http://s3cret%zz/", "s3cret://x", "http://10.0.0.1/s3cret",
		"http://exa mple/s3cret", "http://example.com/#s3cret",
	} {
		if _, err := guard.New(nil, nil).CheckURL(raw, 0); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: the error is %v", raw, err)
		}
	}
}

// Whatever is accepted can be sent as it is: no host that a resolver could read as a forbidden address.
func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{
		"https://example.com/hook?a=b", "http://2130706433/", "http://0x7f.1", "http://[::ffff:127.0.0.1]:80/", "http://127.0.0.1.",
		"http://a@b", "http://\u212A/", "https://example.com:", "http://[64:ff9b::a00:1]/#",
	} {
		f.Add(seed)
	}
	g := guard.New(nil, nil)
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := g.CheckURL(raw, 0)
		if err != nil {
			if !errors.Is(err, guard.ErrInvalidURL) && !errors.Is(err, guard.ErrForbiddenTarget) {
				t.Errorf("%q: an error of no kind: %v", raw, err)
			}
			return
		}
		if u.User != nil || u.Fragment != "" || u.Hostname() == "" || len(raw) > guard.DefaultMaxURL || strings.ContainsAny(raw, "\r\n \x00") {
			t.Errorf("%q is accepted", raw)
		}
		if again, err := g.CheckURL(u.String(), 3*guard.DefaultMaxURL); err != nil || again.Host != u.Host {
			t.Errorf("%q is accepted, but not as it is written out: %v", raw, err)
		}
	})
}

// TestCheckURLScheme: a URL without its scheme is the most common mistake, so that it is named, port or not.
func TestCheckURLScheme(t *testing.T) {
	g := new(guard.Guard)
	for _, raw := range []string{"example.com", "example.com:8080/hook", "127.0.0.1:9000/hook", "[::1]:9000/hook", "localhost:9000", "http:/example.com"} {
		if _, err := g.CheckURL(raw, 0); err == nil || !strings.HasSuffix(err.Error(), "it must begin with http:// or https://") {
			t.Errorf("%s: %v", raw, err)
		}
	}
}
