package receiver

import (
	"crypto"
	"crypto/rsa"

	//nolint:gosec // SNS signs its first version with SHA-1.
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	snsTopic = "arn:aws:sns:us-east-1:123456789012:orders"
	snsCert  = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem"
	snsGo    = "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=" + snsTopic + "&Token=2336412f37"
)

// signSNS fills a message in and signs it by a version. Fields that are "-" are left out.
func signSNS(version string, key *rsa.PrivateKey, fields map[string]string) func(*message, string, time.Time) {
	return func(m *message, topic string, at time.Time) {
		if topic == "" {
			panic("no topic")
		}
		all := map[string]string{
			"Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": topic, "Subject": "My First Message",
			"Message": "Hello\nworld!", "Timestamp": at.UTC().Format("2006-01-02T15:04:05.000Z"), "SignatureVersion": version, "SigningCertURL": snsCert,
			"UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe",
		}
		for name, value := range fields {
			if all[name] = value; value == "-" {
				delete(all, name)
			}
		}
		text := ""
		for _, name := range []string{"Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"} {
			if value, ok := all[name]; ok {
				text += name + "\n" + value + "\n"
			}
		}
		sum, hash := sha256.Sum256([]byte(text)), crypto.SHA256
		digest := sum[:]
		if version == "1" {
			old := sha1.Sum([]byte(text)) //nolint:gosec // As SNS does.
			digest, hash = old[:], crypto.SHA1
		}
		all["Signature"] = base64.StdEncoding.EncodeToString(must(rsa.SignPKCS1v15(nil, key, hash, digest)))
		m.body = must(json.Marshal(all))
		m.header.Set("Content-Type", "text/plain; charset=UTF-8")
	}
}

func snsPages(more ...string) *pages {
	p := &pages{at: map[string]string{snsCert: pemOf(certificate(nil, rsaKeys()[0], nil))}}
	for _, url := range more {
		p.at[url] = "<ConfirmSubscriptionResponse/>"
	}
	return p
}

func snsCase(version string, fields map[string]string) testCase {
	return testCase{
		provider: "sns", name: "version " + version, secret: snsTopic, second: snsTopic + "2", wrong: "arn:aws:sns:us-east-1:666666666666:orders",
		opts: []Option{Fetch(snsPages(snsGo))}, sign: signSNS(version, rsaKeys()[0], fields), unsigned: true,
		want:  Delivery{Type: "Notification", ID: "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", Subject: snsTopic, Time: now},
		marks: []string{"Hello\\nworld!", "22b80b92", snsTopic, `"Notification"`, "2026-03-14T15:09:26.000Z", `"SignatureVersion":"` + version + `"`},
		// The message is the same for ten years.
		tolerance: 24 * time.Hour,
	}
}

func init() {
	one, two, plain := snsCase("1", nil), snsCase("2", nil), snsCase("2", map[string]string{"Subject": "-"})
	one.marks, two.marks = append(one.marks, "My First Message"), append(two.marks, "My First Message")
	plain.name = "without a subject"
	addCase(one, two, plain)
}

var snsConfirm = map[string]string{"Type": "SubscriptionConfirmation", "Token": "2336412f37", "SubscribeURL": snsGo, "Subject": "-", "UnsubscribeURL": "-"}

// handshake gives the message of a case to Handshake.
func (c testCase) handshake(m message, secrets []string) (*Answer, error) {
	answer, _, err := Handshake(c.provider, secrets, m.request(), m.body, append([]Option{At(func() time.Time { return now })}, c.opts...)...)
	return answer, err
}

