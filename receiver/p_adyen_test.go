package receiver

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

// The key and the notification of Adyen's documentation.
const (
	adyenKey  = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
	adyenBody = `{"live":"false","notificationItems":[{"NotificationRequestItem":{"additionalData":{"hmacSignature":"coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="},"amount":{"currency":"EUR","value":1130},"eventCode":"AUTHORISATION","eventDate":"2026-03-14T15:09:00+01:00","merchantAccountCode":"TestMerchant","merchantReference":"TestPayment-1407325143704","paymentMethod":"visa","pspReference":"7914073381342284","success":"true"}}]}`
)

func adyenHMACOf(secret, text string) string {
	return base256(string(must(hex.DecodeString(secret))), text)
}

func signAdyenItems(n int) func(*message, string, time.Time) {
	return func(m *message, secret string, _ time.Time) {
		if secret == "" {
			panic("no key")
		}
		item := `{"NotificationRequestItem":` + strings.TrimSuffix(strings.SplitN(adyenBody, `"NotificationRequestItem":`, 2)[1], "]}")
		item = strings.Replace(item, "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0=",
			adyenHMACOf(secret, "7914073381342284::TestMerchant:TestPayment-1407325143704:1130:EUR:AUTHORISATION:true"), 1)
		m.body = []byte(`{"live":"false","notificationItems":[` + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + `]}`)
	}
}

func init() {
	c := testCase{
		provider: "adyen", secret: adyenKey, second: strings.Repeat("ab", 32), wrong: strings.Repeat("cd", 32), sign: signAdyenItems(1), unsigned: true,
		want:  Delivery{Type: "AUTHORISATION", ID: "AUTHORISATION-7914073381342284-true", Subject: "TestPayment-1407325143704"},
		marks: []string{"7914073381342284", "TestMerchant", "TestPayment-1407325143704", "1130", "EUR", "AUTHORISATION", `"success":"true"`, "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="},
	}
	several, platform, basic := c, c, c
	several.name = "several"
	several.sign = signAdyenItems(3)
	several.want.ID = batchID([]string{c.want.ID, c.want.ID, c.want.ID})
	platform.name, platform.marks, platform.unsigned = "platform", nil, false
	platform.body = `{"data":{"balancePlatform":"YOUR","accountHolder":{"id":"AH3227"}},"environment":"test","timestamp":"2026-03-14T15:09:00Z","type":"balancePlatform.accountHolder.created"}`
	platform.sign = func(m *message, secret string, _ time.Time) {
		if secret == "" {
			panic("no key")
		}
		m.header.Set("Hmacsignature", adyenHMACOf(secret, string(m.body)))
	}
	// Without the header the body would have to have items.
	platform.proof = []string{"Hmacsignature"}
	platform.want = Delivery{Type: "balancePlatform.accountHolder.created", Subject: "AH3227", Time: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)}
	basic.name = "with a password"
	basic.settings = map[string]string{"basic": "user:pass:word"}
	basic.header = map[string]string{"Authorization": "Basic dXNlcjpwYXNzOndvcmQ="}
	addCase(c, several, platform, basic)
}

func TestAdyenVector(t *testing.T) {
	m := message{method: "POST", url: "https://hooks.example.com/hook", header: map[string][]string{}, body: []byte(adyenBody)}
	c := testCase{provider: "adyen"}
	if _, err := c.verify(m, []string{adyenKey}, now); err != nil {
		t.Error(err)
	}
	if a := Accepted("adyen", Delivery{}); a.Status != 200 || string(a.Body) != "[accepted]" {
		t.Errorf("answer %d %q", a.Status, a.Body)
	}
}

func TestAdyenRefuses(t *testing.T) {
	c := testCase{provider: "adyen", sign: signAdyenItems(3)}
	good := c.message(adyenKey, now)
	for name, change := range map[string]func(string) string{
		"one item of three unsigned": func(s string) string {
			i := strings.LastIndex(s, `"additionalData"`)
			return s[:i] + strings.Replace(s[i:], `hmacSignature`, `other`, 1)
		},
		"the last item changed": func(s string) string {
			i := strings.LastIndex(s, "1130")
			return s[:i] + "9130" + s[i+4:]
		},
		"no items":         func(string) string { return `{"live":"false","notificationItems":[]}` },
		"items are none":   func(string) string { return `{"notificationItems":[{}]}` },
		"items are texts":  func(string) string { return `{"notificationItems":["x"]}` },
		"no list":          func(string) string { return `{"notificationItems":{}}` },
		"not JSON":         func(string) string { return `x` },
		"another password": func(s string) string { return s },
	} {
		t.Run(name, func(t *testing.T) {
			m := good
			m.body = []byte(change(string(good.body)))
			c := c
			if name == "another password" {
				c.settings = map[string]string{"basic": "user:word"}
				m.header = m.header.Clone()
				m.header.Set("Authorization", "Basic dXNlcjpwYXNz")
			}
			c.refused(t, m, []string{adyenKey}, now)
		})
	}
	c.refused(t, good, []string{"not hex"}, now, ErrWrongSecret)
	c.settings = map[string]string{"basic": "user:word"}
	c.refused(t, good, []string{adyenKey}, now, ErrSignature)
}
