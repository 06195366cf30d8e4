// Package rest is the HTTP API, version 1.
//
// A request passes the publish path (a handler of its own, because its cost counts) or, for everything else, the
// pipeline: key and tenant, Accept, body, Idempotency-Key, then the handler that huma calls with decoded and validated
// input, then ETags. Errors of every kind become problem documents in problem.go and nowhere else. What the handlers
// need of other packages is declared in ports.go; the wire types are those of package client.
package rest

//go:generate env REST_UPDATE=1 go test -count=1 -run ^TestCommittedDocument$ .
