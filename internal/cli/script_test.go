package cli

import (
	"flag"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write the golden parts of the scripts anew")

// TestMain lets scripts run this very test binary as posthorn.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"posthorn": Main})
}

// TestScripts runs testdata/script/*.txtar.  go test -update  writes what they
// compare with anew.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true, UpdateScripts: *update})
}
