package app

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/internal/guard"
)

// TestCheckTarget: an address that is refused says who can allow it; a URL that is none does not.
func TestCheckTarget(t *testing.T) {
	t.Parallel()
	checks := guard.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil)
	if err := checkTarget(checks, "http://127.0.0.1/x", 100); err != nil {
		t.Error(err)
	}
	if err := checkTarget(checks, "http://10.0.0.1/x", 100); !errors.Is(err, guard.ErrForbiddenTarget) || !strings.HasSuffix(err.Error(), "it is a private address; whoever runs the server can allow it by allow-targets") {
		t.Error(err)
	}
	if err := checkTarget(checks, "ftp://a.example", 100); !errors.Is(err, guard.ErrInvalidURL) || strings.Contains(err.Error(), "allow-targets") {
		t.Error(err)
	}
}
