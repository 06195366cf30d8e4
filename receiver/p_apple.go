package receiver

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

func init() {
	register(provider{
		Info: Info{
			Name: "apple", Title: "Apple App Store Server Notifications v2", Aliases: []string{"appstore"}, Optional: true,
			Secret: "nothing, or the root certificate (PEM) if it is no longer Apple Root CA - G3",
			Settings: []SettingInfo{
				{Name: "bundle_id", Doc: "the app's bundle id: Apple signs for everybody's apps alike", Required: true},
				{Name: "environment", Doc: "Production or Sandbox; both if it is empty"},
			},
			Event: "type is notificationType, with a dot and the subtype if there is one; id is notificationUUID; subject is the bundle id",
		},
		// Apple tries for six and a half days.
		tolerance: 7 * 24 * time.Hour,
		verify:    func(r *request) error { return verifyApple(r) },
		describe:  describeApple,
	})
}

// appleRoot is Apple Root CA - G3, as https://www.apple.com/certificateauthority/ has it; its SHA-256 is
// 63343abfb89a6a03ebb57e9b3f5fa7be7c4f5c756f3017b3a8c488c3653e9179.
const appleRoot = `-----BEGIN CERTIFICATE-----
MIICQzCCAcmgAwIBAgIILcX8iNLFS5UwCgYIKoZIzj0EAwMwZzEbMBkGA1UEAwwS
QXBwbGUgUm9vdCBDQSAtIEczMSYwJAYDVQQLDB1BcHBsZSBDZXJ0aWZpY2F0aW9u
IEF1dGhvcml0eTETMBEGA1UECgwKQXBwbGUgSW5jLjELMAkGA1UEBhMCVVMwHhcN
MTQwNDMwMTgxOTA2WhcNMzkwNDMwMTgxOTA2WjBnMRswGQYDVQQDDBJBcHBsZSBS
b290IENBIC0gRzMxJjAkBgNVBAsMHUFwcGxlIENlcnRpZmljYXRpb24gQXV0aG9y
aXR5MRMwEQYDVQQKDApBcHBsZSBJbmMuMQswCQYDVQQGEwJVUzB2MBAGByqGSM49
AgEGBSuBBAAiA2IABJjpLz1AcqTtkyJygRMc3RCV8cWjTnHcFBbZDuWmBSp3ZHtf
TjjTuxxEtX/1H7YyYl3J6YRbTzBPEVoA/VhYDKX1DyxNB0cTddqXl5dvMVztK517
IDvYuVTZXpmkOlEKMaNCMEAwHQYDVR0OBBYEFLuw3qFYM4iapIqZ3r6966/ayySr
MA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49BAMDA2gA
MGUCMQCD6cHEFl4aXTQY2e3v9GwOAEZLuN+yRhHFD/3meoyhpmvOwgPUnPWTxnS4
at+qIxUCMG1mihDK1A3UT82NQz60imOlM27jbdoXt2QfyFMm+YhidDkLF1vLUagM
6BgD56KyKA==
-----END CERTIFICATE-----
`

// The marks of certificates that may sign the App Store's receipts, and of those that issue them. Apple's root is above certificates of
// every developer, so that a chain to it alone proves nothing.
var (
	appleLeafMark   = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 11, 1}
	appleIssuerMark = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 2, 1}
)

func verifyApple(r *request) error {
	if err := distinct(r.content()); err != nil {
		return err
	}
	payload := r.text("signedPayload")
	if payload == "" {
		return fail(CodeMissing, "the field signedPayload is missing")
	}
	roots, err := r.withKeys(appleRoot).rootsOfSecrets()
	if err != nil {
		return err
	}
	claims, err := r.jwt(payload, jwtRule{methods: []string{"ES256"}, key: func(t *jwt.Token) (any, error) {
		return appleKey(t.Header["x5c"], roots, r.now)
	}})
	if err != nil {
		return err
	}
	bundle, environment := appleApp(claims)
	if !same(bundle, r.setting("bundle_id")) {
		return fail(CodeSignature, "the notification is another app's")
	}
	if want := r.setting("environment"); want != "" && environment != want {
		return fail(CodeSignature, "the notification is another environment's")
	}
	signed, ok := claims["signedDate"].(float64)
	if !ok || signed <= 0 || signed > 1<<52 {
		return fail(CodeMissing, "signedDate is missing")
	}
	return r.recent(time.UnixMilli(int64(signed)))
}

