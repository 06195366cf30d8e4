package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/posthornhq/posthorn/client"
)

// comeBack is how long a listener of the demo waits before it connects again.
const comeBack = 200 * time.Millisecond

// listen starts a listener for each way that one listens by, until ctx ends. Each sends once when it listens.
func (d *liveDemo) listen(ctx context.Context, side *sync.WaitGroup) chan struct{} {
	listening := make(chan struct{}, 3)
	side.Go(func() { d.socket(ctx, sync.OnceFunc(func() { listening <- struct{}{} })) })
	for w, transport := range map[way]client.Transport{waySSE: client.TransportSSE, wayPoll: client.TransportPoll} {
		connected := sync.OnceFunc(func() { listening <- struct{}{} })
		side.Go(func() { d.stream(ctx, w, transport, connected) })
	}
	return listening
}

// stream listens with the Go client, which goes on by itself where it stopped.
func (d *liveDemo) stream(ctx context.Context, w way, transport client.Transport, connected func()) {
	s := d.client.Stream(demoTenant, client.Via(transport), client.Subject(d.subject), client.KeepAlive(d.cfg.StreamKeepAlive),
		client.Backoff(comeBack, time.Second), client.OnStatus(func(s client.StreamStatus) {
			if ctx.Err() != nil {
				return // the end is no failure
			}
			if d.view.state(w, s.Connected); s.Connected {
				connected()
			}
		}))
	for event, err := range s.Events(ctx) {
		if err != nil {
			if ctx.Err() == nil {
				d.view.state(w, false)
			}
			return
		}
		d.view.arrived(w, event.ID, time.Now())
	}
}

// socket listens over a WebSocket, again and again from where it stopped.
func (d *liveDemo) socket(ctx context.Context, connected func()) {
	next := int64(0)
	for {
		_ = d.oneSocket(ctx, &next, connected) // whatever it was, there will be another one
		if ctx.Err() != nil {
			return
		}
		d.view.state(waySocket, false)
		select {
		case <-ctx.Done():
			return
		case <-time.After(comeBack):
		}
	}
}

// socketMessage is what the demo needs of a message of the server.
type socketMessage struct {
	Type  string `json:"type"`
	Next  int64  `json:"next"`
	Event struct {
		ID      string `json:"id"`
		Version int64  `json:"version"`
	} `json:"event"`
}

// oneSocket listens over one WebSocket until it ends.
func (d *liveDemo) oneSocket(ctx context.Context, next *int64, connected func()) error {
	dialer := ws.Dialer{
		Timeout: 5 * time.Second, Protocols: []string{"posthorn.v1.json"},
		Header: ws.HandshakeHeaderHTTP(http.Header{"Authorization": {"Bearer " + d.key}}),
	}
	conn, early, _, err := dialer.Dial(ctx, "ws"+strings.TrimPrefix(d.base, "http")+"/v1/tenants/"+demoTenant+"/socket")
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() { _ = conn.Close() }()
	var from io.Reader = conn
	if early != nil { // it holds what came with the answer
		from = early
	}
	both := struct {
		io.Reader
		io.Writer
	}{from, conn}
	subscribe := map[string]any{"type": "subscribe", "id": "demo", "subjects": []string{d.subject}}
	if *next > 0 {
		subscribe["start"] = *next
	}
	text, err := json.Marshal(subscribe)
	if err != nil {
		return err
	}
	if err := wsutil.WriteClientText(conn, text); err != nil {
		return err
	}
	for {
		// A server that says nothing for three keep-alives is gone.
		if err := conn.SetReadDeadline(time.Now().Add(3 * d.cfg.StreamKeepAlive)); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		text, err := wsutil.ReadServerText(both)
		if err != nil {
			return err
		}
		if err := d.heard(text, next, connected); err != nil {
			return err
		}
	}
}

// heard takes one message.
func (d *liveDemo) heard(text []byte, next *int64, connected func()) error {
	now := time.Now()
	var m socketMessage
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	switch m.Type {
	case "subscribed":
		*next = max(*next, m.Next)
		d.view.state(waySocket, true)
		connected()
	case "position":
		*next = max(*next, m.Next)
	case "event":
		*next = m.Event.Version + 1
		d.view.arrived(waySocket, m.Event.ID, now)
	case "error":
		return errors.New("the server refuses")
	}
	return nil
}
