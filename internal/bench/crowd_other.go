//go:build !linux

package bench

import "time"

type crowd struct{}

func newCrowd() (*crowd, error) { return nil, errNoProc }

func (*crowd) listen(time.Duration) error { return errNoProc }
func (*crowd) open(Order) error           { return errNoProc }
func (*crowd) heard() Heard               { return Heard{} }
func (*crowd) reset()                     {}
func (*crowd) closeAll()                  {}
func (*crowd) close()                     {}

func raiseFiles(int) (int, error) { return 0, errNoProc }
