package receiver

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func signToken(m *message, secret string, _ time.Time) { m.header.Set("X-Goog-Channel-Token", secret) }

func signCode(m *message, secret string, _ time.Time) {
	address := must(url.Parse(m.url))
	q := address.Query()
	q.Set("code", secret)
	address.RawQuery = q.Encode()
	m.url = address.String()
}

func init() {
	sender := testCase{
		provider: "aspnet", header: map[string]string{"Content-Type": "application/json; charset=utf-8"},
		body: "{\r\n  \"Id\": \"98c4b9d3a9e94c3c8a5dd3a4b1f0c2de\",\r\n  \"Attempt\": 1,\r\n  \"Notifications\": [\r\n    {\r\n      \"Action\": \"event1\",\r\n      \"P1\": 1234\r\n    }\r\n  ]\r\n}",
		sign: func(m *message, secret string, _ time.Time) {
			m.header.Set("Ms-Signature", "sha256="+strings.ToUpper(hex256(secret, string(m.body))))
		},
		want:  Delivery{Type: "event1", ID: "98c4b9d3a9e94c3c8a5dd3a4b1f0c2de"},
		proof: []string{"Ms-Signature"},
	}
	lower, several := sender, sender
	lower.name, lower.sign = "lower-case hex", signBody("Ms-Signature", "sha256=", hex256)
	several.name = "several"
	several.body = `{"Id":"98c4","Attempt":2,"Notifications":[{"Action":"a"},{"Action":"b"}]}`
	several.want = Delivery{Type: "batch", ID: "98c4"}
	addCase(sender, lower, several)

	echoes := handshakeCase{
		provider: "aspnet", name: "echo", method: "GET", url: "https://hooks.example.com/hook?echo=%3Cscript%3E", want: "<script>",
		headers: map[string]string{"Content-Type": "text/plain; charset=utf-8"},
	}
	none, two, long := echoes, echoes, echoes
	none.name, none.url, none.err = "no echo", "https://hooks.example.com/hook", ErrMissing
	two.name, two.url, two.err = "two echoes", "https://hooks.example.com/hook?echo=a&echo=b", ErrRepeated
	long.name, long.url, long.err = "long echo", "https://hooks.example.com/hook?echo="+strings.Repeat("x", maxChallenge+1), ErrMalformed
	addHandshake(echoes, none, two, long)

	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	at := time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)
	for _, c := range []testCase{
		{provider: "azurealert", body: `{"status":"Activated","context":{"id":"/s/1","timestamp":"2026-03-14T15:09:00Z","name":"CPU","resourceId":"/r"}}`, want: Delivery{Type: "CPU", ID: "/s/1-2026-03-14T15:09:00Z", Subject: "/r", Time: at}},
		{provider: "azurecontainerregistry", body: `{"id":"cb8c3971","timestamp":"2026-03-14T15:09:00Z","action":"push","target":{"repository":"hello-world"}}`, want: Delivery{Type: "push", ID: "cb8c3971", Subject: "hello-world", Time: at}},
		{
			provider: "bitbucket-code", body: `{"repository":{"full_name":"team/repo"}}`,
			header: map[string]string{"X-Event-Key": "repo:push", "X-Hook-Uuid": "bc0d", "X-Request-Uuid": "r1"}, want: Delivery{Type: "repo:push", ID: "r1", Subject: "team/repo"},
		},
		{provider: "dynamicscrm", body: `{"MessageName":"Create","RequestId":"4b2f","PrimaryEntityId":"e1"}`, want: Delivery{Type: "Create", ID: "4b2f", Subject: "e1"}},
		{provider: "genericjson", body: `{"a":1}`, want: Delivery{Type: "change"}},
		{provider: "genericjson", name: "action", url: "https://hooks.example.com/hook?action=made", body: `[1]`, want: Delivery{Type: "made"}},
		{provider: "kudu", body: `{"id":"b5fa","status":"success","siteName":"site","endTime":"2026-03-14T15:09:00Z"}`, want: Delivery{Type: "success", ID: "b5fa-success", Subject: "site", Time: at}},
		{provider: "mailchimp-code", header: form, body: "type=subscribe&data%5Blist_id%5D=a6b5da1054", want: Delivery{Type: "subscribe", Subject: "a6b5da1054"}},
		{
			provider: "myget", header: map[string]string{"Content-Type": "application/vnd.myget.webhooks.v1+json"},
			body: `{"Identifier":"8a4b","When":"2026-03-14T15:09:00Z","PayloadType":"PackageAddedWebHookEventPayloadV1","Payload":{"PackageIdentifier":"GoogleAnalyticsTracker"}}`,
			want: Delivery{Type: "PackageAddedWebHookEventPayloadV1", ID: "8a4b", Subject: "GoogleAnalyticsTracker", Time: at},
		},
		{provider: "vsts", body: `{"id":"4a5d","eventType":"build.complete","createdDate":"2026-03-14T15:09:00Z","resource":{"id":1}}`, want: Delivery{Type: "build.complete", ID: "4a5d", Subject: "1", Time: at}},
		{provider: "wordpress-code", header: form, body: "hook=publish_post&ID=16", want: Delivery{Type: "publish_post", Subject: "16"}},
		{provider: "zendesk-code", body: `{"current_ticket":{}}`, want: Delivery{Type: "change"}},
	} {
		c.sign, c.query, c.unsigned = signCode, []string{"code"}, true
		addCase(c)
	}

	address := "https://hooks.example.com/hook?code=" + secretOne
	mail := handshakeCase{provider: "mailchimp-code", name: "GET", method: "GET", url: address, secrets: []string{secretOne}}
	stranger, post := mail, mail
	stranger.name, stranger.secrets, stranger.err = "wrong code", []string{secretTwo}, ErrSignature
	post.name, post.method, post.none = "event", "POST", true
	ping := handshakeCase{provider: "myget", name: "ping", url: address, secrets: []string{secretOne}, body: `{"PayloadType":"PingWebHookEventPayloadV1"}`}
	unknown := ping
	unknown.name, unknown.url, unknown.err = "no code", "https://hooks.example.com/hook", ErrMissing
	addHandshake(mail, stranger, post, ping, unknown)
}

