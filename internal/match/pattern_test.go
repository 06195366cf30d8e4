package match

import (
	"strings"
	"testing"
)

func TestPatterns(t *testing.T) {
	tests := []struct {
		pattern string
		yes, no []string
	}{
		{"*", []string{"a", "a.b", "a.b.c", "posthorn"}, []string{"posthorn.endpoint.disabled"}},
		{"**", []string{"a", "a.b", "a.b.c"}, []string{"posthorn.endpoint.disabled"}},
		{"order.paid", []string{"order.paid"}, []string{"order", "order.paid.late", "Order.paid", "order.pai"}},
		{"order.*", []string{"order.paid"}, []string{"order", "order.paid.late", "orders.paid"}},
		{"order.**", []string{"order.paid", "order.paid.late"}, []string{"order", "orders.paid"}},
		{"*.created", []string{"user.created"}, []string{"created", "a.b.created", "posthorn.created"}},
		{"*.*.c", []string{"a.b.c"}, []string{"a.c", "posthorn.b.c"}},
		{"*.**", []string{"a.b", "a.b.c"}, []string{"a", "posthorn.a"}},
		{"a.*.**", []string{"a.b.c", "a.b.c.d"}, []string{"a.b", "a"}},
		{"posthorn.**", []string{"posthorn.endpoint.disabled"}, []string{"posthorn", "a"}},
		{"posthorn.*.disabled", []string{"posthorn.endpoint.disabled"}, []string{"posthorn.disabled"}},
		{"posthorn.endpoint.disabled", []string{"posthorn.endpoint.disabled"}, nil},
	}
	for _, tt := range tests {
		if reason := CheckPattern(tt.pattern); reason != "" {
			t.Errorf("CheckPattern(%q) = %q", tt.pattern, reason)
		}
		for _, typ := range tt.yes {
			if !matchPattern(tt.pattern, typ) {
				t.Errorf("%q does not match %q", tt.pattern, typ)
			}
		}
		for _, typ := range tt.no {
			if matchPattern(tt.pattern, typ) {
				t.Errorf("%q matches %q", tt.pattern, typ)
			}
		}
	}
}

func TestCheckPattern(t *testing.T) {
	for pattern, message := range map[string]string{
		"": "empty", "a..b": "single dots", ".a": "single dots", "a.": "single dots", "ord*": "whole segment", "**.a": "last segment",
		"a.***": "whole segment", "a b": "letters", strings.Repeat("a", 257): "256 bytes", "ä": "letters",
	} {
		if got := CheckPattern(pattern); !strings.Contains(got, message) {
			t.Errorf("CheckPattern(%q) = %q, want %q", pattern, got, message)
		}
	}
}
