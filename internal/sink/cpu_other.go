//go:build !unix

package sink

import "time"

// ProcessCPU returns 0: this system does not tell.
func ProcessCPU() time.Duration { return 0 }
