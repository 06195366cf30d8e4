package e2e

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// root is the repository's folder.
const root = ".."

// block is a fenced block of a page, or a paragraph between two.
type block struct {
	kind string // the language; "" for prose
	text string
}

// blocks reads a page from one line to another, both given in full; "" stands for the page's start or end.
func blocks(t testing.TB, page, from, to string) []block {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	if from != "" {
		_, after, found := strings.Cut(text, "\n"+from+"\n")
		if !found {
			t.Fatalf("%s has no line %q", page, from)
		}
		text = after
	}
	if to != "" {
		before, _, found := strings.Cut(text, "\n"+to+"\n")
		if !found {
			t.Fatalf("%s has no line %q behind %q", page, to, from)
		}
		text = before
	}
	var list []block
	for i, part := range strings.Split("\n"+text, "\n```") {
		if i%2 == 0 {
			list = append(list, block{text: part})
			continue
		}
		kind, code, _ := strings.Cut(part, "\n")
		list = append(list, block{kind, code})
	}
	return list
}

// reader does what a page says, as its reader would: it types what is in sh blocks, puts what was printed in the
// place of ph_…, ep_… and whsec_…, and looks for what text blocks say will be printed.
type reader struct {
	t        testing.TB
	dir      string // the working folder; bin/posthorn is the program
	env      string // a file with the variables of the terminal in use
	serverAt string
	sinkAt   string
	printed  *tail // by commands that end
	server   *background
	sink     *background
	others   []*background // that listen
}

// background is a program that goes on in a terminal of its own.
type background struct {
	line    string
	cmd     *exec.Cmd
	printed *tail
	done    chan struct{}
}

