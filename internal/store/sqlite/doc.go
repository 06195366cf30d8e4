// Package sqlite is the embedded store: the log of events in log.db, captured requests with their bins in bins.db, and
// everything else in state.db.
//
// A write takes this way: the caller encodes it and puts it into the bounded queue of its file; the file's only writer
// (writer.go) drains the queue, applies many callers' work in one transaction, commits it with one fsync and answers
// them all. Reads go past the writer, on a few connections of their own. Records are packed (pack.go, records.go);
// driver.go is the only file that knows the SQLite driver.
package sqlite
