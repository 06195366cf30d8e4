package client

import (
	"context"
	"net/http"
	"time"
)

// ReplayRequest asks to send events again: from a version, or from a time, on.
type ReplayRequest struct {
	FromVersion int64      `json:"from_version,omitempty" minimum:"1" doc:"The first version; instead of since"`
	Since       *time.Time `json:"since,omitempty" doc:"The time of receipt to begin with; instead of from_version"`
	Until       *time.Time `json:"until,omitempty" doc:"The time of receipt to end before; absent: what is on the log now"`
	Only        string     `json:"only,omitempty" enum:"failed,all" doc:"failed: only those that finally failed for the endpoint. Default all"`
	// DryRun counts what would be sent, and sends nothing.
	DryRun bool `json:"dry_run,omitempty" doc:"Count what would be sent, and send nothing"`
}

// Replay is a replay: under way, ended within the last hour, or, of a dry run, one that there could be.
type Replay struct {
	ID          string `json:"id,omitempty" doc:"Given by the server; absent of a dry run"`
	FromVersion int64  `json:"from_version" doc:"The first version"`
	ToVersion   int64  `json:"to_version" doc:"The last version"`
	Only        string `json:"only" enum:"failed,all" doc:"Which events"`
	Cursor      int64  `json:"cursor" doc:"How far it is: every version up to this one is sent, or failed and is tried again"`
	Sent        int64  `json:"sent" doc:"Events that arrived so far"`
	State       string `json:"state,omitempty" enum:"running,done,cancelled" doc:"Absent of a dry run"`
	// Progress is by versions, and 1 when it is done.
	Progress float64 `json:"progress" doc:"By versions, 0 to 1; 1 once it is done"`
	Retries  int     `json:"retries,omitempty" doc:"Deliveries that failed and are tried again before it is done"`
	// Started is nil when it is not known: it began before an upgrade of the server.
	Started *time.Time `json:"started,omitempty" doc:"When it began"`
	Ended   *time.Time `json:"ended,omitempty" doc:"When it ended"`
	// Matching is how many events it sends: of a dry run, and of one that sends what failed.
	Matching *int64 `json:"matching,omitempty" doc:"How many events it sends: of a dry run, and of a replay of failed ones as counted when it began"`
	Exact    *bool  `json:"exact,omitempty" doc:"Of a dry run: false when counting stopped early, and there are at least so many"`
}

// Replay starts to send events again, or with DryRun counts them.
func (c *Client) Replay(ctx context.Context, tenant, id string, r ReplayRequest, opts ...CallOption) (*Replay, error) {
	var out Replay
	_, err := c.do(ctx, newCall(http.MethodPost, endpointPath(tenant, id, "replay"), opts), r, &out)
	return &out, err
}

// Replays lists an endpoint's replays: those that run, and those that ended within the last hour, since the server's start.
func (c *Client) Replays(ctx context.Context, tenant, id string) ([]Replay, error) {
	var out Page[Replay]
	_, err := c.do(ctx, newCall(http.MethodGet, endpointPath(tenant, id, "replays"), nil), nil, &out)
	return out.Data, err
}

// GetReplay reads one of an endpoint's replays.
func (c *Client) GetReplay(ctx context.Context, tenant, id, replay string) (*Replay, error) {
	var out Replay
	_, err := c.do(ctx, newCall(http.MethodGet, endpointPath(tenant, id, "replays", replay), nil), nil, &out)
	return &out, err
}

// CancelReplay ends a replay for good. What is being sent at this moment still arrives.
func (c *Client) CancelReplay(ctx context.Context, tenant, id, replay string) error {
	_, err := c.do(ctx, newCall(http.MethodDelete, endpointPath(tenant, id, "replays", replay), nil), nil, nil)
	return err
}
