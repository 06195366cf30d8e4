package receiver

import (
	"crypto/sha1" //nolint:gosec // A recipe may ask for it.
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"
)

func init() {
	body := testCase{
		provider: "hmac", body: `{"a":1}`, settings: map[string]string{"header": "X-Sig", "prefix": "sha256=", "type_header": "X-Type", "id_header": "X-Id"},
		header: map[string]string{"X-Type": "t", "X-Id": "9"}, sign: signBody("X-Sig", "sha256=", hex256), proof: []string{"X-Sig"},
		want: Delivery{Type: "t", ID: "9"},
	}
	everything := testCase{
		provider: "hmac", name: "everything", url: "https://hooks.example.com/a%2Fb?c=d", method: http.MethodPut, body: "x",
		settings: map[string]string{
			"header": "X-Sig", "algorithm": "sha512", "encoding": "base64", "timestamp_header": "X-Time", "id_header": "X-Id",
			"template": "{method} {path} {url}|{id}|{timestamp}:{body}!",
		},
		header: map[string]string{"X-Id": "9"},
		sign: func(m *message, secret string, at time.Time) {
			stamp := at.Format(time.RFC3339)
			m.header.Set("X-Time", stamp)
			text := m.method + " /a%2Fb?c=d " + m.url + "|9|" + stamp + ":" + string(m.body) + "!"
			m.header.Set("X-Sig", base64.StdEncoding.EncodeToString(mac(sha512.New, secret, text)))
		},
		proof: []string{"X-Sig", "X-Time", "X-Id"}, tolerance: 5 * time.Minute,
		want: Delivery{ID: "9"},
	}
	list := testCase{
		provider: "hmac", name: "list", body: "x",
		settings: map[string]string{"header": "X-Sig", "prefix": "v1=", "timestamp_header": "X-Sig", "timestamp_prefix": "t="},
		sign: func(m *message, secret string, at time.Time) {
			m.header.Set("X-Sig", "v0=00,v1="+hex256(secret, unix(at), ".", string(m.body))+", t="+unix(at))
		},
		proof: []string{"X-Sig"}, tolerance: 5 * time.Minute,
	}
	milli := testCase{
		provider: "hmac", name: "SHA-1, milliseconds", body: "x",
		settings: map[string]string{"header": "X-Sig", "algorithm": "sha1", "encoding": "base64url", "timestamp_header": "X-Time", "template": "{timestamp}{body}"},
		sign: func(m *message, secret string, at time.Time) {
			m.header.Set("X-Time", unixMilli(at))
			m.header.Set("X-Sig", base64.RawURLEncoding.EncodeToString(mac(sha1.New, secret, unixMilli(at), string(m.body))))
		},
		proof: []string{"X-Sig", "X-Time"}, tolerance: 5 * time.Minute,
	}
	sha384 := testCase{
		provider: "hmac", name: "SHA-384", body: "x", settings: map[string]string{"header": "X-Sig", "algorithm": "sha384"},
		sign: func(m *message, secret string, _ time.Time) {
			m.header.Set("X-Sig", hex.EncodeToString(mac(sha512.New384, secret, string(m.body))))
		},
		proof: []string{"X-Sig"},
	}
	addCase(body, everything, list, milli, sha384)
}

func TestRecipesThatCannotBe(t *testing.T) {
	m := message{method: "POST", url: "https://hooks.example.com/", header: http.Header{"X-Sig": {"00"}, "X-Time": {unix(now)}}, body: []byte("x")}
	for _, settings := range []map[string]string{
		nil,
		{"header": ""},
		{"header": "X-Sig", "unknown": "1"},
		{"header": "X-Sig", "algorithm": "md5"},
		{"header": "X-Sig", "encoding": "base32"},
		{"header": "X-Sig", "template": "{timestamp}.{body}"},
		{"header": "X-Sig", "template": "nothing of the body"},
		{"header": "X-Sig", "template": "{body}{"},
		{"header": "X-Sig", "template": "{body}{id}"},
		{"header": "X-Sig", "template": "{body}{secret}"},
		{"header": "X-Sig", "timestamp_header": "X-Time", "template": "{body}"},
	} {
		c := testCase{provider: "hmac", settings: settings}
		c.refused(t, m, []string{secretOne}, now, ErrSetting)
		c.refused(t, message{method: "GET", url: "https://hooks.example.com/"}, []string{secretOne}, now, ErrSetting)
	}
}

func TestMasked(t *testing.T) {
	for _, tt := range []struct {
		provider       string
		settings       map[string]string
		headers, query []string
	}{
		{"github", nil, nil, nil},
		{"gitlab", nil, []string{"X-Gitlab-Token"}, nil},
		{"token", map[string]string{"header": "x-key"}, []string{"Authorization", "X-Key"}, nil},
		{"dreamkas", map[string]string{"query": "s"}, nil, []string{"code", "s"}},
		{"eventgrid", map[string]string{"header": "x-key"}, []string{"X-Key"}, []string{"code"}},
		{"instagram-sha1", nil, nil, []string{"hub.verify_token"}},
		{"nobody", nil, nil, nil},
	} {
		headers, query := Masked(tt.provider, tt.settings)
		if !slices.Equal(headers, tt.headers) || !slices.Equal(query, tt.query) {
			t.Errorf("%s: headers %v, query %v, want %v, %v", tt.provider, headers, query, tt.headers, tt.query)
		}
	}
}

func TestUnknownProvider(t *testing.T) {
	m := message{method: "POST", url: "https://hooks.example.com/"}
	_, err := Verify("nobody", []string{secretOne}, m.request(), nil)
	_, _, err2 := Handshake("nobody", nil, m.request(), nil)
	if !errors.Is(err, ErrUnknownProvider) || !errors.Is(err2, ErrUnknownProvider) || Refused("nobody", err).Status != http.StatusNotFound {
		t.Errorf("errors %v, %v", err, err2)
	}
	if answer := Refused("github", errors.New("another error")); answer.Status != http.StatusInternalServerError {
		t.Errorf("another error is answered %d", answer.Status)
	}
}
