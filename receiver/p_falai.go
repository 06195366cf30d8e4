package receiver

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

func init() {
	register(provider{
		Info: Info{
			Name: "falai", Title: "fal.ai", Aliases: []string{"fal"},
			Settings: []SettingInfo{{Name: "user_id", Doc: "your user id at fal.ai (X-Fal-Webhook-User-Id): fal.ai signs for everybody with the same keys", Required: true}},
			Event:    "type is the request's status in lower case, id and subject the request's id",
		},
		verify: verifyFal,
		describe: describe(func(r *request) string { return strings.ToLower(r.text("status")) },
			head("X-Fal-Webhook-Request-Id"), head("X-Fal-Webhook-Request-Id"), seconds(head("X-Fal-Webhook-Timestamp"))),
	})
}

var falKeys = keySetAt{url: "https://rest.fal.ai/.well-known/jwks.json", own: onlyHosts("rest.fal.ai")}

func verifyFal(r *request) error {
	var head [4]string
	for i, name := range []string{"X-Fal-Webhook-Request-Id", "X-Fal-Webhook-User-Id", "X-Fal-Webhook-Timestamp", "X-Fal-Webhook-Signature"} {
		var err error
		if head[i], err = r.header(name); err != nil {
			return err
		}
	}
	if !same(head[1], r.setting("user_id")) {
		return fail(CodeSignature, "the request is another user's")
	}
	signature, err := hex.DecodeString(head[3])
	if err != nil {
		return fail(CodeSignature, "the signature is not hex")
	}
	sum := sha256.Sum256(r.body)
	message := []byte(strings.Join(head[:3], "\n") + "\n" + hex.EncodeToString(sum[:]))
	// The signature does not name its key: there are a few, and any of them will do.
	keys, err := falKeys.all(r.http.Context(), r.fetcher)
	if err != nil {
		return err
	}
	if !anyEd25519(keys, message, signature) {
		if keys, err = falKeys.newer(r.http.Context(), r.fetcher); err != nil {
			return err
		}
		if !anyEd25519(keys, message, signature) {
			return fail(CodeSignature, "the signature is none of fal.ai's keys'")
		}
	}
	return r.fresh(head[2], time.Second)
}

func anyEd25519(keys []webKey, message, signature []byte) bool {
	for _, k := range keys {
		if key, ok := k.key.(ed25519.PublicKey); ok && ed25519.Verify(key, message, signature) {
			return true
		}
	}
	return false
}
