package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "github.com/posthornhq/posthorn"
	// root is the module's folder, seen from this one.
	root = "../.."
)

// anything lets a package import every other of ours.
const anything = "*"

// allowed is the table of packages: which packages of ours each may import outside
// its tests. Paths are relative to the module. A package that is not here fails the
// test, so that a new one is a decision: add a line, and say why in the commit.
//
// The order is that of the data's way through the server.
var allowed = map[string][]string{
	"cmd/posthorn": {"internal/cli"},

	// Public. They stand alone: users import them without the server.
	"webhook":  {},
	"client":   {},
	"receiver": {"webhook"},

	"internal/event": {},
	"internal/codec": {"internal/event"},
	"internal/match": {"internal/event"},

	// The store's contract, never an implementation, may be named by what appends and what records.
	"internal/ingest":  {"internal/event", "internal/store"},
	"internal/fanout":  {"internal/event", "internal/match"},
	"internal/deliver": {"internal/event", "internal/codec", "internal/guard", "internal/store", "webhook"},

	// The control plane: tenants, endpoints, API keys, event types. It checks what
	// is saved, so it knows patterns, target addresses and secrets.
	"internal/control": {"internal/event", "internal/match", "internal/guard", "internal/keyring", "webhook"},
	"internal/guard":   {"internal/event"},
	"internal/keyring": {"internal/event"},

	// The ways out that listeners pull or hold open. All read the log through one tail.
	"internal/live":      {"internal/event", "internal/match", "internal/codec", "internal/live/wire"},
	"internal/live/wire": {"internal/event", "internal/codec"},
	"internal/queue":     {"internal/event", "internal/match", "internal/store"},
	"internal/overview":  {"internal/event"},
	"internal/token":     {"internal/event", "internal/match"},
	// Browsers that are signed in.
	"internal/session": {"internal/event"},

	// The ways in for other people's requests: sources verify and ingest, bins keep, tunnels carry to a listener's port.
	"internal/inbound":      {"internal/event", "receiver"},
	"internal/inspect":      {"internal/event", "internal/store"},
	"internal/tunnel":       {"internal/codec", "internal/event", "internal/tunnel/pipe"},
	"internal/tunnel/agent": {"client", "internal/tunnel/pipe"},
	"internal/tunnel/pipe":  {},

	"internal/store":           {"internal/event"},
	"internal/store/sqlite":    {"internal/event", "internal/store"},
	"internal/store/storetest": {"internal/event", "internal/store"},

	// The audit log. It knows the store's errors: nothing changes when a line cannot be written.
	"internal/audit": {"internal/event", "internal/store"},

	// The REST interface shows what a captured request holds, and what a change changed, by the pure functions of packages
	// inspect and audit.
	"internal/api/rest":     {"client", "internal/audit", "internal/codec", "internal/event", "internal/inspect"},
	"internal/api/flexibee": {"internal/codec", "internal/event"},
	// Other faces of the bins, for clients made for Webhook.site and smee.io.
	"internal/api/hooksite": {"internal/event", "internal/inspect"},
	// One port for every interface; it knows the publish path by name.
	"internal/api/front": {"internal/api/rest"},

	// The web UI's build, embedded. It reaches the server through its API only.
	"internal/ui": {},

	// The JavaScript client and the pages of the demo, embedded.
	"web": {},

	// A receiver of webhooks for tests, the demo and the benchmarks.
	"internal/sink": {"webhook"},

	// What the commands of the same names do. They reach a server through its API
	// only, and are handed the function that starts one.
	"internal/bench": {"client", "internal/event", "internal/sink", "internal/tunnel/agent", "webhook"},

	"internal/config":         {},
	"internal/config/gendocs": {"internal/config"},
	"internal/app":            {anything},
	"internal/cli": {
		"client", "internal/app", "internal/bench", "internal/codec", "internal/config", "internal/event", "internal/sink", "internal/tunnel/agent", "receiver", "web", "webhook",
	},
	"internal/arch": {},
}

// standardOnly are the packages that import nothing outside the standard library.
var standardOnly = []string{"webhook", "client", "internal/event", "internal/config", "internal/config/gendocs", "internal/arch"}

// shut are the packages that only the named ones may import, whatever allowed says.
// The tests of a package may import the package itself.
var shut = map[string][]string{
	"internal/app":             {"internal/cli"},
	"internal/cli":             {"cmd/posthorn"},
	"internal/store/sqlite":    {"internal/app"},
	"internal/store/storetest": {},
}

// drivers are modules that only one package may name, its tests included: the
// database must be replaceable, and two SQLite builds in a process corrupt files.
var drivers = map[string]string{
	"zombiezen.com/go/sqlite":       "internal/store/sqlite",
	"modernc.org/sqlite":            "internal/store/sqlite",
	"github.com/mattn/go-sqlite3":   "internal/store/sqlite",
	"github.com/ncruces/go-sqlite3": "internal/store/sqlite",
	"github.com/pressly/goose/v3":   "internal/store/sqlite",
}

// vague are folder names that say nothing about a package's duty.
var vague = []string{"util", "utils", "common", "models", "pkg", "helper", "helpers", "misc", "shared"}

// file is what the rules need to know of a Go file.
type file struct {
	path    string // Relative to the module, with slashes.
	pkg     string // The folder.
	name    string // The package clause.
	test    bool
	doc     string
	imports []string
}

