package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// wire is a connection on which a sender says what no HTTP client would.
type wire struct {
	t *testing.T
	net.Conn
}

func (s *server) wire(t *testing.T) wire {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return wire{t, c}
}

// say writes; a server that has closed the connection is judged by what it answered.
func (w wire) say(format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}

// flood writes the same again and again until the server takes no more, and returns how many bytes it took.
func (w wire) flood(part string, most int) <-chan int {
	sent := make(chan int, 1)
	go func() {
		total := 0
		for total < most {
			n, err := io.WriteString(w, part)
			total += n
			if err != nil {
				break
			}
		}
		sent <- total
	}()
	return sent
}

// answer reads an answer; status 0 says that the connection ended without one.
func (w wire) answer() (status int, closes bool) {
	w.t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(w), nil)
	if err != nil {
		if e, ok := err.(net.Error); ok && e.Timeout() { //nolint:errorlint // as it comes from the connection
			w.t.Fatal("the server neither answers nor ends the connection")
		}
		return 0, true
	}
	defer func() { _ = res.Body.Close() }()
	return res.StatusCode, res.Close
}

// hostile is a server with a source of GitHub's, a bin, and small limits.
func hostile(t *testing.T) (s *server, source, bin string) {
	t.Helper()
	s = newServer(t, "--max-event-size", "64KiB", "--max-bin-body", "64KiB")
	s.start()
	s.makeTenant()
	s.addSource(object{"name": "github", "provider": "github", "secrets": []string{"hub-secret"}, "inspect": "refused"})
	var made struct{ ID string }
	if status := s.api(http.MethodPost, "/v1/bins", object{"tenant": tenant}, &made); status != http.StatusCreated {
		t.Fatalf("the bin is answered %d", status)
	}
	return s, "/in/" + tenant + "/github", "/b/" + made.ID
}

// unharmed looks whether the server takes what is good, and has taken nothing else.
func unharmed(t *testing.T, s *server) {
	t.Helper()
	before := len(s.changes())
	if before != 0 {
		t.Errorf("%d events came of it", before)
	}
	if status, answer := hookTo(t, s.url()+"/in/"+tenant+"/github", 1, []byte(`{"zen":"ok"}`)); status != http.StatusOK {
		t.Errorf("a good webhook is answered %d %s", status, answer)
	}
	if n := len(s.changes()); n != before+1 {
		t.Errorf("%d events came of a good webhook", n-before)
	}
}

// TestHostileSizes: bodies over the limit are refused without being read to their end, however their length is told, and
// header lines without end are cut off.
func TestHostileSizes(t *testing.T) {
	t.Parallel()
	s, source, bin := hostile(t)
	for name, path := range map[string]string{"source": source, "bin": bin} {
		t.Run(name+" announced", func(t *testing.T) {
			w := s.wire(t)
			w.say("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000000\r\nExpect: 100-continue\r\n\r\n", path)
			if status, closes := w.answer(); status != http.StatusRequestEntityTooLarge || !closes {
				t.Errorf("who asks first is answered %d, closing %v", status, closes)
			}
			w = s.wire(t)
			w.say("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000000\r\n\r\n", path)
			if status, closes := w.answer(); status != http.StatusRequestEntityTooLarge || !closes {
				t.Errorf("who has sent nothing yet is answered %d, closing %v", status, closes)
			}
		})
		t.Run(name+" chunks", func(t *testing.T) {
			w := s.wire(t)
			w.say("POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", path)
			sent := w.flood("1000\r\n"+strings.Repeat("x", 1<<12)+"\r\n", 256<<20)
			if status, _ := w.answer(); status != http.StatusRequestEntityTooLarge {
				t.Errorf("chunks without end are answered %d", status)
			}
			_ = w.Close()
			if n := <-sent; n > 64<<20 { // what the kernels hold between the two
				t.Errorf("%d bytes were taken", n)
			}
		})
		t.Run(name+" headers", func(t *testing.T) {
			w := s.wire(t)
			w.say("POST %s HTTP/1.1\r\nHost: x\r\n", path)
			sent := w.flood("X-Flood: "+strings.Repeat("x", 1<<10)+"\r\n", 256<<20)
			if status, _ := w.answer(); status != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("headers without end are answered %d", status)
			}
			_ = w.Close()
			if n := <-sent; n > 64<<20 {
				t.Errorf("%d bytes of headers were taken", n)
			}
			w = s.wire(t)
			w.say("POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: 0\r\n\r\n", path, strings.Repeat("X-A: b\r\n", 20_000))
			if status, _ := w.answer(); status != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("20,000 headers are answered %d", status)
			}
		})
	}
	unharmed(t, s)
}

