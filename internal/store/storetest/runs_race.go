//go:build race

package storetest

// propertyRuns is smaller under the race detector, which makes SQLite several times slower.
const propertyRuns = 5
