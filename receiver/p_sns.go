package receiver

import (
	"crypto/x509"
	"regexp"
	"strings"
	"time"
)

func init() {
	register(provider{
		Info: Info{
			Name: "sns", Title: "Amazon SNS", Aliases: []string{"aws-sns"},
			Secret:     "the topic's ARN: AWS signs for everybody's topics with the same keys",
			Event:      "type from Type, id from MessageId, subject is the TopicArn; subscriptions of these topics are confirmed",
			Handshakes: []string{"POST"},
		},
		// SNS tries for an hour unless its delivery policy says otherwise; what is signed is the time of publishing.
		tolerance: 24 * time.Hour,
		verify: func(r *request) error {
			if kind := r.text("Type"); kind != "Notification" {
				return fail(CodeMalformed, "the message is not a notification")
			}
			return verifySNS(r)
		},
		describe:  describe(field("Type"), field("MessageId"), field("TopicArn"), rfc3339(field("Timestamp"))),
		handshake: handshakeSNS,
	})
}

// snsHosts is AWS's own rule (sns, a part, amazonaws.com) made narrower: the part is a region's name, so that
// sns.s3-us-west-2.amazonaws.com, which is somebody's bucket, is none.
var snsHosts hostRule = regexp.MustCompile(`^sns\.[a-z]{2,4}(-[a-z]+){1,3}-[0-9]{1,2}\.amazonaws\.com(\.cn)?$`).MatchString

// snsSigned are the fields that are signed, in this order: those of the message that are there.
var snsSigned = map[string][]string{
	"Notification":             {"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"},
	"SubscriptionConfirmation": {"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"},
	"UnsubscribeConfirmation":  {"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"},
}

func verifySNS(r *request) error {
	if err := distinct(r.content()); err != nil {
		return err
	}
	// First whose topic it is: a stranger's costs nothing.
	if err := r.anyToken(r.text("TopicArn")); err != nil {
		return err
	}
	algorithm, ok := map[string]x509.SignatureAlgorithm{"1": x509.SHA1WithRSA, "2": x509.SHA256WithRSA}[r.text("SignatureVersion")]
	if !ok {
		return fail(CodeMalformed, "the version of the signature is not 1 and not 2")
	}
	signature, err := decodeBase64(r.text("Signature"))
	if err != nil || len(signature) == 0 {
		return fail(CodeSignature, "the signature is missing or not base64")
	}
	message, err := snsMessage(r)
	if err != nil {
		return err
	}
	cert, err := snsCertificate(r)
	if err != nil {
		return err
	}
	if err := cert.CheckSignature(algorithm, message, signature); err != nil {
		return failWith(CodeSignature, "the signature is not the certificate's", err)
	}
	sent, err := time.Parse(time.RFC3339, r.text("Timestamp"))
	if err != nil {
		return failWith(CodeMalformed, "the timestamp is not one", err)
	}
	return r.recent(sent)
}

// snsMessage makes the text that is signed: names and values, each on its line.
func snsMessage(r *request) ([]byte, error) {
	names, ok := snsSigned[r.text("Type")]
	if !ok {
		return nil, fail(CodeMalformed, "the type of the message is not known")
	}
	var b strings.Builder
	for _, name := range names {
		value, there := r.raw(name)
		if name == "Subject" && (!there || value.Kind() == 'n') {
			continue
		}
		if !there || value.Kind() != '"' {
			return nil, fail(CodeMissing, "the field "+name+" is missing")
		}
		b.WriteString(name)
		b.WriteByte('\n')
		b.WriteString(scalar(value))
		b.WriteByte('\n')
	}
	return []byte(b.String()), nil
}

func snsCertificate(r *request) (*x509.Certificate, error) {
	address := r.text("SigningCertURL")
	if u, err := checkFetchURL(address, snsHosts); err != nil {
		return nil, err
	} else if !strings.HasSuffix(u.Path, ".pem") || u.RawQuery != "" {
		return nil, errFetchURL
	}
	text, err := fetchFrom(r.http.Context(), r.fetcher, address, snsHosts)
	if err != nil {
		return nil, err
	}
	certs, err := parseCertificates(text)
	if err != nil {
		return nil, err
	}
	cert := certs[0]
	if r.now.Before(cert.NotBefore) || r.now.After(cert.NotAfter) {
		return nil, fail(CodeSignature, "the certificate has expired or is not valid yet")
	}
	_, err = rsaOf(cert)
	return cert, err
}

// handshakeSNS confirms a subscription by asking for the address that AWS gives, and takes the end of one as it is.
func handshakeSNS(r *request) (*Answer, *Learned, error) {
	kind := r.text("Type")
	if kind != "SubscriptionConfirmation" && kind != "UnsubscribeConfirmation" {
		return nil, nil, nil
	}
	if err := verifySNS(r); err != nil {
		return nil, nil, err
	}
	if kind == "SubscriptionConfirmation" {
		if _, err := fetchFrom(r.http.Context(), r.fetcher, r.text("SubscribeURL"), snsHosts); err != nil {
			return nil, nil, err
		}
	}
	answer := Text(200, "")
	return &answer, nil, nil
}
