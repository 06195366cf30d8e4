package client_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// What the calls about deliveries, previews, replays and histograms send, and that their answers are read.
func TestDeliveryCalls(t *testing.T) {
	t.Parallel()
	var asked []string
	answers := map[string]string{
		"GET /v1/tenants/acme/events/a%2Fb/deliveries": `{"event":"a/b","version":3,"data":[{"endpoint":"ep_1","matched":true,"state":"waiting","waiting":"paused"}],"next":"n"}`,
		"POST /v1/tenants/acme/endpoints/preview":      `{"request":{"method":"POST","headers":[{"name":"A","value":"b","masked":true}],"body":"{}","size":2},"events":["e"],"matches":true}`,
		"POST /v1/tenants/acme/endpoints/try":          `{"request":{"method":"POST"},"events":["e"],"result":{"status":204,"verdict":"delivered"}}`,
		"GET /v1/tenants/acme/endpoints/ep_1/replays":  `{"data":[{"id":"rpl_1","state":"running","progress":0.5}]}`,
		"GET /v1/tenants/acme/histogram":               `{"count":7,"step_ms":10,"buckets":[{"at":"2026-11-21T08:30:00Z","count":7}]}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.URL.RequestURI()+" "+string(b))
		answer, ok := answers[r.Method+" "+r.URL.EscapedPath()]
		if !ok {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	c, err := client.New(server.URL, "key")
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	d, err := c.Deliveries(ctx, "acme", "a/b", true, 5, "cur")
	if err != nil || d.Version != 3 || d.Next != "n" || d.Data[0].Waiting != "paused" {
		t.Errorf("%+v, %v", d, err)
	}
	q := client.PreviewRequest{Endpoint: client.Endpoint{URL: "https://x"}, EventID: "e"}
	p, err := c.Preview(ctx, "acme", q)
	if err != nil || !p.Matches || !p.Request.Headers[0].Masked || p.Request.Size != 2 {
		t.Errorf("%+v, %v", p, err)
	}
	tried, err := c.Try(ctx, "acme", q)
	if err != nil || tried.Result.Status != 204 || tried.Request.Method != "POST" || tried.Events[0] != "e" {
		t.Errorf("%+v, %v", tried, err)
	}
	list, err := c.Replays(ctx, "acme", "ep_1")
	if err != nil || len(list) != 1 || list[0].Progress != 0.5 {
		t.Errorf("%+v, %v", list, err)
	}
	if err := c.CancelReplay(ctx, "acme", "ep_1", "rpl_1"); err != nil {
		t.Error(err)
	}
	at := time.Date(2026, 11, 21, 8, 30, 0, 0, time.UTC)
	h, err := c.Histogram(ctx, "acme", 12, client.Since(at))
	if err != nil || h.Count != 7 || !h.Buckets[0].At.Equal(at) {
		t.Errorf("%+v, %v", h, err)
	}
	want := []string{
		"GET /v1/tenants/acme/events/a%2Fb/deliveries?all=true&cursor=cur&limit=5 ",
		`POST /v1/tenants/acme/endpoints/preview {"endpoint":{"url":"https://x","disabled":false},"event_id":"e"}`,
		`POST /v1/tenants/acme/endpoints/try {"endpoint":{"url":"https://x","disabled":false},"event_id":"e"}`,
		"GET /v1/tenants/acme/endpoints/ep_1/replays ",
		"DELETE /v1/tenants/acme/endpoints/ep_1/replays/rpl_1 ",
		"GET /v1/tenants/acme/histogram?buckets=12&since=2026-11-21T08%3A30%3A00Z ",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q", asked)
	}
}
