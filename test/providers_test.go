package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// signed is a webhook as a provider's SDK made it.
type signed struct {
	Provider  string            `json:"provider"`
	Secret    string            `json:"secret"`
	Settings  map[string]string `json:"settings"`
	Path      string            `json:"path"`
	Method    string            `json:"method"`
	Headers   map[string]string `json:"headers"`
	Body      []byte            `json:"body"`
	Signature string            `json:"signature"` // the header that carries it
	Timed     bool              `json:"timed"`     // the signature covers the time
}

// aged is older than any provider may be late.
const aged = 26 * time.Hour

// signedAt runs the SDKs.
func signedAt(t *testing.T, base string, at time.Time) []signed {
	t.Helper()
	cmd, errOut := script(t, "sign.mjs", base, strconv.FormatInt(at.Unix(), 10))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the SDKs do not sign: %v\n%s", err, errOut)
	}
	var list []signed
	if err := json.Unmarshal(out, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) < 10 {
		t.Fatalf("only %d providers", len(list))
	}
	return list
}

// api asks the API and decodes the answer into out, unless that is nil.
func (s *server) api(method, path string, body, out any) int {
	s.t.Helper()
	var in io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url()+path, in)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+rootKey)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := plain.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if res.StatusCode >= 300 {
		s.t.Logf("%s %s: %d %s", method, path, res.StatusCode, answer)
	} else if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			s.t.Fatalf("%s %s: %v in %s", method, path, err, answer)
		}
	}
	return res.StatusCode
}

// addSource makes a source.
func (s *server) addSource(source map[string]any) {
	s.t.Helper()
	if status := s.api(http.MethodPost, "/v1/tenants/"+tenant+"/sources", source, nil); status != http.StatusCreated {
		s.t.Fatalf("the source %v was answered %d", source["name"], status)
	}
}

// call sends a request to an address and returns the status and the body of the answer.
func call(t *testing.T, method, url string, headers map[string]string, body []byte) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := plain.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, answer
}

// TestProvidersSDKs takes webhooks that the providers' own SDKs signed, or signed as these verify, and refuses each of them with
// one byte flipped, with its time aged, without its signature and with another secret.
func TestProvidersSDKs(t *testing.T) {
	s := newServer(t)
	s.start()
	s.makeTenant()
	base := s.url() + "/in/" + tenant
	now, old := signedAt(t, base, time.Now()), signedAt(t, base, time.Now().Add(-aged))
	for i, good := range now {
		t.Run(good.Provider, func(t *testing.T) {
			late := old[i]
			// What was signed long ago has a key of its own, which is good, too.
			s.addSource(map[string]any{
				"name": good.Provider, "provider": good.Provider, "secrets": []string{good.Secret, late.Secret}, "settings": good.Settings,
			})
			address := base + "/" + good.Provider + good.Path
			before := len(s.changes())
			if status, answer := call(t, good.Method, address, good.Headers, good.Body); status/100 != 2 {
				t.Fatalf("what its SDK signed is answered %d %s", status, answer)
			}
			log := s.changes()
			if len(log) != before+1 {
				t.Fatalf("%d events came of it", len(log)-before)
			}
			e := log[before]
			if !strings.HasPrefix(e.Type, good.Provider+".") || e.Source != "/sources/"+good.Provider {
				t.Errorf("the event is %s of %s", e.Type, e.Source)
			}
			if good.Headers["content-type"] == "application/json" && !sameJSON(t, e.Data, good.Body) {
				t.Errorf("the body %q became %q", good.Body, e.Data)
			}
			var shown struct {
				Origin struct{ Method, Target, Body string }
			}
			s.api(http.MethodGet, "/v1/tenants/"+tenant+"/events/"+url.PathEscape(e.ID), nil, &shown)
			if o := shown.Origin; o.Method != good.Method || o.Body != string(good.Body) || o.Target != "/in/"+tenant+"/"+good.Provider+good.Path {
				t.Errorf("its origin is %+v", o)
			}
			refused := func(what string, headers map[string]string, body []byte) {
				t.Helper()
				if status, answer := call(t, good.Method, address, headers, body); status/100 != 4 {
					t.Errorf("%s is answered %d %s", what, status, answer)
				}
			}
			without := map[string]string{}
			for name, value := range good.Headers {
				if name != good.Signature {
					without[name] = value
				}
			}
			refused("a request without its signature", without, good.Body)
			for _, at := range []int{0, len(good.Body) / 2, len(good.Body) - 1} {
				flipped := slices.Clone(good.Body)
				flipped[at] ^= 1
				refused("a request with byte "+strconv.Itoa(at)+" flipped", good.Headers, flipped)
			}
			if good.Timed {
				refused("a request of long ago", late.Headers, late.Body)
			}
			if status := s.api(http.MethodPatch, "/v1/tenants/"+tenant+"/sources/"+good.Provider, map[string]any{"secrets": []string{late.Secret}}, nil); status != http.StatusOK {
				t.Fatalf("the change of the secrets is answered %d", status)
			}
			refused("a request signed with another secret", good.Headers, good.Body)
			if n := len(s.changes()); n != before+1 {
				t.Errorf("%d events came of what was refused", n-before-1)
			}
		})
	}
}

// A provider that sends a delivery again gets the answer again, and there is one event.
func TestProviderRetriesAreOneEvent(t *testing.T) {
	s := newServer(t)
	s.start()
	s.makeTenant()
	base := s.url() + "/in/" + tenant
	for _, d := range signedAt(t, base, time.Now()) {
		if !slices.Contains([]string{"github", "stripe", "standard", "svix", "square"}, d.Provider) {
			continue
		}
		s.addSource(map[string]any{"name": d.Provider, "provider": d.Provider, "secrets": []string{d.Secret}, "settings": d.Settings})
		before := len(s.changes())
		var first string
		for i := range 3 {
			status, answer := call(t, d.Method, base+"/"+d.Provider+d.Path, d.Headers, d.Body)
			got := strconv.Itoa(status) + string(answer)
			if i == 0 {
				first = got
			}
			if status/100 != 2 || got != first {
				t.Errorf("%s: try %d is answered %s, the first %s", d.Provider, i+1, got, first)
			}
			if i == 1 {
				s.kill()
				s.start()
			}
		}
		if n := len(s.changes()) - before; n != 1 {
			t.Errorf("%s: %d events", d.Provider, n)
		}
	}
}