func TestSNSConfirmation(t *testing.T) {
	c := snsCase("2", snsConfirm)
	asked := snsPages(snsGo)
	c.opts = []Option{Fetch(asked)}
	answer, err := c.handshake(c.message(snsTopic, now), []string{snsTopic})
	if err != nil || answer == nil || answer.Status != http.StatusOK {
		t.Fatalf("answer %+v, error %v", answer, err)
	}
	if got := asked.askedFor(); !slices.Equal(got, []string{snsCert, snsGo}) {
		t.Errorf("asked for %q", got)
	}
	// It is no event.
	c.refused(t, c.message(snsTopic, now), []string{snsTopic}, now)

	t.Run("the end of a subscription confirms nothing", func(t *testing.T) {
		fields := map[string]string{"Type": "UnsubscribeConfirmation", "Token": "2336412f37", "SubscribeURL": snsGo, "Subject": "-"}
		c := snsCase("2", fields)
		asked := snsPages(snsGo)
		c.opts = []Option{Fetch(asked)}
		if answer, err := c.handshake(c.message(snsTopic, now), []string{snsTopic}); err != nil || answer == nil {
			t.Fatalf("answer %+v, error %v", answer, err)
		}
		if got := asked.askedFor(); slices.Contains(got, snsGo) {
			t.Errorf("asked for %q", got)
		}
	})
	t.Run("a notification is no handshake", func(t *testing.T) {
		c := snsCase("2", nil)
		if answer, err := c.handshake(c.message(snsTopic, now), []string{snsTopic}); answer != nil || err != nil {
			t.Errorf("answer %+v, error %v", answer, err)
		}
	})
	refused := map[string]struct {
		change  func(map[string]string)
		key     int
		topic   string
		secrets []string
	}{
		"a stranger's topic": {topic: "arn:aws:sns:us-east-1:666666666666:x", secrets: []string{snsTopic}},
		"no topic is ours":   {topic: snsTopic},
		"signed by another":  {topic: snsTopic, secrets: []string{snsTopic}, key: 1},
		"another's address": {topic: snsTopic, secrets: []string{snsTopic}, change: func(f map[string]string) {
			f["SubscribeURL"] = "https://sns.us-east-1.amazonaws.com@evil.example/?Action=ConfirmSubscription"
		}},
		"the confirmation fails": {topic: snsTopic, secrets: []string{snsTopic}, change: func(f map[string]string) { f["SubscribeURL"] = snsGo + "x" }},
		"no token":               {topic: snsTopic, secrets: []string{snsTopic}, change: func(f map[string]string) { f["Token"] = "-" }},
	}
	for name, bad := range refused {
		t.Run(name, func(t *testing.T) {
			fields := maps.Clone(snsConfirm)
			if bad.change != nil {
				bad.change(fields)
			}
			c := snsCase("2", fields)
			c.sign = signSNS("2", rsaKeys()[bad.key], fields)
			asked := snsPages(snsGo)
			c.opts = []Option{Fetch(asked)}
			answer, err := c.handshake(c.message(bad.topic, now), bad.secrets)
			if err == nil || answer != nil {
				t.Errorf("answer %+v, error %v", answer, err)
			}
			if slices.Contains(asked.askedFor(), snsGo) {
				t.Error("the subscription was confirmed")
			}
		})
	}
}

func TestSNSAsksOnlySNS(t *testing.T) {
	addresses := append(foreignAddresses("sns.us-east-1.amazonaws.com", "/SimpleNotificationService-1.pem"),
		"https://sns.s3-us-west-2.amazonaws.com/x.pem", // A bucket called sns.
		"https://sns.amazonaws.com/x.pem", "https://sns.evil.amazonaws.com/x.pem", "https://sns.us-east-1.amazonaws.com.cn.evil.example/x.pem",
		"https://sqs.us-east-1.amazonaws.com/x.pem", "https://sns.us-east-1.amazonaws.com/x.pem?y", "https://sns.us-east-1.amazonaws.com/x.txt",
		"https://sns.us-east-1.amazonaws.org/x.pem", "https://snsxus-east-1xamazonaws.com/x.pem")
	for _, address := range addresses {
		c := snsCase("2", map[string]string{"SigningCertURL": address})
		asked := &pages{}
		c.opts = []Option{Fetch(asked)}
		c.refused(t, c.message(snsTopic, now), []string{snsTopic}, now, ErrSignature)
		if got := asked.askedFor(); len(got) > 0 {
			t.Errorf("asked for %q", got)
		}
	}
	for _, host := range []string{"sns.us-east-1.amazonaws.com", "sns.cn-north-1.amazonaws.com.cn", "sns.us-gov-west-1.amazonaws.com", "sns.ap-southeast-2.amazonaws.com"} {
		if !snsHosts(host) {
			t.Errorf("%s is not SNS", host)
		}
	}
}

func TestSNSCertificates(t *testing.T) {
	for name, page := range map[string]string{
		"expired": pemOf(certificate(nil, rsaKeys()[0], func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) })),
		"not yet": pemOf(certificate(nil, rsaKeys()[0], func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) })),
		"another": pemOf(certificate(nil, rsaKeys()[1], nil)), "empty": "", "no RSA": pemOf(newCA(nil, nil).cert),
	} {
		t.Run(name, func(t *testing.T) {
			c := snsCase("2", nil)
			c.opts = []Option{Fetch(&pages{at: map[string]string{snsCert: page}})}
			c.refused(t, c.message(snsTopic, now), []string{snsTopic}, now)
		})
	}
	t.Run("AWS is down", func(t *testing.T) {
		c := snsCase("2", nil)
		c.opts = []Option{Fetch(&pages{})}
		m := c.message(snsTopic, now)
		c.refused(t, m, []string{snsTopic}, now, ErrFetch)
		_, err := c.verify(m, []string{snsTopic}, now)
		if e, _ := errors.AsType[*Error](err); e.Status != http.StatusServiceUnavailable {
			t.Errorf("status %d: SNS would not try again", e.Status)
		}
	})
	t.Run("a version that is none", func(t *testing.T) {
		c := snsCase("3", nil)
		c.refused(t, c.message(snsTopic, now), []string{snsTopic}, now)
	})
	t.Run("a field that is a list", func(t *testing.T) {
		c := snsCase("2", nil)
		m := c.message(snsTopic, now)
		m.body = []byte(strings.Replace(string(m.body), `"Hello\nworld!"`, `["Hello\nworld!"]`, 1))
		c.refused(t, m, []string{snsTopic}, now)
	})
}
