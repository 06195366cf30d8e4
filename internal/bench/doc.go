// Package bench measures what a delivered event costs a server, against the floor that HTTP itself sets.
//
// One run starts three processes of the same binary: a sink, a server on a temporary data folder, and a load generator
// ([RunLoad]). The floor is measured first: the load generator posts events straight to the sink, and the processor
// time of both, per POST, is the floor pair. Then each case sends its load through the server, waits until every event
// has arrived and is recorded, and divides the processor time of the server's process by the events.
package bench
