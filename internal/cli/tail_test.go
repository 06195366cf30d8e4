package cli

import (
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// A person is told of what changes, once.
func TestStatusLine(t *testing.T) {
	c, _, errOut := testConsole(t)
	l := &statusLine{c: c}
	refused := &url.Error{Op: "Get", URL: "http://127.0.0.1:1/x", Err: errors.New("connection refused")}
	for _, s := range []client.StreamStatus{
		{Transport: client.TransportSSE, Connected: true},
		{Transport: client.TransportSSE, Err: errors.New("client: the connection has\x1b ended"), Wait: time.Second},
		{Transport: client.TransportSSE, Err: refused, Wait: 2 * time.Second},
		{Transport: client.TransportSSE, Connected: true},
		{Transport: client.TransportSSE, Err: refused},
		{Transport: client.TransportPoll, Connected: true},
		{Transport: client.TransportSSE, Connected: true},
	} {
		l.show(s)
	}
	const want = `not connected: the connection has\x1b ended; trying again
connected by server-sent events
not connected: cannot reach the server at http://user:xxxxx@127.0.0.1:1: connection refused; trying again
connected by long polls
connected by server-sent events
`
	if errOut.String() != want {
		t.Errorf("said\n%s, want\n%s", errOut, want)
	}
}
