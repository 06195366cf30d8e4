package e2e

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/posthornhq/posthorn/client"
)

// diskSize is the size of the small disk in MiB, room how many bytes of it are left to the server.
const (
	diskSize = 48
	room     = 6 << 20
)

// smallDisk returns a folder on a file system of its own, as the test sees it and as the server sees it, and the command
// that a server must be wrapped in to see it.
func smallDisk(t *testing.T) (outside, inside string, wrap []string) {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", diskSize))
	if err == nil {
		t.Cleanup(func() {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Errorf("unmount: %v", err)
			}
		})
		return dir, dir, nil
	}
	if pid, ok := namespace(t, dir); ok {
		return fmt.Sprintf("/proc/%d/root%s", pid, dir), dir,
			[]string{"nsenter", "--preserve-credentials", "-U", "-m", "-t", fmt.Sprint(pid), "--"}
	}
	// Containers that allow neither have a small disk of their own.
	var st syscall.Statfs_t
	if e := syscall.Statfs("/dev/shm", &st); e != nil || st.Blocks*uint64(st.Bsize) > 512<<20 {
		t.Fatalf("no small disk: mounting one needs root (%v) or user namespaces, and /dev/shm is not small", err)
	}
	shm, err := os.MkdirTemp("/dev/shm", "posthorn-e2e-") //nolint:usetesting // it must be there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(shm) })
	return shm, shm, nil
}

// namespace starts a process that holds a mount of a small disk in a user namespace.
func namespace(t *testing.T, dir string) (pid int, ok bool) {
	t.Helper()
	script := fmt.Sprintf(`mount -t tmpfs -o size=%dm tmpfs "$0" && echo mounted && read -r _`, diskSize)
	cmd := exec.CommandContext(t.Context(), "unshare", "-Urm", "sh", "-c", script, dir)
	cmd.SysProcAttr = orphanless()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if cmd.Start() != nil {
		return 0, false
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if line != "mounted\n" {
		_ = cmd.Wait() // it failed
		return 0, false
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // ended by the closed input or by the context
	})
	return cmd.Process.Pid, true
}

// fullDisk is a server on a small disk.
type fullDisk struct {
	*server
	receiver *receiver
	filler   string
	acked    map[string]client.Receipt // by id
	refused  []client.Event            // answered with 507
	payloads []payload
	n        int
}

func newFullDisk(t *testing.T) *fullDisk {
	t.Helper()
	outside, inside, wrap := smallDisk(t)
	d := &fullDisk{
		server: newServer(t, patient, unhasty), filler: filepath.Join(outside, "filler"), acked: map[string]client.Receipt{}, payloads: payloads(t),
		receiver: newReceiver(t, "only", &runCounter{}, conduct{}, 1),
	}
	d.data, d.wrap = filepath.Join(inside, "data"), wrap
	d.start()
	d.makeTenant()
	d.addEndpoint(client.Endpoint{URL: d.receiver.url})
	d.fill(outside)
	return d
}

// fill takes all but a little of the disk.
func (d *fullDisk) fill(dir string) {
	d.t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		d.t.Fatal(err)
	}
	free := int64(st.Bavail) * st.Bsize
	f, err := os.Create(d.filler)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := errors.Join(syscall.Fallocate(int(f.Fd()), 0, 0, free-room), f.Close()); err != nil {
		d.t.Fatal(err)
	}
}

// free gives the space back.
func (d *fullDisk) free() {
	d.t.Helper()
	if err := os.Remove(d.filler); err != nil {
		d.t.Fatal(err)
	}
}

// publish publishes one more event, until the disk is full.
func (d *fullDisk) publish() error {
	p := d.payloads[d.n%len(d.payloads)]
	d.n++
	ev := client.Event{ID: fmt.Sprintf("event-%d", d.n), Type: p.kind, Data: p.data}
	receipt, err := d.client.Publish(d.t.Context(), tenant, ev)
	if err != nil {
		d.refused = append(d.refused, ev)
		return err
	}
	d.acked[ev.ID] = receipt
	return nil
}

