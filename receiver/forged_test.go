package receiver

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"hash/crc32"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// What can be made of requests that somebody caught, and of what a receiver tells to strangers.

// TestXSignsNoEvents asks the check of X for a signature, and sends what was signed as an event.
func TestXSignsNoEvents(t *testing.T) {
	for _, body := range []string{"tweet_create_events=1", "123", "true", "abc"} {
		ask := message{method: http.MethodGet, url: "https://hooks.example.com/hook?crc_token=" + body, header: http.Header{}}
		answer, _, err := Handshake("x", []string{secretOne}, ask.request(), nil)
		if err != nil {
			continue // Not even asked for.
		}
		got := textOf(t, answer.Body, "response_token")
		m := message{method: http.MethodPost, url: "https://hooks.example.com/hook", header: http.Header{"Content-Type": {formType}}, body: []byte(body)}
		m.header.Set("X-Twitter-Webhooks-Signature", got)
		if _, err := Verify("x", []string{secretOne}, m.request(), m.body); err == nil {
			t.Errorf("an event that the check signed was taken: %s", body)
		}
	}
}

func textOf(t *testing.T, object []byte, name string) string {
	t.Helper()
	value := textIn(object, name)
	if value == "" {
		t.Fatalf("no %s in %s", name, object)
	}
	return value
}

// TestIDsThatAreSigned adds the header of another family to requests: it must not become the id.
func TestIDsThatAreSigned(t *testing.T) {
	for _, c := range []struct{ provider, secret, header string }{
		{"svix", "whsec_OEhxMnlDMGRUNm00c1YxeFprOWIzblc3", "Webhook-Id"},
		{"gitlab", "whsec_OEhxMnlDMGRUNm00c1YxeFprOWIzblc3", "Idempotency-Key"},
	} {
		prefix := map[string]string{"svix": "svix", "gitlab": "webhook"}[c.provider]
		m := message{method: http.MethodPost, url: "https://hooks.example.com/hook", header: http.Header{}, body: []byte(`{"type":"x"}`)}
		signStandard(prefix, false)(&m, c.secret, now)
		opts := []Option{At(func() time.Time { return now })}
		want, err := Verify(c.provider, []string{c.secret}, m.request(), m.body, opts...)
		if err != nil || want.ID == "" {
			t.Fatalf("%s: %+v %v", c.provider, want, err)
		}
		m.header.Set(c.header, "another")
		if got, err := Verify(c.provider, []string{c.secret}, m.request(), m.body, opts...); err != nil || got.ID != want.ID {
			t.Errorf("%s: with %s the id is %q, want %q: %v", c.provider, c.header, got.ID, want.ID, err)
		}
	}
}

// TestTwilioBodyIsNotLeftOut calls the body of a request whose address is signed a form without fields.
func TestTwilioBodyIsNotLeftOut(t *testing.T) {
	sum := sha256.Sum256([]byte(`{"a":1}`))
	m := message{method: http.MethodPost, url: "https://hooks.example.com/hook?bodySHA256=" + hex.EncodeToString(sum[:]), header: http.Header{}}
	m.header.Set("X-Twilio-Signature", base1(secretOne, m.url))
	for _, c := range []struct {
		kind, body string
		good       bool
	}{{"application/json", `{"a":1}`, true}, {formType, "", false}, {formType, "&&", false}, {"application/json", "", false}} {
		m.header.Set("Content-Type", c.kind)
		m.body = []byte(c.body)
		if _, err := Verify("twilio", []string{secretOne}, m.request(), m.body); (err == nil) != c.good {
			t.Errorf("%s %q: error %v", c.kind, c.body, err)
		}
	}
}

