package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// selected narrows which captured requests are meant.
type selected struct {
	Query  string    `help:"Words that must all occur, or method:POST, content:\"a b\", headers.x-event:push, path:/sub, ip:10., note:, each negated by a minus before it." short:"q" placeholder:"QUERY"`
	Method string    `help:"Only this method." placeholder:"METHOD"`
	Since  timestamp `help:"Only what arrived since then: a time, or how long ago, such as 2h or 7d."`
	Until  timestamp `help:"Only what arrived before: a time, or how long ago."`
}

func (x *selected) options() []client.ListOption {
	var list []client.ListOption
	if x.Query != "" {
		list = append(list, client.Search(x.Query))
	}
	if x.Method != "" {
		list = append(list, client.Method(x.Method))
	}
	if !x.Since.IsZero() {
		list = append(list, client.Since(x.Since.Time))
	}
	if !x.Until.IsZero() {
		list = append(list, client.Until(x.Until.Time))
	}
	return list
}

type binRequestsCmd struct {
	limited
	binName
	selected
}

// Run lists captured requests.
func (x *binRequestsCmd) Run(c *console) error {
	h, err := x.handle(c)
	if err != nil {
		return err
	}
	options := append(x.options(), x.page())
	if !c.json {
		options = append(options, client.MaxBody(0)) // the table shows their sizes only
	}
	items, more, err := collect(x.limited, h.Requests(c.ctx, options...))
	if err != nil {
		return err
	}
	return listed(c, items, more, "There are no such requests.", []string{"SEQ", "AT", "METHOD", "TARGET", "SIZE", "FROM", "ANSWER", "NOTE"},
		func(r client.BinRequest) []cell {
			return []cell{
				text(fmt.Sprint(r.Seq)),
				text(stamp(r.At)),
				{r.Method, cyan},
				text(shortened(r.Target, 60)),
				text(fmt.Sprint(r.Size)),
				text(r.Remote),
				replyCell(&r),
				text(shortened(r.Note, 40)),
			}
		})
}

func shortened(s string, most int) string {
	runes := []rune(s)
	if len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}

// replyCell says what the caller got.
func replyCell(r *client.BinRequest) cell {
	switch {
	case r.Refused != "":
		return cell{"refused: " + r.Refused, red}
	case r.Held:
		return cell{"held", yellow}
	case r.Answer == nil:
		return cell{"none yet", dim}
	case r.Answer.Status == 0:
		return cell{r.Answer.Reason, dim}
	default:
		return text(fmt.Sprint(r.Answer.Status))
	}
}

// requestName names a captured request.
type requestName struct {
	binName
	Request string `arg:"" help:"The request's number or id, or latest."`
}

type binRequestCmd struct {
	binName
	Request string        `arg:"" optional:"" default:"latest" help:"The request's number or id; the latest without it."`
	Raw     bool          `help:"Write it byte for byte: its line, its headers, its body." xor:"part"`
	Body    bool          `help:"Write its body only, byte for byte." xor:"part"`
	File    *int          `help:"Write an uploaded file; the first is 0." xor:"part" placeholder:"N"`
	Wait    time.Duration `help:"Wait for the next request that arrives, at most 60s." placeholder:"DURATION"`
}

