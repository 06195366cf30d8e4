package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// node is a receiver in Node.js.
type node struct {
	t       testing.TB
	in      io.WriteCloser
	out     *bufio.Scanner
	overdue *time.Timer // kills it when it says nothing
}

// report is a line that it prints.
type report struct {
	Port  int             `json:"port"`
	Ready bool            `json:"ready"`
	ID    string          `json:"id"`
	Type  string          `json:"type"`
	Data  json.RawMessage `json:"data"`
	Error string          `json:"error"`
}

func startNode(t *testing.T) *node {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", "receiver.mjs")
	cmd.Dir, cmd.SysProcAttr = "js", orphanless()
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	overdue := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		overdue.Stop()
		_ = in.Close()
		_ = cmd.Wait() // ended by its closed input or by the context
		if t.Failed() {
			t.Logf("node wrote:\n%s", &errOut)
		}
	})
	n := &node{t: t, in: in, out: bufio.NewScanner(out), overdue: overdue}
	n.out.Buffer(nil, 1<<20)
	return n
}

func (n *node) next() report {
	n.t.Helper()
	n.overdue.Reset(patience)
	if !n.out.Scan() {
		n.t.Fatalf("node ended: %v", n.out.Err())
	}
	var r report
	if err := json.Unmarshal(n.out.Bytes(), &r); err != nil {
		n.t.Fatalf("%v: %s", err, n.out.Bytes())
	}
	if r.Error != "" {
		n.t.Fatalf("node refuses %s: %s", r.ID, r.Error)
	}
	return r
}

func (n *node) trust(secret string) {
	n.t.Helper()
	if _, err := fmt.Fprintln(n.in, secret); err != nil {
		n.t.Fatal(err)
	}
	if !n.next().Ready {
		n.t.Fatal("node did not take the secret")
	}
}

// TestNode delivers to a receiver in Node.js that verifies with the npm package standardwebhooks, before, during and
// after a change of the signing secret.
func TestNode(t *testing.T) {
	s := newServer(t, patient, unhasty)
	s.start()
	s.makeTenant()
	n := startNode(t)
	id, secret := s.addEndpoint(client.Endpoint{URL: fmt.Sprintf("http://127.0.0.1:%d/hook", n.next().Port), Order: "strict"})
	n.trust(secret)
	list := payloads(t)
	send := func(list []payload) {
		t.Helper()
		for _, p := range list {
			receipt, err := s.client.Publish(t.Context(), tenant, client.Event{Type: p.kind, Data: p.data})
			if err != nil {
				t.Fatal(err)
			}
			got := n.next()
			if got.ID != receipt.ID || got.Type != p.kind || !sameJSON(t, got.Data, p.data) {
				t.Errorf("%s: node took %s, a %s", receipt.ID, got.ID, got.Type)
			}
		}
	}
	send(list[:100])
	changed, err := s.client.RotateSecret(t.Context(), tenant, id, client.Rotation{})
	if err != nil {
		t.Fatal(err)
	}
	if changed.Secret == secret {
		t.Error("the new secret is the old one")
	}
	send(list[100:105]) // the old secret still verifies
	n.trust(changed.Secret)
	send(list[105:110])
}

// sameJSON compares values: node writes numbers and escapes in its own way.
func sameJSON(t testing.TB, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatal(err)
	}
	one, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	two, err := json.Marshal(y)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(one, two)
}
