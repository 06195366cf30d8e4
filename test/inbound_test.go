package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// TestWebhooksThroughKills: senders that send again what was not answered, as providers do, while the server is killed again and
// again: each delivery is one event, and what was answered is on the log.
func TestWebhooksThroughKills(t *testing.T) {
	const senders, kills = 8, 5
	s := newServer(t)
	s.start()
	s.makeTenant()
	s.addSource(object{"name": "github", "provider": "github", "secrets": []string{"hub-secret"}})
	url := s.url() + "/in/" + tenant + "/github"
	var (
		stop     atomic.Bool
		answered [senders]int
		wg       sync.WaitGroup
		total    atomic.Int64
	)
	for k := range senders {
		wg.Go(func() {
			for n := 0; !stop.Load(); {
				body := fmt.Appendf(nil, `{"sender":%d,"n":%d}`, k, n)
				if pushed(t, url, fmt.Sprintf("%d-%d", k, n), body) { // else the same again
					n++
					answered[k] = n
					total.Add(1)
				}
			}
		})
	}
	for range kills {
		before := total.Load()
		waitUntil(t, "webhooks are answered", func() bool { return total.Load() > before+50 })
		s.kill()
		s.start()
	}
	stop.Store(true)
	wg.Wait()
	seen := map[string]int{}
	for _, e := range s.changes() {
		seen[e.ID]++
	}
	for k, n := range answered {
		for i := range n {
			if id := fmt.Sprintf("github:%d-%d", k, i); seen[id] != 1 {
				t.Errorf("%s was answered and is on the log %d times", id, seen[id])
			}
		}
		delete(seen, fmt.Sprintf("github:%d-%d", k, n)) // not answered, maybe taken
		for i := range n {
			delete(seen, fmt.Sprintf("github:%d-%d", k, i))
		}
	}
	if len(seen) != 0 {
		t.Errorf("events that nobody sent: %v", seen)
	}
	t.Logf("%d webhooks", total.Load())
}

// pushed sends a push of GitHub's and reports whether it was answered well; a server that is away answers nothing.
func pushed(t *testing.T, url, delivery string, body []byte) bool {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Github-Event", "push")
	req.Header.Set("X-Github-Delivery", delivery)
	req.Header.Set("X-Hub-Signature-256", "sha256="+hexHMAC("hub-secret", body))
	res, err := plain.Do(req)
	if err != nil {
		pause(t.Context(), poll)
		return false
	}
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(io.Discard, res.Body)
	if res.StatusCode/100 != 2 && res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%s is answered %d", delivery, res.StatusCode)
	}
	return err == nil && res.StatusCode == http.StatusOK
}

// TestSynchronousSource: the caller of a source gets what an endpoint answers, and the usual answer when that takes too long: then it
// is delivered later.
func TestSynchronousSource(t *testing.T) {
	s := newServer(t)
	s.start()
	s.makeTenant()
	var took atomic.Int64
	release := make(chan struct{})
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		took.Add(1)
		if bytes.Contains(body, []byte("slow")) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		w.Header().Set("X-App", "yes")
		w.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprintf(w, "the app got %s at %s", body, r.URL.RequestURI())
	}))
	defer app.Close()
	endpoint, _ := s.addEndpoint(client.Endpoint{URL: app.URL + "/app", Types: []string{"command.*"}, Envelope: "original"})
	for name, wait := range map[string]string{"quick": "30s", "slow": "1s"} {
		s.addSource(object{
			"name": name, "provider": "token", "secrets": []string{"a-token-of-the-test"}, "settings": object{"header": "X-Token"},
			"map": object{"type": `"command.run"`}, "answer": object{"status": 200, "body": "later"},
			"sync": object{"endpoint": endpoint, "wait": wait},
		})
	}
	send := func(body string) (int, http.Header, string) {
		t.Helper()
		return sendPlain(t, http.MethodPost, s.url()+"/in/"+tenant+"/"+body+"/run?x=1", body, "X-Token", "a-token-of-the-test", "Content-Type", "text/plain")
	}
	status, header, text := send("quick")
	if status != http.StatusAccepted || header.Get("X-App") != "yes" || text != "the app got quick at /app/run?x=1" {
		t.Errorf("the caller gets %d %q %v", status, text, header)
	}
	began := time.Now()
	status, _, text = send("slow")
	if status != http.StatusOK || text != "later" || time.Since(began) < time.Second {
		t.Errorf("after %v the caller gets %d %q", time.Since(began), status, text)
	}
	waitUntil(t, "the app has got the second", func() bool { return took.Load() >= 2 })
	close(release)
	if n := len(s.changes()); n != 2 || took.Load() != 2 {
		t.Errorf("%d events, %d requests to the app", n, took.Load())
	}
}
