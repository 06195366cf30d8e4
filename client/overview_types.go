package client

import "time"

// Figures are counts over a time. A request may carry several events.
type Figures struct {
	Events    int64 `json:"events" doc:"Events stored"`
	Attempts  int64 `json:"attempts" doc:"Requests to endpoints"`
	Delivered int64 `json:"delivered" doc:"Events sent and delivered"`
	Retry     int64 `json:"retry" doc:"Events sent that are to be tried again"`
	Failed    int64 `json:"failed" doc:"Events that finally failed"`
	Gone      int64 `json:"gone" doc:"Events sent to endpoints that answered 410"`
}

// Overview shows how the server, or one tenant, does. Its figures are those of the last 15 minutes, or since counting began.
type Overview struct {
	At     time.Time `json:"at" doc:"Now"`
	Since  time.Time `json:"since" doc:"When counting began: at the server's start, or, of a tenant, when it was active or looked at first"`
	Window Duration  `json:"window" doc:"How far the figures go back"`
	Figures
	SuccessRate         *float64      `json:"success_rate,omitempty" minimum:"0" maximum:"1" doc:"Of the requests; absent without any"`
	EventsPerSecond     float64       `json:"events_per_second" doc:"In the last 10 seconds"`
	DeliveriesPerSecond float64       `json:"deliveries_per_second" doc:"In the last 10 seconds"`
	LatencyMS           *Latency      `json:"latency_ms,omitempty" doc:"Of requests to endpoints, in milliseconds"`
	DeliveryMS          *Latency      `json:"delivery_ms,omitempty" doc:"From an event's append to its delivery, in milliseconds"`
	Endpoints           int           `json:"endpoints" doc:"Saved endpoints"`
	Lanes               Lanes         `json:"lanes" doc:"Endpoints by how their deliveries go"`
	InFlight            int           `json:"in_flight" doc:"Requests to endpoints under way"`
	Retries             int           `json:"retries" doc:"Deliveries that wait to be tried again"`
	Streams             int           `json:"streams" doc:"Live connections"`
	OldestBacklog       *OldestEvent  `json:"oldest_backlog,omitempty" doc:"The oldest event that is still to be delivered"`
	Attention           []Attention   `json:"attention" doc:"Endpoints that need attention, the worst first; at most 20"`
	Series              FiguresSeries `json:"series" doc:"The last 15 minutes"`
}

// Lanes counts endpoints by how their deliveries go.
type Lanes struct {
	Live    int            `json:"live" doc:"Get events as they come"`
	Backlog int            `json:"backlog" doc:"Are behind and catch up"`
	Waiting int            `json:"waiting" doc:"Wait"`
	Reasons map[string]int `json:"reasons" doc:"Why those that wait do: penalty, retries, paused, gone, failing, changelog, offline"`
	Idle    int            `json:"idle" doc:"Have had nothing to do for a while"`
}

// OldestEvent says which endpoint has the oldest event still to be delivered.
type OldestEvent struct {
	At       time.Time `json:"at" doc:"When the event was received"`
	Tenant   string    `json:"tenant" doc:"The tenant"`
	Endpoint string    `json:"endpoint" doc:"The endpoint's id"`
	URL      string    `json:"url" doc:"The endpoint's URL"`
}

// Attention is an endpoint that needs somebody's attention, and why.
type Attention struct {
	Tenant       string     `json:"tenant" doc:"The tenant"`
	Endpoint     string     `json:"endpoint" doc:"The endpoint's id"`
	URL          string     `json:"url" doc:"Its URL"`
	Description  string     `json:"description,omitempty" doc:"For people"`
	Reason       string     `json:"reason" enum:"gone,failing,retries,penalty,backlog,dead_letters,offline" doc:"gone: disabled, it answered 410. failing: disabled, it only failed for too long. retries: as many events as may wait to be tried again. penalty: it fails as a whole. backlog: it is more than a minute behind. dead_letters: events finally failed in the last 24 hours. offline: a tunnel that nobody is connected to, with something waiting"`
	Since        *time.Time `json:"since,omitempty" doc:"Since when, where that is known"`
	Backlog      int64      `json:"backlog" doc:"Versions still to be looked at, an upper bound of what is to be delivered"`
	OldestAt     *time.Time `json:"oldest_at,omitempty" doc:"When the first of them was received"`
	PenaltyUntil *time.Time `json:"penalty_until,omitempty" doc:"When it is tried again"`
	Failures     int        `json:"failures" doc:"Failures in a row; of dead_letters how many there are, up to 1,000"`
	LastStatus   int        `json:"last_status,omitempty" doc:"The status of its last answer"`
	LastError    string     `json:"last_error,omitempty" doc:"Why there was no answer"`
}

