package event

// Outgoing is a request as it goes out to an endpoint.
type Outgoing struct {
	Method, URL string
	// Headers are in the order, and in the case, in which they are written; Host and Content-Length are among them.
	Headers []Header
	Body    []byte
}
