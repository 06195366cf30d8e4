// Package inspect keeps requests as they arrived, to be looked at: bins.
//
// A request to a bin's address is read whole, within a limit, and saved with the store before it is answered
// ([Service.Serve]). Then the hub tells those who watch, which read it from the store by its number ([Service.Next]): a
// hint that is lost loses nothing. The answer is the bin's own, after its delay; or that of a client that looks at the
// request while the caller is held ([Service.Answer]); or that of a program behind a tunnel, to which requests go in
// their order as long as older ones wait, and at once when none do. What a request holds (forms, files, its bytes) is
// worked out when it is shown, by pure functions; so is what a search asks for.
package inspect
