package rest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestAnswersAreInert goes over the document, and over what is not in it: a browser that is led to an answer, or shows it in a
// page of another site, runs nothing and tells that page nothing.
func TestAnswersAreInert(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	for _, methods := range loadSchemas(t, on.h).doc.Paths {
		for method, op := range methods {
			if op.OperationID == "publish" { // front answers; its answers hold ids and versions only
				continue
			}
			if examples[op.OperationID].path == "" {
				t.Errorf("%s has no example", op.OperationID)
				continue
			}
			on.reset(t)
			w := on.example(op.OperationID, method).do(t, on.h)
			checkInert(t, op.OperationID, w)
			q := on.example(op.OperationID, method)
			q.key, q.header = "nobody's", nil
			checkInert(t, op.OperationID+", refused", q.do(t, on.h))
		}
	}
	for _, path := range []string{"/", "/nowhere", "/v1/nowhere", "/v1//tenants", "/openapi.json", "/asyncapi.yaml", "/docs/nowhere", "/v1/me?a=%3Cscript%3E&a=1"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodTrace} {
			checkInert(t, method+" "+path, request{method: method, path: path}.do(t, on.h))
		}
	}
}

func checkInert(t *testing.T, what string, w *httptest.ResponseRecorder) {
	t.Helper()
	h := w.Header()
	policy := h.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") && !strings.Contains(policy, "sandbox") ||
		h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cross-Origin-Resource-Policy") != "same-origin" {
		t.Errorf("%s: %d with %v", what, w.Code, h)
	}
	if media := h.Get("Content-Type"); w.Body.Len() > 0 && (media == "" || strings.HasPrefix(media, "text/html") && w.Code != http.StatusFound) {
		t.Errorf("%s: %d is of the type %q", what, w.Code, media)
	}
}