// goFiles reads every Go file of the module; other modules in the tree are left out.
func goFiles(t *testing.T) []file {
	t.Helper()
	var files []file
	walk(t, ".go", func(rel string) {
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, rel), nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		f := file{path: rel, pkg: path.Dir(rel), name: parsed.Name.Name, test: strings.HasSuffix(rel, "_test.go"), doc: parsed.Doc.Text()}
		for _, spec := range parsed.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			f.imports = append(f.imports, p)
		}
		files = append(files, f)
	})
	if len(files) == 0 {
		t.Fatal("no Go files found: the test looks in the wrong folder")
	}
	return files
}

// walk calls visit with the slash path, relative to the module, of each file of
// the module that has the extension.
func walk(t *testing.T, ext string, visit func(rel string)) {
	t.Helper()
	skip := []string{".git", "node_modules", "testdata", "bin", "tools", "posthorn-data"}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains(skip, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(p) == ext {
			rel, err := filepath.Rel(root, p)
			if err != nil {
				return err
			}
			visit(filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestImports(t *testing.T) {
	for _, f := range goFiles(t) {
		for _, imported := range f.imports {
			for _, broken := range check(f, imported) {
				t.Errorf("%s: %s", f.path, broken)
			}
		}
	}
}

// check returns the rules that one import breaks.
func check(f file, imported string) []string {
	var broken []string
	for driver, owner := range drivers {
		if within(imported, driver) && !within(f.pkg, owner) {
			broken = append(broken, imported+" may be imported only within "+owner)
		}
	}
	standard := !strings.Contains(strings.Split(imported, "/")[0], ".")
	ours := within(imported, module)
	if f.test {
		return broken // Beyond drivers, tests may import what they need to check.
	}
	if !standard && !ours && slices.Contains(standardOnly, f.pkg) {
		broken = append(broken, imported+" is outside the standard library, which is all that "+f.pkg+" may use")
	}
	if !ours || imported == module {
		return broken
	}
	target := strings.TrimPrefix(imported, module+"/")
	if may, known := allowed[f.pkg]; known && !slices.Contains(may, anything) && !slices.Contains(may, target) {
		broken = append(broken, f.pkg+" may not import "+target+"; the rules are in internal/arch/arch_test.go")
	}
	if users, isShut := shut[target]; isShut && !slices.Contains(users, f.pkg) && f.pkg != target {
		broken = append(broken, target+" may be imported only by "+strings.Join(users, ", ")+" and by tests")
	}
	return broken
}

// within reports whether path p is parent or lies under it.
func within(p, parent string) bool { return p == parent || strings.HasPrefix(p, parent+"/") }

func TestPackages(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range goFiles(t) {
		if f.test {
			continue
		}
		documented[f.pkg] = documented[f.pkg] || f.doc != ""
	}
	for pkg, hasDoc := range documented {
		if _, known := allowed[pkg]; !known {
			t.Errorf("package %s is not in the table of internal/arch/arch_test.go: add a line with what it may import, and say why in the commit", pkg)
		}
		if !hasDoc {
			t.Errorf("package %s has no package comment", pkg)
		}
		for part := range strings.SplitSeq(pkg, "/") {
			if slices.Contains(vague, part) {
				t.Errorf("package %s: %q does not say what the package is for", pkg, part)
			}
		}
	}
}

// TestTable holds the table to itself: no cycle, and no name that is not in it.
func TestTable(t *testing.T) {
	var visit func(pkg string, above []string)
	visit = func(pkg string, above []string) {
		if slices.Contains(above, pkg) {
			t.Errorf("a cycle: %s", strings.Join(append(above, pkg), " → "))
			return
		}
		for _, next := range allowed[pkg] {
			if _, known := allowed[next]; !known && next != anything {
				t.Errorf("%s may import %s, which has no line of its own", pkg, next)
			} else if next != anything {
				visit(next, append(slices.Clone(above), pkg))
			}
		}
	}
	for pkg := range allowed {
		visit(pkg, nil)
	}
}

// TestCheck shows that the rules can fail.
func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		pkg, imported string
		test          bool
		want          string
	}{
		{"internal/event", module + "/internal/store", false, "may not import"},
		{"internal/deliver", module + "/internal/store/sqlite", false, "only by internal/app"},
		{"internal/config", module + "/internal/app", false, "only by internal/cli"},
		{"internal/app", module + "/internal/cli", false, "only by cmd/posthorn"},
		{"internal/app", module + "/internal/store/storetest", false, "and by tests"},
		{"webhook", "github.com/google/uuid", false, "outside the standard library"},
		{"internal/app", "zombiezen.com/go/sqlite/sqlitex", false, "only within internal/store/sqlite"},
		{"internal/app", "zombiezen.com/go/sqlite", true, "only within internal/store/sqlite"},
		{"internal/store/sqlite", "zombiezen.com/go/sqlite", false, ""},
		{"internal/app", module + "/internal/store/sqlite", false, ""},
		{"internal/deliver", module + "/internal/store/storetest", true, ""},
		{"webhook", "crypto/hmac", false, ""},
	} {
		got := strings.Join(check(file{pkg: tt.pkg, test: tt.test}, tt.imported), "; ")
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s imports %s: %q, want %q", tt.pkg, tt.imported, got, tt.want)
		}
	}
}