// overflow publishes until the disk is full, and looks at the answers that then come.
func (d *fullDisk) overflow() {
	d.t.Helper()
	for refused := 0; refused < 3; {
		err := d.publish()
		if err == nil {
			if refused = 0; len(d.acked) > 100_000 {
				d.t.Fatal("the disk does not fill up")
			}
			continue
		}
		refused++
		problem, ok := errors.AsType[*client.Problem](err)
		switch {
		case !ok || problem.Status != http.StatusInsufficientStorage:
			d.t.Fatalf("publishing on a full disk: %v, want a problem with status 507", err)
		case problem.Code == "" || strings.HasPrefix(problem.Code, "http_") || problem.Detail == "":
			d.t.Errorf("the answer is not a problem document: %+v", problem)
		case problem.RetryAfter <= 0:
			d.t.Errorf("the answer has no Retry-After: %+v", problem)
		}
	}
	d.t.Logf("full after %d events", len(d.acked))
}

// check compares the log and the arrivals with what was acknowledged.
func (d *fullDisk) check() {
	d.t.Helper()
	log := d.changes()
	if len(log) != len(d.acked) {
		d.t.Errorf("%d events on the log, %d were acknowledged", len(log), len(d.acked))
	}
	for i, e := range log {
		if r := d.acked[e.ID]; r.Version != int64(i)+1 || e.Version != r.Version {
			d.t.Errorf("place %d of the log has %s in version %d, acknowledged as %v", i+1, e.ID, e.Version, r)
		}
	}
	eventually(d.t, "everything arrives", func() (bool, string) {
		missing := d.receiver.missing(wanted(log, &client.Endpoint{}))
		return len(missing) == 0, fmt.Sprintf("%d are missing", len(missing))
	})
}

// TestFullDisk fills the disk under a server: publishing says so, nothing acknowledged is lost, and once there is space
// it goes on by itself.
func TestFullDisk(t *testing.T) {
	d := newFullDisk(t)
	d.overflow()
	eventually(t, "/readyz says that the disk is full", func() (bool, string) {
		status, body, err := d.get(t.Context(), "/readyz")
		return err == nil && status == http.StatusServiceUnavailable && strings.Contains(body, "space"), fmt.Sprint(status, body, err)
	})
	if status, _, err := d.get(t.Context(), "/healthz"); err != nil || status != http.StatusOK {
		t.Errorf("/healthz: %d, %v", status, err)
	}
	d.check() // also read and delivered while the disk is full
	d.free()
	eventually(t, "publishing goes on by itself", func() (bool, string) {
		err := d.publish()
		return err == nil, fmt.Sprint(err)
	})
	eventually(t, "/readyz says that all is well", func() (bool, string) {
		status, body, err := d.get(t.Context(), "/readyz")
		return err == nil && status == http.StatusOK, fmt.Sprint(status, body, err)
	})
	for _, ev := range d.refused { // what was refused can be sent now, and is not there twice
		receipt, err := d.client.Publish(t.Context(), tenant, ev)
		if err != nil {
			t.Fatal(err)
		}
		d.acked[ev.ID] = receipt
	}
	d.check()
	d.stop()
	_, before := d.receiver.count()
	if before != len(d.acked) {
		t.Errorf("%d events arrived, %d times", len(d.acked), before)
	}
	d.start()
	d.check()
	d.stop()
	if _, after := d.receiver.count(); after != before {
		t.Errorf("%d events came again after the restart", after-before)
	}
}

// TestFullDiskKill kills the server while its disk is full. Without space it does not start, or starts and says that it
// is full; with space it has everything.
func TestFullDiskKill(t *testing.T) {
	d := newFullDisk(t)
	d.overflow()
	d.kill()
	d.launch()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for up := false; !up; {
		status, _, err := d.get(ctx, "/readyz")
		up = err == nil && status == http.StatusServiceUnavailable
		select {
		case <-d.done:
			if !strings.Contains(d.log.String(), "no space left") {
				t.Errorf("it ended without saying that the disk is full:\n%s", d.log)
			}
			up = true
		default:
			if !up && !pause(ctx, poll) {
				t.Fatalf("it neither ends nor says that it is full: %d, %v", status, err)
			}
		}
	}
	d.kill()
	d.free()
	d.start()
	for _, ev := range d.refused {
		receipt, err := d.client.Publish(t.Context(), tenant, ev)
		if err != nil {
			t.Fatal(err)
		}
		d.acked[ev.ID] = receipt
	}
	d.check()
	seen := map[int64][32]byte{}
	for _, a := range d.receiver.arrivals() {
		if was, ok := seen[a.version]; ok && was != sha256.Sum256([]byte(a.webhook)) {
			t.Errorf("version %d came with two ids", a.version)
		}
		seen[a.version] = sha256.Sum256([]byte(a.webhook))
	}
}
