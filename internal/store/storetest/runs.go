//go:build !race

package storetest

// propertyRuns is how many random runs each property test makes, unless -rapid.checks says more: a durable store takes
// a millisecond a step.
const propertyRuns = 15
