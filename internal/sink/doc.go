// Package sink is a receiver of webhooks for the demo, the benchmark, tests and people trying things out.
//
// A request comes in; the [Behaviour] of its path decides the answer (status, delay, failures by chance, in a pattern
// or for a time); it is counted, and, where asked, verified, metered ([Meter]) and handed to an observer. Without any of
// these a request costs little more than fasthttp itself, which makes the sink the floor of a measurement.
package sink
