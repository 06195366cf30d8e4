package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// uiShared are the files of js/ui that are no flows.
var uiShared = []string{"harness", "seed", "texts"}

// TestUI visits the web UI with Chromium: each flow of js/ui has a server and a browser of its own. E2E_FLOW=events,login
// runs some only; UPDATE_SCREENS=1 writes the pictures of docs/screens anew.
func TestUI(t *testing.T) {
	files, err := filepath.Glob("js/ui/*.mjs")
	if err != nil || len(files) == 0 {
		t.Fatalf("no flows: %v", err)
	}
	chosen := os.Getenv("E2E_FLOW")
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".mjs")
		if slices.Contains(uiShared, name) || chosen != "" && !slices.Contains(strings.Split(chosen, ","), name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			uiFlow(t, name)
		})
	}
}

// uiFlow runs one flow. A line that it writes is an order: kill, stop or start the server, the latter with more options for this
// time, or listen at an address.
func uiFlow(t *testing.T, name string) {
	s := newServer(t)
	var provider string
	if name == "oidc" {
		provider = startProvider(t, s.url()+"/ui/login/oidc/callback")
		s.args = append(s.args, "--public-url", s.url(), "--oidc-issuer", provider, "--oidc-client-id", "posthorn", "--oidc-logout", "on", "--oidc-client-secret", "posthorn-client-secret",
			"--oidc-roles", "ops=admin,acme-team=acme:read+manage+publish")
	}
	s.start()
	usual := slices.Clone(s.args)
	browser, errOut := script(t, "ui/"+name+".mjs", s.url(), rootKey, provider)
	in, err := browser.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := browser.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := browser.Start(); err != nil {
		t.Fatal(err)
	}
	for orders := bufio.NewScanner(out); orders.Scan(); {
		answer := "done"
		switch order, argument, _ := strings.Cut(orders.Text(), " "); order {
		case "kill":
			s.kill()
		case "stop":
			s.stop()
		case "start":
			s.args = append(slices.Clone(usual), strings.Fields(argument)...)
			s.start()
		case "listen":
			answer = s.listen(argument)
		default:
			t.Errorf("the flow orders %q", order)
		}
		if _, err := fmt.Fprintln(in, answer); err != nil {
			t.Error(err)
		}
	}
	if err := browser.Wait(); err != nil {
		t.Errorf("the flow %s fails: %v\n%s", name, err, errOut)
	} else if os.Getenv("UI_TIMES") != "" {
		t.Logf("\n%s", errOut)
	}
}

// listen runs "posthorn listen" for a program at an address until the test ends, and returns the tunnel's URL.
func (s *server) listen(address string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), program, "listen", address, "--server", s.url(), "--key", rootKey, "--tenant", tenant, "--name", "ui", "--json")
	cmd.SysProcAttr, cmd.Env = orphanless(), clean()
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	first, err := lines.ReadBytes('\n')
	if err != nil {
		s.t.Fatal(err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		_ = cmd.Wait() // it ends with the test
	}()
	var started struct{ URL string }
	if err := json.Unmarshal(first, &started); err != nil {
		s.t.Fatal(err)
	}
	return started.URL
}

// startProvider runs an OpenID Connect provider with the users of js/oidc.mjs, and returns its issuer.
func startProvider(t *testing.T, redirect string) string {
	t.Helper()
	provider, errOut := script(t, "oidc.mjs", redirect)
	in, err := provider.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := provider.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := provider.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	issuer, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("no provider: %v\n%s", err, errOut)
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		_ = provider.Wait() // it is killed, or has ended with its input
		close(ended)
	}()
	t.Cleanup(func() {
		_ = in.Close()
		<-ended
		if t.Failed() {
			t.Logf("the provider wrote:\n%s", errOut)
		}
	})
	return strings.TrimSpace(issuer)
}