func newReader(t testing.TB) *reader {
	t.Helper()
	r := &reader{t: t, dir: t.TempDir(), serverAt: freeAddress(t), sinkAt: freeAddress(t), printed: &tail{}}
	r.env = filepath.Join(r.dir, "env")
	if err := os.Mkdir(filepath.Join(r.dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	// On a terminal curl shows no progress.
	if err := os.WriteFile(filepath.Join(r.dir, ".curlrc"), []byte("silent\nshow-error\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	where, err := filepath.Abs(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(where, filepath.Join(r.dir, "bin", "posthorn")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, b := range r.others {
			r.stop(b)
		}
		r.stop(r.sink)
		r.stop(r.server)
		if t.Failed() {
			t.Logf("printed was:\n%s", strings.Join(r.screens(), "\n--- in another terminal:\n"))
		}
	})
	return r
}

// screens are what the terminals show.
func (r *reader) screens() []string {
	list := []string{r.printed.String()}
	for _, b := range append([]*background{r.server, r.sink}, r.others...) {
		if b != nil {
			list = append(list, b.printed.String())
		}
	}
	return list
}

// follow does what the blocks say, in their order.
func (r *reader) follow(list []block) {
	r.t.Helper()
	last := ""
	for _, b := range list {
		switch b.kind {
		case "":
			r.heed(strings.Join(strings.Fields(b.text), " "))
		case "sh":
			last = r.fill(b.text)
			r.do(last)
		case "js":
			if strings.Contains(b.text, `import("/client/`) { // for the console of a page of the server's own
				r.browse(r.fill(b.text))
			}
		case "text":
			r.expect(b.text, last)
		}
	}
}

// heed does what the prose asks for.
func (r *reader) heed(prose string) {
	r.t.Helper()
	if strings.Contains(prose, "Stop the receiver with Ctrl-C") {
		r.stop(r.sink)
	}
	if strings.Contains(prose, "Stop the server with Ctrl-C") {
		r.stop(r.server)
	}
	if strings.Contains(prose, "Start the receiver again") {
		r.sink = r.start(r.sink.line)
		r.wait(r.sink, r.sinkAt)
	}
	if strings.Contains(prose, "Start the server again") {
		r.server = r.start(r.server.line)
		r.wait(r.server, r.serverAt)
	}
}

// places are the words that stand for something that was printed.
var places = map[string]*regexp.Regexp{
	"ph_…":    regexp.MustCompile(`\bph_[a-z0-9]+`),
	"ep_…":    regexp.MustCompile(`\bep_[a-z0-9]+`),
	"whsec_…": regexp.MustCompile(`\bwhsec_[A-Za-z0-9+/=]+`),
	"eyJ…":    regexp.MustCompile(`\beyJ[A-Za-z0-9._-]+`),
}

// known is what the server and the commands printed.
func (r *reader) known() string {
	text := r.printed.String()
	if r.server != nil {
		text = r.server.printed.String() + "\n" + text
	}
	return text
}

// fill puts what was printed last in its place, and free ports for those of the page.
func (r *reader) fill(code string) string {
	r.t.Helper()
	for place, form := range places {
		if !strings.Contains(code, place) {
			continue
		}
		found := form.FindAllString(r.known(), -1)
		if len(found) == 0 {
			r.t.Fatalf("%s was not printed before it is used in:\n%s", place, code)
		}
		code = strings.ReplaceAll(code, place, found[len(found)-1])
	}
	return strings.NewReplacer(
		"127.0.0.1:8080", r.serverAt, "127.0.0.1:9000", r.sinkAt, "posthorn sink", "posthorn sink --listen "+r.sinkAt,
	).Replace(code)
}

// listens tells commands that go on until they are stopped.
func listens(line string) bool {
	return strings.HasPrefix(line, "curl -N") || strings.HasPrefix(line, "posthorn listen") || strings.HasPrefix(line, "posthorn bin --") ||
		strings.HasPrefix(line, "posthorn tail") && !strings.Contains(line, "--no-follow") && !strings.Contains(line, "--count")
}

// do runs a block: a server, a receiver or who listens in a terminal of its own, all else to its end.
func (r *reader) do(code string) {
	r.t.Helper()
	switch {
	case listens(code):
		for line := range strings.Lines(code) {
			r.others = append(r.others, r.start(strings.TrimSpace(line)))
		}
	case strings.HasPrefix(code, "posthorn serve"):
		r.server = r.start(code)
		r.wait(r.server, r.serverAt)
	case strings.HasPrefix(code, "posthorn sink"):
		r.sink = r.start(code)
		r.wait(r.sink, r.sinkAt)
	default:
		if err := r.shell(code + "\necho").Run(); err != nil {
			r.t.Fatalf("%v in:\n%s", err, code)
		}
	}
}

// shell is a bash with the variables that the last one left.
func (r *reader) shell(code string) *exec.Cmd {
	const script = `set -eu -o pipefail; if [ -e "$1" ]; then . "$1"; fi; eval "$2"; export -p >"$1"`
	cmd := exec.Command("bash", "-c", script, "bash", r.env, code) //nolint:noctx // ended with the test
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = r.dir, r.printed, r.printed, orphanless()
	cmd.Env = append(clean(), "PATH="+filepath.Join(r.dir, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"),
		"POSTHORN_SERVER=http://"+r.serverAt, "NO_PROXY=*", "CURL_HOME="+r.dir)
	return cmd
}

func (r *reader) start(line string) *background {
	r.t.Helper()
	cmd := r.shell("exec " + line)
	cmd.Env = append(cmd.Env, "POSTHORN_LISTEN="+r.serverAt)
	return r.launch(line, cmd)
}

// browse opens the server's documentation in Chromium and types into the console of its developer tools.
func (r *reader) browse(code string) {
	r.t.Helper()
	cmd, _ := script(r.t, "console.mjs", "http://"+r.serverAt+"/docs")
	cmd.Stdin, cmd.Stderr = strings.NewReader(code), nil
	r.others = append(r.others, r.launch("console.mjs", cmd))
}

func (r *reader) launch(line string, cmd *exec.Cmd) *background {
	r.t.Helper()
	b := &background{line: line, cmd: cmd, printed: &tail{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = b.printed, b.printed
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait() // its status is that of an interrupt
		close(b.done)
	}()
	return b
}

// stop is Ctrl-C.
func (r *reader) stop(b *background) {
	if b == nil {
		return
	}
	_ = b.cmd.Process.Signal(syscall.SIGINT) // it may have ended already
	select {
	case <-b.done:
	case <-time.After(patience):
		_ = b.cmd.Process.Kill()
		r.t.Error("not ended by Ctrl-C: " + b.line)
	}
}

// wait waits until a program listens at an address.
func (r *reader) wait(b *background, addr string) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		c, err := (&net.Dialer{}).DialContext(r.t.Context(), "tcp", addr)
		if err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-b.done:
			r.t.Fatal("ended by itself: " + b.line)
		case <-time.After(poll):
		}
		if time.Now().After(deadline) {
			r.t.Fatal(err)
		}
	}
}