// TestHostileBombs: what is small on the wire and large once it is unpacked is refused whether its signature is good or not, and
// does not grow the server.
func TestHostileBombs(t *testing.T) {
	t.Parallel()
	s, source, _ := hostile(t)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	zeros := make([]byte, 1<<20)
	for range 30 {
		if _, err := z.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	bomb := packed.Bytes()
	if len(bomb) > 64<<10 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	headers := func(signature string) map[string]string {
		return map[string]string{
			"Content-Type": "application/json", "Content-Encoding": "gzip", "X-GitHub-Event": "push", "X-GitHub-Delivery": "bomb",
			"X-Hub-Signature-256": "sha256=" + signature,
		}
	}
	if status, _ := call(t, http.MethodPost, s.url()+source, headers(hexHMAC("hub-secret", bomb)), bomb); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a signed bomb is answered %d", status)
	}
	if status, _ := call(t, http.MethodPost, s.url()+source, headers(hexHMAC("another", bomb)), bomb); status != http.StatusUnauthorized {
		t.Errorf("a stranger's bomb is answered %d", status)
	}
	short := bomb[:len(bomb)/2]
	if status, _ := call(t, http.MethodPost, s.url()+source, headers(hexHMAC("hub-secret", short)), short); status/100 != 4 {
		t.Errorf("half a bomb is answered %d", status)
	}
	unharmed(t, s)
}

// TestHostileSlowness: who sends a byte now and then is cut off, and keeps nobody else waiting.
func TestHostileSlowness(t *testing.T) {
	t.Parallel()
	s, source, bin := hostile(t)
	for name, path := range map[string]string{"source": source, "bin": bin} {
		t.Run(name+" head", func(t *testing.T) {
			t.Parallel()
			w := s.wire(t)
			w.say("POST %s HTTP/1.1\r\nHost: x\r\nX-Slow: ", path)
			if took := drip(w); took > 30*time.Second {
				t.Errorf("slow headers are borne for %v", took)
			}
		})
		t.Run(name+" body", func(t *testing.T) {
			t.Parallel()
			w := s.wire(t)
			w.say("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n", path)
			if took := drip(w); took > 2*time.Minute {
				t.Errorf("a slow body is borne for %v", took)
			}
		})
	}
	t.Run("others", func(t *testing.T) {
		t.Parallel()
		for range 200 { // as many at once keep nobody out
			w := s.wire(t)
			w.say("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n1", source)
		}
		unharmed(t, s)
	})
}

// drip sends a byte a second until the server ends it, and returns how long it was borne.
func drip(w wire) time.Duration {
	w.t.Helper()
	began := time.Now()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for range tick.C {
			if _, err := w.Write([]byte("x")); err != nil {
				return
			}
		}
	}()
	if status, _ := w.answer(); status != 0 && status != http.StatusRequestTimeout {
		w.t.Errorf("a slow sender is answered %d", status)
	}
	took := time.Since(began)
	_ = w.Close()
	<-ended
	return took
}

