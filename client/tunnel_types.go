package client

import "time"

// TunnelSetup says what a tunnel is for.
type TunnelSetup struct {
	Name   string   `json:"name" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" patternDescription:"1 to 63 of a-z, 0-9, _ and -, not starting with _ or -" doc:"Unique in the tenant; what connects names it"`
	Kind   string   `json:"kind" enum:"bin,source,endpoint,http" doc:"What goes through it. bin: what is sent to a bin of its own. source: what a source accepted, as it came. endpoint: events, as signed webhooks. http: what is sent to its own address"`
	Source string   `json:"source,omitempty" doc:"The source's name, of the kind source"`
	Types  []string `json:"types,omitzero" doc:"Patterns of event types, of the kinds source and endpoint; empty: every type"`
	Filter string   `json:"filter,omitempty" doc:"A CEL expression over the event that must be true, of the same kinds"`
	// Order is that of the tunnel's endpoint.
	Order string `json:"order,omitempty" enum:"none,key,strict" doc:"The order of events, of the same kinds. strict (default): an event that the local program refuses holds up those after it. key: those of its key. none: nothing"`
	// Answer nil means true.
	Answer *bool  `json:"answer,omitempty" doc:"Let the callers of the bin or source wait for the local answer while the tunnel is connected; default true"`
	Host   string `json:"host,omitempty" doc:"The first label of a host name, of the kind http, where the server has host names for tunnels"`
}

// Tunnel is a way to a program on a listener's own machine.
type Tunnel struct {
	Name   string   `json:"name" doc:"Unique in the tenant"`
	Kind   string   `json:"kind" enum:"bin,source,endpoint,http" doc:"What goes through it"`
	URL    string   `json:"url,omitempty" doc:"Where callers send to; absent of the kind endpoint"`
	Host   string   `json:"host,omitempty" doc:"Its address by host name, of the kind http"`
	Bin    string   `json:"bin,omitempty" doc:"The bin's id, of the kind bin"`
	Source string   `json:"source,omitempty" doc:"The source's name, of the kind source"`
	Types  []string `json:"types,omitempty" doc:"Patterns of event types; absent: every type"`
	Filter string   `json:"filter,omitempty" doc:"A CEL expression over the event"`
	Order  string   `json:"order,omitempty" enum:"none,key,strict" doc:"The order of events, of the kinds source and endpoint"`
	Answer bool     `json:"answer" doc:"Whether callers wait for the local answer while the tunnel is connected, of the kinds bin and source"`
	// Endpoint is what keeps the events for the tunnel.
	Endpoint string `json:"endpoint,omitempty" doc:"The endpoint's id, of the kinds source and endpoint"`
	Secret   string `json:"secret,omitempty" doc:"What verifies the webhooks, of the kind endpoint; in the answer to POST only"`
	// Connections counts who is connected.
	Connections int        `json:"connections" doc:"How many listeners are connected; they share the work"`
	Since       *time.Time `json:"since,omitempty" doc:"Since when somebody is"`
	Requests    int        `json:"requests" doc:"How many requests are under way"`
}

// Tunnels is a tenant's list of tunnels.
type Tunnels struct {
	Data []Tunnel `json:"data" doc:"By name"`
}
