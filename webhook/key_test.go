package webhook_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/webhook"
)

func encode(prefix string, size int) string {
	return prefix + base64.StdEncoding.EncodeToString(make([]byte, size))
}

func TestParseKey(t *testing.T) {
	private := webhook.NewPrivateKey().Text()
	otherHalf := webhook.NewPrivateKey().Text()
	rawPrivate, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(private, webhook.PrefixPrivate))
	rawOther, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(otherHalf, webhook.PrefixPrivate))
	mixed := webhook.PrefixPrivate + base64.StdEncoding.EncodeToString(append(rawPrivate[:32:32], rawOther[32:]...))
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"shortest secret":     {encode("whsec_", 24), nil},
		"longest secret":      {encode("whsec_", 64), nil},
		"private":             {private, nil},
		"public":              {encode("whpk_", 32), nil},
		"nothing":             {"", webhook.ErrSecretPrefix},
		"no prefix":           {encode("", 32), webhook.ErrSecretPrefix},
		"prefix in capitals":  {encode("WHSEC_", 32), webhook.ErrSecretPrefix},
		"space before":        {" " + encode("whsec_", 32), webhook.ErrSecretPrefix},
		"empty secret":        {"whsec_", webhook.ErrSecretLength},
		"empty private":       {"whsk_", webhook.ErrSecretLength},
		"empty public":        {"whpk_", webhook.ErrSecretLength},
		"secret too short":    {encode("whsec_", 23), webhook.ErrSecretLength},
		"secret too long":     {encode("whsec_", 65), webhook.ErrSecretLength},
		"far too long":        {encode("whsec_", 1<<20), webhook.ErrSecretLength},
		"private as seed":     {encode("whsk_", 32), webhook.ErrSecretLength},
		"public too long":     {encode("whpk_", 33), webhook.ErrSecretLength},
		"halves do not match": {mixed, webhook.ErrSecretPair},
		"not base64":          {"whsec_" + strings.Repeat("!", 32), webhook.ErrSecretEncoding},
		"base64url":           {"whsec_" + strings.Repeat("-_-_", 8), webhook.ErrSecretEncoding},
		"no padding":          {strings.TrimRight(encode("whsec_", 32), "="), webhook.ErrSecretEncoding},
		"line end":            {encode("whsec_", 24) + "\n", webhook.ErrSecretEncoding},
		"loose bits":          {"whsec_" + strings.Repeat("A", 42) + "B=", webhook.ErrSecretEncoding},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := webhook.ParseKey(c.text)
			if !errors.Is(err, c.want) {
				t.Fatalf("ParseKey: got error %v, want %v", err, c.want)
			}
			if c.want == nil && key.Text() != c.text {
				t.Errorf("Text is %q, want %q", key.Text(), c.text)
			}
			if c.want != nil && key != (webhook.Key{}) {
				t.Error("ParseKey returned a key with an error")
			}
			if _, secret, _ := strings.Cut(c.text, "_"); err != nil && secret != "" && strings.Contains(err.Error(), secret) {
				t.Errorf("the error holds the secret: %v", err)
			}
		})
	}
}

func TestNewKeysAreReadBackAndDiffer(t *testing.T) {
	for name, make := range map[string]func() webhook.Key{"secret": webhook.NewSecret, "private": webhook.NewPrivateKey} {
		a, b := make(), make()
		if a.Text() == b.Text() {
			t.Errorf("%s: two new keys are the same", name)
		}
		read, err := webhook.ParseKey(a.Text())
		if err != nil || read.Text() != a.Text() {
			t.Errorf("%s: read back as %q, %v", name, read.Text(), err)
		}
	}
}

func TestPublic(t *testing.T) {
	private := webhook.NewPrivateKey()
	public := private.Public()
	if !strings.HasPrefix(public.Text(), webhook.PrefixPublic) {
		t.Errorf("Public of a private key is %q", public.Text())
	}
	if again := public.Public(); again.Text() != public.Text() {
		t.Errorf("Public of a public key is %q, want %q", again.Text(), public.Text())
	}
	if got := (webhook.Key{}).Public().Text(); got != "" {
		t.Errorf("Public of an empty key is %q", got)
	}
}

func TestKeysDoNotPrintThemselves(t *testing.T) {
	type holder struct{ key webhook.Key }
	for _, key := range []webhook.Key{webhook.NewSecret(), webhook.NewPrivateKey()} {
		_, encoded, _ := strings.Cut(key.Text(), "_")
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			t.Fatal(err)
		}
		decimal := fmt.Sprintf("%d %d %d %d", raw[0], raw[1], raw[2], raw[3])
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			for _, value := range []any{key, &key, []webhook.Key{key}, holder{key}, &holder{key}} {
				out := fmt.Sprintf(verb, value)
				if strings.Contains(out, encoded) || strings.Contains(out, fmt.Sprintf("%x", raw[:4])) || strings.Contains(out, decimal) {
					t.Errorf("%s of %T prints the secret", verb, value)
				}
			}
		}
		if out, err := json.Marshal(map[string]any{"key": key}); err != nil || string(out) != `{"key":{}}` {
			t.Errorf("JSON is %s, %v", out, err)
		}
	}
	if got := fmt.Sprint(webhook.NewSecret()); got != "whsec_***" {
		t.Errorf("a secret prints as %q", got)
	}
}
