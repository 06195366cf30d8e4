package sqlite

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// mountSmall mounts a small file system on a folder and returns what makes it large; false where that is not permitted.
func mountSmall(t *testing.T, dir string, bytes int) (grow func(), ok bool) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Logf("a file that may not grow stands in for a small file system: %v", err)
		return nil, false
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return func() {
		if err := unix.Mount("", dir, "tmpfs", unix.MS_REMOUNT, "size=64m"); err != nil {
			t.Fatal(err)
		}
	}, true
}
