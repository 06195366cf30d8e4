package receiver

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// handshakeCase is one question of a provider, and what it is answered.
type handshakeCase struct {
	provider string
	name     string
	secrets  []string // nil: none is set
	settings map[string]string
	method   string // default POST
	url      string // default https://hooks.example.com/hook
	header   map[string]string
	body     string
	sign     func(m *message, secret string, at time.Time) // with the first secret

	none    bool   // it is no handshake
	err     error  // or it is refused with this
	status  int    // default 200
	want    string // the answer's body, exactly
	headers map[string]string
	learned string
}

var handshakes []handshakeCase

func addHandshake(h ...handshakeCase) { handshakes = append(handshakes, h...) }

func TestHandshakes(t *testing.T) {
	for _, h := range handshakes {
		t.Run(h.provider+"/"+h.name, func(t *testing.T) {
			m := testCase{method: h.method, url: h.url, header: h.header, body: h.body}.message("", now)
			if h.sign != nil {
				h.sign(&m, h.secrets[0], now)
			}
			opts := []Option{At(func() time.Time { return now })}
			for name, value := range h.settings {
				opts = append(opts, Setting(name, value))
			}
			answer, learned, err := Handshake(h.provider, h.secrets, m.request(), m.body, opts...)
			if h.err != nil {
				if !errors.Is(err, h.err) || answer != nil || learned != nil {
					t.Fatalf("answer %+v, learned %+v, error %v; want the error %v", answer, learned, err, h.err)
				}
				checkError(t, h.provider, err, append(h.secrets, h.settings["verify_token"]))
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.none {
				if answer != nil || learned != nil {
					t.Fatalf("an event is answered as a handshake: %+v", answer)
				}
				return
			}
			h.check(t, answer, learned)
		})
	}
}

func (h handshakeCase) check(t *testing.T, answer *Answer, learned *Learned) {
	t.Helper()
	if answer == nil {
		t.Fatal("not seen as a handshake")
	}
	status := h.status
	if status == 0 {
		status = http.StatusOK
	}
	if answer.Status != status || string(answer.Body) != h.want {
		t.Errorf("answer %d %q, want %d %q", answer.Status, answer.Body, status, h.want)
	}
	for name, value := range h.headers {
		if got := answer.Header.Get(name); got != value {
			t.Errorf("header %s is %q, want %q", name, got, value)
		}
	}
	if len(answer.Body) > 0 { // Nothing that is echoed may be run by a browser.
		kind := answer.Header.Get("Content-Type")
		if !strings.HasPrefix(kind, "text/plain") && !strings.HasPrefix(kind, "application/json") && !strings.HasPrefix(kind, "text/xml") ||
			answer.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("a challenge is echoed with the headers %v", answer.Header)
		}
	}
	switch {
	case learned == nil && h.learned != "":
		t.Error("no secret was learned")
	case learned != nil && learned.Secret != h.learned:
		t.Error("not the right secret was learned")
	}
	info, _ := Provider(h.provider)
	method := orElse(h.method, http.MethodPost)
	if !slices.Contains(info.Handshakes, method) {
		t.Errorf("the provider's description names no handshake by %s", method)
	}
}
