package live

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestSocketNode has the npm client ws, and bare bytes, on the other side: test/js/socket-peer.mjs.
func TestSocketNode(t *testing.T) {
	h, _, _ := socketHub(t, func(c *Config) { c.Socket.MaxMessage = 1_000_000 })
	address := strings.TrimPrefix(sockets(t, h, allKey), "ws://")
	host, path, _ := strings.Cut(address, "/")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "socket-peer.mjs", host, "/"+path)
	cmd.Dir = "../../test/js"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v (is everything there? \"make test-setup\"):\n%s", err, out)
	}
}
