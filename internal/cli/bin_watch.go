package cli

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/client"
)

var errNoRequest = errors.New("no request arrived in that time")

// What is shown of a body.
const (
	shownText   = 8 << 10 // bytes of text
	shownBinary = 256     // bytes of anything else
)

type binLiveCmd struct {
	binFlags
	Count int `help:"Stop after so many requests." placeholder:"N"`
}

// Run makes a bin and watches it.
func (x *binLiveCmd) Run(c *console) error {
	if x.Count < 0 {
		return usagef("--count must not be negative")
	}
	cl, b, err := x.create(c)
	if err != nil {
		return err
	}
	if c.json {
		if err := c.writeLine(b); err != nil {
			return err
		}
	} else {
		c.printf("%s\n", c.paint(bold, c.absolute(b.URL)))
		stays := "it stays until it is deleted"
		if b.Expires != nil {
			stays = "it stays until " + stamp(*b.Expires)
		}
		c.printf("%s\n", c.paint(dim, "what is sent there is shown here; "+stays))
	}
	return c.watchBin(cl.Bin(b.ID), -1, x.Count)
}

type binWatchCmd struct {
	binName
	After int64 `help:"Begin after the request with this number; -1: with the oldest that is kept. What comes without it." placeholder:"SEQ"`
	Count int   `help:"Stop after so many requests." placeholder:"N"`
}

// Run watches a bin.
func (x *binWatchCmd) Run(c *console) error {
	if x.Count < 0 || x.After < -1 {
		return usagef("--count must not be negative, --after at least -1")
	}
	h, err := x.handle(c)
	if err != nil {
		return err
	}
	return c.watchBin(h, x.After, x.Count)
}

// watchBin shows what comes until it is interrupted, or there were count requests.
func (c *console) watchBin(h *client.BinHandle, after int64, count int) error {
	shown := 0
	for news, err := range h.Follow(c.ctx, after) {
		if c.ctx.Err() != nil {
			return nil // interrupted: the way to end it
		}
		if err != nil {
			return err
		}
		r := news.Request
		if r == nil {
			c.showBinChange(news.Change)
			continue
		}
		if c.json {
			err = c.writeLine(r)
		} else {
			c.printf("\n")
			err = c.showRequest(r)
		}
		if err != nil {
			return err
		}
		if shown++; shown == count {
			return nil
		}
	}
	return nil
}

// showBinChange shows people what happened to requests that they have seen; programs are given requests only.
func (c *console) showBinChange(change *client.BinChange) {
	if change == nil || c.json {
		return
	}
	numbers := make([]string, len(change.Seqs))
	for i, seq := range change.Seqs {
		numbers[i] = fmt.Sprint("#", seq)
	}
	about := ""
	switch {
	case change.Deleted:
		about = "deleted"
	case change.Note != nil:
		about = "note: " + *change.Note
	case change.Status != nil && *change.Status != 0:
		about = fmt.Sprintf("answered with %d", *change.Status)
	default:
		return
	}
	c.printf("\n%s\n", c.paint(dim, clean(shortened(strings.Join(numbers, ", "), 200)+"  "+about)))
}

// showRequest shows a captured request for people.
func (c *console) showRequest(r *client.BinRequest) error {
	if c.json {
		return c.writeJSON(r)
	}
	about := fmt.Sprintf("#%d  %s  from %s", r.Seq, stamp(r.At), r.Remote)
	switch {
	case r.Refused != "":
		about += "  refused: " + r.Refused
	case r.Held:
		about += "  the caller is held: posthorn bin answer " + r.Bin + " " + fmt.Sprint(r.Seq)
	case r.Answer != nil && r.Answer.Status != 0:
		about += fmt.Sprintf("  answered with %d", r.Answer.Status)
	}
	c.printf("%s\n", c.paint(dim, clean(about)))
	if r.Note != "" {
		c.printf("%s\n", c.paint(yellow, clean(r.Note)))
	}
	c.printf("%s %s %s\n", c.paint(bold, clean(r.Method)), c.paint(cyan, clean(r.Target)), clean(r.Proto))
	for _, line := range r.Headers {
		c.printf("%s %s\n", c.paint(dim, clean(line.Name)+":"), clean(line.Value))
	}
	body, err := r.Content()
	if err != nil {
		return err
	}
	if len(body) > 0 {
		c.printf("\n")
	}
	if len(r.Form) > 0 || len(r.Files) > 0 {
		c.showForm(r)
		return nil
	}
	c.showBody(body, headerOf(r.Headers, "Content-Type"))
	return nil
}

// showForm shows the fields and files of a form.
func (c *console) showForm(r *client.BinRequest) {
	for _, f := range r.Form {
		c.printf("%s %s\n", c.paint(cyan, clean(f.Name)+" ="), clean(shortened(f.Value, shownText)))
	}
	for i, f := range r.Files {
		c.printf("%s %s\n", c.paint(cyan, clean(f.Name)+" ="), clean(fmt.Sprintf("file %d: %s, %s, %d bytes", i, f.Filename, f.ContentType, f.Size)))
	}
}

// showBody shows a body: JSON indented, text as it is, of anything else the first bytes.
func (c *console) showBody(body []byte, contentType string) {
	if len(body) == 0 {
		return
	}
	if strings.Contains(strings.ToLower(contentType), "json") || body[0] == '{' || body[0] == '[' {
		var b bytes.Buffer
		if json.Indent(&b, body, "", "  ") == nil {
			body = b.Bytes()
		}
	}
	if !isText(body) {
		for line := range strings.Lines(hex.Dump(body[:min(len(body), shownBinary)])) {
			c.printf("%s\n", c.paint(dim, strings.TrimRight(line, "\n")))
		}
		if len(body) > shownBinary {
			c.printf("%s\n", c.paint(dim, fmt.Sprintf("… %d bytes in all", len(body))))
		}
		return
	}
	rest := len(body) - shownText
	if rest > 0 {
		body = body[:shownText]
	}
	for line := range strings.Lines(string(body)) {
		c.printf("%s\n", clean(strings.TrimRight(strings.ReplaceAll(line, "\t", "  "), "\r\n")))
	}
	if rest > 0 {
		c.printf("%s\n", c.paint(dim, fmt.Sprintf("… and %d bytes more", rest)))
	}
}

// isText reports whether a body is to be shown as text.
func isText(body []byte) bool {
	if !utf8.Valid(body) {
		return false
	}
	odd := 0
	for _, r := range string(body) {
		if unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' && r != 0x1b {
			odd++
		}
	}
	return odd*20 <= len(body)
}