// appleParts are the members of a notification that may say whose it is: the first one that is there does.
var appleParts = []string{"data", "summary", "externalPurchaseToken", "appData"}

// appleApp returns the bundle id and the environment of the app that a notification is about.
func appleApp(claims jwt.MapClaims) (bundle, environment string) {
	for _, name := range appleParts {
		part, ok := claims[name].(map[string]any)
		if !ok {
			continue
		}
		bundle, _ = part["bundleId"].(string)
		environment, _ = part["environment"].(string)
		if name == "externalPurchaseToken" { // It has no environment of its own.
			environment = "Production"
			if id, _ := part["externalPurchaseId"].(string); strings.HasPrefix(id, "SANDBOX") {
				environment = "Sandbox"
			}
		}
		return bundle, environment
	}
	return "", ""
}

// rootsOfSecrets returns the roots that the secrets hold.
func (r *request) rootsOfSecrets() (*x509.CertPool, error) {
	if len(r.secrets) == 0 {
		return nil, fail(CodeNoSecret, "no secret is set")
	}
	pool := x509.NewCertPool()
	found := false
	for _, secret := range r.secrets {
		certs, err := parseCertificates([]byte(secret))
		if err != nil {
			continue
		}
		for _, c := range certs {
			pool.AddCert(c)
			found = true
		}
	}
	if !found {
		return nil, fail(CodeWrongSecret, "the secret is not a certificate in PEM")
	}
	return pool, nil
}

// appleKey returns the key of the first certificate of a chain that is Apple's for this purpose.
func appleKey(header any, roots *x509.CertPool, now time.Time) (*ecdsa.PublicKey, error) {
	texts, ok := header.([]any)
	if !ok || len(texts) != 3 {
		return nil, errors.New("the chain is not three certificates long")
	}
	certs := make([]*x509.Certificate, len(texts))
	for i, t := range texts {
		text, _ := t.(string)
		if len(text) > base64.StdEncoding.EncodedLen(maxCertificate) {
			return nil, errors.New("a certificate is too long")
		}
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, errors.New("the chain is not base64")
		}
		if certs[i], err = x509.ParseCertificate(der); err != nil {
			return nil, errors.New("a certificate cannot be read")
		}
	}
	// The last is the sender's word for the root. It counts only if it is one of ours.
	if err := verifyChain(certs[:2], roots, now); err != nil {
		return nil, err
	}
	if !hasMark(certs[0], appleLeafMark) || !hasMark(certs[1], appleIssuerMark) {
		return nil, errors.New("the certificates are not for the App Store's notifications")
	}
	key, err := checkPublicKey(certs[0].PublicKey)
	if err != nil {
		return nil, err
	}
	k, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return nil, errors.New("the certificate has no ECDSA key")
	}
	return k, nil
}

func hasMark(cert *x509.Certificate, mark asn1.ObjectIdentifier) bool {
	return slices.ContainsFunc(cert.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(mark) })
}

// describeApple reads what the signed payload says.
func describeApple(r *request) Delivery {
	parts := strings.Split(r.text("signedPayload"), ".")
	if len(parts) != 3 {
		return Delivery{}
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return Delivery{}
	}
	v := jsontext.Value(bytes.TrimSpace(claims))
	reads := make([]func(jsontext.Value) string, len(appleParts))
	for i, name := range appleParts {
		reads[i] = at(name, "bundleId")
	}
	d := Delivery{
		Type: textIn(v, "notificationType"), ID: clean(textIn(v, "notificationUUID")), Time: millis(func(*request) string { return textIn(v, "signedDate") })(r),
		Subject: clean(firstOf(reads...)(v)),
	}
	if sub := textIn(v, "subtype"); sub != "" {
		d.Type += "." + sub
	}
	d.Type = clean(d.Type)
	return d
}
