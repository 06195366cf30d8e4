package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

// overviewRoutes adds the routes of overviews.
func (a *API) overviewRoutes() {
	if a.Overviews == nil {
		return
	}
	const doc = "Rates, latencies and lanes of the last 15 minutes, and the endpoints that need attention. Figures are counted by this server since its start; " +
		"of a tenant since it was active or looked at first, when very many are. What is counted now is at most 5 seconds old."
	register(a, operation{
		id: "get-overview", method: http.MethodGet, path: "/v1/overview", tag: "Operation", summary: "See how the server does", doc: doc, scope: scopeAdmin, overall: true,
	}, func(ctx context.Context, c *call, _ *struct{}) (*outBody[client.Overview], error) {
		return a.overview(ctx, c, 0)
	})
	register(a, operation{
		id: "get-tenant-overview", method: http.MethodGet, path: "/v1/tenants/{tenant}/overview", tag: "Tenants", summary: "See how a tenant does", doc: doc,
		scope: scopeRead, portal: true,
	}, func(ctx context.Context, c *call, _ *InTenant) (*outBody[client.Overview], error) {
		return a.overview(ctx, c, c.tenant.ID)
	})
	a.overviewStreamRoutes()
}

func (a *API) overview(ctx context.Context, c *call, tenant event.TenantID) (*outBody[client.Overview], error) {
	o, err := a.Overviews.Overview(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return &outBody[client.Overview]{Body: a.showOverview(ctx, c, &o)}, nil
}

// tenantName names a tenant; one that was deleted meanwhile has no name.
func (a *API) tenantName(ctx context.Context, id event.TenantID) string {
	name, err := a.Control.TenantName(ctx, id)
	if err != nil {
		return ""
	}
	return name
}

func (a *API) showOverview(ctx context.Context, c *call, o *event.Overview) client.Overview {
	out := client.Overview{
		At: o.At.UTC(), Since: o.Since.UTC(), Window: client.Duration(o.Window), Figures: showFigures(&o.Figures),
		EventsPerSecond: o.EventsPerSecond, DeliveriesPerSecond: o.DeliveriesPerSecond, LatencyMS: showLatency(&o.Took), DeliveryMS: showLatency(&o.Age),
		Endpoints: o.Endpoints, Lanes: showLanes(&o.Lanes), InFlight: o.Lanes.InFlight, Retries: o.Lanes.Retries, Streams: o.Streams,
		Attention: a.showAttention(ctx, c, o.Attention), Series: showFiguresSeries(o),
	}
	if o.Attempts > 0 {
		rate := float64(o.Succeeded) / float64(o.Attempts)
		out.SuccessRate = &rate
	}
	if x := &o.Lanes.Oldest; !x.At.IsZero() && c.sees(x.Endpoint) {
		if tenant := a.tenantName(ctx, x.Endpoint.Tenant); tenant != "" {
			out.OldestBacklog = &client.OldestEvent{At: x.At.UTC(), Tenant: tenant, Endpoint: x.Endpoint.ID.String(), URL: x.Endpoint.URL}
		}
	}
	return out
}

func showFigures(f *event.Figures) client.Figures {
	return client.Figures{Events: f.Events, Attempts: f.Attempts, Delivered: f.Delivered, Retry: f.Retry, Failed: f.Failed, Gone: f.Gone}
}

func showLatency(p *event.Percentiles) *client.Latency {
	if !p.Known {
		return nil
	}
	return &client.Latency{P50: client.Milliseconds(p.P50), P95: client.Milliseconds(p.P95), P99: client.Milliseconds(p.P99)}
}

func showLanes(l *event.LaneCounts) client.Lanes {
	out := client.Lanes{Live: l.Live, Backlog: l.Backlog, Waiting: l.Waiting, Reasons: map[string]int{}, Idle: l.Idle}
	for why, n := range l.Reasons {
		if n > 0 {
			out.Reasons[why] = n
		}
	}
	return out
}

// showAttention shows what the caller may know of. The list may be some seconds old: tenants that were deleted since are left out.
func (a *API) showAttention(ctx context.Context, c *call, list []event.Attention) []client.Attention {
	out := make([]client.Attention, 0, len(list))
	for i := range list {
		x := &list[i]
		if !c.sees(&event.Endpoint{Kind: x.Kind, URL: x.URL}) {
			continue
		}
		tenant := a.tenantName(ctx, x.Tenant)
		if tenant == "" {
			continue
		}
		out = append(out, client.Attention{
			Tenant: tenant, Endpoint: x.Endpoint.String(), URL: x.URL, Description: x.Description, Reason: x.Reason,
			Since: timePointer(x.Since), Backlog: x.Backlog, OldestAt: timePointer(x.OldestAt), PenaltyUntil: timePointer(x.PenaltyUntil),
			Failures: x.Failures, LastStatus: x.LastStatus, LastError: x.LastError,
		})
	}
	return out
}

// milliseconds returns nil for what is not known.
func milliseconds(known bool, d time.Duration) *float64 {
	if !known {
		return nil
	}
	ms := client.Milliseconds(d)
	return &ms
}

func showFiguresSeries(o *event.Overview) client.FiguresSeries {
	n := len(o.Series)
	out := client.FiguresSeries{
		Start: o.Start.UTC(), StepMS: o.Step.Milliseconds(), Events: make([]*int64, n), Delivered: make([]*int64, n), Retry: make([]*int64, n),
		Failed: make([]*int64, n), P50: make([]*float64, n), P99: make([]*float64, n),
	}
	for i := range o.Series {
		s := &o.Series[i]
		if !s.Known {
			continue
		}
		out.Events[i], out.Delivered[i], out.Retry[i], out.Failed[i] = &s.Events, &s.Delivered, &s.Retry, &s.Failed
		out.P50[i], out.P99[i] = milliseconds(s.Took.Known, s.Took.P50), milliseconds(s.Took.Known, s.Took.P99)
	}
	return out
}

func showTick(t *event.Tick) client.Tick {
	return client.Tick{
		At: t.At.UTC(), Figures: showFigures(&t.Figures), P50: milliseconds(t.Took.Known, t.Took.P50), P99: milliseconds(t.Took.Known, t.Took.P99),
		Lanes: showLanes(&t.Lanes), InFlight: t.Lanes.InFlight, Retries: t.Lanes.Retries, Streams: t.Streams, OldestBacklogAt: timePointer(t.Lanes.Oldest.At),
	}
}
