// Package deliver holds the lanes: it takes matched events from the follower, or reads a lane's backlog from the log,
// builds and signs requests, sends them, judges the answers, and saves attempts, retries, lane states and the follower's
// position together.
//
// The way through: [Manager.Offer] puts an event into lanes (lane.go) → take picks the next delivery of a lane (take.go) →
// a worker builds the request (target.go), sends it (send.go) and judges the answer (judge.go) → finish settles it
// (finish.go) → the recorder saves what happened (record.go). A lane that cannot keep up reads the log by itself (feed.go).
//
// All state of a shard's lanes is under one lock, held for microseconds and never across I/O. That makes a snapshot of
// lanes, retries and position consistent without further thought, and costs under a microsecond a delivery.
package deliver
