package e2e

import "syscall"

// orphanless ends a child with its parent.
func orphanless() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
