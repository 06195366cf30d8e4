package receiver

import (
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"
)

func init() {
	register(provider{
		Info: Info{
			Name: "paypal", Title: "PayPal",
			Settings: []SettingInfo{{Name: "webhook_id", Doc: "the id of the webhook as PayPal shows it: it is part of what is signed", Required: true}},
			Event:    "type from event_type, id and create_time of the event, subject is the id of its resource",
		},
		// PayPal tries for three days, and does not say whether it signs anew.
		tolerance: 73 * time.Hour,
		verify:    verifyPayPal,
		describe: describe(field("event_type"), field("id"), first(field("resource", "id"), field("resource", "dispute_id")),
			rfc3339(field("create_time"))),
	})
}

// paypalHosts are where PayPal's certificates are.
var paypalHosts = onlyHosts("api.paypal.com", "api-m.paypal.com", "api.sandbox.paypal.com", "api-m.sandbox.paypal.com")

// paypalNames are to whom the certificates are issued.
var paypalNames = []string{"messageverificationcerts.paypal.com", "messageverificationcerts.sandbox.paypal.com"}

func verifyPayPal(r *request) error {
	var head [4]string
	for i, name := range []string{"Paypal-Transmission-Id", "Paypal-Transmission-Time", "Paypal-Transmission-Sig", "Paypal-Cert-Url"} {
		var err error
		if head[i], err = r.header(name); err != nil {
			return err
		}
	}
	id, sent, text, address := head[0], head[1], head[2], head[3]
	if algorithm, err := r.header("Paypal-Auth-Algo"); err != nil {
		return err
	} else if algorithm != "SHA256withRSA" {
		return fail(CodeSignature, "the algorithm is not SHA256withRSA")
	}
	signature, err := decodeBase64(text)
	if err != nil {
		return failWith(CodeSignature, "the signature is not base64", err)
	}
	// What is signed has no marks but these: with one in a part, two requests would be signed alike.
	if strings.Contains(id, "|") || strings.Contains(sent, "|") {
		return fail(CodeMalformed, "the transmission's id or time has a bar in it")
	}
	key, err := r.paypalKey(address)
	if err != nil {
		return err
	}
	message := fmt.Sprintf("%s|%s|%s|%d", id, sent, r.setting("webhook_id"), crc32.ChecksumIEEE(r.body))
	if !verifyRSA256(key, []byte(message), signature) {
		return fail(CodeSignature, "the signature is not the certificate's")
	}
	when, err := time.Parse(time.RFC3339, sent)
	if err != nil {
		return failWith(CodeMalformed, "the transmission's time is not one", err)
	}
	if err := r.recent(when); err != nil {
		return err
	}
	// A CRC is no proof: who caught a request can make another body with the same one.
	return r.useOnce("paypal:" + message)
}

// paypalKey fetches a certificate from PayPal and checks that it is issued to PayPal for this purpose.
func (r *request) paypalKey(address string) (*rsa.PublicKey, error) {
	if u, err := checkFetchURL(address, paypalHosts); err != nil {
		return nil, err
	} else if !strings.HasPrefix(u.Path, "/v1/notifications/certs/") || u.RawQuery != "" {
		return nil, errFetchURL
	}
	text, err := fetchFrom(r.http.Context(), r.fetcher, address, paypalHosts)
	if err != nil {
		return nil, err
	}
	certs, err := parseCertificates(text)
	if err != nil {
		return nil, err
	}
	if err := verifyChain(certs, r.opts.roots, r.now); err != nil {
		return nil, failWith(CodeSignature, "the certificate leads to no root that is trusted", err)
	}
	if !issuedTo(certs[0], paypalNames) {
		return nil, fail(CodeSignature, "the certificate is not PayPal's")
	}
	return rsaOf(certs[0])
}

func issuedTo(cert *x509.Certificate, names []string) bool {
	return slices.Contains(names, strings.ToLower(cert.Subject.CommonName)) ||
		slices.ContainsFunc(cert.DNSNames, func(n string) bool { return slices.Contains(names, strings.ToLower(n)) })
}

// rsaOf returns a certificate's RSA key.
func rsaOf(cert *x509.Certificate) (*rsa.PublicKey, error) {
	key, err := checkPublicKey(cert.PublicKey)
	if k, ok := key.(*rsa.PublicKey); err == nil && ok {
		return k, nil
	}
	return nil, fail(CodeSignature, "the certificate has no RSA key, or a weak one")
}
