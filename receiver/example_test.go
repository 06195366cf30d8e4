package receiver_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/posthornhq/posthorn/receiver"
)

func ExampleMiddleware() {
	handler := receiver.Handler(func(_ context.Context, e receiver.Event) error {
		fmt.Println(e.Type, e.ID, e.Subject)
		return nil // Or an error, and GitHub is told that it failed.
	})
	mux := http.NewServeMux()
	// During a rotation, give the old secret as well.
	mux.Handle("/github", receiver.Middleware("github", []string{"It's a Secret to Everybody"}, handler))

	// What GitHub sends:
	body := `{"ref":"refs/heads/main","repository":{"full_name":"octo/hello"}}`
	mac := hmac.New(sha256.New, []byte("It's a Secret to Everybody"))
	mac.Write([]byte(body))
	for range 2 { // It sends it again when it did not hear the answer.
		r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/github", strings.NewReader(body))
		r.Header.Set("X-GitHub-Event", "push")
		r.Header.Set("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
		r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// push 72d3162e-cc78-11e3-81ab-4c9367dc0958 octo/hello
	// 200
	// 200
}

func ExampleVerify() {
	body := []byte(`{"hello":"world"}`)
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/hook", http.NoBody)
	r.Header.Set("X-Hub-Signature-256", "sha256=00")

	_, err := receiver.Verify("github", []string{"secret of the webhook"}, r, body)
	fmt.Println(err)
	fmt.Println(receiver.Refused("github", err).Status)
	// Output:
	// receiver: github: bad_signature: no secret matches
	// 401
}
