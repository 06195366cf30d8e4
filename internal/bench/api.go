package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/posthornhq/posthorn/client"
)

// tenant is the tenant of every measurement.
const tenant = "bench"

// setupConnections is how many requests set up a case at once.
const setupConnections = 64

// api is the server's control plane, for setting up. Publishing goes through the load generator.
type api struct {
	base, key string
	http      *http.Client
}

func newAPI(base, key string) api {
	return api{base, key, &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{MaxIdleConnsPerHost: setupConnections, MaxConnsPerHost: setupConnections, IdleConnTimeout: time.Minute},
	}}
}

// status asks a path and returns the status of its answer.
func (a api) status(ctx context.Context, path string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, nil)
	if err != nil {
		return 0, err
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Body.Close()
}

// call sends in as JSON, unless it is nil, and decodes the answer into out, unless it is nil.
func (a api) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("Authorization", "Bearer "+a.key)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return fmt.Errorf("%s %s: %w", method, path, err)
	case resp.StatusCode >= 300:
		return fmt.Errorf("%s %s was answered %d: %.300s", method, path, resp.StatusCode, text)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// addEndpoints makes n endpoints at once, each as made by of, and returns their ids in the order of of's numbers.
func (a api) addEndpoints(ctx context.Context, n int, of func(i int) client.Endpoint, progress func(done int64)) ([]string, error) {
	ids := make([]string, n)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(setupConnections)
	var done atomic.Int64
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			var made client.Endpoint
			err := a.call(ctx, http.MethodPost, "/v1/tenants/"+tenant+"/endpoints", of(i), &made)
			ids[i] = made.ID
			done.Add(1)
			return err
		})
		if i%500 == 0 {
			progress(done.Load())
		}
	}
	err := g.Wait()
	progress(int64(n))
	return ids, err
}

// endpoint reads one endpoint with its state.
func (a api) endpoint(ctx context.Context, id string) (client.Endpoint, error) {
	var e client.Endpoint
	err := a.call(ctx, http.MethodGet, "/v1/tenants/"+tenant+"/endpoints/"+id, nil, &e)
	return e, err
}

// recorded reports whether an event's delivery is among the recorded attempts.
func (a api) recorded(ctx context.Context, id string) (bool, error) {
	var page struct {
		Data []client.Attempt `json:"data"`
	}
	if err := a.call(ctx, http.MethodGet, "/v1/tenants/"+tenant+"/events/"+id+"/attempts", nil, &page); err != nil {
		return false, err
	}
	for _, at := range page.Data {
		if at.Verdict == "delivered" {
			return true, nil
		}
	}
	return false, nil
}
