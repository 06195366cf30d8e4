package e2e

import (
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// A replay that was begun outlives kill -9 right after the answer; one that was cancelled never comes back.
func TestReplaysAndKill(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.start()
	s.makeTenant()
	ctx := t.Context()
	refused := "http://" + freeAddress(t) + "/"
	id, _ := s.addEndpoint(client.Endpoint{URL: refused, Retries: []client.Duration{client.Duration(time.Hour)}})
	events := make([]client.Event, 40)
	for i := range events {
		events[i].Type = "order.paid"
	}
	if _, err := s.client.PublishBatch(ctx, tenant, events); err != nil {
		t.Fatal(err)
	}
	begin := func() *client.Replay {
		t.Helper()
		r, err := s.client.Replay(ctx, tenant, id, client.ReplayRequest{FromVersion: 1})
		if err != nil || r.State != "running" || r.Started == nil {
			t.Fatalf("%+v, %v", r, err)
		}
		return r
	}
	running := func() []string {
		t.Helper()
		list, err := s.client.Replays(ctx, tenant, id)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, r := range list {
			if r.State == "running" {
				ids = append(ids, r.ID)
			}
		}
		return ids
	}
	for range 3 {
		gone := begin()
		eventually(t, "a retry row of the replay", func() (bool, string) {
			r, err := s.client.GetReplay(ctx, tenant, id, gone.ID)
			return err == nil && r.Retries > 0, ""
		})
		if err := s.client.CancelReplay(ctx, tenant, id, gone.ID); err != nil {
			t.Fatal(err)
		}
		s.kill()
		s.start()
		if ids := running(); len(ids) != 0 {
			t.Fatalf("cancelled, and back after kill -9: %v", ids)
		}
	}
	kept := begin()
	s.kill()
	s.start()
	if ids := running(); len(ids) != 1 || ids[0] != kept.ID {
		t.Fatalf("begun, and after kill -9 there are %v, want %s", ids, kept.ID)
	}
	after, err := s.client.GetReplay(ctx, tenant, id, kept.ID)
	if err != nil || after.Started == nil || !after.Started.Equal(*kept.Started) {
		t.Errorf("%+v, %v; it began at %v", after, err, kept.Started)
	}
}
