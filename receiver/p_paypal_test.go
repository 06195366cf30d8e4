package receiver

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"
)

const (
	paypalCert = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270"
	paypalBody = `{"id":"WH-2WR32451HC0233532-67976317FL4543714","create_time":"2026-03-14T15:09:00.000Z","event_type":"PAYMENT.CAPTURE.COMPLETED","resource":{"id":"42311647XV020574X"}}`
)

func signPayPal(key *rsa.PrivateKey, webhook string) func(*message, string, time.Time) {
	return func(m *message, _ string, at time.Time) {
		sent := at.UTC().Format(time.RFC3339)
		m.header.Set("Paypal-Transmission-Id", "69cd13f0-d67a-11e5-baa3-778b53f4ae55")
		m.header.Set("Paypal-Transmission-Time", sent)
		m.header.Set("Paypal-Cert-Url", paypalCert)
		m.header.Set("Paypal-Auth-Algo", "SHA256withRSA")
		m.header.Set("Paypal-Transmission-Sig", signRSA256(key, fmt.Sprintf("69cd13f0-d67a-11e5-baa3-778b53f4ae55|%s|%s|%d", sent, webhook, crc32.ChecksumIEEE(m.body))))
	}
}

func paypalLeaf(ca *testCA, name string, change func(*x509.Certificate)) *x509.Certificate {
	return certificate(ca, rsaKeys()[0], func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: name}
		if change != nil {
			change(c)
		}
	})
}

var paypalRoot = newCA(nil, nil)

func paypalCase(page string) testCase {
	return testCase{
		provider: "paypal", noSecret: true, settings: map[string]string{"webhook_id": "1JE4291016473214C"}, body: paypalBody,
		opts: []Option{Fetch(&pages{at: map[string]string{paypalCert: page}}), Roots(paypalRoot.pool())},
		sign: signPayPal(rsaKeys()[0], "1JE4291016473214C"),
		want: Delivery{
			Type: "PAYMENT.CAPTURE.COMPLETED", ID: "WH-2WR32451HC0233532-67976317FL4543714", Subject: "42311647XV020574X",
			Time: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC),
		},
		proof: []string{
			"Paypal-Transmission-Id", "Paypal-Transmission-Time", "Paypal-Transmission-Sig", "Paypal-Cert-Url", "Paypal-Auth-Algo",
		},
		tolerance: 73 * time.Hour,
	}
}

func init() {
	middle := newCA(paypalRoot, nil)
	addCase(paypalCase(pemOf(paypalLeaf(middle, "messageverificationcerts.paypal.com", nil), middle.cert)))
}

