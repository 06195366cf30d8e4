package receiver

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

const formType = "application/x-www-form-urlencoded"

// signForm signs an address and the sorted fields of a form.
func signForm(header string) func(*message, string, time.Time) {
	return func(m *message, secret string, _ time.Time) {
		text := m.url
		if strings.HasPrefix(m.header.Get("Content-Type"), formType) {
			form, _ := url.ParseQuery(string(m.body))
			var lines []string
			for name, values := range form {
				for _, value := range values {
					lines = append(lines, name+value)
				}
			}
			slices.Sort(lines)
			text += strings.Join(slices.Compact(lines), "")
		}
		m.header.Set(header, base1(secret, text))
	}
}

func init() {
	twilioForm := testCase{
		provider: "twilio", url: "https://hooks.example.com/hook?a=1", header: map[string]string{"Content-Type": formType + "; charset=UTF-8", "I-Twilio-Idempotency-Token": "tok1"},
		body: "SmsSid=SM1&MessageStatus=delivered&MessageSid=SM1&To=%2B1555&Body=Hi+there", sign: signForm("X-Twilio-Signature"),
		want: Delivery{Type: "delivered", ID: "tok1", Subject: "SM1"}, proof: []string{"X-Twilio-Signature"},
	}
	get := twilioForm
	get.name, get.method, get.body, get.header, get.url = "GET", http.MethodGet, "", nil, "https://hooks.example.com/hook?CallSid=CA1&CallStatus=ringing"
	get.want = Delivery{Type: "ringing", Subject: "CA1"}
	asJSON := twilioForm
	asJSON.name, asJSON.header, asJSON.body, asJSON.url = "JSON", nil, `{"type":"com.twilio.x","MessageSid":"SM2"}`, "https://hooks.example.com/hook"
	asJSON.want = Delivery{Type: "com.twilio.x", Subject: "SM2"}
	asJSON.sign = func(m *message, secret string, at time.Time) {
		sum := sha256.Sum256(m.body)
		m.url += "?bodySHA256=" + hex.EncodeToString(sum[:])
		signForm("X-Twilio-Signature")(m, secret, at)
	}
	addCase(twilioForm, get, asJSON,
		testCase{
			provider: "trello", body: `{"action":{"id":"a1","type":"updateCard","date":"2026-03-14T15:09:00.000Z"},"model":{"id":"m1"}}`,
			sign: func(m *message, secret string, _ time.Time) {
				m.header.Set("X-Trello-Webhook", base1(secret, string(m.body), m.url))
			},
			want:  Delivery{Type: "updateCard", ID: "a1", Subject: "m1", Time: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)},
			proof: []string{"X-Trello-Webhook"},
		},
		testCase{
			provider: "mandrill", header: map[string]string{"Content-Type": formType}, sign: signForm("X-Mandrill-Signature"),
			body:  "mandrill_events=" + url.QueryEscape(`[{"event":"send","_id":"m1","ts":1773500960},{"event":"open"}]`),
			want:  Delivery{Type: "send", Subject: "m1", Time: time.Unix(1773500960, 0).UTC()},
			proof: []string{"X-Mandrill-Signature"},
		},
		testCase{
			provider: "square", body: `{"merchant_id":"M","type":"payment.updated","event_id":"e1","created_at":"2026-03-14T15:09:00Z","data":{"id":"p1"}}`,
			sign: func(m *message, secret string, _ time.Time) {
				m.header.Set("x-square-hmacsha256-signature", base256(secret, m.url, string(m.body)))
			},
			want:  Delivery{Type: "payment.updated", ID: "e1", Subject: "p1", Time: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)},
			proof: []string{"X-Square-HmacSha256-Signature"},
		},
	)
	addHubSpot()
	addHandshake(
		handshakeCase{provider: "trello", name: "HEAD", method: http.MethodHead},
		handshakeCase{provider: "mandrill", name: "HEAD", method: http.MethodHead},
		handshakeCase{provider: "mandrill", name: "test", header: map[string]string{"Content-Type": formType}, body: "mandrill_events=%5B%5D"},
		handshakeCase{provider: "mandrill", name: "event", header: map[string]string{"Content-Type": formType}, body: "mandrill_events=%5B%7B%7D%5D", none: true},
	)
}