// TestASPNETStatuses checks the statuses that these senders know.
func TestASPNETStatuses(t *testing.T) {
	good := map[string]string{"Content-Type": "application/json"}
	for _, c := range []struct {
		name, provider, method, query string
		header                        map[string]string
		secret                        string
		want                          int
	}{
		{"no code", "genericjson", "POST", "", good, secretOne, 400},
		{"wrong code", "genericjson", "POST", "?code=" + secretTwo, good, secretOne, 400},
		{"two codes", "genericjson", "POST", "?code=" + secretOne + "&code=" + secretOne, good, secretOne, 400},
		{"media type", "genericjson", "POST", "?code=" + secretOne, map[string]string{"Content-Type": "text/plain"}, secretOne, 415},
		{"no media type", "genericjson", "POST", "?code=" + secretOne, map[string]string{"Content-Type": ""}, secretOne, 415},
		{"form for JSON", "wordpress-code", "POST", "?code=" + secretOne, good, secretOne, 415},
		{"method", "genericjson", "PUT", "?code=" + secretOne, good, secretOne, 405},
		{"a short code", "genericjson", "POST", "?code=short", good, "short", 500},
		{"a long code", "genericjson", "POST", "?code=" + strings.Repeat("x", 129), good, strings.Repeat("x", 129), 500},
		{"signature", "aspnet", "POST", "", map[string]string{"Content-Type": "application/json", "Ms-Signature": "sha256=00"}, secretOne, 400},
		{"no signature", "aspnet", "POST", "", good, secretOne, 400},
		{"method of aspnet", "aspnet", "DELETE", "", good, secretOne, 405},
		{"form for aspnet", "aspnet", "POST", "", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, secretOne, 415},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := testCase{provider: c.provider, method: c.method, header: c.header, body: "{}", url: "https://hooks.example.com/hook" + c.query}
			_, err := tc.verify(tc.message("", now), []string{c.secret}, now)
			answer := Refused(c.provider, err)
			if answer.Status != c.want {
				t.Errorf("status %d, want %d (%v)", answer.Status, c.want, err)
			}
			if allow := answer.Header.Get("Allow"); (c.want == http.StatusMethodNotAllowed) != (allow == "POST") {
				t.Errorf("Allow: %q", allow)
			}
		})
	}
	for _, length := range []int{32, 128} {
		code := strings.Repeat("a", length)
		tc := testCase{provider: "genericjson", body: "{}", url: "https://hooks.example.com/hook?code=" + code}
		if _, err := tc.verify(tc.message("", now), []string{code}, now); err != nil {
			t.Errorf("%d characters: %v", length, err)
		}
	}
}

func TestBitbucketCodeNeedsItsHeaders(t *testing.T) {
	c := testCase{provider: "bitbucket-code", body: "{}", url: "https://hooks.example.com/hook?code=" + secretOne}
	for _, header := range []map[string]string{nil, {"X-Event-Key": "repo:push"}, {"X-Hook-Uuid": "bc0d"}} {
		c.header = header
		c.refused(t, c.message("", now), []string{secretOne}, now, ErrMissing)
	}
}

// TestASPNETReceivers holds the list of receivers of ASP.NET WebHooks and the providers together.
func TestASPNETReceivers(t *testing.T) {
	for receiver, name := range map[string]string{
		"azurealert": "azurealert", "azurecontainerregistry": "azurecontainerregistry", "bitbucket": "bitbucket-code", "custom": "aspnet", "dropbox": "dropbox",
		"dynamicscrm": "dynamicscrm", "genericjson": "genericjson", "github": "github-sha1", "instagram": "instagram-sha1", "kudu": "kudu", "mailchimp": "mailchimp-code",
		"myget": "myget", "paypal": "paypal", "pusher": "pusher-keys", "salesforce": "salesforce", "sfsoap": "sfsoap", "slack": "slack-token", "stripe": "stripe-untimed",
		"trello": "trello", "vsts": "vsts", "wordpress": "wordpress-code", "zendesk": "zendesk-code",
	} {
		if _, ok := Provider(name); !ok {
			t.Errorf("the receiver %s has no provider %s", receiver, name)
		}
	}
}
