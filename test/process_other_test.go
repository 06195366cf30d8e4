//go:build !linux

package e2e

import "syscall"

// orphanless does nothing where a child cannot be bound to its parent.
func orphanless() *syscall.SysProcAttr { return nil }
