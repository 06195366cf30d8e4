package webhook_test

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/posthornhq/posthorn/webhook"
)

func Example() {
	key, err := webhook.ParseKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		panic(err)
	}
	body := []byte(`{"type":"order.paid","data":{"order":42}}`)

	// The sender.
	signer, err := webhook.NewSigner(key)
	if err != nil {
		panic(err)
	}
	header, err := signer.Sign("msg_1", time.Now(), body)
	if err != nil {
		panic(err)
	}

	// The receiver.
	verifier, err := webhook.NewVerifier(key)
	if err != nil {
		panic(err)
	}
	fmt.Println("as sent:", verifier.Verify(header, body))
	fmt.Println("altered:", verifier.Verify(header, []byte(`{"type":"order.paid","data":{"order":43}}`)))
	// Output:
	// as sent: <nil>
	// altered: webhook: no signature matches
}

func ExampleSigner_Sign() {
	key, err := webhook.ParseKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		panic(err)
	}
	signer, err := webhook.NewSigner(key)
	if err != nil {
		panic(err)
	}
	header, err := signer.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if err != nil {
		panic(err)
	}
	fmt.Println(header.Get("webhook-id"))
	fmt.Println(header.Get("webhook-timestamp"))
	fmt.Println(header.Get("webhook-signature"))
	// Output:
	// msg_p5jXN8AQM9LWM0D4loKWxJek
	// 1614265330
	// v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=
}

// While a secret is being replaced, sign with the new and the old one. Receivers that know either accept the message.
func ExampleNewSigner_rotation() {
	old, next := webhook.NewSecret(), webhook.NewSecret()
	signer, err := webhook.NewSigner(next, old)
	if err != nil {
		panic(err)
	}
	header, err := signer.Sign("msg_1", time.Now(), []byte("{}"))
	if err != nil {
		panic(err)
	}
	for _, key := range []webhook.Key{old, next, webhook.NewSecret()} {
		receiver, err := webhook.NewVerifier(key)
		if err != nil {
			panic(err)
		}
		fmt.Println(receiver.Verify(header, []byte("{}")))
	}
	// Output:
	// <nil>
	// <nil>
	// webhook: no signature matches
}

// With Ed25519 the receiver holds only the public key and cannot sign.
func ExampleKey_Public() {
	private := webhook.NewPrivateKey()
	_, err := webhook.NewSigner(private.Public())
	fmt.Println(errors.Is(err, webhook.ErrSecretPublic))
	fmt.Println(private)
	// Output:
	// true
	// whsk_***
}

func ExampleVerifier_Handler() {
	key, err := webhook.ParseKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		panic(err)
	}
	verifier, err := webhook.NewVerifier(key)
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /hook", verifier.Handler(1<<20, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The request is genuine. Receivers keep the id to drop repeats.
		fmt.Println("received", r.Header.Get(webhook.HeaderID))
		w.WriteHeader(http.StatusNoContent)
	})))
}
