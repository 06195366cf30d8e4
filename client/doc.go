// Package client is the Go SDK of Posthorn: the JSON types of its HTTP API, version 1, and a small client for them.
//
// A call takes a context, sends one request (a safe one is repeated when the server is busy), and returns the decoded
// answer or a [*Problem]. Lists are iterators that fetch page after page:
//
//	c, err := client.New("http://127.0.0.1:8080", key)
//	receipt, err := c.Publish(ctx, "acme", client.Event{Type: "order.paid", Data: []byte(`{"id":42}`)})
//	for endpoint, err := range c.Endpoints(ctx, "acme") { … }
//
// Events come by a [Stream], which connects again by itself and goes on where it stopped, or are shared among workers by a
// queue, see [QueueHandle.Work]:
//
//	for event, err := range c.Stream("acme", client.Start(next)).Events(ctx) { … }
//	err = c.Queue("acme", "invoices").Work(ctx, handle, client.WorkOptions{Concurrency: 8})
package client
