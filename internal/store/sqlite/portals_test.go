package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
)

// TestFolderOfBefore: a folder whose state was made before sessions, the audit log and portals were kept gets their tables at
// the next opening, and keeps what it has.
func TestFolderOfBefore(t *testing.T) {
	const before = 4 // scripts
	dir := t.TempDir()
	path := filepath.Join(dir, stateName)
	scheme, err := loadSchema("state", stateID)
	if err != nil {
		t.Fatal(err)
	}
	all := scheme.scripts
	scheme.scripts = all[:before]
	if err := scheme.migrate(path, 0); err != nil {
		t.Fatal(err)
	}
	c, err := openConn(path, readWrite)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.pragmaInt("user_version", 0); err != nil || n != before {
		t.Fatalf("the folder of before has version %d, %v", n, err)
	}
	tenant := event.Tenant{ID: 7, Name: "acme"}
	if err := c.exec("INSERT INTO tenants (id, name, revision, body, endpoints) VALUES (7, 'acme', 1, ?, 0)", packTenant(&tenant)); err != nil {
		t.Fatal(err)
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}

	s := openTest(t, dir, Options{})
	defer closeTest(t, s)
	if err := s.state.reads.read(t.Context(), func(c *conn) error {
		n, err := c.pragmaInt("user_version", 0)
		if int(n) != len(all) {
			t.Errorf("version %d, want %d", n, len(all))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	p, err := s.Portal(t.Context(), 7)
	if err != nil || p.Revision != 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	if p, err = s.PutPortal(t.Context(), event.Portal{Tenant: 7, Name: "Acme"}, 0); err != nil || p.Revision != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	// The rows of portals go with their tenant, also from the file.
	if err := s.DeleteTenant(t.Context(), 7, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.state.reads.read(t.Context(), func(c *conn) error {
		n, err := c.number("SELECT count(*) FROM portals")
		if n != 0 {
			t.Errorf("%d portals are left", n)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
