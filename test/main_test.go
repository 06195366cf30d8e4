// Package e2e holds the tests of the whole binary: they build posthorn, run it on a folder of their own, kill it, fill
// its disk and damage its files, and judge it from outside, by what publishers were told and what receivers got.
//
// The way through: build (main_test.go) → a server process (server_test.go) → publishers of real events
// (publish_test.go, payloads_test.go) → receivers that note every request (receiver_test.go) → the comparison of what
// was promised with what arrived (verify_test.go).
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// program is the path of the posthorn that the tests run.
var program string

// buildLimit is generous: a first build on a small machine compiles SQLite.
const buildLimit = 15 * time.Minute

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if program = os.Getenv("E2E_PROGRAM"); program != "" { // one that is built already
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "posthorn-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	// Some tests run the binary as another user.
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // holds nothing but the binary
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	program = filepath.Join(dir, "posthorn")
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	args := append([]string{"build", "-o", program}, buildFlags()...)
	build := exec.CommandContext(ctx, "go", append(args, "github.com/posthornhq/posthorn/cmd/posthorn")...)
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: cannot build posthorn:", err)
		return 1
	}
	return m.Run()
}

// buildFlags are the flags that E2E_BUILD=race asks for. The race detector makes the embedded database about ten times
// slower, so it is not the default; what it reports fails the test.
func buildFlags() []string {
	if os.Getenv("E2E_BUILD") == "race" {
		return []string{"-race"}
	}
	return nil
}
