package app

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/posthornhq/posthorn/internal/api/hooksite"
	"github.com/posthornhq/posthorn/internal/config"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/guard"
	"github.com/posthornhq/posthorn/internal/inbound"
	"github.com/posthornhq/posthorn/internal/inspect"
	"github.com/posthornhq/posthorn/internal/keyring"
)

// newBins makes the service of bins.
func (a *App) newBins(checks *guard.Guard) *inspect.Service {
	return inspect.New(inspect.Config{
		Store: a.store, Sender: (&resender{checks: checks, client: guarded(checks)}).send, Forwarder: carrier{a}, Waits: carrier{a}.waits,
		Arrived: a.arrivals.request, PublicURL: a.cfg.PublicURL,
		MaxBody: a.cfg.MaxBinBody, MaxBins: a.cfg.MaxBins, Hold: a.hold, Logger: a.log,
	})
}

// binKeeper is the bins of which a tunnel is told when its own is deleted.
type binKeeper struct {
	*inspect.Service
	tunnels func(tenant event.TenantID, bin string)
}

// Delete deletes a bin, and takes its tunnel down.
func (k binKeeper) Delete(ctx context.Context, id string, revision int64) error {
	b, err := k.Bin(ctx, 0, id)
	if err != nil && event.KindOf(err) != event.KindGone {
		return err
	}
	if err := k.Service.Delete(ctx, id, revision); err != nil {
		return err
	}
	if b.Tunnel != "" {
		k.tunnels(b.Tenant, b.ID)
	}
	return nil
}

// newFaces makes the interfaces of Webhook.site and smee.io to the bins.
func (a *App) newFaces() *hooksite.API {
	return hooksite.New(hooksite.Config{
		Bins: faceBins{a.bins, a}, Auth: faceAuth{a.control}, Anonymous: a.cfg.AnonymousBins == config.BinsByAnyone, PublicURL: a.cfg.PublicURL, Logger: a.log,
		Remote: func(r *http.Request) string { remote, _ := a.arrivals.caller(r); return remote },
	})
}

// newSources makes the service of sources.
func (a *App) newSources(keys *keyring.Keyring, limits event.Limits) (*inbound.Service, error) {
	return inbound.New(inbound.Config{
		Store: a.store, Sealer: keys, Tenants: a.control, Publish: a.publishOne, Arrived: a.arrivals.request, Inspector: inspector{a.bins},
		Awaiter: awaiter{a}, Observer: a.metrics, PublicURL: a.cfg.PublicURL, MaxBody: limits.MaxEvent, Hold: a.hold,
		MaxSources: a.cfg.MaxSources, Logger: a.log,
		Endpoint: func(ctx context.Context, t *event.Tenant, id event.EndpointID) error {
			_, err := a.control.Endpoint(ctx, t, id)
			return err
		},
	})
}

// holding counts the callers of sources, bins and tunnels that wait for an answer.
func holding(most int) func() (release func(), ok bool) {
	places := semaphore.NewWeighted(int64(most))
	return func() (func(), bool) {
		if !places.TryAcquire(1) {
			return nil, false
		}
		return sync.OnceFunc(func() { places.Release(1) }), true
	}
}

// publishOne stores what a source took.
func (a *App) publishOne(ctx context.Context, t *event.Tenant, e *event.Event) (event.Receipt, error) {
	receipts, err := a.ingest.Publish(ctx, t, []event.Event{*e}, "", [32]byte{})
	if err != nil {
		return event.Receipt{}, err
	}
	return receipts[0], nil
}

// inspector keeps requests of sources in bins.
type inspector struct{ bins *inspect.Service }

// Capture implements [inbound.Inspector].
func (i inspector) Capture(ctx context.Context, bin string, r event.Request, refused string) error {
	_, err := i.bins.Keep(ctx, bin, r, refused, event.Answer{})
	return err
}

// MakeBin implements [inbound.Inspector].
func (i inspector) MakeBin(ctx context.Context, t *event.Tenant, source string) (string, error) {
	b, err := i.bins.Create(ctx, t.ID, event.Bin{Description: "what came to the source " + source})
	return b.ID, err
}

// DropBin implements [inbound.Inspector].
func (i inspector) DropBin(ctx context.Context, _ *event.Tenant, bin string) error {
	err := i.bins.Delete(ctx, bin, 0)
	if event.KindOf(err) == event.KindNotFound {
		return nil
	}
	return err
}

// awaiter is what sources see of the answers of endpoints.
type awaiter struct{ a *App }

// Await implements [inbound.Awaiter].
func (w awaiter) Await(tenant event.TenantID, endpoint event.EndpointID, eventID string) (<-chan event.Answer, func()) {
	return w.a.manager.Await(tenant, endpoint, eventID)
}

// Answering implements [inbound.Awaiter].
func (w awaiter) Answering(tenant event.TenantID, source string) (event.EndpointID, bool) {
	return w.a.tunnels.Answering(tenant, source)
}

// inbound are the metrics of sources.
func (m *metrics) inbound(r *prometheus.Registry) {
	m.received = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "posthorn", Name: "source_requests_total", Help: "Requests to sources, by provider and outcome.",
	}, []string{"provider", "outcome"})
	m.receiveTime = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: "posthorn", Name: "source_request_seconds", Help: "From the head of a request to a source to its answer.",
		Buckets: []float64{.001, .0025, .005, .01, .015, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	})
	r.MustRegister(m.received, m.receiveTime)
}

// Received implements [inbound.Observer]. There are as many providers as the program knows.
func (m *metrics) Received(provider, outcome string, took time.Duration) {
	m.received.WithLabelValues(provider, outcome).Inc()
	m.receiveTime.Observe(took.Seconds())
}
