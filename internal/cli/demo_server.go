package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/app"
	"github.com/posthornhq/posthorn/internal/config"
	"github.com/posthornhq/posthorn/internal/sink"
)

// demoServer is a server within this process.
type demoServer struct {
	base string // its address
	// stop ends the server, waits for it and returns its error, once.
	stop func() error
	// failed reports that it ended by itself.
	failed <-chan error
}

// startDemoServer starts a server and waits until it can take work. It ends with life at the latest.
func startDemoServer(life context.Context, cfg config.Config, pages map[string]http.Handler) (*demoServer, error) {
	log := &lastWords{}
	ready := make(chan string, 1)
	running, end := context.WithCancel(life)
	server, err := app.New(running, cfg, app.Options{
		Log: log, Version: version(), OnReady: func(baseURL, _ string) { ready <- baseURL }, Pages: pages,
	})
	if err != nil {
		end()
		return nil, explainStart(err)
	}
	ended := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		err := server.Run(running)
		if err != nil && log.String() != "" {
			err = fmt.Errorf("%w\n%s", err, log.String())
		}
		ended <- err
		close(done)
	}()
	s := &demoServer{failed: ended, stop: func() error {
		end()
		<-done
		select {
		case err := <-ended:
			return err
		default:
			return nil // told already
		}
	}}
	select {
	case s.base = <-ready:
		return s, nil
	case err := <-ended:
		return nil, errors.Join(err, s.stop())
	}
}

// stopReceiver stops a demo's receiver; connections that are still open end with it.
func stopReceiver(ctx context.Context, s *sink.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// every calls f again and again, period apart, until ctx ends.
func every(ctx context.Context, period time.Duration, f func()) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f()
		}
	}
}

// lastWords keeps the beginning of a log, to be shown when the server fails.
type lastWords struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write keeps up to 4 KiB.
func (l *lastWords) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if room := 4<<10 - l.text.Len(); room > 0 {
		l.text.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}

// String returns what was kept.
func (l *lastWords) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(l.text.String())
}

var _ io.Writer = (*lastWords)(nil)
