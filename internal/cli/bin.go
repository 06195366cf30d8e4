package cli

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/client"
)

// binCmd groups the commands about bins; alone it makes one and watches it.
type binCmd struct {
	Live     binLiveCmd     `cmd:"" default:"withargs" help:"Make a bin and show what arrives in it: the default."`
	New      binNewCmd      `cmd:"" help:"Make a bin: a URL that captures what is sent to it."`
	Set      binSetCmd      `cmd:"" help:"Change a bin: what it answers, how long it stays."`
	Ls       binLsCmd       `cmd:"" help:"List bins."`
	Show     binShowCmd     `cmd:"" help:"Show a bin."`
	Rm       binRmCmd       `cmd:"" help:"Delete a bin with all that is in it."`
	Watch    binWatchCmd    `cmd:"" help:"Show what arrives in a bin, as it comes."`
	Requests binRequestsCmd `cmd:"" help:"List captured requests, or search them."`
	Request  binRequestCmd  `cmd:"" help:"Show a captured request, or save what it holds."`
	Answer   binAnswerCmd   `cmd:"" help:"Answer a caller that is held."`
	Note     binNoteCmd     `cmd:"" help:"Write a note to a captured request."`
	Replay   binReplayCmd   `cmd:"" help:"Send a captured request again, to any URL."`
	Export   binExportCmd   `cmd:"" help:"Export captured requests as JSON, CSV, HAR or curl commands."`
	Clear    binClearCmd    `cmd:"" help:"Delete captured requests."`

	// The same by other names that come to mind.
	List   binLsCmd   `cmd:"" hidden:""`
	Get    binShowCmd `cmd:"" hidden:""`
	Add    binNewCmd  `cmd:"" hidden:""`
	Delete binRmCmd   `cmd:"" hidden:""`
}

// binName is the argument of most.
type binName struct {
	Bin string `arg:"" help:"The bin's id or alias."`
}

func (x *binName) handle(c *console) (*client.BinHandle, error) {
	cl, err := c.client()
	if err != nil {
		return nil, err
	}
	return cl.Bin(x.Bin), nil
}

// answerFlags say what a caller gets.
type answerFlags struct {
	Status int      `help:"The status of the answer, 200 to 599." placeholder:"N"`
	Header []string `help:"A header of the answer, such as 'Content-Type: text/html'; may be given several times." sep:"none" placeholder:"NAME: VALUE"`
	Body   string   `help:"The body of the answer; @FILE reads a file, - standard input." placeholder:"TEXT"`
}

// given reports whether any of it was said.
func (x *answerFlags) given() bool { return x.Status != 0 || len(x.Header) > 0 || x.Body != "" }

func (x *answerFlags) answer(c *console) (*client.BinAnswer, error) {
	a := &client.BinAnswer{Status: x.Status, Headers: map[string]string{}}
	for _, line := range x.Header {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, usagef("--header: %q is not such as 'Content-Type: text/html'", line)
		}
		a.Headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	body, err := c.readArgument(x.Body)
	if err != nil {
		return nil, err
	}
	if utf8.Valid(body) {
		a.Body = string(body)
	} else {
		a.BodyBase64 = base64.StdEncoding.EncodeToString(body)
	}
	return a, nil
}

// binFlags are the configuration of a bin.
type binFlags struct {
	answerFlags
	Alias       string         `help:"Another name for it in its address." placeholder:"NAME"`
	Description string         `help:"For people."`
	Delay       *time.Duration `help:"How long a caller waits for its answer, at most 30s." placeholder:"DURATION"`
	Hold        *time.Duration `help:"How long a caller is held until you answer it with \"posthorn bin answer\", at most 60s." placeholder:"DURATION"`
	Cors        *bool          `help:"Let web pages of any origin send." name:"cors" negatable:""`
	Keep        int            `help:"How many requests are kept, at most 10,000; 500 without it." placeholder:"N"`
	Refuse      *bool          `help:"Refuse one request more, instead of letting the oldest go." negatable:""`
	TTL         *time.Duration `help:"How long the bin stays, such as 12h or 30d; 0s: for good; 7d without it." name:"ttl" placeholder:"DURATION"`
	Tunnel      *string        `help:"The tunnel to which requests are forwarded." placeholder:"NAME"`
}

// patch returns what was said as a merge patch, and as the members of a new bin.
func (x *binFlags) patch(c *console) (map[string]any, error) {
	p := map[string]any{}
	if x.given() {
		a, err := x.answer(c)
		if err != nil {
			return nil, err
		}
		p["answer"] = a
	}
	for name, d := range map[string]*time.Duration{"delay": x.Delay, "hold": x.Hold} {
		if d != nil {
			p[name] = client.Duration(*d)
		}
	}
	set := func(name string, given bool, value any) {
		if given {
			p[name] = value
		}
	}
	set("alias", x.Alias != "", x.Alias)
	set("description", x.Description != "", x.Description)
	set("keep", x.Keep != 0, x.Keep)
	set("cors", x.Cors != nil, x.Cors)
	set("refuse", x.Refuse != nil, x.Refuse)
	set("tunnel", x.Tunnel != nil, x.Tunnel)
	if x.TTL != nil {
		p["ttl"] = client.Lifetime(*x.TTL)
	}
	return p, nil
}

