package receiver

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"
	"time"
)

func sendHeader(name, prefix string) func(*message, string, time.Time) {
	return func(m *message, secret string, _ time.Time) { m.header.Set(name, prefix+secret) }
}

func sendBasic(m *message, secret string, _ time.Time) {
	m.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(secret)))
}

func sendQuery(name string) func(*message, string, time.Time) {
	return func(m *message, secret string, _ time.Time) { m.url += "?a=b&" + name + "=" + url.QueryEscape(secret) }
}

func init() {
	form := map[string]string{"Content-Type": formType}
	basic := testCase{
		provider: "basic", name: "", secret: "posthorn:" + secretOne, second: "posthorn:" + secretTwo, wrong: "posthorn:" + secretWrong,
		sign: sendBasic, proof: []string{"Authorization"}, unsigned: true, body: "x=1",
		settings: map[string]string{"type_header": "X-Event", "id_header": "X-Id"}, header: map[string]string{"X-Event": "e", "X-Id": "7"},
		want: Delivery{Type: "e", ID: "7"},
	}
	postmark, chargebee := basic, basic
	postmark.provider, postmark.settings, postmark.header = "postmark", nil, nil
	postmark.body = `{"RecordType":"Delivery","MessageID":"883953f4","DeliveredAt":"2026-03-14T15:09:00Z"}`
	postmark.want = Delivery{Type: "Delivery", Subject: "883953f4", Time: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)}
	chargebee.provider, chargebee.settings, chargebee.header = "chargebee", nil, nil
	chargebee.body = `{"id":"ev_1","event_type":"customer_changed","occurred_at":1773500940,"content":{"customer":{"id":"c1"}}}`
	chargebee.want = Delivery{Type: "customer_changed", ID: "ev_1", Subject: "c1", Time: time.Unix(1773500940, 0).UTC()}
	addCase(basic, postmark, chargebee,
		testCase{
			provider: "telegram", body: `{"update_id":10000,"message":{"date":1773500940,"chat":{"id":1111},"text":"hi"}}`,
			sign: sendHeader("X-Telegram-Bot-Api-Secret-Token", ""), proof: []string{"X-Telegram-Bot-Api-Secret-Token"}, unsigned: true,
			want: Delivery{Type: "message", ID: "10000", Subject: "1111", Time: time.Unix(1773500940, 0).UTC()},
		},
		testCase{
			provider: "telegram", name: "button", body: `{"update_id":10001,"callback_query":{"id":"9","from":{"id":7},"message":{"chat":{"id":-5}}}}`,
			sign: sendHeader("X-Telegram-Bot-Api-Secret-Token", ""), proof: []string{"X-Telegram-Bot-Api-Secret-Token"}, unsigned: true,
			want: Delivery{Type: "callback_query", ID: "10001", Subject: "-5"},
		},
		testCase{
			provider: "okta", body: `{"eventId":"b5a1","eventTime":"2026-03-14T15:09:00.000Z","data":{"events":[{"eventType":"user.lifecycle.create","target":[{"id":"00u1"}]}]}}`,
			sign: sendHeader("Authorization", ""), proof: []string{"Authorization"}, unsigned: true,
			want: Delivery{Type: "user.lifecycle.create", ID: "b5a1", Subject: "00u1", Time: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)},
		},
		testCase{
			provider: "mailchimp", header: form, body: "type=subscribe&fired_at=2026-03-14+15%3A09%3A00&data%5Bid%5D=8a25&data%5Bemail%5D=api%40example.com",
			sign: sendQuery("code"), query: []string{"code"}, unsigned: true,
			want: Delivery{Type: "subscribe", Subject: "api@example.com"},
		},
		testCase{
			provider: "wordpress", header: form, body: "hook=publish_post&ID=12", settings: map[string]string{"query": "key"},
			sign: sendQuery("key"), query: []string{"key"}, unsigned: true,
			want: Delivery{Type: "publish_post", Subject: "12"},
		},
		testCase{
			provider: "dreamkas", body: `{"action":"CREATE","type":"RECEIPT","data":{"id":"5c2"}}`,
			sign: sendQuery("code"), query: []string{"code"}, unsigned: true,
			want: Delivery{Type: "RECEIPT.CREATE", Subject: "5c2"},
		},
		testCase{provider: "token", sign: sendHeader("Authorization", "Bearer "), proof: []string{"Authorization"}, unsigned: true},
		testCase{provider: "token", name: "bare", sign: sendHeader("Authorization", ""), proof: []string{"Authorization"}, unsigned: true},
		testCase{provider: "token", name: "header", settings: map[string]string{"header": "X-Key", "query": "key"}, sign: sendHeader("X-Key", ""), proof: []string{"X-Key"}, unsigned: true},
		testCase{provider: "token", name: "query", settings: map[string]string{"query": "key"}, sign: sendQuery("key"), query: []string{"key"}, unsigned: true},
		testCase{provider: "none", body: "anything", noSecret: true, unsigned: true},
	)

	okta := handshakeCase{
		provider: "okta", name: "verification", method: http.MethodGet, header: map[string]string{"X-Okta-Verification-Challenge": `a"<b>`},
		want: `{"verification":"a\"<b>"}`, headers: map[string]string{"Content-Type": "application/json"},
	}
	without, odd := okta, okta
	without.name, without.header, without.err = "no challenge", nil, ErrMissing
	odd.name, odd.header, odd.err = "not text", map[string]string{"X-Okta-Verification-Challenge": "a\x01b"}, ErrMalformed
	addHandshake(okta, without, odd,
		handshakeCase{provider: "mailchimp", name: "GET", method: http.MethodGet, secrets: []string{secretOne}, url: "https://hooks.example.com/hook?code=" + secretOne},
		handshakeCase{provider: "mailchimp", name: "GET with another secret", method: http.MethodGet, secrets: []string{secretOne}, url: "https://hooks.example.com/hook?code=" + secretTwo, err: ErrSignature},
		handshakeCase{provider: "mailchimp", name: "GET without", method: http.MethodGet, secrets: []string{secretOne}, err: ErrMissing},
		handshakeCase{provider: "mailchimp", name: "no secret", method: http.MethodGet, url: "https://hooks.example.com/hook?code=x", err: ErrSecret},
	)
}

func TestBasicOfAnotherKind(t *testing.T) {
	c := testCase{provider: "basic", secret: "a:b"}
	for _, value := range []string{"Bearer YTpi", "Basic", "Basic  YTpi", "Basic YTp", "YTpi"} {
		m := message{method: "POST", url: "https://hooks.example.com/", header: http.Header{"Authorization": {value}}}
		c.refused(t, m, []string{"a:b"}, now)
	}
	m := message{method: "POST", url: "https://hooks.example.com/", header: http.Header{"Authorization": {"basic YTpi"}}}
	if _, err := c.verify(m, []string{"a:b"}, now); err != nil {
		t.Errorf("the scheme's case matters: %v", err)
	}
}
