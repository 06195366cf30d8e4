package receiver

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
)

func TestParsePublicKey(t *testing.T) {
	p256, _, _ := ecdsaTexts(elliptic.P256(), false)
	p521, _, _ := ecdsaTexts(elliptic.P521(), true)
	ed, _, _ := ed25519Texts(false)
	rsaPEM, _, _ := rsaTexts()
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&rsaKeys()[0].PublicKey)}))
	for _, text := range []string{p256, p521, ed, rsaPEM, pkcs1, " \n" + rsaPEM + "\n", pemOf(certificate(nil, rsaKeys()[0], nil))} {
		if _, err := parsePublicKey(text); err != nil {
			t.Errorf("%.40q: %v", text, err)
		}
	}
	weak := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	private := must(x509.MarshalPKCS8PrivateKey(rsaKeys()[0]))
	for _, text := range []string{
		"", "x", "-----BEGIN PUBLIC KEY-----", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "AAAA",
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), base64.StdEncoding.EncodeToString(private),
		base64.StdEncoding.EncodeToString(must(x509.MarshalPKIXPublicKey(weak.Public()))),
		base64.StdEncoding.EncodeToString(weakRSA),
		strings.Replace(rsaPEM, "MII", "AII", 1), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})),
		string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: []byte("x")})),
	} {
		_, err := parsePublicKey(text)
		if !errors.Is(err, ErrWrongSecret) {
			t.Errorf("%.40q: %v", text, err)
		} else if len(text) > 30 && strings.Contains(err.Error(), text[28:]) {
			t.Errorf("the error shows the text: %v", err)
		}
	}
}

// weakRSA is an RSA key of 1024 bits.
var weakRSA = must(x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 1023, 1), E: 65537}))

// TestChainsWithHugeKeysAreNotTried: the sender chooses the certificates of a chain, and a key of a million bits takes minutes to try.
func TestChainsWithHugeKeysAreNotTried(t *testing.T) {
	root := newCA(nil, nil)
	leaf := certificate(root, rsaKeys()[0], nil)
	huge := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 16383, 1), E: 65537}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter, IsCA: true, BasicConstraintsValid: true}
	middle := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, root.cert, huge, root.key))))
	long := certificate(root, rsaKeys()[0], func(c *x509.Certificate) {
		c.DNSNames = slices.Repeat([]string{strings.Repeat("a", 60) + ".example"}, 400)
	})
	if err := verifyChain([]*x509.Certificate{leaf}, root.pool(), now); err != nil {
		t.Fatal(err)
	}
	for name, chain := range map[string][]*x509.Certificate{"huge": {leaf, middle}, "long": {long}} {
		if err := verifyChain(chain, root.pool(), now); err == nil {
			t.Errorf("a chain with a %s certificate was tried", name)
		}
	}
}

func TestBatches(t *testing.T) {
	many := "[" + strings.Repeat("{},", maxBatch) + "{}]"
	if _, err := elements([]byte(many)); !errors.Is(err, ErrMalformed) {
		t.Errorf("%d events: %v", maxBatch+1, err)
	}
	if list, err := elements([]byte(many[3:len(many)-4] + "]")); err == nil {
		t.Errorf("%d events of no list", len(list))
	}
	if list, err := elements([]byte("[" + many[4:])); err != nil || len(list) != maxBatch {
		t.Errorf("%d events, %v", len(list), err)
	}
	for _, text := range []string{"", "{}", "1", "[", "[1", "[1,]", "[}", `"x"`, "null"} {
		if list, err := elements([]byte(text)); err == nil {
			t.Errorf("%q is a list of %d", text, len(list))
		}
	}
	// An id of several is of all of them, in their order; without one of theirs there is none.
	if a, b := batchID([]string{"1", "2"}), batchID([]string{"2", "1"}); a == b || a == batchID([]string{"1\n2"}) || batchID([]string{"1", ""}) != "" || batchID(nil) != "" {
		t.Errorf("ids %q and %q", a, b)
	}
}

