package sqlite

import (
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// TestOutcomesOfBefore: attempts that were saved before outcomes had their column are counted like those of after.
func TestOutcomesOfBefore(t *testing.T) {
	const before = 8 // scripts
	dir := t.TempDir()
	path := filepath.Join(dir, stateName)
	scheme, err := loadSchema("state", stateID)
	if err != nil {
		t.Fatal(err)
	}
	scheme.scripts = scheme.scripts[:before]
	if err := scheme.migrate(path, 0); err != nil {
		t.Fatal(err)
	}
	c, err := openConn(path, readWrite)
	if err != nil {
		t.Fatal(err)
	}
	a := event.Attempt{
		Tenant: 7, Endpoint: 5, Versions: []int64{1}, EventID: "e", Number: 1, At: time.UnixMicro(1_760_000_000_123_456).UTC(),
		Duration: 1234567 * time.Nanosecond, Status: 503, Verdict: event.VerdictRetry, Body: make([]byte, event.MaxAnswerKept),
	}
	if err := c.exec("INSERT INTO attempts VALUES (0, 7, 5, 1, ?, ?)", micros(a.At), packAttempt(nil, &a)); err != nil {
		t.Fatal(err)
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}

	s := openTest(t, dir, Options{})
	defer closeTest(t, s)
	leases, err := s.Acquire(t.Context(), "n", time.Now(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SaveRecord(t.Context(), store.Record{Lease: leases[0], Attempts: []event.Attempt{a}}); err != nil {
		t.Fatal(err)
	}
	first, second := a.Outcome(), a.Outcome()
	first.ID, second.ID = 0, 1
	got, next, err := s.OutcomesOfEndpoint(t.Context(), 5, 0, 10)
	if err != nil || next != 0 || !reflect.DeepEqual(got, []event.Outcome{second, first}) {
		t.Errorf("%+v, %d, %v", got, next, err)
	}
	if list, _, err := s.AttemptsOfEndpoint(t.Context(), 5, nil, 0, 10); err != nil || len(list) != 2 || list[1].Status != 503 {
		t.Errorf("%+v, %v", list, err)
	}
	// What no number can tell is damage.
	if err := s.state.w.update(t.Context(), func(c *conn) error { return c.exec("UPDATE attempts SET outcome = 7 WHERE id = 1") }); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.OutcomesOfEndpoint(t.Context(), 5, 0, 10); err == nil {
		t.Error("an outcome with a verdict that is none was read")
	}
}