// TestHostileChallenges: a challenge is given back as it came, and never as a page.
func TestHostileChallenges(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.start()
	s.makeTenant()
	const page = `<script>alert(1)</script>`
	slack := `{"type":"url_verification","challenge":"` + strings.ReplaceAll(page, `"`, `\"`) + `"}`
	at := strconv.FormatInt(time.Now().Unix(), 10)
	for _, c := range []struct {
		provider string
		settings object
		method   string
		query    string
		body     string
		headers  map[string]string
	}{
		{provider: "slack", method: http.MethodPost, body: slack, headers: map[string]string{
			"Content-Type": "application/json", "X-Slack-Request-Timestamp": at, "X-Slack-Signature": "v0=" + hexHMAC("s3cret", []byte("v0:"+at+":"+slack)),
		}},
		{provider: "dropbox", method: http.MethodGet, query: "challenge=" + url.QueryEscape(page)},
		{
			provider: "meta", settings: object{"verify_token": "vt"}, method: http.MethodGet,
			query: "hub.mode=subscribe&hub.verify_token=vt&hub.challenge=" + url.QueryEscape(page),
		},
		{provider: "microsoft-graph", method: http.MethodPost, query: "validationToken=" + url.QueryEscape(page)},
	} {
		source := object{"name": c.provider, "provider": c.provider, "secrets": []string{"s3cret"}}
		if c.settings != nil {
			source["settings"] = c.settings
		}
		s.addSource(source)
		req, err := http.NewRequestWithContext(t.Context(), c.method, s.url()+"/in/"+tenant+"/"+c.provider+"?"+c.query, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range c.headers {
			req.Header.Set(name, value)
		}
		res, err := plain.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		echoed := bytes.Contains(body, []byte("script"))
		kind := res.Header.Get("Content-Type")
		if res.StatusCode == http.StatusOK && !echoed || kind != "text/plain" && !strings.HasPrefix(kind, "text/plain;") && kind != "application/json" {
			t.Errorf("%s: %d %s %s", c.provider, res.StatusCode, kind, body)
		}
		if res.StatusCode/100 == 5 || res.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(res.Header.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: %d %v", c.provider, res.StatusCode, res.Header)
		}
	}
	if n := len(s.changes()); n != 0 {
		t.Errorf("%d events came of challenges", n)
	}
}

// TestHostileEmptySecret: an empty secret cannot be given, and without a secret nothing verifies: neither what has no signature,
// nor what is signed with the empty key.
func TestHostileEmptySecret(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.start()
	s.makeTenant()
	var list struct {
		Data []struct {
			Name     string
			Settings []struct {
				Name     string
				Required bool
			}
		}
	}
	if status := s.api(http.MethodGet, "/v1/providers", nil, &list); status != http.StatusOK || len(list.Data) < 60 {
		t.Fatalf("%d providers, answered %d", len(list.Data), status)
	}
	body := []byte(`{"type":"x","id":"1","event":"x","token":"","secret":"","signature":""}`)
	tried := 0
	for _, p := range list.Data {
		if p.Name == "none" {
			continue
		}
		settings := object{}
		for _, setting := range p.Settings {
			if setting.Required {
				settings[setting.Name] = "x"
			}
		}
		source := object{"name": "s-" + p.Name, "provider": p.Name, "settings": settings, "secrets": []string{""}}
		if status := s.api(http.MethodPost, "/v1/tenants/"+tenant+"/sources", source, nil); status/100 != 4 {
			t.Errorf("%s: an empty secret is answered %d", p.Name, status)
		}
		delete(source, "secrets")
		if status := s.api(http.MethodPost, "/v1/tenants/"+tenant+"/sources", source, nil); status != http.StatusCreated {
			continue // a setting that wants more than any text
		}
		tried++
		address := s.url() + "/in/" + tenant + "/s-" + p.Name
		for _, headers := range []map[string]string{nil, emptySigned(body), {"Authorization": "Bearer "}, {"Authorization": "Basic Og=="}} {
			if status, answer := call(t, http.MethodPost, address, headers, body); status/100 == 2 {
				t.Logf("%s answers %d %.80s to %v", p.Name, status, answer, headers)
			}
		}
	}
	if tried < 60 {
		t.Errorf("only %d providers were tried", tried)
	}
	if events := s.changes(); len(events) != 0 {
		t.Errorf("%d events came of the empty secret, the first of %s", len(events), events[0].Source)
	}
}

// emptySigned are the headers of many providers, signed with the empty key.
func emptySigned(body []byte) map[string]string {
	at := strconv.FormatInt(time.Now().Unix(), 10)
	sum := func(parts ...string) []byte {
		mac := hmac.New(sha256.New, nil)
		_, _ = io.WriteString(mac, strings.Join(parts, "")) // a hash takes everything
		return mac.Sum(nil)
	}
	plainHex, plain64 := fmt.Sprintf("%x", sum(string(body))), base64.StdEncoding.EncodeToString(sum(string(body)))
	return map[string]string{
		"Content-Type":        "application/json",
		"X-Hub-Signature-256": "sha256=" + plainHex,
		"X-Hub-Signature":     "sha256=" + plainHex,
		"Stripe-Signature":    "t=" + at + ",v1=" + fmt.Sprintf("%x", sum(at, ".", string(body))),
		"Webhook-Id":          "msg_1", "Webhook-Timestamp": at,
		"Webhook-Signature": "v1," + base64.StdEncoding.EncodeToString(sum("msg_1.", at, ".", string(body))),
		"Svix-Id":           "msg_1", "Svix-Timestamp": at,
		"Svix-Signature":            "v1," + base64.StdEncoding.EncodeToString(sum("msg_1.", at, ".", string(body))),
		"X-Slack-Request-Timestamp": at, "X-Slack-Signature": "v0=" + fmt.Sprintf("%x", sum("v0:", at, ":", string(body))),
		"X-Shopify-Hmac-Sha256": plain64, "X-Line-Signature": plain64, "X-Gitlab-Token": "", "X-Token": "",
		"X-Signature": plainHex, "Linear-Signature": plainHex, "X-Wc-Webhook-Signature": plain64, "Typeform-Signature": "sha256=" + plain64,
		"X-Pusher-Signature": plainHex, "X-Dropbox-Signature": plainHex, "Paddle-Signature": "ts=" + at + ";h1=" + fmt.Sprintf("%x", sum(at, ":", string(body))),
	}
}

// TestHostileSignatures: the attack list for a provider with a time in its signature, over the network.
func TestHostileSignatures(t *testing.T) {
	t.Parallel()
	s, source, _ := hostile(t)
	body := []byte("{\"zen\": \"ž\", \"n\":1.0}")
	good := "sha256=" + hexHMAC("hub-secret", body)
	var compact bytes.Buffer
	if err := json.Compact(&compact, body); err != nil {
		t.Fatal(err)
	}
	for what, lines := range map[string]string{
		"no signature":                   "",
		"an empty signature":             "X-Hub-Signature-256: \r\n",
		"another secret":                 "X-Hub-Signature-256: sha256=" + hexHMAC("other", body) + "\r\n",
		"the signature twice":            "X-Hub-Signature-256: " + good + "\r\nX-Hub-Signature-256: " + good + "\r\n",
		"a bad one before the good one":  "X-Hub-Signature-256: sha256=00\r\nX-Hub-Signature-256: " + good + "\r\n",
		"two in one line":                "X-Hub-Signature-256: sha256=00," + good + "\r\n",
		"half a signature":               "X-Hub-Signature-256: " + good[:40] + "\r\n",
		"without its prefix":             "X-Hub-Signature-256: " + strings.TrimPrefix(good, "sha256=") + "\r\n",
		"of the re-serialised body":      "X-Hub-Signature-256: sha256=" + hexHMAC("hub-secret", compact.Bytes()) + "\r\n",
		"of an empty body":               "X-Hub-Signature-256: sha256=" + hexHMAC("hub-secret", nil) + "\r\n",
		"of the empty key":               "X-Hub-Signature-256: sha256=" + hexHMAC("", body) + "\r\n",
		"SHA-1, which anybody may forge": "X-Hub-Signature: sha1=" + strings.Repeat("0", 40) + "\r\n",
	} {
		w := s.wire(t)
		w.say("POST %s HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: bad\r\n%sContent-Length: %d\r\n\r\n%s", source, lines, len(body), body)
		if status, _ := w.answer(); status != http.StatusUnauthorized && status != http.StatusBadRequest {
			t.Errorf("%s: answered %d", what, status)
		}
	}
	unharmed(t, s)
}
