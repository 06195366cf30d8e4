package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/posthornhq/posthorn/client"
)

// maxInput bounds what is read from a file or standard input as one body, in bytes.
const maxInput = 64 << 20

// sendCmd publishes.
type sendCmd struct {
	Type           string   `arg:"" optional:"" help:"The event's type, such as order.paid."`
	Data           string   `arg:"" optional:"" help:"The data, as JSON; @FILE reads a file, - standard input."`
	Subject        string   `help:"What it is about."`
	ID             string   `help:"An id of your own: a second event with it is not stored." name:"id"`
	Source         string   `help:"A URI that says where it comes from."`
	OrderKey       string   `help:"The ordering key; the subject without it."`
	Channel        []string `help:"Only endpoints that name one of these channels get it." placeholder:"NAME"`
	ContentType    string   `help:"The media type of the data when it is not JSON."`
	IdempotencyKey string   `help:"Makes this call repeatable without a second event." placeholder:"KEY"`
	From           string   `help:"Publish many: a file (- for standard input) of events as JSON, one after the other or in an array." placeholder:"FILE"`
}

// Run publishes.
func (x *sendCmd) Run(c *console) error {
	if (x.From == "") == (x.Type == "") {
		return usagef("give a TYPE (and DATA), or --from FILE")
	}
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	if x.From != "" {
		return x.many(c, cl, tenant)
	}
	e := client.Event{
		Type: x.Type, Subject: x.Subject, ID: x.ID, Source: x.Source, Key: x.OrderKey, Channels: x.Channel,
		DataContentType: x.ContentType,
	}
	if x.Data != "" {
		data, err := c.readArgument(x.Data)
		if err != nil {
			return err
		}
		if err := setData(&e, data); err != nil {
			return err
		}
	}
	var options []client.CallOption
	if x.IdempotencyKey != "" {
		options = append(options, client.IdempotencyKey(x.IdempotencyKey))
	}
	r, err := cl.Publish(c.ctx, tenant, e, options...)
	if err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(r)
	}
	c.printf("%s  version %d\n", c.paint(bold, clean(r.ID)), r.Version)
	return nil
}

// setData puts data into an event in the form that its content type asks for.
func setData(e *client.Event, data []byte) error {
	mediaType, _, _ := strings.Cut(e.DataContentType, ";")
	switch {
	case mediaType == "" || mediaType == "application/json" || strings.HasSuffix(mediaType, "+json"):
		var err error
		e.Data, err = asJSON(data)
		return err
	case strings.HasPrefix(mediaType, "text/") || strings.HasSuffix(mediaType, "xml"):
		quoted, err := json.Marshal(string(data))
		e.Data = quoted
		return err
	default:
		e.DataBase64 = data
		return nil
	}
}

// asJSON checks that text is one JSON value.
func asJSON(data []byte) (json.RawMessage, error) {
	var v json.RawMessage
	if err := json.Unmarshal(data, &v); err != nil {
		if s, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, usagef("the data is not JSON: %w, at byte %d (text needs quotes of its own: '\"hello\"')", err, s.Offset)
		}
		return nil, usagef("the data is not JSON: %w", err)
	}
	return v, nil
}

// readArgument returns an argument's text, or what it refers to: @FILE, or - for standard input.
func (c *console) readArgument(s string) ([]byte, error) {
	if path, ok := strings.CutPrefix(s, "@"); ok {
		return c.readFile(path)
	}
	if s == "-" {
		return c.readFile(s)
	}
	return []byte(s), nil
}

// readFile reads a whole file, - for standard input, up to maxInput.
func (c *console) readFile(path string) ([]byte, error) {
	in, closeIn, err := c.open(path)
	if err != nil {
		return nil, err
	}
	defer closeIn()
	data, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(data) > maxInput {
		return nil, fmt.Errorf("%s is larger than %d MiB", path, maxInput>>20)
	}
	return data, nil
}

// open opens a file, - for standard input.
func (c *console) open(path string) (io.Reader, func(), error) {
	if path == "-" {
		if isTerminalReader(c.in) && c.errTerminal {
			_, _ = fmt.Fprintln(c.err, "reading standard input; end it with Ctrl-D")
		}
		return c.in, func() {}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, &statusError{err: err, status: ExitUsage}
	}
	return f, func() { _ = f.Close() }, nil
}

func isTerminalReader(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Bounds of one request of a long publish; the server's own are 1,000 events and 4 MiB.
const (
	sendEvents = 500
	sendBytes  = 2 << 20
)

// many publishes events from a file in batches.
func (x *sendCmd) many(c *console, cl *client.Client, tenant string) error {
	in, closeIn, err := c.open(x.From)
	if err != nil {
		return err
	}
	defer closeIn()
	p := c.progress()
	defer p.end()
	var (
		batch []client.Event
		bytes int
		last  client.Receipt
		done  int64
	)
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		receipts, err := cl.PublishBatch(c.ctx, tenant, batch)
		if err != nil {
			return err
		}
		done += int64(len(receipts))
		if len(receipts) > 0 {
			last = receipts[len(receipts)-1]
		}
		if c.errTerminal {
			p.update(count(done)+" events published", 0, 0)
		}
		batch, bytes = batch[:0], 0
		return nil
	}
	err = eachEvent(in, func(e client.Event, size int) error {
		if len(batch) == sendEvents || bytes+size > sendBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		batch, bytes = append(batch, e), bytes+size
		return nil
	})
	if err == nil {
		err = flush()
	}
	p.end()
	if err != nil {
		if done > 0 {
			_, _ = fmt.Fprintf(c.err, "%s events were published before this, the last one has version %d\n", count(done), last.Version)
		}
		return err
	}
	if c.json {
		return c.writeJSON(map[string]any{"events": done, "last": last})
	}
	c.printf("%s events published, the last one has version %d\n", count(done), last.Version)
	return nil
}

// eachEvent reads events that follow each other, or that stand in one array, without holding them all.
func eachEvent(in io.Reader, do func(e client.Event, size int) error) error {
	r := bufio.NewReaderSize(in, 64<<10)
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	array, err := startsArray(r)
	if err != nil {
		return err
	}
	if array {
		if _, err := d.Token(); err != nil {
			return usagef("the events are not JSON: %w", err)
		}
	}
	for n := 1; d.More(); n++ {
		var e client.Event
		before := d.InputOffset()
		if err := d.Decode(&e); err != nil {
			return usagef("event %d of the file: %w", n, err)
		}
		if err := do(e, int(d.InputOffset()-before)); err != nil {
			return err
		}
	}
	if array {
		if _, err := d.Token(); err != nil {
			return usagef("the array of events does not end: %w", err)
		}
	}
	return nil
}

// startsArray looks at the first character that is not white space.
func startsArray(r *bufio.Reader) (bool, error) {
	for {
		b, err := r.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return false, usagef("there are no events in the file")
		case err != nil:
			return false, err
		case bytes.IndexByte([]byte(" \t\r\n"), b) < 0:
			return b == '[', r.UnreadByte()
		}
	}
}