// TestHubSpotOlder leaves the newest signature out, to send an old request again, and makes a longer body of an old one.
func TestHubSpotOlder(t *testing.T) {
	body := []byte(`[{"subscriptionType":"contact.creation","objectId":1}]`)
	verify := func(m message, older string) error {
		_, err := Verify("hubspot", []string{secretOne}, m.request(), m.body, At(func() time.Time { return now }), Setting("older", older))
		return err
	}
	m := message{method: http.MethodPost, url: "https://hooks.example.com/hook", header: http.Header{}, body: body}
	sum := sha256.Sum256([]byte(secretOne + string(body)))
	m.header.Set("X-HubSpot-Signature-Version", "v1")
	m.header.Set("X-HubSpot-Signature", hex.EncodeToString(sum[:]))
	if err := verify(m, ""); !errors.Is(err, ErrMissing) {
		t.Errorf("without a time: error %v", err)
	}
	if err := verify(m, "v2"); !errors.Is(err, ErrMalformed) {
		t.Errorf("a version that is not taken: error %v", err)
	}
	if err := verify(m, "v4"); !errors.Is(err, ErrSetting) {
		t.Errorf("a version that there is not: error %v", err)
	}
	if err := verify(m, "v1"); err != nil {
		t.Errorf("a version that is taken: error %v", err)
	}
	m.body, m.header["X-Hubspot-Signature"] = extended(t, len(secretOne), body, sum, `,{"subscriptionType":"contact.deletion"}]`)
	if err := verify(m, "v1"); err == nil {
		t.Error("a body that was made longer was taken")
	}
}

// extended makes a longer text of one whose hash with an unknown secret before it is known, and that text's hash.
func extended(t *testing.T, secret int, body []byte, sum [sha256.Size]byte, more string) (longer []byte, hash []string) {
	t.Helper()
	size := secret + len(body)
	padded := (size + 9 + 63) / 64 * 64
	pad := make([]byte, padded-size)
	pad[0] = 0x80
	binary.BigEndian.PutUint64(pad[len(pad)-8:], uint64(size)*8)
	h := sha256.New()
	state := append([]byte("sha\x03"), sum[:]...)
	state = binary.BigEndian.AppendUint64(append(state, make([]byte, 64)...), uint64(padded))
	u, ok := h.(interface{ UnmarshalBinary([]byte) error })
	if !ok || u.UnmarshalBinary(state) != nil {
		t.Fatal("the hash takes no state")
	}
	h.Write([]byte(more))
	longer = append(append(bytes.Clone(body), pad...), more...)
	return longer, []string{hex.EncodeToString(h.Sum(nil))}
}