// Run shows a captured request, or writes out a part of it.
func (x *binRequestCmd) Run(c *console) error {
	h, err := x.handle(c)
	if err != nil {
		return err
	}
	ref := x.Request
	var r *client.BinRequest
	if x.Wait != 0 {
		if ref != "latest" {
			return usagef("--wait goes with the latest request")
		}
		if r, err = h.Next(c.ctx, 0, x.Wait); err != nil {
			return err
		}
		if r == nil {
			return &statusError{err: errNoRequest, status: ExitNotFound}
		}
		ref = r.ID
	}
	var content []byte
	switch {
	case x.Raw:
		content, err = h.Raw(c.ctx, ref)
	case x.Body:
		content, err = h.Body(c.ctx, ref)
	case x.File != nil:
		content, err = h.File(c.ctx, ref, *x.File)
	default:
		if r == nil {
			if r, err = h.Request(c.ctx, ref); err != nil {
				return err
			}
		}
		return c.showRequest(r)
	}
	if err != nil {
		return err
	}
	if _, err := c.out.Write(content); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

type binAnswerCmd struct {
	requestName
	answerFlags
}

// Run answers a caller.
func (x *binAnswerCmd) Run(c *console) error {
	h, err := x.handle(c)
	if err != nil {
		return err
	}
	a, err := x.answer(c)
	if err != nil {
		return err
	}
	if err := h.Answer(c.ctx, x.Request, *a); err != nil {
		return err
	}
	return c.done("answered", x.Request)
}

type binNoteCmd struct {
	requestName
	Note string `arg:"" help:"The note; '' takes it away."`
}

// Run writes a note.
func (x *binNoteCmd) Run(c *console) error {
	h, err := x.handle(c)
	if err != nil {
		return err
	}
	r, err := h.Note(c.ctx, x.Request, x.Note)
	if err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(r)
	}
	return c.done("noted", fmt.Sprint(r.Seq))
}

type binReplayCmd struct {
	requestName
	URL      string `arg:"" help:"Where to send it."`
	KeepPath bool   `help:"With the path and query that followed the bin's address."`
}

// Run sends a captured request again and shows the answer.
func (x *binReplayCmd) Run(c *console) error {
	h, err := x.handle(c)
	if err != nil {
		return err
	}
	a, err := h.Replay(c.ctx, x.Request, client.BinReplay{URL: x.URL, KeepPath: x.KeepPath})
	if err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(a)
	}
	c.fields([]field{{"status", replayStatus(a.Status)}, {"took", text(ms(float64(time.Duration(a.Duration).Microseconds()) / 1000))}})
	for _, line := range a.Headers {
		c.printf("%s %s\n", c.paint(dim, clean(line.Name)+":"), clean(line.Value))
	}
	body, err := a.Content()
	if err != nil {
		return err
	}
	if len(body) > 0 {
		c.printf("\n")
	}
	c.showBody(body, headerOf(a.Headers, "Content-Type"))
	return nil
}

func replayStatus(status int) cell {
	k := cell{fmt.Sprint(status), green}
	if status >= 300 {
		k.paint = yellow
	}
	if status >= 400 {
		k.paint = red
	}
	return k
}

type binExportCmd struct {
	binName
	selected
	Format string `help:"json, csv, har (HTTP Archive, for browsers' developer tools) or curl (commands for a shell)." enum:"json,csv,har,curl" default:"json"`
	Output string `help:"The file to write; standard output without it." short:"o" placeholder:"FILE"`
}

// Run exports captured requests.
func (x *binExportCmd) Run(c *console) (err error) {
	h, err := x.handle(c)
	if err != nil {
		return err
	}
	out := c.out
	if x.Output != "" {
		file, err := os.OpenFile(x.Output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		defer func() {
			if failed := file.Close(); err == nil {
				err = failed
			}
		}()
		out = file
	}
	return h.Export(c.ctx, out, x.Format, x.options()...)
}

type binClearCmd struct {
	sure
	binName
	selected
}

// Run deletes captured requests.
func (x *binClearCmd) Run(c *console) error {
	h, err := x.handle(c)
	if err != nil {
		return err
	}
	what := "deleting all requests of bin " + x.Bin
	if len(x.options()) > 0 {
		what = "deleting those requests of bin " + x.Bin
	}
	if err := x.confirm(c, what); err != nil {
		return err
	}
	n, err := h.DeleteRequests(c.ctx, x.options()...)
	if err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(client.BinDeleted{Deleted: n})
	}
	c.printf("%d deleted\n", n)
	return nil
}

// headerOf returns the first value of a header, in any case.
func headerOf(list []client.NameValue, name string) string {
	for _, h := range list {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}
