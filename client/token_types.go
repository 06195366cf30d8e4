package client

import "time"

// TokenRequest asks for a short-lived token.
type TokenRequest struct {
	Allow []string `json:"allow" minItems:"1" enum:"publish,read,manage" doc:"What its bearer may do: no more than the key that asks for it"`
	// Types and Subjects narrow what its bearer reads and publishes.
	Types    []string  `json:"types,omitempty" doc:"Patterns of the event types that it is for, such as order.*; absent or empty: every type"`
	Subjects []string  `json:"subjects,omitempty" doc:"The subjects that it is for; one that ends in * means every subject that begins so; absent or empty: every subject"`
	TTL      *Duration `json:"ttl,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" patternDescription:"a duration such as 15m" doc:"How long it lives: 1s to 24h, default 1h"`
}

// Token is a short-lived token.
type Token struct {
	Token   string    `json:"token" doc:"The token: a JWT, to be sent as an API key is, as the cookie posthorn_token or as the query parameter access_token"`
	Expires time.Time `json:"expires" doc:"When it ends"`
}

// TokenRotation asks for a new key to sign tokens with.
type TokenRotation struct {
	Overlap *Duration `json:"overlap,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" patternDescription:"a duration such as 1h" doc:"How long tokens made before stay valid, at most 24h; default 0s: they end at once"`
}
