package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// flexi asks the FlexiBee-compatible interface, as a user of the company, and returns the answer's body.
func (s *server) flexi(ctx context.Context, method, path string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, s.url()+"/c/"+tenant+"/"+path, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	req.SetBasicAuth("winstrom", rootKey)
	res, err := plain.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

// changeList is what a hook sends and the Changes API answers.
type changeList struct {
	Winstrom struct {
		Global  string `json:"@globalVersion"`
		Changes []struct {
			Evidence string `json:"@evidence"`
			Version  string `json:"@in-version"`
		} `json:"changes"`
		Next string `json:"next"`
	} `json:"winstrom"`
}

func (l *changeList) versions(t testing.TB) []int64 {
	t.Helper()
	list := make([]int64, len(l.Winstrom.Changes))
	for i, c := range l.Winstrom.Changes {
		v, err := strconv.ParseInt(c.Version, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		list[i] = v
	}
	return list
}

// hooked is what came to one hook.
type hooked struct {
	after int64 // its lastVersion
	last  int64 // the newest version that came
	seen  map[int64]int
}

// acceptor takes the notifications of many hooks, each at a path of its own.
type acceptor struct {
	*httptest.Server
	mu    sync.Mutex
	hooks map[string]*hooked
	wrong []string
}

func newAcceptor(t *testing.T) *acceptor {
	t.Helper()
	a := &acceptor{hooks: map[string]*hooked{}}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var list changeList
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil {
			return // cut off by a kill
		}
		a.take(t, r.URL.Path, r.Header.Get("X-FB-Hook-SecKey"), &list)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *acceptor) take(t *testing.T, path, key string, list *changeList) {
	versions := list.versions(t)
	a.mu.Lock()
	defer a.mu.Unlock()
	h := a.hooks[path]
	if len(versions) > 200 || key != "key of "+path || h == nil {
		a.wrong = append(a.wrong, fmt.Sprintf("%s: %d changes, key %q", path, len(versions), key))
		return
	}
	for _, v := range versions {
		// In order, also when what had come before a kill comes again; a first one is never overtaken.
		if h.seen[v]++; h.seen[v] == 1 && v < h.last {
			a.wrong = append(a.wrong, fmt.Sprintf("%s: version %d after %d", path, v, h.last))
		}
		h.last = max(h.last, v)
	}
}

// register makes a hook that begins after a version, and returns false when the server did not answer.
func (a *acceptor) register(t *testing.T, s *server, path string, after int64) bool {
	t.Helper()
	a.mu.Lock()
	a.hooks[path] = &hooked{after: after, seen: map[int64]int{}}
	a.mu.Unlock()
	query := url.Values{
		"url": {a.URL + path}, "format": {"JSON"}, "lastVersion": {strconv.FormatInt(after, 10)}, "secKey": {"key of " + path},
	}
	status, body, err := s.flexi(t.Context(), http.MethodPut, "hooks.json?"+query.Encode())
	if err == nil && status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	return err == nil
}

// Hooks that begin in the past get every change in order, whenever the server is killed.
func TestFlexiBeeHooksThroughKills(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.start()
	s.makeTenant()
	a := newAcceptor(t)
	if status, body, err := s.flexi(t.Context(), http.MethodPut, "changes/enable.xml"); err != nil || status != http.StatusOK {
		t.Fatal(status, string(body), err)
	}
	head := publishChanges(t, s, 0, 3000)
	for i := range 6 {
		if !a.register(t, s, fmt.Sprintf("/hook%d", i), head/2*int64(i%3)) {
			t.Fatal("no answer")
		}
		head = publishChanges(t, s, head, 50)
		if i%2 == 0 {
			s.kill()
			s.start()
		}
	}
	head = publishChanges(t, s, head, 500)
	eventually(t, "all changes at all hooks", func() (bool, string) {
		a.mu.Lock()
		defer a.mu.Unlock()
		for path, h := range a.hooks {
			if missing := head - h.after - int64(len(h.seen)); missing != 0 {
				return false, fmt.Sprintf("%s lacks %d of %d", path, missing, head-h.after)
			}
		}
		return true, ""
	})
	a.mu.Lock()
	for path, h := range a.hooks {
		if h.seen[h.after] > 0 {
			t.Errorf("%s got version %d, after which it began", path, h.after)
		}
	}
	for _, w := range a.wrong {
		t.Error(w)
	}
	a.mu.Unlock()
	readChanges(t, s, head)
	s.stop()
}

// publishChanges publishes n changes and returns the newest version.
func publishChanges(t *testing.T, s *server, head int64, n int) int64 {
	t.Helper()
	var batch []client.Event
	for i := range n {
		subject := fmt.Sprintf("cenik/%d", i+1)
		batch = append(batch, client.Event{Type: "cenik.update", Subject: subject, Data: []byte(`{"external-ids":["code:HREBIK"]}`)})
		if len(batch) == 500 || i == n-1 {
			receipts, err := s.client.PublishBatch(t.Context(), tenant, batch)
			if err != nil {
				t.Fatal(err)
			}
			head = receipts[len(receipts)-1].Version
			batch = nil
		}
	}
	return head
}

// readChanges pages through the Changes API as a client does that keeps what `next` says.
func readChanges(t *testing.T, s *server, head int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var last int64
	for next := "0"; next != "none"; {
		status, body, err := s.flexi(ctx, http.MethodGet, "changes.json?limit=1000&start="+next)
		if err != nil || status != http.StatusOK {
			t.Fatal(status, string(body), err)
		}
		var list changeList
		if err := json.Unmarshal(body, &list); err != nil {
			t.Fatal(err)
		}
		for _, v := range list.versions(t) {
			if v != last+1 {
				t.Fatalf("version %d after %d", v, last)
			}
			last = v
		}
		next = list.Winstrom.Next
	}
	if last != head {
		t.Errorf("read up to %d of %d", last, head)
	}
}