// TestPayPalBodyOfTheSameCRC sends another body with what was signed for one.
func TestPayPalBodyOfTheSameCRC(t *testing.T) {
	c := paypalCase(pemOf(paypalLeaf(paypalRoot, "messageverificationcerts.paypal.com", nil)))
	c.opts = append(c.opts, Once(NewMemory(100)))
	good := c.message("", now)
	opts := []Option{At(func() time.Time { return now }), Setting("webhook_id", c.settings["webhook_id"])}
	opts = append(opts, c.opts...)
	verify := func(body []byte) error {
		_, err := Verify("paypal", nil, good.request(), body, opts...)
		return err
	}
	forged := sameCRC([]byte(`{"id":"WH-2","event_type":"PAYMENT.CAPTURE.COMPLETED","x":"`), crc32.ChecksumIEEE(good.body))
	if crc32.ChecksumIEEE(forged) != crc32.ChecksumIEEE(good.body) {
		t.Fatal("the body has another CRC")
	}
	for range 2 { // PayPal may send it again.
		if err := verify(good.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := verify(forged); !errors.Is(err, ErrReplayed) {
		t.Errorf("a body of the same CRC: error %v", err)
	}
}

// sameCRC adds four bytes to a text, so that it has a CRC.
func sameCRC(text []byte, want uint32) []byte {
	state := ^want
	for range 4 {
		for i, v := range crc32.IEEETable {
			if v>>24 == state>>24 {
				state = (state^v)<<8 | uint32(i)
				break
			}
		}
	}
	return binary.LittleEndian.AppendUint32(text, state^^crc32.ChecksumIEEE(text))
}

// TestSecretsThatAnybodyKnows signs with what a secret is that was left empty.
func TestSecretsThatAnybodyKnows(t *testing.T) {
	body := `{"type":"x"}`
	for _, c := range []struct {
		provider, name, secret string
		sign                   func(*message)
	}{
		{"github", "zero bytes", "\x00", func(m *message) { signBody("X-Hub-Signature-256", "sha256=", hex256)(m, "", now) }},
		{"github", "a space of no width", "\u200b", func(m *message) { signBody("X-Hub-Signature-256", "sha256=", hex256)(m, "\u200b", now) }},
		{"standard", "zeros", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", func(m *message) { signStandard("webhook", true)(m, "", now) }},
		{"polar", "nothing but the prefix", "whsec_", func(m *message) { signStandard("webhook", true)(m, "whsec_", now) }},
		{"basic", "no password", "user:", func(m *message) { sendBasic(m, "user:", now) }},
		{"postmark", "nothing but the colon", ":", func(m *message) { sendBasic(m, ":", now) }},
		{"chargebee", "no colon", "user", func(m *message) { sendBasic(m, "user", now) }},
		{"adyen", "zeros", "0000", func(m *message) { signBody("HmacSignature", "", base256)(m, "", now) }},
	} {
		t.Run(c.provider+"/"+c.name, func(t *testing.T) {
			m := message{method: http.MethodPost, url: "https://hooks.example.com/hook", header: http.Header{}, body: []byte(body)}
			c.sign(&m)
			_, err := Verify(c.provider, []string{c.secret}, m.request(), m.body, At(func() time.Time { return now }))
			if !errors.Is(err, ErrSecret) && !errors.Is(err, ErrWrongSecret) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestPublicKeyIsNoSharedSecret signs with the text of a public key, in every form in which it may have been set.
func TestPublicKeyIsNoSharedSecret(t *testing.T) {
	key := must(x509.MarshalPKIXPublicKey(&rsaKeys()[0].PublicKey))
	block := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: key}))
	for name, secret := range map[string]string{
		"PEM": block, "PEM after a comment": "# FusionAuth's key\n" + block, "base64": base64.StdEncoding.EncodeToString(key),
		"broken PEM": "-----BEGIN PUBLIC KEY-----\nAAAA",
	} {
		m := message{method: http.MethodPost, url: "https://hooks.example.com/hook", header: http.Header{}, body: []byte(`{}`)}
		sum := sha256.Sum256(m.body)
		claims := jwt.MapClaims{"request_body_sha256": base64.StdEncoding.EncodeToString(sum[:])}
		m.header.Set("X-FusionAuth-Signature-JWT", token(jwt.SigningMethodHS256, []byte(secret), "", claims))
		if _, err := Verify("fusionauth", []string{secret}, m.request(), m.body, At(func() time.Time { return now })); err == nil {
			t.Errorf("%s: a token signed with the public key was taken", name)
		}
		if name == "broken PEM" {
			continue
		}
		m.header.Set("X-FusionAuth-Signature-JWT", token(jwt.SigningMethodRS256, rsaKeys()[0], "", claims))
		if _, err := Verify("fusionauth", []string{secret}, m.request(), m.body, At(func() time.Time { return now })); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTwitchRevocationIsSigned calls an event that somebody caught a revocation.
func TestTwitchRevocationIsSigned(t *testing.T) {
	m := message{method: http.MethodPost, url: "https://hooks.example.com/hook", header: http.Header{}}
	m.body = []byte(`{"subscription":{"id":"f1","type":"channel.follow"},"event":{"user_id":"1"}}`)
	signTwitch(&m, secretOne, now)
	m.header.Set("Twitch-Eventsub-Message-Type", "revocation")
	m.header.Set("Twitch-Eventsub-Subscription-Type", "stream.offline")
	d, err := Verify("twitch", []string{secretOne}, m.request(), m.body, At(func() time.Time { return now }))
	if err != nil || d.Type != "channel.follow" {
		t.Errorf("the type is %q, error %v", d.Type, err)
	}
}

// TestNamesThatAreThereTwice adds a member that nobody signed beside one that was: the next reader may take that one.
func TestNamesThatAreThereTwice(t *testing.T) {
	sns := snsCase("2", nil)
	adyen := testCase{provider: "adyen", sign: signAdyenItems(1), secret: adyenKey}
	for _, c := range []struct {
		of       testCase
		old, new string
	}{
		{sns, `"Message":`, `"message":"other","Message":`},
		{sns, `"Message":`, `"Message":"other","Message":`},
		{adyen, `"notificationItems":`, `"NotificationItems":[],"notificationItems":`},
		{adyen, `"eventCode":`, `"eventcode":"REFUND","eventCode":`},
		{adyen, `"value":`, `"Value":1,"value":`},
	} {
		m := c.of.message(c.of.one(), now)
		if _, err := c.of.verify(m, []string{c.of.one()}, now); err != nil {
			t.Fatal(err)
		}
		m.body = bytes.Replace(m.body, []byte(c.old), []byte(c.new), 1)
		c.of.refused(t, m, []string{c.of.one()}, now, ErrRepeated)
	}
}

// TestAdyenItemIsNoBody sends what is signed of an item as a body that is signed.
func TestAdyenItemIsNoBody(t *testing.T) {
	m := message{method: http.MethodPost, url: "https://hooks.example.com/hook", header: http.Header{}}
	m.body = []byte("7914073381342284::TestMerchant:TestPayment-1407325143704:1130:EUR:AUTHORISATION:true")
	m.header.Set("HmacSignature", adyenHMACOf(adyenKey, string(m.body)))
	if _, err := Verify("adyen", []string{adyenKey}, m.request(), m.body); !errors.Is(err, ErrMalformed) {
		t.Errorf("error %v", err)
	}
}

// TestSmallPacketsThatAreLarge has bodies of a few kilobytes that hold a million things when they are unpacked, which takes far more
// memory than the text. Nobody has to know a secret for it.
func TestSmallPacketsThatAreLarge(t *testing.T) {
	for provider, body := range map[string]string{
		"slack":      "[" + strings.Repeat("0,", 1<<20) + "0]",
		"zoom":       "{" + strings.Repeat(`"":0,`, 1<<19) + `"":0}`,
		"mandrill":   strings.Repeat("a&", 1<<20),
		"salesforce": "<a " + strings.Repeat("b='' ", 1<<19) + "/>",
	} {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write([]byte(body))
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		kind := map[string]string{"mandrill": formType, "salesforce": "text/xml"}[provider]
		m := message{method: http.MethodPost, url: "https://hooks.example.com/hook", body: packed.Bytes()}
		m.header = http.Header{"Content-Encoding": {"gzip"}, "Content-Type": {kind}, "X-Mandrill-Signature": {base1("x")}}
		r := m.request()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if answer, _, err := Handshake(provider, []string{secretOne}, r, m.body); answer != nil || err != nil {
			t.Errorf("%s: answer %v, error %v", provider, answer, err)
		}
		if _, err := Verify(provider, []string{secretOne}, r, m.body); err == nil {
			t.Errorf("%s: verified", provider)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 48<<20 {
			t.Errorf("%s: a body of %d bytes took %d bytes of memory", provider, packed.Len(), took)
		}
	}
}

// TestTypesThatAreSigned changes headers that say what signed bodies say too.
func TestTypesThatAreSigned(t *testing.T) {
	for _, c := range []struct{ provider, signature, header, body, want string }{
		{"lemonsqueezy", "X-Signature", "X-Event-Name", `{"meta":{"event_name":"order_created"}}`, "order_created"},
		{"linear", "Linear-Signature", "Linear-Event", `{"type":"Issue","action":"create","webhookTimestamp":` + unixMilli(now) + `}`, "Issue.create"},
	} {
		m := message{method: http.MethodPost, url: "https://hooks.example.com/hook", header: http.Header{}, body: []byte(c.body)}
		m.header.Set(c.header, "other")
		signBody(c.signature, "", hex256)(&m, secretOne, now)
		d, err := Verify(c.provider, []string{secretOne}, m.request(), m.body, At(func() time.Time { return now }))
		if err != nil || d.Type != c.want {
			t.Errorf("%s: the type is %q, want %q: %v", c.provider, d.Type, c.want, err)
		}
	}
}

// TestStripeTimeIsANumber calls the beginning of a body, up to a dot, a part of the timestamp.
func TestStripeTimeIsANumber(t *testing.T) {
	m := message{method: http.MethodPost, url: "https://hooks.example.com/hook", header: http.Header{"Content-Type": {"application/json"}}}
	m.body = []byte(`{"type":"charge.succeeded"}`)
	m.header.Set("Stripe-Signature", `t=1.{"note":"a,v1=`+hex256(secretOne, `1.{"note":"a.`, string(m.body)))
	if _, err := Verify("stripe-untimed", []string{secretOne}, m.request(), m.body); !errors.Is(err, ErrMalformed) {
		t.Errorf("error %v", err)
	}
}
