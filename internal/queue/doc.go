// Package queue lends events to workers that share them: lease, ack, nack, extend. A queue reads its tenant's log
// forward from a cursor; what it has given out or set aside are its open items, of which there are at most max_open, so
// that its state is bounded however long the log is.
//
// The way of an event: a lease that finds nothing due starts a read of the log; the events read that the queue selects
// go to the waiting leases, first come first served, each as an open item; all changes that came meanwhile are saved in
// one step, and only then are the leases answered. An ack closes the item; an item whose lease ends, or that is given
// back, is due again before anything new; one that was leased too often becomes a dead letter.
//
// What is in memory is always what is saved plus the changes on their way to the store. When saving fails the queue is
// dropped from memory and loaded again at its next use, so that memory never says what the store does not.
package queue
