package receiver

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

func init() {
	register(provider{
		Info: Info{
			Name: "adyen", Title: "Adyen",
			Secret:        "the HMAC key of the webhook (hex)",
			Settings:      []SettingInfo{{Name: "basic", Doc: "user:password that the webhook sends besides, if it does", Secret: true}},
			Event:         "type from eventCode or type, id from eventCode, pspReference and success, subject is the merchant's reference or the object's id; only what is signed may be relied on",
			SecretHeaders: []string{"Authorization"},
		},
		verify:   verifyAdyen,
		describe: describeAdyen,
		accepted: func(Delivery) Answer { return Text(http.StatusOK, "[accepted]") },
	})
}

func verifyAdyen(r *request) error {
	if want := r.setting("basic"); want != "" {
		user, password, ok := r.http.BasicAuth()
		if !ok || len(r.http.Header.Values("Authorization")) != 1 || !same(user+":"+password, want) {
			return fail(CodeSignature, "the user or the password is missing or wrong")
		}
	}
	// Platforms and others sign the body in a header, payments each of their items.
	if r.has("Hmacsignature") {
		text, err := r.header("Hmacsignature")
		if err != nil {
			return err
		}
		// What is signed of an item must not do as a body.
		if !bytes.HasPrefix(r.body, []byte("{")) {
			return fail(CodeMalformed, "the body is not a JSON object")
		}
		return r.adyenHMAC(text, r.body)
	}
	if err := distinct(r.content()); err != nil {
		return err
	}
	items, err := adyenItems(r)
	if err != nil {
		return err
	}
	for _, item := range items {
		if err := adyenDistinct(item); err != nil {
			return err
		}
		if err := r.adyenHMAC(textIn(item, "additionalData", "hmacSignature"), adyenSigned(item)); err != nil {
			return err
		}
	}
	return nil
}

// adyenDistinct is distinct for an item and the objects in it of which something is signed.
func adyenDistinct(item jsontext.Value) error {
	if err := distinct(item); err != nil {
		return err
	}
	if amount, ok := within(item, []string{"amount"}); ok && amount.Kind() == '{' {
		return distinct(amount)
	}
	return nil
}

func adyenItems(r *request) ([]jsontext.Value, error) {
	list, err := r.list("notificationItems")
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fail(CodeMissing, "there is no item")
	}
	for i, item := range list {
		inner, ok := within(item, []string{"NotificationRequestItem"})
		if !ok || inner.Kind() != '{' {
			return nil, fail(CodeMalformed, "an item is not a NotificationRequestItem")
		}
		list[i] = inner
	}
	return list, nil
}

func adyenSigned(item jsontext.Value) []byte {
	paths := [][]string{
		{"pspReference"},
		{"originalReference"},
		{"merchantAccountCode"},
		{"merchantReference"},
		{"amount", "value"},
		{"amount", "currency"},
		{"eventCode"},
		{"success"},
	}
	parts := make([]string, len(paths))
	for i, path := range paths {
		parts[i] = textIn(item, path...)
	}
	return []byte(strings.Join(parts, ":"))
}

// adyenHMAC is anyHMAC with keys that are written in hex.
func (r *request) adyenHMAC(text string, message []byte) error {
	if text == "" {
		return fail(CodeMissing, "an item has no signature")
	}
	got, err := decodeBase64(text)
	if err != nil {
		return failWith(CodeSignature, "the signature is not base64", err)
	}
	readable := false
	if err := r.anySecret(func(secret string) bool {
		key, err := hex.DecodeString(strings.TrimSpace(secret))
		if err != nil || allZero(key) {
			return false
		}
		readable = true
		mac := hmac.New(sha256.New, key)
		mac.Write(message)
		return hmac.Equal(mac.Sum(nil), got)
	}); err != nil {
		if !readable && len(r.secrets) > 0 {
			return fail(CodeWrongSecret, "the secret is not a key in hex")
		}
		return err
	}
	return nil
}

func describeAdyen(r *request) Delivery {
	items, err := adyenItems(r)
	if err != nil {
		return describe(field("type"), nil, first(field("data", "id"), field("data", "accountHolder", "id"), field("data", "balanceAccount", "id")),
			rfc3339(field("timestamp")))(r)
	}
	return describeBatch(items, at("eventCode"), func(v jsontext.Value) string {
		code, reference := textIn(v, "eventCode"), textIn(v, "pspReference")
		if code == "" || reference == "" {
			return ""
		}
		// What failed at first and succeeded then comes with the same code and reference: two events.
		return code + "-" + reference + "-" + textIn(v, "success")
	}, at("merchantReference"))
}
