package event

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWebhookID(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, test := range []struct{ id, want string }{
		{"0190b3f2-7c4e-7b1a-9c1d-2f5a6b7c8d9e", "0190b3f2-7c4e-7b1a-9c1d-2f5a6b7c8d9e"},
		{"urn:x:1/2@3?a=b&c,d;e", "urn:x:1/2@3?a=b&c,d;e"},
		{"order.42", "order~2E42"},
		{"order~2E42", "order~7E2E42"},
		{"a b\r\n", "a~20b~0D~0A"},
		{"é", "~C3~A9"},
		{long, long},
		{strings.Repeat(".", 86), "~~hx3IKGJ5REWLejUcZJnCZ0NXa93CFZpIDYc9vUx-ZhE"},
	} {
		got := WebhookID(test.id)
		if strings.HasPrefix(test.want, "~~") {
			if !strings.HasPrefix(got, "~~") || len(got) != 45 {
				t.Errorf("WebhookID(%q) = %q, want the form of a hash", test.id, got)
			}
			continue
		}
		if got != test.want {
			t.Errorf("WebhookID(%q) = %q, want %q", test.id, got, test.want)
		}
	}
}

func TestWebhookIDIsSafeAndInjective(t *testing.T) {
	alphabet := rapid.StringOfN(rapid.RuneFrom([]rune("a.~2E\r\n é7")), 1, 100, -1)
	rapid.Check(t, func(t *rapid.T) {
		a, b := alphabet.Draw(t, "a"), alphabet.Draw(t, "b")
		x, y := WebhookID(a), WebhookID(b)
		if (a == b) != (x == y) {
			t.Fatalf("%q and %q give %q and %q", a, b, x, y)
		}
		if x == "" || len(x) > 256 {
			t.Fatalf("length %d", len(x))
		}
		for i := range len(x) {
			if x[i] <= ' ' || x[i] >= 0x7f || x[i] == '.' {
				t.Fatalf("byte %#x in %q", x[i], x)
			}
		}
	})
}

func BenchmarkWebhookID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		WebhookID("0190b3f2-7c4e-7b1a-9c1d-2f5a6b7c8d9e")
	}
}