// create makes a bin of what was said.
func (x *binFlags) create(c *console) (*client.Client, *client.Bin, error) {
	cl, err := c.client()
	if err != nil {
		return nil, nil, err
	}
	b := client.Bin{Tenant: c.globals.Tenant, Alias: x.Alias, Description: x.Description, Keep: x.Keep}
	if x.given() {
		if b.Answer, err = x.answer(c); err != nil {
			return nil, nil, err
		}
	}
	b.Delay, b.Hold = client.Duration(orZero(x.Delay)), client.Duration(orZero(x.Hold))
	b.CORS, b.Refuse, b.Tunnel = orZero(x.Cors), orZero(x.Refuse), orZero(x.Tunnel)
	if x.TTL != nil {
		b.TTL = (*client.Lifetime)(x.TTL)
	}
	made, err := cl.CreateBin(c.ctx, b)
	return cl, made, err
}

func orZero[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

type binNewCmd struct{ binFlags }

// Run makes a bin.
func (x *binNewCmd) Run(c *console) error {
	_, b, err := x.create(c)
	if err != nil {
		return err
	}
	return c.showBin(b)
}

type binSetCmd struct {
	binName
	binFlags
}

// Run changes a bin.
func (x *binSetCmd) Run(c *console) error {
	h, err := x.handle(c)
	if err != nil {
		return err
	}
	p, err := x.patch(c)
	if err != nil {
		return err
	}
	if len(p) == 0 {
		return usagef("say what to change, such as --status 404")
	}
	b, err := h.Patch(c.ctx, p)
	if err != nil {
		return err
	}
	return c.showBin(b)
}

type binShowCmd struct{ binName }

// Run shows a bin.
func (x *binShowCmd) Run(c *console) error {
	h, err := x.handle(c)
	if err != nil {
		return err
	}
	b, err := h.Get(c.ctx)
	if err != nil {
		return err
	}
	return c.showBin(b)
}

func (c *console) showBin(b *client.Bin) error {
	if c.json {
		return c.writeJSON(b)
	}
	full := "the oldest goes"
	if b.Refuse {
		full = "more are refused"
	}
	list := []field{
		{"url", cell{c.absolute(b.URL), bold}},
		{"id", text(b.ID)},
		{"alias", text(b.Alias)},
		{"tenant", text(b.Tenant)},
		{"description", text(b.Description)},
		{"answer", text(binAnswerOf(b.Answer))},
		{"delay", text(durationOf(b.Delay))},
		{"hold", text(durationOf(b.Hold))},
		{"keep", text(fmt.Sprintf("%d requests, then %s", b.Keep, full))},
		{"tunnel", text(b.Tunnel)},
	}
	if b.CORS {
		list = append(list, field{"cors", text("pages of any origin may send")})
	}
	if s := b.Stats; s != nil {
		list = append(list, field{"requests", text(count(s.Requests))}, field{"bytes", text(unlessZero(float64(s.Bytes), ""))}, field{"newest", text(stampOf(s.Newest))})
	}
	expires := "never"
	if b.Expires != nil {
		expires = stamp(*b.Expires)
	}
	c.fields(append(list, field{"expires", text(expires)}, field{"created", text(stamp(b.Created))}))
	return nil
}

// absolute completes an address of a server that does not know its own.
func (c *console) absolute(url string) string {
	if strings.HasPrefix(url, "/") {
		return strings.TrimRight(c.globals.Server, "/") + url
	}
	return url
}

// binAnswerOf says in a line what callers get.
func binAnswerOf(a *client.BinAnswer) string {
	if a == nil {
		return "200, empty"
	}
	status := a.Status
	if status == 0 {
		status = 200
	}
	parts := []string{fmt.Sprint(status)}
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		parts = append(parts, name+": "+a.Headers[name])
	}
	switch n := len(a.Body) + base64.StdEncoding.DecodedLen(len(a.BodyBase64)); {
	case n == 0:
		parts = append(parts, "empty")
	case a.Body != "" && n <= 60 && !strings.Contains(a.Body, "\n"):
		parts = append(parts, a.Body)
	default:
		parts = append(parts, fmt.Sprintf("%d bytes", n))
	}
	return strings.Join(parts, ", ")
}

type binLsCmd struct{ limited }

// Run lists bins.
func (x *binLsCmd) Run(c *console) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	options := []client.ListOption{x.page()}
	if c.globals.Tenant != "" {
		options = append(options, client.OfTenant(c.globals.Tenant))
	}
	items, more, err := collect(x.limited, cl.Bins(c.ctx, options...))
	if err != nil {
		return err
	}
	return listed(c, items, more, "There are no bins; \"posthorn bin\" makes one.", []string{"ID", "ALIAS", "ANSWER", "REQUESTS", "NEWEST", "EXPIRES", "DESCRIPTION"},
		func(b client.Bin) []cell {
			expires := "never"
			if b.Expires != nil {
				expires = stamp(*b.Expires)
			}
			status := "200"
			if b.Answer != nil && b.Answer.Status != 0 {
				status = fmt.Sprint(b.Answer.Status)
			}
			requests, newest := "", ""
			if b.Stats != nil { // older servers do not say
				requests = fmt.Sprint(b.Stats.Requests)
				if b.Stats.Newest != nil {
					newest = stamp(*b.Stats.Newest)
				}
			}
			return []cell{{b.ID, bold}, text(b.Alias), text(status), text(requests), text(newest), text(expires), text(b.Description)}
		})
}

type binRmCmd struct {
	sure
	binName
}

// Run deletes a bin.
func (x *binRmCmd) Run(c *console) error {
	h, err := x.handle(c)
	if err != nil {
		return err
	}
	if err := x.confirm(c, "deleting bin "+x.Bin+" with all that is in it"); err != nil {
		return err
	}
	if err := h.Delete(c.ctx); err != nil {
		return err
	}
	return c.done("deleted", x.Bin)
}
