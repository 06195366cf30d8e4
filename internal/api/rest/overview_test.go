package rest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

// TestOverviewAnswer: what is not known is absent or null, and a portal sees webhooks only.
func TestOverviewAnswer(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	on.bearer("portal", event.APIKey{Token: "jti", Tenant: 1, Allow: []event.Permission{event.AllowPortalRead}})
	for key, attention := range map[string]int{"admin": 2, "reader": 2, "portal": 1} {
		w := request{method: http.MethodGet, path: "/v1/tenants/acme/overview", key: key}.do(t, on.h)
		var o client.Overview
		if err := json.Unmarshal(w.Body.Bytes(), &o); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", key, w.Code, w.Body)
		}
		if len(o.Attention) != attention || o.Attention[0].Tenant != "acme" || o.Attention[0].LastStatus != 410 {
			t.Errorf("%s: %+v", key, o.Attention)
		}
		if _, there := o.Lanes.Reasons["offline"]; there || o.SuccessRate == nil || *o.SuccessRate != 0.75 || o.DeliveryMS != nil || o.LatencyMS.P95 != 2 {
			t.Errorf("%s: %+v", key, o)
		}
		if s := o.Series; s.Events[0] != nil || *s.Events[1] != 3 || *s.P99[1] != 3 || *s.Events[2] != 0 || s.P50[2] != nil {
			t.Errorf("%s: %+v", key, s)
		}
	}
	if w := (request{method: http.MethodGet, path: "/v1/overview", key: "reader"}).do(t, on.h); w.Code != http.StatusForbidden {
		t.Errorf("%d", w.Code)
	}
}

func TestOverviewStream(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	w := request{method: http.MethodGet, path: "/v1/overview/stream", key: "admin", header: []string{"Accept", "text/event-stream"}}.do(t, on.h)
	if h := w.Header(); w.Code != http.StatusOK || h.Get("Content-Type") != "text/event-stream" || h.Get("X-Accel-Buffering") != "no" || !strings.Contains(h.Get("Cache-Control"), "no-transform") {
		t.Errorf("%d %v", w.Code, h)
	}
	blocks := strings.Split(strings.TrimSuffix(w.Body.String(), "\n\n"), "\n\n")
	if len(blocks) != 3 || !strings.HasPrefix(blocks[0], "event: overview\ndata: {\"at\":") || !strings.HasPrefix(blocks[1], "event: tick\ndata: {\"at\":") || blocks[2] != "event: attention\ndata: {\"data\":[]}" {
		t.Errorf("%q", blocks)
	}
	if w := (request{method: http.MethodHead, path: "/v1/overview/stream", key: "admin", header: []string{"Accept", "text/event-stream"}}).do(t, on.h); w.Code != http.StatusOK || w.Body.Len() != 0 {
		t.Errorf("HEAD: %d %q", w.Code, w.Body)
	}
}
