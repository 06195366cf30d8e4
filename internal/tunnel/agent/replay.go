package agent

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// maxReplays bounds the replays at once.
const maxReplays = 64

// Why an exchange cannot be replayed.
var (
	ErrNoExchange  = errors.New("tunnel: there is no such exchange, or not any more")
	ErrCutBody     = errors.New("tunnel: only the beginning of the body was kept: it cannot be sent again")
	ErrUnderWay    = errors.New("tunnel: the request is still on its way")
	ErrUpgrade     = errors.New("tunnel: a WebSocket cannot be replayed")
	ErrTooMany     = errors.New("tunnel: too many replays are under way")
	ErrEnded       = errors.New("tunnel: the agent has ended")
	ErrInvalidEdit = errors.New("tunnel: not a valid request")
)

// Edit changes a request that is replayed. What is empty or nil stays as it was.
type Edit struct {
	Method string
	// Path is the target's path and query.
	Path   string
	Header []Field
	Body   []byte
}

// Replay sends a recorded request to the target once more, with nobody waiting for the answer, and returns the ID of the
// new exchange while it is on its way. Errors are ErrNoExchange and its neighbours.
func (a *Agent) Replay(id string, edit Edit) (string, error) {
	e, ok := a.rec.Get(id)
	if !ok {
		return "", ErrNoExchange
	}
	r, j, err := again(&e, edit)
	if err != nil {
		return "", err
	}
	select {
	case a.replaying <- struct{}{}:
	default:
		return "", ErrTooMany
	}
	if !a.replays.enter() {
		<-a.replaying
		return "", ErrEnded
	}
	begun := make(chan int64, 1)
	j.begun = func(seq int64) {
		a.rec.replays(seq, e.ID)
		begun <- seq
	}
	go func() {
		defer a.replays.leave()
		defer func() { <-a.replaying }()
		a.local.forward(nowhere{}, r.WithContext(a.life), j)
	}()
	return a.rec.idOf(<-begun), nil
}

// again makes the request of an exchange anew.
func again(e *Exchange, edit Edit) (*http.Request, *job, error) {
	header, body := e.Request.Header, e.Request.Body
	switch {
	case e.Upgrade || slices.ContainsFunc(header, named("Upgrade")):
		return nil, nil, ErrUpgrade
	case edit.Header == nil && header == nil:
		return nil, nil, ErrUnderWay
	case edit.Body == nil && e.Request.Cut:
		return nil, nil, ErrCutBody
	case edit.Body == nil && !e.Finished() && e.Request.declared != e.Request.Size:
		return nil, nil, ErrUnderWay
	}
	if edit.Header != nil {
		header = edit.Header
	}
	if edit.Body != nil {
		body = edit.Body
	}
	chunked := slices.ContainsFunc(header, named("Transfer-Encoding"))
	sized := slices.ContainsFunc(header, named("Content-Length"))
	method, path := e.Method, e.Path
	if edit.Method != "" {
		method = edit.Method
	}
	if edit.Path != "" {
		path = edit.Path
	}
	head, err := headOf(method, path, header)
	if err != nil {
		return nil, nil, err
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrInvalidEdit, err)
	}
	if len(body) > 0 || sized {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	if chunked {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), -1
	}
	return r, &job{info: e.Info, lines: header, path: path}, nil
}

// headOf writes a head without what says where the body ends.
func headOf(method, path string, header []Field) ([]byte, error) {
	if !strings.HasPrefix(path, "/") && path != "*" || strings.ContainsFunc(method+path, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return nil, fmt.Errorf("%w: the method or the path holds a space or a control character, or the path does not begin with /", ErrInvalidEdit)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", method, path)
	for _, f := range header {
		if f.Name == "" || strings.ContainsFunc(f.Name, notToken) || strings.ContainsAny(f.Value, "\r\n\x00") {
			return nil, fmt.Errorf("%w: a header field has a name that none can have, or holds a line break", ErrInvalidEdit)
		}
		if !named("Content-Length")(f) && !named("Transfer-Encoding")(f) {
			fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
		}
	}
	b.WriteString("\r\n")
	return b.Bytes(), nil
}

// notToken reports whether a character may not be in a name (RFC 9110, 5.6.2).
func notToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

func named(name string) func(Field) bool {
	return func(f Field) bool { return strings.EqualFold(f.Name, name) }
}

// nowhere takes the answer to a replay, which only the recorder wants.
type nowhere struct{}

// Header returns one that nobody sees.
func (nowhere) Header() http.Header { return http.Header{} }

// WriteHeader does nothing.
func (nowhere) WriteHeader(int) {}

// Write takes all.
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// Flush does nothing.
func (nowhere) Flush() {}
