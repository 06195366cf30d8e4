package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/client"
)

// TestFewOpenFiles: more listeners than the process may have files open for are told so, and everything else goes on.
func TestFewOpenFiles(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := newServer(t)
	s.wrap = []string{"sh", "-c", `ulimit -n 400; exec "$@"`, "sh"}
	s.start()
	s.makeTenant()
	const most = 200 // half of so few
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	listen := func() (status int, body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url()+"/v1/tenants/"+tenant+"/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+rootKey)
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		if resp.StatusCode == http.StatusOK {
			return resp.StatusCode, ""
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	for i := range most {
		if status, body := listen(); status != http.StatusOK {
			t.Fatalf("listener %d: %d %s", i+1, status, body)
		}
	}
	for range 3 {
		if status, body := listen(); status != http.StatusServiceUnavailable || !strings.Contains(body, `"busy"`) {
			t.Fatalf("one too many: %d %s", status, body)
		}
	}
	if _, err := s.client.Publish(ctx, tenant, client.Event{Type: "order.paid"}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.log.String(), "LimitNOFILE") {
		t.Error("the log does not say what to do")
	}
}