// FiguresSeries holds figures by time, the oldest first. What is null was not counted yet or, of percentiles, had nothing to
// be measured.
type FiguresSeries struct {
	Start     time.Time  `json:"start" doc:"When the first step begins"`
	StepMS    int64      `json:"step_ms" doc:"How long a step is"`
	Events    []*int64   `json:"events" doc:"Events stored"`
	Delivered []*int64   `json:"delivered" doc:"Events delivered"`
	Retry     []*int64   `json:"retry" doc:"Events to be tried again"`
	Failed    []*int64   `json:"failed" doc:"Events that finally failed, also by 410"`
	P50       []*float64 `json:"p50" doc:"Of requests' durations, in milliseconds"`
	P99       []*float64 `json:"p99" doc:"Of requests' durations, in milliseconds"`
}

// Tick is what happened in the last second.
type Tick struct {
	At time.Time `json:"at" doc:"When the second ended"`
	Figures
	P50             *float64   `json:"p50,omitempty" doc:"Of requests' durations, in milliseconds"`
	P99             *float64   `json:"p99,omitempty" doc:"Of requests' durations, in milliseconds"`
	Lanes           Lanes      `json:"lanes" doc:"Endpoints by how their deliveries go"`
	InFlight        int        `json:"in_flight" doc:"Requests to endpoints under way"`
	Retries         int        `json:"retries" doc:"Deliveries that wait to be tried again"`
	Streams         int        `json:"streams" doc:"Live connections"`
	OldestBacklogAt *time.Time `json:"oldest_backlog_at,omitempty" doc:"When the oldest event that is still to be delivered was received"`
}

// AttentionList is the list of endpoints that need attention, when it has changed.
type AttentionList struct {
	Data []Attention `json:"data" doc:"The worst first"`
}

// OverviewNews is one message of a watched overview: exactly one of the fields is set.
type OverviewNews struct {
	Overview  *Overview
	Tick      *Tick
	Attention *AttentionList
}

// LiveStream is a live connection, or a long poll that waits.
type LiveStream struct {
	ID            string    `json:"id" doc:"Never given again"`
	Kind          string    `json:"kind" enum:"websocket,sse,poll" doc:"What it is"`
	Address       string    `json:"address,omitempty" doc:"The client's IP address, where it is known"`
	UserAgent     string    `json:"user_agent,omitempty" doc:"What the client calls itself"`
	By            Caller    `json:"by" doc:"Whose key or token it came with"`
	Since         time.Time `json:"since" doc:"When it began"`
	Version       int64     `json:"version" doc:"The last version that was sent or passed over; 0 while nothing is subscribed to"`
	Head          int64     `json:"head" doc:"The log's last version"`
	Lag           int64     `json:"lag" doc:"How many versions it is behind"`
	Sent          int64     `json:"sent" doc:"Events sent"`
	Subscriptions int       `json:"subscriptions" doc:"Of a WebSocket: how many it has; the following is of the first"`
	Types         []string  `json:"types,omitempty" doc:"Patterns of event types; absent: every type"`
	Subjects      []string  `json:"subjects,omitempty" doc:"Subjects; absent: every one"`
	Filter        string    `json:"filter,omitempty" doc:"A CEL expression over the event"`
}

// Caller says who came.
type Caller struct {
	Kind string `json:"kind" enum:"root,apikey,token,user" doc:"What it is"`
	ID   string `json:"id" doc:"The key's or token's id, or the person's"`
	Name string `json:"name,omitempty" doc:"The key's or the person's name; tokens have none"`
}

// StatsBucket is a part of a series of attempts. When Sampled, its figures are those of the newest of its attempts.
type StatsBucket struct {
	At        time.Time `json:"at" doc:"When it begins"`
	Attempts  int       `json:"attempts" doc:"How many attempts that ended in it are counted"`
	Delivered int       `json:"delivered" doc:"Of those, delivered"`
	Failed    int       `json:"failed" doc:"Of those, all others: to be tried again, failed, gone"`
	Sampled   bool      `json:"sampled,omitempty" doc:"It has more attempts than are counted: the figures are those of its newest"`
	P50       *float64  `json:"p50,omitempty" doc:"The median of those that got an answer, in milliseconds"`
	P99       *float64  `json:"p99,omitempty" doc:"99 % of those that got an answer were as fast or faster"`
}

// StatsList is figures of several endpoints.
type StatsList struct {
	Data []Stats `json:"data" doc:"In the order asked; endpoints that are not there are left out"`
}
