//go:build !linux

package sqlite

import "testing"

// mountSmall says that no small file system can be mounted here.
func mountSmall(*testing.T, string, int) (grow func(), ok bool) { return nil, false }
