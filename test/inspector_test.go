package e2e

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"syscall"
	"testing"
)

// TestInspector visits the inspector of "posthorn listen" with Chromium: requests come while it is open, with scripts wherever
// texts can be; they are filtered, read, replayed, changed, and cleared. The pictures that it takes are in test/js/out.
func TestInspector(t *testing.T) {
	s := newServer(t)
	s.start()
	s.makeTenant()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		switch r.URL.Path {
		case "/broken.json":
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"a":[1,2,],"b":"<img src=x onerror=alert(1)>"}`)
		case "/packed":
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, `{"packed":true}`)
			_ = z.Close()
		case "/refuse":
			w.WriteHeader(http.StatusForbidden)
		default:
			w.Header().Set("X-Was", r.Header.Get("X-Mine"))
			w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
			_, _ = w.Write(body)
		}
	}))
	defer app.Close()
	cmd := exec.CommandContext(context.Background(), program, "listen", app.Listener.Addr().String(), "--server", s.url(), "--key", rootKey, "--tenant", tenant,
		"--name", "laptop", "--json", "--inspect", "127.0.0.1:0")
	log := &tail{}
	cmd.SysProcAttr, cmd.Env, cmd.Stderr = orphanless(), clean(), log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	first, err := lines.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	var started struct{ URL, Inspector string }
	if err := json.Unmarshal(first, &started); err != nil {
		t.Fatal(err)
	}
	browser, errOut := script(t, "inspector.mjs", started.Inspector, started.URL, "out")
	if err := browser.Run(); err != nil {
		t.Errorf("the inspector is not as it should be: %v\n%s\nposthorn listen wrote:\n%s", err, errOut, log)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || log.alarm {
		t.Errorf("posthorn listen ended with %v\n%s", err, log)
	}
}
