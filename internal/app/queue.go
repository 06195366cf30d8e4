package app

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/live"
	"github.com/posthornhq/posthorn/internal/queue"
	"github.com/posthornhq/posthorn/internal/store"
)

// newQueues makes the queues, and their metrics.
func (a *App) newQueues(lease store.Lease, limits event.Limits) *queue.Manager {
	m := queue.New(queue.Config{Lease: lease, Store: a.store, Logger: a.log, Limits: limits, MaxQueues: a.cfg.MaxQueues})
	a.metrics.registry.MustRegister(&queueMetrics{app: a, queues: m})
	return m
}

// leasing is what the REST API sees of the queues.
type leasing struct {
	*queue.Manager
	hub *live.Hub
}

// Lease implements [rest.Queues]: a lease that waits counts as a waiting poll.
func (l leasing) Lease(ctx context.Context, tenant event.TenantID, name string, ask event.LeaseAsk) ([]event.Leased, error) {
	return l.Manager.Lease(ctx, tenant, name, ask, func() (func(), error) { return l.hub.AdmitLease(tenant) })
}

// keepQueues saves how far queues are, drops idle ones from memory, and deletes what deleted ones left.
func (a *App) keepQueues(ctx context.Context) error {
	a.queues.Sweep()
	ids, err := a.store.DeletedQueues(ctx, houseBatch)
	for _, id := range ids {
		if err == nil {
			err = a.batches(ctx, "queue_state", func() (int, error) { return a.store.DeleteQueueState(ctx, id, houseBatch) })
		}
		if err == nil {
			err = a.store.ForgetQueue(ctx, id)
		}
	}
	return err
}

func (a *App) trimQueueDead(ctx context.Context) error {
	if a.cfg.AttemptsRetentionAge == 0 {
		return nil
	}
	before := time.Now().Add(-a.cfg.AttemptsRetentionAge)
	return a.batches(ctx, "queue_dead_letters", func() (int, error) { return a.store.TrimQueueDead(ctx, before, houseBatch) })
}

// Bounds of the metrics of queues.
const (
	queuesShown    = 1000            // with figures of their own; those of the others are summed
	queuesEvery    = 5 * time.Second // how often the figures are read, at most
	queuesDeadline = 5 * time.Second // for reading them
)

// queueMetrics are the figures of queues, read when /metrics is asked for. The labels tenant and queue name at most 1,000
// queues; the others share empty ones.
type queueMetrics struct {
	app    *App
	queues *queue.Manager

	mu   sync.Mutex
	at   time.Time
	list []queue.Stat
	rest event.QueueView
}

func queueDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("posthorn_queue_"+name, help+" The labels are empty for the sum of the queues after the first 1,000.", []string{"tenant", "queue"}, nil)
}

var (
	queueDepth = queueDesc("depth", "A queue's open events, and those from the next one to be given on, whether selected or not.")
	queueOpen  = queueDesc("open", "Events of a queue that are leased, delayed or parked.")
	queueDead  = queueDesc("dead_letters", "Events of a queue that were leased too often without an ack.")
	queueAge   = queueDesc("age_seconds", "Age of the oldest event that a queue is not done with.")
)

// Describe implements [prometheus.Collector].
func (m *queueMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{queueDepth, queueOpen, queueDead, queueAge} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *queueMetrics) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ctx, cancel := context.WithTimeout(m.app.base, queuesDeadline)
	defer cancel()
	if now := time.Now(); now.Sub(m.at) >= queuesEvery {
		list, rest, err := m.queues.Stats(ctx, queuesShown)
		if err != nil {
			m.app.log.WarnContext(ctx, "cannot read the figures of queues", slog.Any("error", err))
			return
		}
		m.at, m.list, m.rest = now, list, rest
	}
	send := func(tenant, name string, v *event.QueueView) {
		for desc, value := range map[*prometheus.Desc]float64{
			queueDepth: float64(v.Depth), queueOpen: float64(v.Open), queueDead: float64(v.Dead), queueAge: age(v.Oldest),
		} {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, tenant, name)
		}
	}
	for i := range m.list {
		s := &m.list[i]
		tenant, err := m.app.control.TenantName(ctx, s.Tenant)
		if err != nil { // deleted meanwhile
			tenant = strconv.FormatInt(int64(s.Tenant), 10)
		}
		send(tenant, s.Name, &s.QueueView)
	}
	if len(m.list) == queuesShown {
		send("", "", &m.rest)
	}
}

// age is the time since another one in seconds, 0 for the zero time.
func age(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return time.Since(t).Seconds()
}
