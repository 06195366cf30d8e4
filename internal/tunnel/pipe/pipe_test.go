package pipe

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// A deadline that net/http takes off does not come back to life after the connection broke.
func TestBrokenStaysBroken(t *testing.T) {
	here, there := net.Pipe()
	defer func() { _, _ = here.Close(), there.Close() }()
	open := &Streams{}
	s := open.Add(here)
	open.Interrupt()
	_ = s.SetReadDeadline(time.Time{})
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if _, err := open.Add(there).Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
