package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// ask gets a path of the API and returns the status and what it says, byte for byte.
func (s *server) ask(path string) (int, []byte) {
	s.t.Helper()
	t, ok := s.t.(*testing.T)
	if !ok {
		s.t.Fatal("not a test")
	}
	return call(t, http.MethodGet, s.url()+path, map[string]string{"Authorization": "Bearer " + rootKey}, nil)
}

// TestBinKeepsEverything: what is sent to a bin, a form with files among it, is given out byte for byte, also after a kill; its
// four exports hold it, and the commands of the fourth send the same again.
func TestBinKeepsEverything(t *testing.T) {
	s := newServer(t)
	s.start()
	s.makeTenant()
	if status := s.api(http.MethodPost, "/v1/bins", object{"tenant": tenant, "alias": "all"}, nil); status != http.StatusCreated {
		t.Fatal(status)
	}
	file := make([]byte, 300_000)
	_, _ = rand.Read(file)
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("photo", `a "quoted" žluť.png`)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write(file) // into memory
	if err := w.WriteField("name", "Jan\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	sent := []struct {
		method, path, kind string
		body               []byte
	}{
		{"POST", "/form?a=%20b&a=c", w.FormDataContentType(), form.Bytes()},
		{"PROPFIND", "/odd%2Fpath", "application/octet-stream", []byte("\x00\xff\r\n'\"$(id)`id`")},
		{"PUT", "/text", "text/plain; charset=utf-8", []byte("=1+1 \"quoted\", žluť\nline")},
	}
	for _, r := range sent {
		if status, answer := call(t, r.method, s.url()+"/b/all"+r.path, map[string]string{"Content-Type": r.kind}, r.body); status != http.StatusOK {
			t.Fatalf("%s is answered %d %s", r.path, status, answer)
		}
	}
	s.kill()
	s.start()
	for i, r := range sent {
		at := "/v1/bins/all/requests/" + strconv.Itoa(i+1)
		if _, body := s.ask(at + "/body"); !bytes.Equal(body, r.body) {
			t.Errorf("the body of %s has %d bytes, not the %d that were sent", r.path, len(body), len(r.body))
		}
		if _, raw := s.ask(at + "/raw"); !bytes.HasPrefix(raw, []byte(r.method+" /b/all"+r.path+" HTTP/1.1\r\n")) || !bytes.HasSuffix(raw, append([]byte("\r\n\r\n"), r.body...)) {
			t.Errorf("%s is given out as %.200q", r.path, raw)
		}
	}
	if _, got := s.ask("/v1/bins/all/requests/1/files/0"); !bytes.Equal(got, file) {
		t.Errorf("the file has %d bytes", len(got))
	}
	exports(t, s, len(sent))
	again(t, s, sent[0].body, sent[1].body, sent[2].body)
}

// exports reads the bin's exports with what reads such files.
func exports(t *testing.T, s *server, n int) {
	t.Helper()
	_, out := s.ask("/v1/bins/all/export?format=json")
	var list []object
	if err := json.Unmarshal(out, &list); err != nil || len(list) != n {
		t.Errorf("the JSON has %d requests: %v in %.200s", len(list), err, out)
	}
	_, out = s.ask("/v1/bins/all/export?format=csv")
	if rows, err := csv.NewReader(bytes.NewReader(out)).ReadAll(); err != nil || len(rows) != n+1 {
		t.Errorf("the CSV has %d rows: %v", len(rows), err)
	}
	_, out = s.ask("/v1/bins/all/export?format=har")
	var har struct {
		Log struct {
			Version string
			Entries []struct{ Request struct{ Method, URL string } }
		}
	}
	if err := json.Unmarshal(out, &har); err != nil || har.Log.Version != "1.2" || len(har.Log.Entries) != n {
		t.Errorf("the HAR is %.200s: %v", out, err)
	}
}

// again runs the curl commands of a bin's requests in a shell, which sends them all once more.
func again(t *testing.T, s *server, bodies ...[]byte) {
	t.Helper()
	_, out := s.ask("/v1/bins/all/export?format=curl")
	dir := t.TempDir()
	file := filepath.Join(dir, "commands.sh")
	if err := os.WriteFile(file, out, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", file)
	cmd.Dir, cmd.Env = dir, append(clean(), "NO_PROXY=*")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the commands fail: %v\n%.1000s", err, text)
	}
	var sent [][]byte
	for i := range bodies {
		_, got := s.ask("/v1/bins/all/requests/" + strconv.Itoa(len(bodies)+i+1) + "/body")
		sent = append(sent, got)
	}
	for i, body := range bodies {
		if !slices.ContainsFunc(sent, func(got []byte) bool { return bytes.Equal(got, body) }) {
			t.Errorf("no command sends the body of request %d again", i+1)
		}
	}
}

// TestBinLimits: a bin that refuses when it is full, one that forgets, one that ends, and one that is slow on purpose.
func TestBinLimits(t *testing.T) {
	s := newServer(t)
	s.start()
	s.makeTenant()
	bin := func(alias string, more object) string {
		t.Helper()
		more["tenant"], more["alias"] = tenant, alias
		if status := s.api(http.MethodPost, "/v1/bins", more, nil); status != http.StatusCreated {
			t.Fatalf("%s is answered %d", alias, status)
		}
		return s.url() + "/b/" + alias
	}
	send := func(url string) int {
		t.Helper()
		status, _ := call(t, http.MethodPost, url, nil, []byte("x"))
		return status
	}
	full := bin("full", object{"keep": 2, "refuse": true})
	for i, want := range []int{200, 200, 410, 410} {
		if got := send(full); got != want {
			t.Errorf("request %d of a full bin is answered %d", i, got)
		}
	}
	forgets := bin("forgets", object{"keep": 2})
	for range 5 {
		if got := send(forgets); got != http.StatusOK {
			t.Errorf("a bin that forgets answers %d", got)
		}
	}
	waitUntil(t, "the oldest are forgotten", func() bool {
		var list struct{ Data []struct{ Seq int } }
		s.api(http.MethodGet, "/v1/bins/forgets/requests?order=oldest", nil, &list)
		return len(list.Data) == 2 && list.Data[0].Seq == 4
	})
	ends := bin("ends", object{"ttl": "1h"})
	if got := send(ends); got != http.StatusOK {
		t.Errorf("a bin is answered %d before its end", got)
	}
	if status := s.api(http.MethodPatch, "/v1/bins/ends", object{"ttl": "1s"}, nil); status != http.StatusOK {
		t.Errorf("a change of its end is answered %d", status)
	}
	slow := bin("slow", object{"delay": "1s", "answer": object{"status": 418, "body": "tea"}})
	began := time.Now()
	if got := send(slow); got != http.StatusTeapot || time.Since(began) < time.Second {
		t.Errorf("a slow bin answers %d after %v", got, time.Since(began))
	}
	waitUntil(t, "the bin has ended", func() bool { return send(ends) == http.StatusGone })
	s.kill()
	s.start()
	if got := send(full); got != http.StatusGone {
		t.Errorf("after a kill the full bin answers %d", got)
	}
	if status, _ := s.ask("/v1/bins/forgets/requests/latest"); status != http.StatusOK {
		t.Errorf("after a kill the newest is answered %d", status)
	}
	if _, header, _ := sendPlain(t, http.MethodGet, slow, ""); header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("the answer has %v", header)
	}
}