func TestPayPalCertificates(t *testing.T) {
	good := pemOf(paypalLeaf(paypalRoot, "messageverificationcerts.paypal.com", nil))
	stranger := newCA(nil, nil)
	bad := map[string]string{
		"self-signed":    pemOf(paypalLeaf(nil, "messageverificationcerts.paypal.com", nil)),
		"other root":     pemOf(paypalLeaf(stranger, "messageverificationcerts.paypal.com", nil), stranger.cert),
		"other name":     pemOf(paypalLeaf(paypalRoot, "www.paypal.com", nil)),
		"name's suffix":  pemOf(paypalLeaf(paypalRoot, "messageverificationcerts.paypal.com.evil.example", nil)),
		"expired":        pemOf(paypalLeaf(paypalRoot, "messageverificationcerts.paypal.com", func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) })),
		"not yet":        pemOf(paypalLeaf(paypalRoot, "messageverificationcerts.paypal.com", func(c *x509.Certificate) { c.NotBefore = now.Add(time.Hour) })),
		"no certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"empty":          "",
		"a hundred":      strings.Repeat(good, 100),
		"another's key":  pemOf(certificate(paypalRoot, rsaKeys()[1], func(c *x509.Certificate) { c.Subject.CommonName = "messageverificationcerts.paypal.com" })),
		"html":           "<html>not found</html>",
		"a public key":   string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")})),
	}
	inNames := paypalCase(pemOf(paypalLeaf(paypalRoot, "other", func(c *x509.Certificate) {
		c.DNSNames = []string{"x.example", "messageverificationcerts.sandbox.paypal.com"}
	})))
	if _, err := inNames.verify(inNames.message("", now), nil, now); err != nil {
		t.Errorf("the name among the others: %v", err)
	}
	c := paypalCase(good)
	if _, err := c.verify(c.message("", now), nil, now); err != nil {
		t.Fatal(err)
	}
	for name, page := range bad {
		t.Run(name, func(t *testing.T) {
			c := paypalCase(page)
			c.refused(t, c.message("", now), nil, now)
		})
	}
	t.Run("another webhook", func(t *testing.T) {
		c := paypalCase(good)
		c.sign = signPayPal(rsaKeys()[0], "OTHER")
		c.refused(t, c.message("", now), nil, now, ErrSignature)
	})
	t.Run("another algorithm", func(t *testing.T) {
		m := c.message("", now)
		m.header.Set("Paypal-Auth-Algo", "SHA1withRSA")
		c.refused(t, m, nil, now, ErrSignature)
	})
	t.Run("no webhook id", func(t *testing.T) {
		m := c.message("", now)
		if _, err := Verify("paypal", nil, m.request(), m.body, c.opts...); !errors.Is(err, ErrSetting) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("PayPal is down", func(t *testing.T) {
		c := paypalCase(good)
		c.opts = []Option{Fetch(&pages{})}
		c.refused(t, c.message("", now), nil, now, ErrFetch)
	})
}

// TestPayPalAsksOnlyPayPal sends addresses that somebody else would like to be asked.
func TestPayPalAsksOnlyPayPal(t *testing.T) {
	c := paypalCase("")
	asked := &pages{}
	c.opts = []Option{Fetch(asked), Roots(paypalRoot.pool())}
	for _, address := range foreignAddresses("api.paypal.com", "/v1/notifications/certs/CERT-1") {
		m := c.message("", now)
		m.header.Set("Paypal-Cert-Url", address)
		c.refused(t, m, nil, now)
	}
	for _, address := range []string{"https://api.paypal.com/v1/other", paypalCert + "?x=1", "https://api.paypal.com/v1/notifications/certs"} {
		m := c.message("", now)
		m.header.Set("Paypal-Cert-Url", address)
		c.refused(t, m, nil, now)
	}
	if got := asked.askedFor(); len(got) > 0 {
		t.Errorf("asked for %q", got)
	}
}

// foreignAddresses are such that a careless check takes for the host's.
func foreignAddresses(host, path string) []string {
	return []string{
		"http://" + host + path, "https://" + host + ".evil.example" + path, "https://evil.example/" + host + path,
		"https://" + host + "@evil.example" + path, "https://" + host + ":443@evil.example" + path, "https://evil.example#@" + host + path,
		"https://evil.example?@" + host + path, "https://evil.example\\@" + host + path, "https://" + host + "\\@evil.example" + path,
		"https://" + host + ":8443" + path, "https://" + host + ":" + "443x" + path, "https://user@" + host + path, "https://user:pw@" + host + path,
		"//" + host + path, host + path, path, "", "https:" + host + path, "https:///" + host + path, "ftp://" + host + path, "file://" + host + path,
		"https://" + host + "." + path, "https://xx" + host + path, "https://x." + host + path, "https://[::1]" + path, "https://127.0.0.1" + path,
		"https://169.254.169.254" + path, "https://localhost" + path, "https://" + host + "%2eevil.example" + path, "https://" + host + "%00.evil.example" + path,
		"https://" + host + "\x00" + path, "https://" + host + "\n" + path, " https://" + host + path, "https://" + host + path + " ", "https://" + host + "。evil.example" + path,
		"HTTPS://evil.example/" + path, "javascript:alert(1)", "data:text/plain,x", "https://" + host + path + "#x", "https://" + host + strings.Repeat("/x", 2000) + path,
	}
}