// varying are the parts of what is printed that differ each time.
var varying = []struct {
	form *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\b)`), "TIME"},
	{regexp.MustCompile(`\b\d\d:\d\d:\d\d(\.\d{3})?Z?\b`), "TIME"},
	{regexp.MustCompile(`/b/[0-9a-f-]{36}\b`), "/b/BIN"},
	{regexp.MustCompile(`\b\d+(\.\d+)? ms\b`), "TOOK"},
	{regexp.MustCompile(`\btry \d+`), "try N"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDRESS"},
	{regexp.MustCompile(`\b(ph|ep|rpl|att|whsec|key)_([A-Za-z0-9+/=]+|…)`), "${1}_"},
	{regexp.MustCompile(`\beyJ([A-Za-z0-9._-]+|…)`), "eyJ"},
	{regexp.MustCompile(`[ \t]+`), " "},
}

// lines returns the lines of a text without what differs each time.
func lines(text string) []string {
	for _, v := range varying {
		text = v.form.ReplaceAllString(text, v.as)
	}
	var list []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// expect waits until the lines of a text were printed in their order. A reader who looks again may see more, so
// commands that only look are typed again.
func (r *reader) expect(text, last string) {
	r.t.Helper()
	looks := strings.HasPrefix(last, "posthorn event") || strings.HasPrefix(last, "posthorn endpoint show")
	for deadline := time.Now().Add(patience); ; {
		missing := ""
		for _, screen := range r.screens() {
			if missing = missingLine(lines(text), lines(screen)); missing == "" {
				return
			}
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("not printed: %q\nof:\n%s\nafter:\n%s", missing, text, last)
		}
		<-time.After(20 * poll)
		if looks {
			r.do(last)
		}
	}
}

// missingLine returns the first line that is not printed behind those before it.
func missingLine(want, printed []string) string {
	for _, line := range want {
		at := 0
		for at < len(printed) && printed[at] != line {
			at++
		}
		if at == len(printed) {
			return line
		}
		printed = printed[at+1:]
	}
	return ""
}

func TestReadmeQuickStart(t *testing.T) {
	t.Parallel()
	newReader(t).follow(blocks(t, "README.md", "### Start a server", "## Verify in your own code"))
}

// TestGuides does what the guides say, on a server with an endpoint and a receiver, as the README leaves it.
func TestGuides(t *testing.T) {
	t.Parallel()
	for _, page := range []string{
		"guides/bins", "guides/browsers", "guides/connect", "guides/endpoints", "guides/listening", "guides/operating", "guides/queues", "guides/receiving-webhooks", "guides/sources",
		"guides/support", "flexibee",
	} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			r := newReader(t)
			quick := blocks(t, "README.md", "### Start a server", "### Did it arrive?")
			r.follow(quick)
			r.follow(blocks(t, "docs/"+page+".md", "", ""))
		})
	}
}

// TestReceiversInPages runs the receivers printed in the README and the guide, and gives them webhooks.
func TestReceiversInPages(t *testing.T) {
	t.Parallel()
	js, err := filepath.Abs("js")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ page, kind, file, run string }{
		"go":         {"README.md", "go", "main.go", `cd "$REPOSITORY" && go build -o "$DIR/receiver" "$DIR/main.go" && exec "$DIR/receiver"`},
		"node":       {"README.md", "js", "receiver.mjs", `ln -s "$JS/node_modules" node_modules && exec node receiver.mjs`},
		"python":     {"docs/guides/receiving-webhooks.md", "python", "receiver.py", `exec python3 receiver.py`},
		"node alone": {"docs/guides/receiving-webhooks.md", "js", "receiver.mjs", `exec node receiver.mjs`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReader(t)
			var code string
			for _, b := range blocks(t, c.page, "", "") {
				if b.kind == c.kind {
					code = b.text
				}
			}
			if code == "" {
				t.Fatalf("%s has no %s block", c.page, c.kind)
			}
			_, port, _ := strings.Cut(r.sinkAt, ":")
			code = strings.ReplaceAll(code, "9000", port)
			if err := os.WriteFile(filepath.Join(r.dir, c.file), []byte(code), 0o600); err != nil {
				t.Fatal(err)
			}
			repository, err := filepath.Abs(root)
			if err != nil {
				t.Fatal(err)
			}
			const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" //nolint:gosec // of the specification's example
			cmd := exec.Command("bash", "-c", c.run)                //nolint:noctx // ended with the test
			cmd.Dir, cmd.SysProcAttr = r.dir, orphanless()
			cmd.Env = append(clean(), "WEBHOOK_SECRET="+secret, "JS="+js, "DIR="+r.dir, "REPOSITORY="+repository)
			r.sink = r.launch(name, cmd)
			r.wait(r.sink, r.sinkAt)
			r.judge(secret)
		})
	}
}

// judge sends a receiver a genuine webhook and one that was changed.
func (r *reader) judge(secret string) {
	r.t.Helper()
	const body = `{"type":"order.paid","timestamp":"2026-11-21T23:03:00Z","data":{"customer":"Zoë"}}`
	if err := os.WriteFile(filepath.Join(r.dir, "body"), []byte(body), 0o600); err != nil {
		r.t.Fatal(err)
	}
	sign := r.shell("posthorn sign --secret " + secret + " body")
	var headers bytes.Buffer
	sign.Stdout = &headers
	if err := sign.Run(); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "headers"), headers.Bytes(), 0o600); err != nil {
		r.t.Fatal(err)
	}
	for sent, status := range map[string]string{"@body": "204", `{"type":"order.refunded"}`: "401"} {
		var got bytes.Buffer
		post := r.shell("curl -sS -o answer -w '%{http_code}' -H @headers -H 'Content-Type: application/json' --data-binary '" + sent + "' http://" + r.sinkAt + "/hook")
		post.Stdout = &got
		if err := post.Run(); err != nil {
			r.t.Fatal(err)
		}
		if got.String() != status {
			r.t.Errorf("answered %s and not %s to %s", &got, status, sent)
		}
	}
}
