package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal opens a terminal of 100 columns and 30 lines: what a program shows is read from the first end, and keys are pressed there.
func terminal(t *testing.T) (keys, screen *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	raw := int(keys.Fd())
	if err := unix.IoctlSetPointerInt(raw, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(raw, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(raw, unix.TIOCSWINSZ, &unix.Winsize{Row: 30, Col: 100}); err != nil {
		t.Fatal(err)
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return keys, screen
}

// TestTunnelInATerminal presses the keys of "posthorn listen" on a terminal: help, choose, replay, copy, quit; and the terminal is
// as it was afterwards.
func TestTunnelInATerminal(t *testing.T) {
	s := newServer(t)
	s.start()
	s.makeTenant()
	l := newLaptop(t)
	keys, screen := terminal(t)
	before, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), program, "listen", l.local.Listener.Addr().String(), "--server", s.url(), "--key", rootKey,
		"--tenant", tenant, "--inspect", "127.0.0.1:0", "--name", "laptop")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = screen, screen, screen
	cmd.Env = append(clean(), "TERM=xterm-256color")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := keys.Read(buf)
			_, _ = l.log.Write(buf[:n])
			if err != nil { // the end of the terminal
				return
			}
		}
	}()
	press := func(key, shows string) {
		t.Helper()
		seen := strings.Count(l.log.String(), shows)
		if _, err := keys.WriteString(key); err != nil {
			t.Fatal(err)
		}
		waitUntil(t, "the key "+key+" shows "+shows, func() bool { return strings.Count(l.log.String(), shows) > seen })
	}
	waitUntil(t, "the screen says that it is connected", func() bool { return strings.Contains(l.log.String(), "connected") })
	var list struct {
		Data []struct{ URL string }
	}
	s.api(http.MethodGet, "/v1/tenants/"+tenant+"/tunnels", nil, &list)
	for i, path := range []string{"/first", "/second"} {
		if status, _ := call(t, http.MethodPost, list.Data[0].URL+path, nil, []byte(path)); status != http.StatusOK {
			t.Errorf("%s is answered %d", path, status)
		}
		waitUntil(t, path+" is on the screen", func() bool { return strings.Contains(l.log.String(), path) && len(l.requests()) == i+1 })
	}
	press("?", "stop listening")
	press("?", "/second")
	press("r", "replayed POST /second")
	press("\x1b[A", "/first") // up: from the newest, which is the replay, to the second and the first
	press("\x1b[A", "/first")
	press("\x1b[A", "/first")
	press("r", "replayed POST /first")
	press("c", "\x1b]52;c;")
	waitUntil(t, "the replays came", func() bool { return len(l.requests()) == 4 })
	for i, want := range []string{"/first", "/second", "/second", "/first"} {
		if r := l.requests()[i]; r.target != want || string(r.body) != want {
			t.Errorf("request %d is %s with %q", i, r.target, r.body)
		}
	}
	if _, err := keys.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	after, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
	if err != nil || after.Lflag != before.Lflag || after.Iflag != before.Iflag || after.Oflag != before.Oflag {
		t.Errorf("the terminal was left as %+v, not as %+v (%v)", after, before, err)
	}
	if err := screen.Close(); err != nil {
		t.Error(err)
	}
	<-read
}