func addHubSpot() {
	v3 := testCase{
		provider: "hubspot", url: "https://hooks.example.com/hook?x=a%3Ab%20c%2Fd&at=%40",
		body: `[{"eventId":1,"subscriptionType":"contact.creation","objectId":123,"occurredAt":1773500960123},{"eventId":2}]`,
		sign: func(m *message, secret string, at time.Time) {
			m.header.Set("X-HubSpot-Request-Timestamp", unixMilli(at))
			m.header.Set("X-HubSpot-Signature-v3", base256(secret, m.method, "https://hooks.example.com/hook?x=a:b%20c/d&at=@", string(m.body), unixMilli(at)))
		},
		want:  Delivery{Type: "contact.creation", Subject: "123", Time: time.UnixMilli(1773500960123).UTC()},
		proof: []string{"X-HubSpot-Signature-v3", "X-HubSpot-Request-Timestamp"}, tolerance: 5 * time.Minute,
	}
	v2, v1 := v3, v3
	v2.settings = map[string]string{"older": "v1 v2"}
	v2.name, v2.tolerance, v2.proof = "v2", 0, []string{"X-HubSpot-Signature", "X-HubSpot-Signature-Version"}
	v2.sign = func(m *message, secret string, _ time.Time) {
		sum := sha256.Sum256([]byte(secret + m.method + m.url + string(m.body)))
		m.header.Set("X-HubSpot-Signature-Version", "v2")
		m.header.Set("X-HubSpot-Signature", hex.EncodeToString(sum[:]))
	}
	v1.settings = map[string]string{"older": "v1"}
	v1.name, v1.tolerance, v1.proof = "v1", 0, v2.proof
	v1.sign = func(m *message, secret string, _ time.Time) {
		sum := sha256.Sum256([]byte(secret + string(m.body)))
		m.header.Set("X-HubSpot-Signature-Version", "v1")
		m.header.Set("X-HubSpot-Signature", hex.EncodeToString(sum[:]))
	}
	addCase(v3, v2, v1)
}

// TestTwilioVector is the example of Twilio's documentation.
func TestTwilioVector(t *testing.T) {
	form := url.Values{"CallSid": {"CA1234567890ABCDE"}, "Caller": {"+14158675309"}, "Digits": {"1234"}, "From": {"+14158675309"}, "To": {"+18005551212"}}
	for _, address := range []string{
		"https://mycompany.com/myapp.php?foo=1&bar=2",
		"https://mycompany.com:443/myapp.php?foo=1&bar=2", // As a proxy may write it.
	} {
		m := message{method: "POST", url: "http://10.0.0.1:8080/myapp.php?foo=1&bar=2", header: http.Header{"Content-Type": {formType}}, body: []byte(form.Encode())}
		m.header.Set("X-Twilio-Signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8=")
		if _, err := Verify("twilio", []string{"12345"}, m.request(), m.body, URL(address)); err != nil {
			t.Errorf("%s: %v", address, err)
		}
		if _, err := Verify("twilio", []string{"12345"}, m.request(), m.body); err == nil {
			t.Error("verified for an address that was not signed")
		}
		if _, err := Verify("twilio", []string{"12345"}, m.request(), m.body, Origin("https://mycompany.com")); err != nil {
			t.Errorf("with an origin: %v", err)
		}
	}
}

func TestAddress(t *testing.T) {
	request := func(target, requestURI string, secure bool) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
		r.TLS = nil
		if secure {
			r.TLS = &tls.ConnectionState{}
		}
		r.RequestURI = requestURI
		return r
	}
	p, err := find("none")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		r    *http.Request
		opts []Option
		want string
	}{
		{"plain", request("http://a.example/x?y=%20z", "/x?y=%20z", false), nil, "http://a.example/x?y=%20z"},
		{"TLS", request("http://a.example/x", "/x", true), nil, "https://a.example/x"},
		{"absolute target", request("http://a.example/x", "http://a.example/x?q=1", true), nil, "https://a.example/x?q=1"},
		{"made by hand", request("http://a.example/x?q=1", "", true), nil, "https://a.example/x?q=1"},
		{"origin", request("http://a.example/x?q", "/x?q", false), []Option{Origin("https://hooks.example.com/")}, "https://hooks.example.com/x?q"},
		{"given", request("http://a.example/x", "/x", false), []Option{Origin("https://o.example"), URL("https://u.example/?z")}, "https://u.example/?z"},
	} {
		if got := newRequest(p, nil, tt.r, nil, collect(tt.opts)).url(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	for address, want := range map[string]string{
		"https://a.example/x:1":     "https://a.example:443/x:1",
		"http://a.example":          "http://a.example:80",
		"https://a.example:8443/x":  "https://a.example/x",
		"https://[2001:db8::1]/x":   "https://[2001:db8::1]:443/x",
		"https://[2001:db8::1]:9/x": "https://[2001:db8::1]/x",
	} {
		if got := withAndWithoutPort(address); got[0] != address || got[1] != want {
			t.Errorf("%s: %v, want also %s", address, got, want)
		}
	}
}
