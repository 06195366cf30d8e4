package live

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/live/wire"
)

func TestListStreams(t *testing.T) {
	everyWatcher(t, func(t *testing.T, c Config) {
		log := c.Log.(*memLog) //nolint:errcheck // it is
		h := newHub(t, c)
		key := &event.APIKey{ID: 9, Name: "shop"}
		addr := serveHub(t, h, key)
		log.append(acme.ID, note("a", "one"), note("b", "two"))
		if list := h.List(acme.ID, 0, 10); len(list) != 0 || h.Open(acme.ID) != 0 || h.Open(0) != 0 {
			t.Errorf("before anybody came: %+v", list)
		}
		one := openStream(t, addr, "start=1&types=a,c&subjects=one", "User-Agent: "+strings.Repeat("x", 300)+"\r\n")
		if err := one.until(1); err != nil {
			t.Fatal(err)
		}
		two := openStream(t, addr, "", "")
		if _, err := two.next(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, func() bool { l := h.List(acme.ID, 0, 10); return len(l) == 2 && l[0].Version == 2 })
		list := h.List(acme.ID, 0, 10)
		x := list[0]
		if x.Kind != "sse" || x.Address != "127.0.0.1" || len(x.UserAgent) != maxAgent || x.By != key || x.Head != 2 || x.Sent != 1 || x.Subscriptions != 1 ||
			!slices.Equal(x.Selection.Types, []string{"a", "c"}) || !slices.Equal(x.Selection.Subjects, []string{"one"}) || time.Since(x.Since) > time.Minute {
			t.Errorf("%+v", x)
		}
		if y := list[1]; y.ID <= x.ID || y.Version != 2 || y.Sent != 0 || y.UserAgent != "" || !y.Selection.IsZero() {
			t.Errorf("%+v", y)
		}
		if page := h.List(acme.ID, x.ID, 10); len(page) != 1 || page[0].ID != list[1].ID || len(h.List(acme.ID, 0, 1)) != 1 || h.Open(acme.ID) != 2 || h.Open(0) != 2 {
			t.Errorf("%+v", page)
		}
		log.append(acme.ID, note("z", "one"))
		if err := two.until(3); err != nil {
			t.Fatal(err)
		}
		waitFor(t, func() bool { l := h.List(acme.ID, 0, 10); return l[0].Version == 3 && l[1].Version == 3 })

		if err := h.End(acme.ID+1, x.ID); event.KindOf(err) != event.KindNotFound {
			t.Errorf("of another tenant: %v", err)
		}
		if err := h.End(acme.ID, x.ID); err != nil {
			t.Fatal(err)
		}
		for err := error(nil); err == nil; { // places may come before
			if _, err = one.next(); err != nil && !errors.Is(err, io.EOF) {
				t.Errorf("the stream ends in order: %v", err)
			}
		}
		waitFor(t, func() bool { return len(h.List(acme.ID, 0, 10)) == 1 && h.Stats().Closed["ended"] == 1 })
		if err := h.End(acme.ID, x.ID); event.KindOf(err) != event.KindNotFound {
			t.Errorf("once more: %v", err)
		}
	})
}

func TestListSockets(t *testing.T) {
	h, log, _ := socketHub(t, nil)
	p := dial(t, sockets(t, h, rootKey), wire.JSON, websocket.CompressionDisabled)
	p.say(`{"type":"ping"}`)
	p.expect("pong", "")
	if l := h.List(acme.ID, 0, 10); len(l) != 1 || l[0].Kind != "websocket" || l[0].Subscriptions != 0 || l[0].Head != 0 {
		t.Errorf("%+v", l)
	}
	p.say(`{"type":"subscribe","id":"a","types":["x"],"filter":"data.n > 0"}`)
	p.expect("subscribed", "a")
	p.say(`{"type":"subscribe","id":"b","window":1}`)
	p.expect("subscribed", "b")
	log.append(acme.ID, note("y", ""), note("y", ""))
	p.expect("event", "b")
	waitFor(t, func() bool { l := h.List(acme.ID, 0, 10); return l[0].Sent == 1 && l[0].Head == 2 })
	if l := h.List(acme.ID, 0, 10); l[0].Subscriptions != 2 || l[0].Version != 1 || l[0].Selection.Filter != "data.n > 0" || !slices.Equal(l[0].Selection.Types, []string{"x"}) {
		t.Errorf("%+v", l)
	}
	if err := h.End(acme.ID, h.List(acme.ID, 0, 1)[0].ID); err != nil {
		t.Fatal(err)
	}
	if code := p.closed(); code != websocket.StatusPolicyViolation {
		t.Errorf("closed with %d", code)
	}
	waitFor(t, func() bool { return len(h.List(acme.ID, 0, 10)) == 0 })
}

func TestListWaits(t *testing.T) {
	h := newHub(t, config(newLog()))
	done := make(chan error, 1)
	l := Listener{Tenant: acme, Key: rootKey, Ask: event.Selection{Types: []string{"a"}}}
	go func() { done <- h.Wait(t.Context(), request(t, "[2001:db8::1]:1"), l, 5, time.Hour) }()
	release, err := h.AdmitLease(acme.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	waitFor(t, func() bool { x := h.List(acme.ID, 0, 10); return len(x) == 1 && x[0].Version == 5 })
	x := h.List(acme.ID, 0, 10)[0]
	if x.Kind != "poll" || x.Address != "2001:db8::1" || x.By != rootKey || x.Selection.Types[0] != "a" || h.Open(acme.ID) != 0 {
		t.Errorf("%+v", x)
	}
	if err := h.End(acme.ID, x.ID); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("the poll ends as when its time is up: %v", err)
	}
}

// TestEndedBeforeItBegan: a connection that is ended between its admission and its start does not stay.
func TestEndedBeforeItBegan(t *testing.T) {
	h := newHub(t, config(newLog()))
	ticket, err := h.admit(kindSSE, request(t, "127.0.0.1:1"), &Listener{Tenant: acme, Key: rootKey})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.End(acme.ID, ticket.id); err != nil {
		t.Fatal(err)
	}
	f, err := h.feedOf(t.Context(), acme.ID)
	if err != nil {
		t.Fatal(err)
	}
	c := h.newConn(ticket, f, &sse{})
	w, err := h.wish(f, event.Selection{}, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.subscribe(&c.first, subscription{wish: w}, nil); !errors.Is(err, errOver) {
		t.Errorf("%v", err)
	}
	c.abandon()
}

// TestListWhileTheyComeAndGo is for the race detector, and for the links between tickets.
func TestListWhileTheyComeAndGo(t *testing.T) {
	h := newHub(t, config(newLog()))
	var g sync.WaitGroup
	for i := range 8 {
		g.Go(func() {
			var mine []*ticket
			for n := range 200 {
				ticket, err := h.admit(kind(n%int(kindCount)), request(t, fmt.Sprintf("10.0.0.%d:1", i)), &Listener{Tenant: acme, Key: rootKey})
				if err != nil {
					t.Error(err)
					return
				}
				if mine = append(mine, ticket); n%3 == 0 {
					mine[n/3].release()
				}
				h.List(acme.ID, int64(n), 5)
			}
			for _, x := range mine[67:] {
				x.release()
			}
		})
	}
	g.Wait()
	if len(h.limits.tenants) != 0 || h.Open(0) != 0 {
		t.Errorf("%d tenants are left", len(h.limits.tenants))
	}
}
