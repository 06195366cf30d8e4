package receiver

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func init() {
	addCase(testCase{
		provider: "contentful", url: "https://hooks.example.com/hook?a=b%20c", tolerance: 30 * time.Second,
		header: map[string]string{"X-Contentful-Topic": "ContentManagement.Entry.publish", "X-Contentful-Idempotency-Key": "k1"},
		body:   `{"sys":{"id":"e1","type":"Entry"}}`,
		sign: func(m *message, secret string, at time.Time) {
			m.header.Set("x-contentful-timestamp", unixMilli(at))
			m.header.Set("x-contentful-signed-headers", "x-contentful-topic,x-contentful-signed-headers,x-contentful-timestamp")
			m.header.Set("x-contentful-signature", hex256(secret, strings.Join([]string{
				m.method, "/hook?a%253Db%2520c",
				"x-contentful-signed-headers:" + m.header.Get("x-contentful-signed-headers") +
					";x-contentful-timestamp:" + unixMilli(at) + ";x-contentful-topic:" + m.header.Get("X-Contentful-Topic"),
				string(m.body),
			}, "\n")))
		},
		want:  Delivery{Type: "ContentManagement.Entry.publish", ID: "k1", Subject: "e1", Time: now},
		proof: []string{"x-contentful-signature", "x-contentful-signed-headers", "x-contentful-timestamp", "x-contentful-topic"},
	})
}

// TestContentfulVector holds requests that Contentful's own library signed.
func TestContentfulVector(t *testing.T) {
	const (
		secret = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
		body   = `{"sys":{"id":"5KsDBWseXY6QegucYAoacS","type":"Entry"},"fields":{"title":{"en-US":"Hello, World!"}}}`
	)
	for _, m := range []message{
		{
			url: "https://hooks.example.com/trigger/SW5zdGFuY2VGbG93Q29uZmlnOjE=",
			header: http.Header{
				"Content-Type":                {"application/vnd.contentful.management.v1+json"},
				"X-Contentful-Topic":          {"ContentManagement.Entry.publish"},
				"X-Contentful-Signature":      {"8dec81505760a10b542fbc36d3aa0a772b11f759eca7b2351daaf5bba8c7c6f1"},
				"X-Contentful-Signed-Headers": {"content-type,x-contentful-signed-headers,x-contentful-timestamp,x-contentful-topic"},
			},
		},
		{
			url: "https://hooks.example.com/trigger/abc?foo=bar%20baz&x=1",
			header: http.Header{
				"X-Contentful-Webhook-Name":   {" My Hook "},
				"X-Contentful-Signature":      {"c8c83deb1a865012752f66594e6228056c826fd7227a70361b3a304e124555ec"},
				"X-Contentful-Signed-Headers": {"x-contentful-signed-headers,x-contentful-timestamp,x-contentful-webhook-name"},
			},
		},
	} {
		m.method, m.body = http.MethodPost, []byte(body)
		m.header.Set("X-Contentful-Timestamp", "1767225600000")
		_, err := Verify("contentful", []string{secret}, m.request(), m.body, At(func() time.Time { return time.UnixMilli(1767225601000) }))
		if err != nil {
			t.Errorf("%s: %v", m.url, err)
		}
	}
}

// TestContentfulTimestampNotSigned refuses a request that leaves the timestamp out of what it signs.
func TestContentfulTimestampNotSigned(t *testing.T) {
	m := message{method: "POST", url: "https://hooks.example.com/hook", header: http.Header{}, body: []byte("{}")}
	m.header.Set("X-Contentful-Timestamp", unixMilli(now))
	m.header.Set("X-Contentful-Signed-Headers", "x-contentful-signed-headers")
	m.header.Set("X-Contentful-Signature", hex256(secretOne, "POST\n/hook\nx-contentful-signed-headers:x-contentful-signed-headers\n{}"))
	testCase{provider: "contentful"}.refused(t, m, []string{secretOne}, now, ErrMalformed)
}
