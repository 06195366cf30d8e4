// Package overview shows how the server and each tenant do: rates, latencies, lanes and what needs attention.
//
// The way through: package ingest and the lanes tell [Counters] of every publish and attempt (counters.go), which counts in
// a [meter] of the whole server and one of the tenant (meter.go, histogram.go). Once a second a sample takes what is new
// since the last one (sample.go); every five seconds it becomes a slot of the last fifteen minutes. A [Service] adds what
// the lanes, the store and the live connections say (service.go, attention.go), once for all who look, and lets people
// watch (watch.go).
package overview
