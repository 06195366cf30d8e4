package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/internal/sink"
	"github.com/posthornhq/posthorn/webhook"
)

// sinkCmd receives webhooks.
type sinkCmd struct {
	secrets
	Listen     string        `help:"The address to listen on." default:"127.0.0.1:9000" placeholder:"HOST:PORT"`
	Status     int           `help:"The status to answer." default:"200"`
	Delay      time.Duration `help:"How long to take for an answer." placeholder:"DURATION"`
	Fail       float64       `help:"The share of requests to fail, 0 to 1." placeholder:"SHARE"`
	FailPer    string        `help:"Fail the first N of every M requests, as N/M." placeholder:"N/M"`
	FailFor    time.Duration `help:"Fail everything for so long from now." placeholder:"DURATION"`
	FailStatus int           `help:"The status of those that fail." default:"500"`
	RetryAfter time.Duration `help:"Ask those that fail to wait so long." placeholder:"DURATION"`
	Body       string        `help:"The body of every answer."`
	Strict     bool          `help:"Answer 401 to what does not verify."`
	Headers    bool          `help:"Print every header."`
	Quiet      bool          `help:"Print only the totals." short:"q"`
	Count      int64         `help:"Stop after so many requests." placeholder:"N"`
}

// behaviour puts the options together.
func (x *sinkCmd) behaviour() (sink.Behaviour, error) {
	b := sink.Behaviour{
		Status: x.Status, Delay: x.Delay, Fail: x.Fail, FailFor: x.FailFor, FailStatus: x.FailStatus,
		RetryAfter: x.RetryAfter, Body: x.Body,
	}
	if x.FailPer != "" {
		if n, err := fmt.Sscanf(x.FailPer, "%d/%d", &b.FailFirst, &b.FailOf); n != 2 || err != nil {
			return b, usagef("--fail-per: must be N/M, such as 2/3")
		}
	}
	if err := b.Check(); err != nil {
		return b, usagef("%w", err)
	}
	return b, nil
}

// Run receives until it is interrupted.
func (x *sinkCmd) Run(c *console) error {
	b, err := x.behaviour()
	if err != nil {
		return err
	}
	keys, err := x.keys()
	if err != nil {
		return err
	}
	o := sink.Options{Behaviour: b, Strict: x.Strict}
	if len(keys) > 0 {
		if o.Verifier, err = webhook.NewVerifier(keys...); err != nil {
			return usagef("--secret: %w", err)
		}
	}
	ctx, stop := context.WithCancel(c.ctx)
	defer stop()
	printer := &sinkPrinter{c: c, x: x, stop: stop}
	o.Observe = printer.request
	s, err := sink.New(o)
	if err != nil {
		return err
	}
	if err := s.Start(ctx, x.Listen); err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = op.Err
		}
		return fmt.Errorf("cannot listen on %s: %w\n--listen names another address", x.Listen, err)
	}
	_, _ = fmt.Fprintf(c.err, "receiving at %s\n", s.URL())
	<-ctx.Done()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	_ = s.Stop(end) // senders that keep their connections open are cut off
	n := s.Counts()
	_, _ = fmt.Fprintf(c.err, "%s requests, %s failed, %s verified, %s not verified\n", count(n.Requests), count(n.Failed), count(n.Verified), count(n.Invalid))
	return nil
}

// sinkPrinter writes requests, one at a time.
type sinkPrinter struct {
	c    *console
	x    *sinkCmd
	stop func()

	mu   sync.Mutex
	seen int64
}

// sinkLine is a request as JSON.
type sinkLine struct {
	At       time.Time         `json:"at"`
	Method   string            `json:"method"`
	Path     string            `json:"path"`
	ID       string            `json:"id,omitempty"`
	Version  string            `json:"version,omitempty"`
	Attempt  string            `json:"attempt,omitempty"`
	Status   int               `json:"status"`
	Verified *bool             `json:"verified,omitempty"`
	Problem  string            `json:"problem,omitempty"`
	Headers  map[string]string `json:"headers"`
	Body     json.RawMessage   `json:"body,omitempty"`
	Text     string            `json:"text,omitempty"`
	Bytes    int               `json:"bytes"`
}

func (p *sinkPrinter) request(r sink.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.x.Count > 0 && p.seen >= p.x.Count {
		return
	}
	p.seen++
	switch {
	case p.x.Quiet:
	case p.c.json:
		_ = p.c.writeLine(lineOf(r))
	default:
		p.print(r)
	}
	if p.seen == p.x.Count {
		p.stop()
	}
}

func lineOf(r sink.Request) sinkLine {
	l := sinkLine{
		At: r.At.UTC(), Method: r.Method, Path: r.Path, ID: r.ID, Version: r.Version, Attempt: r.Attempt, Status: r.Status,
		Headers: map[string]string{}, Bytes: len(r.Body),
	}
	for name, values := range r.Header {
		l.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	if r.Checked {
		ok := r.Invalid == nil
		l.Verified = &ok
		if !ok {
			l.Problem = r.Invalid.Error()
		}
	}
	switch {
	case json.Valid(r.Body):
		l.Body = r.Body
	case utf8.Valid(r.Body):
		l.Text = string(r.Body)
	}
	return l
}

func (p *sinkPrinter) print(r sink.Request) {
	c := p.c
	colour := green
	if r.Status >= 300 {
		colour = red
	}
	var head strings.Builder
	fmt.Fprintf(&head, "%s  %s  %s %s", r.At.Format("15:04:05.000"), c.paint(colour, fmt.Sprint(r.Status)), r.Method, clean(r.Path))
	for _, part := range [][2]string{{"version", r.Version}, {"try", r.Attempt}, {"id", r.ID}} {
		if part[1] != "" {
			fmt.Fprintf(&head, "  %s %s", c.paint(dim, part[0]), clean(part[1]))
		}
	}
	if r.Checked {
		if r.Invalid == nil {
			head.WriteString("  " + c.paint(green, "verified"))
		} else {
			head.WriteString("  " + c.paint(red, "not verified: "+strings.TrimPrefix(r.Invalid.Error(), "webhook: ")))
		}
	}
	c.printf("%s\n", head.String())
	if p.x.Headers {
		p.headers(r.Header)
	}
	c.printf("  %s\n", bodyText(r.Body))
}

func (p *sinkPrinter) headers(h http.Header) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[name] {
			p.c.printf("  %s %s\n", p.c.paint(dim, strings.ToLower(name)+":"), clean(v))
		}
	}
}

// shownBody is how much of a body is printed, in bytes.
const shownBody = 2000

func bodyText(body []byte) string {
	switch {
	case len(body) == 0:
		return "(no body)"
	case !utf8.Valid(body):
		return fmt.Sprintf("(%d bytes that are not text)", len(body))
	case len(body) > shownBody:
		return clean(strings.ToValidUTF8(string(body[:shownBody]), "")) + fmt.Sprintf(" … (%d bytes in all)", len(body))
	default:
		return clean(strings.TrimSpace(string(body)))
	}
}
