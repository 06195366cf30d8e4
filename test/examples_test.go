package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Twilio's rule
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/client"
)

// peer is another system's API: it keeps what is posted to it.
type peer struct {
	*httptest.Server
	got chan posted
}

type posted struct {
	target, contentType string
	body                []byte
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	p := &peer{got: make(chan posted, 100)}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		p.got <- posted{r.URL.RequestURI(), r.Header.Get("Content-Type"), body}
	}))
	t.Cleanup(p.Close)
	return p
}

// object is a JSON object.
type object = map[string]any

func hexHMAC(secret string, body []byte) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// pushPayload is GitHub's own example of a push.
func pushPayload(t *testing.T) []byte {
	t.Helper()
	list := payloads(t)
	i := slices.IndexFunc(list, func(p payload) bool {
		return p.kind == "github.push" && bytes.Contains(p.data, []byte(`"head_commit":{`))
	})
	if i < 0 {
		t.Fatal("GitHub's examples hold no push with a commit")
	}
	return list[i].data
}

// TestExampleGitHubToChat: a signed push at GitHub becomes a message in a space of Google Chat.
func TestExampleGitHubToChat(t *testing.T) {
	s := newServer(t)
	s.start()
	s.makeTenant()
	chat := newPeer(t)
	s.addSource(object{"name": "github", "provider": "github", "secrets": []string{"hub-secret"}, "map": object{
		"accept": `headers["x-github-event"] == "push" && has(body.head_commit)`,
		"data": `{"text": body.pusher.name + " pushed to " + body.repository.full_name + " (" + body.ref + "): " +
			body.head_commit.message + "\n" + body.head_commit.url}`,
	}})
	s.addEndpoint(client.Endpoint{URL: chat.URL + "/v1/spaces/S/messages?key=k&token=t", Types: []string{"github.push"}, Envelope: "raw", Signing: "none"})
	body := pushPayload(t)
	status, _ := call(t, http.MethodPost, s.url()+"/in/"+tenant+"/github", map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": "push", "X-GitHub-Delivery": "d1", "X-Hub-Signature-256": "sha256=" + hexHMAC("hub-secret", body),
	}, body)
	if status/100 != 2 {
		t.Fatalf("GitHub is answered %d", status)
	}
	got := <-chat.got
	var message, push object
	if err := json.Unmarshal(got.body, &message); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &push); err != nil {
		t.Fatal(err)
	}
	commit, _ := push["head_commit"].(object)
	text, _ := message["text"].(string)
	for _, want := range []any{push["ref"], commit["message"], commit["url"]} {
		if w, _ := want.(string); w == "" || !strings.Contains(text, w) {
			t.Errorf("the message %q does not say %q", text, w)
		}
	}
	if len(message) != 1 || !strings.HasPrefix(got.contentType, "application/json") || got.target != "/v1/spaces/S/messages?key=k&token=t" {
		t.Errorf("Google Chat got %s of %s at %s", got.body, got.contentType, got.target)
	}
}

// TestExampleGitLabToBin: what GitLab sends can be looked at as it came, before any program takes it.
func TestExampleGitLabToBin(t *testing.T) {
	s := newServer(t)
	s.start()
	s.makeTenant()
	var bin struct {
		ID, URL string
	}
	if status := s.api(http.MethodPost, "/v1/bins", object{"tenant": tenant, "description": "GitLab"}, &bin); status != http.StatusCreated {
		t.Fatalf("the bin is answered %d", status)
	}
	body := []byte("{\"object_kind\": \"push\",\n  \"project\": {\"name\": \"Diaspora – ž\"}}\n")
	if status, _ := call(t, http.MethodPost, bin.URL, map[string]string{
		"Content-Type": "application/json", "X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": "gl-token", "X-Gitlab-Event-UUID": "u1",
	}, body); status != http.StatusOK {
		t.Fatalf("GitLab is answered %d", status)
	}
	var list struct {
		Data []struct {
			ID, Method, Body string
			Headers          []struct{ Name, Value string }
		}
	}
	s.api(http.MethodGet, "/v1/bins/"+bin.ID+"/requests?query=headers.x-gitlab-event:push", nil, &list)
	if len(list.Data) != 1 {
		t.Fatalf("%d requests are found", len(list.Data))
	}
	got := list.Data[0]
	token := slices.IndexFunc(got.Headers, func(h struct{ Name, Value string }) bool {
		return strings.EqualFold(h.Name, "X-Gitlab-Token") && h.Value == "gl-token"
	})
	if got.Method != http.MethodPost || got.Body != string(body) || token < 0 {
		t.Errorf("the bin shows %+v", got)
	}
}

