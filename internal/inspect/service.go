package inspect

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// Store is what bins need of a store; see package store for the contract of each method.
type Store interface{ store.Bins }

// Forwarder carries requests to programs behind tunnels.
type Forwarder interface {
	// Online reports whether somebody is connected to a tunnel. It is true before [Service.TunnelOnline] is called.
	Online(tenant event.TenantID, name string) bool
	// Forward sends a request and returns the local program's answer. kept says that its caller is no longer there. An
	// error, or an answer with Status 0 (its Reason says why), means that it was not delivered and is to be sent again.
	Forward(ctx context.Context, tenant event.TenantID, name string, c event.Capture, kept bool) (event.Answer, error)
}

// Config is what a [Service] is made of. Store, Arrived and Logger are needed.
type Config struct {
	Store Store
	// Sender sends a request to a URL, for replays; it refuses addresses that are not allowed (KindInvalid, naming "url"),
	// follows no redirect, and reads a bounded answer. nil: nothing is replayed.
	Sender func(ctx context.Context, url string, r event.Request) (event.Answer, error)
	// Forwarder carries requests to tunnels; nil: bins with a tunnel only keep.
	Forwarder Forwarder
	// Waits says whether callers of a bin wait for the local answer while its tunnel is connected; nil: they do.
	Waits func(b *event.Bin) bool
	// Arrived returns a request as it arrived, without its body: prefix is the escaped path of the bin.
	Arrived func(r *http.Request, prefix string) event.Request
	// PublicURL is the server's address as callers see it, without a path; empty: addresses are relative.
	PublicURL string
	// MaxBody bounds a body, in bytes; 0: 10 MiB.
	MaxBody int
	// MaxBins bounds the bins of one tenant, and of those that belong to none; 0: no bound.
	MaxBins int
	// Hold counts a caller that waits for an answer, until release is called; not ok: too many wait. nil: no bound.
	Hold func() (release func(), ok bool)
	// Clock gives the time; nil: [time.Now].
	Clock  func() time.Time
	Logger *slog.Logger
}

// Bounds of those who wait and watch.
const (
	defaultMaxBody = 10 << 20
	maxWatchers    = 2000 // of all bins; each may hold some requests on their way to it
	maxBinWatchers = 200  // of one bin
)

// Service is all bins of a server. It is safe for concurrent use. Make one with [New] and end it with [Service.Close].
type Service struct {
	cfg    Config
	ctx    context.Context //nolint:containedctx // of what outlives the call that began it: forwards, saves
	cancel context.CancelFunc
	work   sync.WaitGroup
	hub    hub
	held   held
	bodies *semaphore.Weighted // bytes of bodies on their way

	mu       sync.Mutex
	lines    map[string]*line // by the bin's ID
	stopping bool
	stopped  chan struct{} // closed by Drain
}

// New makes a service.
func New(c Config) *Service {
	if c.MaxBody <= 0 {
		c.MaxBody = defaultMaxBody
	}
	if c.Hold == nil {
		c.Hold = func() (func(), bool) { return func() {}, true }
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	s := &Service{cfg: c, lines: map[string]*line{}, stopped: make(chan struct{}), bodies: semaphore.NewWeighted(maxBodies)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.hub.init()
	s.held.init()
	return s
}

// Drain answers the callers that wait, ends the watches, and lets nobody wait any more: the first step of stopping.
func (s *Service) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopping {
		s.stopping = true
		close(s.stopped)
	}
}

// Close ends what is under way, saves how far tunnels are, and waits. It drains first.
func (s *Service) Close() {
	s.Drain()
	s.cancel()
	s.work.Wait()
	s.saveLines()
}

// start runs f until Close, which waits for it; false when the service is stopping.
func (s *Service) start(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.work.Go(f)
	return true
}

// now is the time as it is saved.
func (s *Service) now() time.Time { return s.cfg.Clock().UTC().Truncate(time.Microsecond) }

// newUUID returns a random UUID (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// isUUID reports whether s has the form of a UUID, in any case.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F'):
			return false
		}
	}
	return true
}

func shuttingDown() error {
	return &event.Error{Kind: event.KindUnavailable, Code: "shutting_down", Detail: "the server is stopping", RetryAfter: time.Second}
}

// busy is the answer when too many wait or watch.
func busy(detail string) error {
	return &event.Error{Kind: event.KindUnavailable, Code: "busy", Detail: detail, RetryAfter: 5 * time.Second}
}

// mapError gives the store's own errors a kind that callers can show.
func mapError(err error) error {
	switch {
	case errors.Is(err, store.ErrFull):
		return &event.Error{
			Kind: event.KindFull, Code: "storage_full", Detail: "there is no space left to keep requests; it goes on by itself once there is",
			RetryAfter: 5 * time.Second, Err: err,
		}
	case errors.Is(err, store.ErrClosed):
		return shuttingDown()
	}
	return err
}
