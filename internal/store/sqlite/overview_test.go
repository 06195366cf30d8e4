package sqlite

import (
	"reflect"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
)

// TestDisabledOfBefore: endpoints that were saved before the columns were are counted from the next opening on.
func TestDisabledOfBefore(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	tenant, err := s.PutTenant(t.Context(), event.Tenant{Name: "a"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	const n = fillBatch + 5
	if err := s.state.w.update(t.Context(), func(c *conn) error {
		for i := range n {
			e := event.Endpoint{Disabled: i%3 == 0, DisabledReason: "gone"}
			if err := c.exec("INSERT INTO endpoints (id, tenant, revision, body) VALUES (?, ?, 1, ?)", i+1, int64(tenant.ID), packEndpoint(&e)); err != nil {
				return err
			}
		}
		return c.exec("UPDATE tenants SET endpoints = ?", n)
	}); err != nil {
		t.Fatal(err)
	}
	closeTest(t, s)
	s = openTest(t, dir, Options{})
	defer closeTest(t, s)
	got, err := s.CountEndpoints(t.Context(), 0)
	if want := (event.EndpointCounts{All: n, Disabled: map[string]int{"gone": (n + 2) / 3}}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// TestOverviewPlans: no query goes over all endpoints or dead letters.
func TestOverviewPlans(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	defer closeTest(t, s)
	for sql, index := range map[string]string{
		"SELECT disabled, count(*) FROM endpoints WHERE " + isDisabled + ofTenant + " GROUP BY disabled":                                "endpoints_disabled",
		"SELECT disabled, count(*) FROM endpoints WHERE " + isDisabled + " AND tenant = 1" + ofTenant + " GROUP BY disabled":            "endpoints_disabled_tenant",
		selectEndpoints + "WHERE " + isDisabled + " AND disabled = 'gone'" + ofTenant + " ORDER BY changed DESC, id LIMIT 1":            "endpoints_disabled",
		selectEndpoints + "WHERE " + isDisabled + " AND disabled = 'gone' AND tenant = 1" + ofTenant + " ORDER BY changed DESC LIMIT 1": "endpoints_disabled_tenant",
		selectEndpoints + "WHERE " + isDisabled + " AND disabled IS NULL LIMIT 1":                                                       "endpoints_disabled",
		"SELECT version FROM dead WHERE at >= 1 ORDER BY at DESC LIMIT 1":                                                               "dead_at",
		"SELECT version FROM dead WHERE at >= 1 AND tenant = 1 ORDER BY at DESC LIMIT 1":                                                "dead_tenant",
	} {
		var plan []string
		if err := s.state.reads.read(t.Context(), func(c *conn) error {
			return c.query("EXPLAIN QUERY PLAN "+sql, func(s *stmt) error { plan = append(plan, s.text(3)); return nil })
		}); err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(plan, "; "); !strings.Contains(text+";", "INDEX "+index+" ") && !strings.Contains(text+";", "INDEX "+index+";") {
			t.Errorf("%s\ngoes by %s", sql, text)
		}
	}
}
