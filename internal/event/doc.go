// Package event holds the nouns of Posthorn: what an event, an endpoint, an attempt and the state of a lane are,
// with their limits and the kinds of error that every other package speaks. It imports nothing of ours.
package event
