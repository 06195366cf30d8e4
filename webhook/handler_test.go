package webhook_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/posthornhq/posthorn/webhook"
)

func TestHandler(t *testing.T) {
	verifier := newVerifier(t, parse(t, vectorSecret))
	for name, c := range map[string]struct {
		header http.Header
		body   io.Reader
		limit  int64
		want   int
	}{
		"good":        {headers(vectorID, vectorTimestamp, vectorHMAC), strings.NewReader(vectorBody), int64(len(vectorBody)), http.StatusNoContent},
		"too large":   {headers(vectorID, vectorTimestamp, vectorHMAC), strings.NewReader(vectorBody), int64(len(vectorBody)) - 1, http.StatusRequestEntityTooLarge},
		"broken body": {headers(vectorID, vectorTimestamp, vectorHMAC), iotest.ErrReader(errors.New("reset")), 1000, http.StatusBadRequest},
		"forged":      {headers(vectorID, vectorTimestamp, vectorHMAC), strings.NewReader("{}"), 1000, http.StatusUnauthorized},
		"unsigned":    {http.Header{}, strings.NewReader(vectorBody), 1000, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			reached := false
			handler := verifier.Handler(c.limit, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reached = true
				if body, err := io.ReadAll(r.Body); err != nil || string(body) != vectorBody {
					t.Errorf("the next handler reads %q, %v", body, err)
				}
				w.WriteHeader(http.StatusNoContent)
			}))
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", c.body)
			request.Header = c.header
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, request)
			if answer.Code != c.want || reached != (c.want == http.StatusNoContent) {
				t.Errorf("answered %d (next reached: %v), want %d", answer.Code, reached, c.want)
			}
			if strings.Contains(answer.Body.String(), vectorHMAC[3:]) {
				t.Error("the answer holds the signature")
			}
		})
	}
}

func TestHandlerRefusesWithoutKeys(t *testing.T) {
	handler := new(webhook.Verifier).Handler(1000, http.NotFoundHandler())
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("{}")))
	if answer.Code != http.StatusUnauthorized {
		t.Errorf("answered %d, want 401", answer.Code)
	}
}
