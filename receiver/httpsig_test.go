package receiver

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// rfcRequest is the request of RFC 9421, appendix B.2.
func rfcRequest() (*http.Request, *url.URL) {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "https://example.com/foo?param=Value&Pet=dog", strings.NewReader(`{"hello": "world"}`))
	r.Header.Set("Date", "Tue, 20 Apr 2021 02:07:55 GMT")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Content-Digest", "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:")
	r.Header.Set("Content-Length", "18")
	return r, r.URL
}

func decode(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(strings.NewReplacer("-", "+", "_", "/").Replace(text) + strings.Repeat("=", (4-len(text)%4)%4))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// verifyOnly parses the one signature of a request and checks it.
func verifyOnly(t *testing.T, r *http.Request, target *url.URL, key any) bool {
	t.Helper()
	all, err := parseMessageSignatures(r.Header)
	if err != nil {
		t.Fatal(err)
	}
	base, err := all[0].base(r, target)
	return err == nil && all[0].verify(key, base)
}

// TestMessageSignatureVectors are the examples B.2.5 and B.2.6 of RFC 9421.
func TestMessageSignatureVectors(t *testing.T) {
	for _, v := range []struct {
		name, input, signature string
		key                    any
	}{
		{
			"hmac-sha256", `sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`,
			"sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:",
			decode(t, "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ"),
		},
		{
			"ed25519", `sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`,
			"sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
			ed25519.PublicKey(decode(t, "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs")),
		},
	} {
		t.Run(v.name, func(t *testing.T) {
			r, target := rfcRequest()
			r.Header.Set("Signature-Input", v.input)
			r.Header.Set("Signature", v.signature)
			if !verifyOnly(t, r, target, v.key) {
				t.Fatal("the example of the RFC is refused")
			}
			for name, value := range map[string]string{"Date": "Tue, 20 Apr 2021 02:07:56 GMT", "Content-Type": "text/plain"} {
				r, _ := rfcRequest()
				r.Header.Set("Signature-Input", v.input)
				r.Header.Set("Signature", v.signature)
				r.Header.Set(name, value)
				if verifyOnly(t, r, target, v.key) {
					t.Errorf("accepted with another %s", name)
				}
			}
			other := *target
			other.Host = "example.org"
			if verifyOnly(t, r, &other, v.key) {
				t.Error("accepted for another host")
			}
			r.Header.Set("Signature-Input", strings.Replace(v.input, "1618884473", "1618884474", 1))
			if verifyOnly(t, r, target, v.key) {
				t.Error("accepted with another time")
			}
		})
	}
	r, _ := rfcRequest()
	if err := verifyContentDigest(r.Header, []byte(`{"hello": "world"}`)); err != nil {
		t.Errorf("the RFC's digest: %v", err)
	}
	if verifyContentDigest(r.Header, []byte(`{"hello": "World"}`)) == nil {
		t.Error("accepted with another body")
	}
}

// TestMessageSignatureComponents holds the base against the examples of RFC 9421, section 2.
func TestMessageSignatureComponents(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://www.example.com/path?param=value&foo=bar&baz=bat%2Dman&qux=", http.NoBody)
	r.Header["X-Dup"] = []string{"  a ", "b, c"}
	r.Header.Set("X-Dict", " a=1,    b=2;x=1;y=2,   c=(a   b   c)")
	r.Header["X-Empty"] = []string{""}
	target := r.URL
	target.Host = "WWW.example.com:443"
	for component, want := range map[string]string{
		`"@method"`: "POST", `"@target-uri"`: target.String(), `"@authority"`: "www.example.com", `"@scheme"`: "https",
		`"@request-target"`: "/path?param=value&foo=bar&baz=bat%2Dman&qux=", `"@path"`: "/path", `"@query"`: "?param=value&foo=bar&baz=bat%2Dman&qux=",
		`"@query-param";name="baz"`: "bat-man", `"@query-param";name="qux"`: "", `"@query-param";name="param"`: "value",
		`"x-dup"`: "a, b, c", `"x-empty"`: "", `"x-dict"`: "a=1,    b=2;x=1;y=2,   c=(a   b   c)",
		`"x-dict";key="a"`: "1", `"x-dict";key="b"`: "2;x=1;y=2", `"x-dict";key="c"`: "(a b c)", `"x-dup";bs`: ":YQ==:, :YiwgYw==:", `"host"`: "www.example.com",
	} {
		s := parseOne(t, "sig=("+component+")")
		base, err := s.base(r, target)
		line, _, _ := bytes.Cut(base, []byte("\n"))
		if err != nil || string(line) != component+": "+want {
			t.Errorf("%s: %q, %v; want %q", component, line, err, component+": "+want)
		}
	}
	for _, component := range []string{
		`"x-missing"`, `"@status"`, `"@unknown"`, `"@method";req`, `"x-dup";sf`, `"x-dup";tr`, `"x-dict";key="none"`, `"x-dup";key="a";bs`,
		`"@query-param"`, `"@query-param";name="none"`, `"@query-param";name="%zz"`, `"x-dict";key=1`,
	} {
		if base, err := parseOne(t, "sig=("+component+")").base(r, target); err == nil {
			t.Errorf("%s: %q", component, base)
		}
	}
	root := &url.URL{Scheme: "http", Host: "example.com:80"}
	base, err := parseOne(t, `sig=("@path" "@query" "@authority" "@request-target")`).base(r, root)
	if want := "\"@path\": /\n\"@query\": ?\n\"@authority\": example.com\n\"@request-target\": /\n"; err != nil || !strings.HasPrefix(string(base), want) {
		t.Errorf("base %q, %v", base, err)
	}
	twice := &url.URL{Scheme: "https", Host: "example.com", RawQuery: "a=1&a=2"}
	if _, err := parseOne(t, `sig=("@query-param";name="a")`).base(r, twice); err == nil {
		t.Error("a parameter that is there twice")
	}
}

func parseOne(t *testing.T, input string) *messageSignature {
	t.Helper()
	all, err := parseMessageSignatures(http.Header{"Signature-Input": {input}, "Signature": {"sig=:AAAA:"}})
	if err != nil {
		t.Fatalf("%s: %v", input, err)
	}
	return &all[0]
}

func TestMessageSignatureRefusesHeaders(t *testing.T) {
	many := make([]string, maxComponents+1)
	for i := range many {
		many[i] = `"x-` + strings.Repeat("a", i+1) + `"`
	}
	for _, h := range [][2]string{
		{"", "sig=:AAAA:"},
		{`sig=("a")`, ""},
		{`sig="a"`, "sig=:AAAA:"},
		{`sig=("a")`, "sig=AAAA"},
		{`sig=("a")`, `sig="AAAA"`},
		{`sig=("a")`, "other=:AAAA:"},
		{`sig=("a" "a")`, "sig=:AAAA:"},
		{`sig=("A")`, "sig=:AAAA:"},
		{`sig=(a)`, "sig=:AAAA:"},
		{`sig=("")`, "sig=:AAAA:"},
		{`sig=("a"`, "sig=:AAAA:"},
		{`sig=("a");created="x"`, "sig=:AAAA:"},
		{`sig=("a");created=-1`, "sig=:AAAA:"},
		{`sig=("a");expires=1.5`, "sig=:AAAA:"},
		{`sig=("a");alg=rsa`, "sig=:AAAA:"},
		{`sig=("a");keyid=1`, "sig=:AAAA:"},
		{`sig=("a")`, "sig=(:AAAA:)"},
		{`sig=("a")`, "sig=:AAA:"},
		{`sig=("a")`, "sig=:AAB=:"},
		{"sig=(" + strings.Join(many, " ") + ")", "sig=:AAAA:"},
		{`sig=("` + strings.Repeat("a", maxSignatureHeader) + `")`, "sig=:AAAA:"},
	} {
		if _, err := parseMessageSignatures(http.Header{"Signature-Input": {h[0]}, "Signature": {h[1]}}); err == nil {
			t.Errorf("read %.60q %.60q", h[0], h[1])
		}
	}
	inputs, signatures := make([]string, maxMessageSignatures+1), make([]string, maxMessageSignatures+1)
	for i := range inputs {
		label := "s" + strings.Repeat("a", i)
		inputs[i], signatures[i] = label+`=("a")`, label+"=:AAAA:"
	}
	if _, err := parseMessageSignatures(http.Header{"Signature-Input": inputs, "Signature": signatures}); err == nil {
		t.Error("read too many signatures")
	}
	if all, err := parseMessageSignatures(http.Header{"Signature-Input": inputs[1:], "Signature": signatures[1:]}); err != nil || len(all) != maxMessageSignatures {
		t.Errorf("%d signatures, %v", len(all), err)
	}
}

func TestMessageSignatureAlgorithms(t *testing.T) {
	base := []byte(`"@signature-params": ()`)
	sum256, sum384, sum512 := sha256.Sum256(base), sha512.Sum384(base), sha512.Sum512(base)
	key256, key384, key521 := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)), must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	pair := func(key *ecdsa.PrivateKey, sum []byte) []byte {
		r, s, err := ecdsa.Sign(rand.Reader, key, sum)
		if err != nil {
			t.Fatal(err)
		}
		half := (key.Params().BitSize + 7) / 8
		return slices.Concat(r.FillBytes(make([]byte, half)), s.FillBytes(make([]byte, half)))
	}
	rsaKey := rsaKeys()[0]
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pss := must(rsa.SignPSS(rand.Reader, rsaKey, crypto.SHA512, sum512[:], &rsa.PSSOptions{SaltLength: 64}))
	v15 := must(rsa.SignPKCS1v15(nil, rsaKey, crypto.SHA256, sum256[:]))
	secret := []byte(secretOne)
	for _, c := range []struct {
		name      string
		alg       string
		key       any
		signature []byte
		want      bool
	}{
		{"ecdsa p256", algECDSAP256, &key256.PublicKey, pair(key256, sum256[:]), true},
		{"ecdsa p256 unnamed", "", &key256.PublicKey, pair(key256, sum256[:]), true},
		{"ecdsa p384", algECDSAP384, &key384.PublicKey, pair(key384, sum384[:]), true},
		{"ecdsa p384 named p256", algECDSAP256, &key384.PublicKey, pair(key384, sum384[:]), false},
		{"ecdsa p256 named p384", algECDSAP384, &key256.PublicKey, pair(key256, sum256[:]), false},
		{"ecdsa p521", "", &key521.PublicKey, pair(key521, sum512[:]), false},
		{"ecdsa as DER", "", &key256.PublicKey, must(ecdsa.SignASN1(rand.Reader, key256, sum256[:])), false},
		{"rsa pss", algRSAPSS, &rsaKey.PublicKey, pss, true},
		{"rsa pss unnamed", "", &rsaKey.PublicKey, pss, true},
		{"rsa v1.5", algRSA, &rsaKey.PublicKey, v15, true},
		{"rsa v1.5 unnamed", "", &rsaKey.PublicKey, v15, false},
		{"rsa v1.5 named pss", algRSAPSS, &rsaKey.PublicKey, v15, false},
		{"ed25519", algEd25519, edKey.Public(), ed25519.Sign(edKey, base), true},
		{"ed25519 named hmac", algHMAC, edKey.Public(), ed25519.Sign(edKey, base), false},
		{"hmac", algHMAC, secret, mac(sha256.New, secretOne, string(base)), true},
		{"hmac named ed25519", algEd25519, secret, mac(sha256.New, secretOne, string(base)), false},
		{"hmac of nothing", algHMAC, []byte{}, mac(sha256.New, "", string(base)), false},
		{"empty", "", edKey.Public(), nil, false},
		{"no key", "", nil, []byte("x"), false},
	} {
		s := messageSignature{alg: c.alg, signature: c.signature}
		if got := s.verify(c.key, base); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if c.want {
			s.signature = slices.Clone(c.signature)
			s.signature[len(s.signature)/2] ^= 1
			if s.verify(c.key, base) {
				t.Errorf("%s: accepted with one bit changed", c.name)
			}
		}
	}
}

func FuzzMessageSignature(f *testing.F) {
	f.Add(`sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="k"`, "sig-b26=:wqcAqbmY:", "a=1, b=(2 3)")
	f.Add(`a=("x-f";key="a" "x-f";bs "@query-param";name="Pet");created=1;expires=2;alg="ed25519", b=()`, "a=:AAAA:, b=::", "a=:AA==:;x=?1")
	f.Fuzz(func(t *testing.T, input, signature, field string) {
		r, target := rfcRequest()
		r.Header.Set("Signature-Input", input)
		r.Header.Set("Signature", signature)
		r.Header.Set("X-F", field)
		r.Header.Set("Content-Digest", field)
		_ = verifyContentDigest(r.Header, []byte(field))
		all, err := parseMessageSignatures(r.Header)
		if err != nil {
			return
		}
		for _, s := range all {
			base, err := s.base(r, target)
			if err != nil {
				continue
			}
			// One line for each component and one for the parameters, whatever is in the header.
			if got, want := bytes.Count(base, []byte("\n")), len(s.components); got != want {
				t.Errorf("%d lines for %d components: %q", got, want, base)
			}
			if s.verify(ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)), base) && len(s.signature) != ed25519.SignatureSize {
				t.Error("accepted")
			}
		}
	})
}
