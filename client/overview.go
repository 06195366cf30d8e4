package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// overviewPath is where the overview of a tenant is, or with "" that of the server.
func overviewPath(tenant string, more ...string) string {
	if tenant == "" {
		return path(append([]string{"overview"}, more...)...)
	}
	return path(append([]string{"tenants", tenant, "overview"}, more...)...)
}

// Overview shows how a tenant does; with an empty name, and an admin key, the server.
func (c *Client) Overview(ctx context.Context, tenant string) (*Overview, error) {
	var out Overview
	if _, err := c.do(ctx, newCall(http.MethodGet, overviewPath(tenant), nil), nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// WatchOverview yields an overview of a tenant, or with an empty name of the server, then a tick each second and the list of
// what needs attention when it changes, until the context ends. It connects again when the connection breaks, and then
// begins with an overview again. An error that trying again would not mend is yielded once, as the last item.
func (c *Client) WatchOverview(ctx context.Context, tenant string) iter.Seq2[OverviewNews, error] {
	return func(yield func(OverviewNews, error) bool) {
		rewatch(ctx, func() (heard, more bool, err error) { return c.watchOverviewOnce(ctx, tenant, yield) },
			func(err error) { yield(OverviewNews{}, err) })
	}
}

// watchOverviewOnce gives what comes over one connection. heard says that something came, more is false when the caller wants
// no more.
func (c *Client) watchOverviewOnce(ctx context.Context, tenant string, yield func(OverviewNews, error) bool) (heard, more bool, err error) {
	k := newCall(http.MethodGet, overviewPath(tenant, "stream"), nil)
	more, err = c.watchOnce(ctx, k, maxBlock, nil, func(block *sseBlock) (bool, error) {
		var news OverviewNews
		var into any
		switch block.name {
		case "overview":
			news.Overview = new(Overview)
			into = news.Overview
		case "tick":
			news.Tick = new(Tick)
			into = news.Tick
		case "attention":
			news.Attention = new(AttentionList)
			into = news.Attention
		default:
			return true, nil
		}
		if err := json.Unmarshal(block.data, into); err != nil {
			return true, &faultError{fmt.Errorf("decode an overview: %w", err)}
		}
		heard = true
		return yield(news, nil), nil
	})
	return heard, more, err
}

// StatsOptions say how figures of attempts are made. The zero value is good.
type StatsOptions struct {
	// Window is how far to look back, at most 2160 h; 0: 24 h.
	Window time.Duration
	// Buckets is into how many parts the window is divided, at most 200; 0: there is no series.
	Buckets int
}

func (o StatsOptions) query() url.Values {
	q := url.Values{}
	if o.Window > 0 {
		q.Set("window", Duration(o.Window).String())
	}
	if o.Buckets > 0 {
		q.Set("buckets", strconv.Itoa(o.Buckets))
	}
	return q
}

// EndpointStats reads figures over an endpoint's attempts, with a series by time.
func (c *Client) EndpointStats(ctx context.Context, tenant, id string, o StatsOptions) (*Stats, error) {
	k := newCall(http.MethodGet, endpointPath(tenant, id, "stats"), nil)
	k.query = o.query()
	var out Stats
	if _, err := c.do(ctx, k, nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// EndpointsStats reads figures of up to 50 endpoints at once, over the newest 1,000 attempts of each; series cover the whole window.
func (c *Client) EndpointsStats(ctx context.Context, tenant string, ids []string, o StatsOptions) ([]Stats, error) {
	k := newCall(http.MethodGet, path("tenants", tenant, "endpoints", "stats"), nil)
	k.query = o.query()
	k.query.Set("endpoints", strings.Join(ids, ","))
	var out StatsList
	_, err := c.do(ctx, k, nil, &out)
	return out.Data, err
}