func TestParseKeySet(t *testing.T) {
	p256 := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	p521 := must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	keys := map[string]crypto.PublicKey{"r": rsaKeys()[0].Public(), "e": p256.Public(), "f": p521.Public(), "o": falSigner(1).Public()}
	got := must(parseKeySet([]byte(keySet(keys))))
	if len(got) != len(keys) {
		t.Errorf("%d keys of %d: shared secrets are none", len(got), len(keys))
	}
	for _, k := range got {
		want, ok := keys[k.id].(interface{ Equal(crypto.PublicKey) bool })
		if !ok || !want.Equal(k.key) {
			t.Errorf("the key %s is another", k.id)
		}
	}
	for _, text := range []string{
		`{"keys":[{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"}]}`, `{"keys":[{"kty":"RSA","kid":"a","n":"` + strings.Repeat("A", 20_000) + `","e":"AQAB"}]}`,
		`{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"AAAA","y":"AAAA"}]}`, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"AAAA"}]}`,
		`{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"` + strings.Repeat("A", 43) + `","y":"` + strings.Repeat("A", 43) + `"}]}`,
		strings.ReplaceAll(keySet(keys), `"use":"sig"`, `"use":"enc"`), `{"keys":[{}]}`, `{"keys":[]}`, `{}`, `{"keys":[{"kty":"EC","crv":"P-999"}]}`,
	} {
		if got, err := parseKeySet([]byte(text)); err != nil || len(got) > 0 {
			t.Errorf("%.60s: %d keys, %v", text, len(got), err)
		}
	}
	for _, text := range []string{"", "<html>", "[]", `{"keys":1}`, `{"keys":[` + strings.Repeat("{},", 200) + `{}]}`} {
		if _, err := parseKeySet([]byte(text)); !errors.Is(err, ErrFetch) {
			t.Errorf("%.60s: %v", text, err)
		}
	}
}

// turning is a Fetcher with a new page for Refresh.
type turning struct {
	pages
	fresh     string
	refreshed int
}

func (f *turning) Refresh(context.Context, string) ([]byte, error) {
	f.refreshed++
	return []byte(f.fresh), nil
}

func TestKeySetIsReadAgainForAnUnknownKey(t *testing.T) {
	at := keySetAt{url: "https://keys.example/jwks", own: onlyHosts("keys.example")}
	one, two := rsaKeys()[0].Public(), rsaKeys()[1].Public()
	f := &turning{pages: pages{at: map[string]string{at.url: keySet(map[string]crypto.PublicKey{"1": one})}}, fresh: keySet(map[string]crypto.PublicKey{"1": one, "2": two})}
	if _, err := at.find(t.Context(), f, "1"); err != nil || f.refreshed != 0 {
		t.Errorf("error %v, read again %d times", err, f.refreshed)
	}
	key, err := at.find(t.Context(), f, "2")
	if k, ok := key.(*rsa.PublicKey); err != nil || !ok || !k.Equal(two) || f.refreshed != 1 {
		t.Errorf("key %T, error %v, read again %d times", key, err, f.refreshed)
	}
	if _, err := at.find(t.Context(), f, "3"); !errors.Is(err, ErrSignature) {
		t.Errorf("error %v", err)
	}
	// A fetcher that cannot read anew is not asked twice.
	plain := &pages{at: f.at}
	if _, err := at.find(t.Context(), plain, "2"); !errors.Is(err, ErrSignature) || len(plain.askedFor()) != 1 {
		t.Errorf("error %v, asked %q", err, plain.askedFor())
	}
	foreign := keySetAt{url: "https://evil.example/jwks", own: onlyHosts("keys.example")}
	if _, err := foreign.find(t.Context(), f, "1"); err == nil {
		t.Error("asked another host")
	}
}

func FuzzParseKeySet(f *testing.F) {
	f.Add([]byte(keySet(map[string]crypto.PublicKey{"r": rsaKeys()[0].Public(), "o": falSigner(1).Public()})))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := parseKeySet(text)
		for _, k := range keys {
			if k.key == nil || err != nil {
				t.Errorf("key %v, error %v", k, err)
			}
		}
	})
}
