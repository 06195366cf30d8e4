package deliver

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// replays are the keys of the saved replays.
func (s *fakeStore) replays() (lanes, rows int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.lanes {
		if k.Replay != 0 {
			lanes++
		}
	}
	for k := range s.retries {
		if k.Replay != 0 {
			rows++
		}
	}
	return lanes, rows
}

// A cancelled replay is gone with all its rows when the call returns, also after a crash at that moment, and sends nothing more;
// what it had under way ends.
func TestCancelledReplaysNeverComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1)
		s := newFakeStore(ep)
		release := make(chan struct{})
		first := true
		sender := newFakeSender(func(r *Request, _ int) Answer {
			if header(r, "webhook-id") == "e7" && !first {
				<-release
			}
			if header(r, "webhook-id") == "e3" && !first {
				return Answer{Status: 500}
			}
			return Answer{Status: 200}
		})
		r := startRun(t, s, sender)
		for i := range 300 {
			s.append(anEvent(fmt.Sprintf("e%d", i+1)))
		}
		advance(time.Minute)
		first = false
		ep.Concurrency = 4
		r.EndpointChanged(&ep)
		v, err := r.Replay(t.Context(), &ep, event.ReplayRange{From: 3, To: 7, Matching: 5})
		if err != nil || v.State != event.ReplayRunning || v.Started.IsZero() || v.Matching != 5 {
			t.Fatalf("%+v, %v", v, err)
		}
		if lanes, _ := s.replays(); lanes != 1 {
			t.Error("the replay is not saved when the call returns")
		}
		advance(time.Second)
		list := r.Replays(1)
		if len(list) != 1 || list[0].State != event.ReplayRunning || list[0].Retries != 1 || list[0].Sent != 3 || list[0].Cursor != 6 {
			t.Fatalf("%+v", list)
		}
		if lanes, rows := s.replays(); lanes != 1 || rows != 1 {
			t.Fatalf("%d lanes, %d rows", lanes, rows)
		}
		if err := r.CancelReplay(t.Context(), 1, v.ID); err != nil {
			t.Fatal(err)
		}
		lanes, rows := s.replays()
		if lanes != 0 || rows != 0 {
			t.Errorf("a cancelled replay left %d lanes, %d rows", lanes, rows)
		}
		sent := len(sender.seen(ep.URL))
		close(release)
		advance(time.Hour)
		if got := len(sender.seen(ep.URL)) - sent; got != 1 {
			t.Errorf("%d more were sent, want the one that was under way", got)
		}
		if err := r.CancelReplay(t.Context(), 1, v.ID+1); event.KindOf(err) != event.KindNotFound {
			t.Errorf("an unknown replay: %v", err)
		}
		r.crash()
		r = startRun(t, s, sender)
		advance(time.Hour)
		if got := len(sender.seen(ep.URL)) - sent; got != 1 {
			t.Errorf("the replay came back: %d more were sent", got)
		}
		if err := r.CancelReplay(t.Context(), 1, v.ID); event.KindOf(err) != event.KindNotFound {
			t.Errorf("a replay of the run before: %v", err)
		}
		r.stop()
	})
}

// A save that fails for a while holds the answer back; lanes that stop for good say so.
func TestCancelWaitsForTheSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1, func(ep *event.Endpoint) { ep.Disabled = true })
		s := newFakeStore(ep)
		s.append(anEvent("e1"))
		r := startRun(t, s, newFakeSender(ok))
		v, err := r.Replay(t.Context(), &ep, event.ReplayRange{From: 1, To: 1})
		if err != nil {
			t.Fatal(err)
		}
		full := true
		s.mu.Lock()
		s.fault = func(int) (before, after error) {
			if full {
				return errors.New("no space"), nil
			}
			return nil, nil
		}
		s.mu.Unlock()
		done := make(chan error, 1)
		go func() { done <- r.CancelReplay(context.Background(), 1, v.ID) }()
		advance(time.Minute)
		select {
		case err := <-done:
			t.Fatalf("the call returned before anything was saved: %v", err)
		default:
		}
		if list := r.Replays(1); len(list) != 1 || list[0].State != event.ReplayCancelled {
			t.Errorf("%+v", list)
		}
		s.mu.Lock()
		full = false
		s.mu.Unlock()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if lanes, _ := s.replays(); lanes != 0 {
			t.Error("the replay's row is still there")
		}
		v, err = r.Replay(t.Context(), &ep, event.ReplayRange{From: 1, To: 1})
		if err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		s.epoch++ // another node has the shard
		s.mu.Unlock()
		if err := r.CancelReplay(t.Context(), 1, v.ID); event.KindOf(err) != event.KindUnavailable {
			t.Errorf("without the lease: %v", err)
		}
		r.stop()
		if err := r.CancelReplay(t.Context(), 1, v.ID); event.KindOf(err) != event.KindUnavailable {
			t.Errorf("after the end: %v", err)
		}
	})
}

// Replays that ended are remembered for an hour, and no more than so many.
func TestEndedReplaysAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1)
		s := newFakeStore(ep)
		s.append(anEvent("e1"))
		r := startRun(t, s, newFakeSender(ok))
		advance(time.Second)
		for range endedOfOne + 5 {
			if _, err := r.Replay(t.Context(), &ep, event.ReplayRange{From: 1, To: 1}); err != nil {
				t.Fatal(err)
			}
			advance(time.Second)
		}
		list := r.Replays(1)
		if len(list) != endedOfOne {
			t.Fatalf("%d are remembered", len(list))
		}
		for i, v := range list {
			if v.State != event.ReplayDone || v.Sent != 1 || v.Cursor != 1 || !v.Ended.After(v.Started) && !v.Ended.Equal(v.Started) || i > 0 && v.Ended.After(list[i-1].Ended) {
				t.Errorf("%d: %+v", i, v)
			}
		}
		advance(2 * time.Hour)
		if list := r.Replays(1); len(list) != 0 {
			t.Errorf("after two hours: %+v", list)
		}
		r.mu.Lock()
		if len(r.ended) != 0 {
			t.Errorf("%d are still held", len(r.ended))
		}
		r.mu.Unlock()
		r.stop()
	})
}

// When it began and what it will send outlive a restart.
func TestReplaysGoOnAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1, func(ep *event.Endpoint) { ep.Disabled = true })
		s := newFakeStore(ep)
		s.append(anEvent("e1"))
		r := startRun(t, s, newFakeSender(ok))
		v, err := r.Replay(t.Context(), &ep, event.ReplayRange{From: 1, To: 1, OnlyFailed: true, Matching: 3})
		if err != nil {
			t.Fatal(err)
		}
		r.crash()
		r = startRun(t, s, newFakeSender(ok))
		if list := r.Replays(1); len(list) != 1 || list[0] != v {
			t.Errorf("%+v, want %+v", list, v)
		}
		r.stop()
	})
}