// TestExampleTwilioCallback: the call-backs that tell how a message fared are found by the message that started them, in
// whatever order they arrive.
func TestExampleTwilioCallback(t *testing.T) {
	s := newServer(t)
	s.start()
	s.makeTenant()
	const secret = "twilio-auth-token" //nolint:gosec // of the test
	s.addSource(object{"name": "twilio", "provider": "twilio", "secrets": []string{secret}, "map": object{"subject": `"sms/" + body.MessageSid`}})
	const message = "SM0123456789abcdef0123456789abcdef"
	if _, err := s.client.Publish(t.Context(), tenant, client.Event{Type: "sms.requested", Subject: "sms/" + message, Data: json.RawMessage(`{"order":42}`)}); err != nil {
		t.Fatal(err)
	}
	address := s.url() + "/in/" + tenant + "/twilio"
	for _, status := range []string{"delivered", "sent"} { // the later one comes first
		form := url.Values{"MessageSid": {message}, "MessageStatus": {status}, "To": {"+420123456789"}, "From": {"+14155550100"}}
		signedText := address
		for _, name := range []string{"From", "MessageSid", "MessageStatus", "To"} {
			signedText += name + form.Get(name)
		}
		h := hmac.New(sha1.New, []byte(secret))
		h.Write([]byte(signedText))
		if got, answer := call(t, http.MethodPost, address, map[string]string{
			"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": base64.StdEncoding.EncodeToString(h.Sum(nil)),
		}, []byte(form.Encode())); got/100 != 2 {
			t.Fatalf("Twilio is answered %d %s", got, answer)
		}
	}
	var page struct {
		Data []client.Event
	}
	s.api(http.MethodGet, "/v1/tenants/"+tenant+"/events?subject=sms/"+message, nil, &page)
	if len(page.Data) != 3 {
		t.Fatalf("%d events are about the message", len(page.Data))
	}
	started := page.Data[2]
	if started.Type != "sms.requested" {
		t.Errorf("the first event is %s", started.Type)
	}
	var statuses []string
	for _, e := range page.Data[:2] {
		var data struct{ MessageStatus string }
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		statuses = append(statuses, data.MessageStatus)
	}
	if !slices.Equal(statuses, []string{"sent", "delivered"}) {
		t.Errorf("the call-backs say %v, the newest first", statuses)
	}
}

// TestExampleFormToContact: what visitors write into a web form becomes a contact in a CRM, by a map of fields.
func TestExampleFormToContact(t *testing.T) {
	s := newServer(t)
	s.start()
	s.makeTenant()
	crm := newPeer(t)
	s.addSource(object{"name": "form", "provider": "token", "secrets": []string{"form-token-1"}, "settings": object{"query": "token"}, "map": object{
		"type": `"contact.created"`, "accept": `!("test" in body)`, "id": "body.tranid",
		"fields": object{"full_name": "Name", "email": "Email", "origin": "=website"},
	}})
	s.addEndpoint(client.Endpoint{URL: crm.URL + "/contacts", Types: []string{"contact.*"}, Envelope: "raw", Signing: "none"})
	send := func(token string, form url.Values) int {
		status, _ := call(t, http.MethodPost, s.url()+"/in/"+tenant+"/form?token="+token, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, []byte(form.Encode()))
		return status
	}
	if status := send("form-token-1", url.Values{"test": {"test"}}); status != http.StatusOK {
		t.Errorf("the form builder's probe is answered %d", status)
	}
	visitor := url.Values{"Name": {"Jana Nováková"}, "Email": {"jana@example.com"}, "tranid": {"1:2"}, "formid": {"f9"}}
	if status := send("form-token-2", visitor); status/100 != 4 {
		t.Errorf("another token is answered %d", status)
	}
	for range 2 { // the form builder tries twice
		if status := send("form-token-1", visitor); status != http.StatusOK {
			t.Fatalf("the form is answered %d", status)
		}
	}
	got := <-crm.got
	if want := `{"email":"jana@example.com","full_name":"Jana Nováková","origin":"website"}`; !sameJSON(t, got.body, []byte(want)) || got.target != "/contacts" {
		t.Errorf("the CRM got %s at %s", got.body, got.target)
	}
	if n := len(s.changes()); n != 1 {
		t.Errorf("%d events came of one visitor", n)
	}
}
