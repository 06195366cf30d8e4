package app

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/internal/config"
)

// TestStrayProxy: a proxy that nobody has named is told of once, without what its headers say.
func TestStrayProxy(t *testing.T) {
	t.Parallel()
	const client = "203.0.113.77"
	for name, tt := range map[string]struct {
		peer, header, value string
		trusted             string
		warns               bool
	}{
		"loopback":               {peer: "127.0.0.1:1", header: "X-Forwarded-For", value: client, warns: true},
		"private":                {peer: "10.1.2.3:1", header: "X-Forwarded-For", value: client, warns: true},
		"private, IPv6":          {peer: "[fd00::1]:1", header: "Forwarded", value: "for=" + client, warns: true},
		"not the one that is":    {peer: "10.1.2.3:1", header: "X-Forwarded-For", value: client, trusted: "10.1.2.4", warns: true},
		"trusted":                {peer: "10.1.2.3:1", header: "X-Forwarded-For", value: client, trusted: "10.0.0.0/8"},
		"trusted, written as v6": {peer: "[::ffff:10.1.2.3]:1", header: "X-Forwarded-For", value: client, trusted: "10.0.0.0/8"},
		"a stranger's claim":     {peer: "192.0.2.1:1", header: "X-Forwarded-For", value: client},
		"no proxy":               {peer: "127.0.0.1:1", header: "X-Other", value: client},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"--listen", "127.0.0.1:0", "--data", t.TempDir(), "--root-key", testRoot}
			if tt.trusted != "" {
				args = append(args, "--trusted-proxies", tt.trusted)
			}
			cfg, err := config.Load(args, nil, os.ReadFile)
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			a, err := New(t.Context(), cfg, Options{Log: &log})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(a.close)
			for _, path := range []string{"/v1/session/options", "/v1/me", "/b/none"} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
				r.RemoteAddr = tt.peer
				r.Header.Set(tt.header, tt.value)
				a.handler.ServeHTTP(httptest.NewRecorder(), r)
			}
			got := strings.Count(log.String(), "name it in trusted-proxies")
			if want := map[bool]int{true: 1}[tt.warns]; got != want {
				t.Errorf("%d warnings: %s", got, log.String())
			}
			if strings.Contains(log.String(), client) {
				t.Errorf("the log has what a header says: %s", log.String())
			}
		})
	}
}
