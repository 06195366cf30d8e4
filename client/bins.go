package client

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

func (b *Bin) tag(s string) { b.ETag = s }

// CreateBin makes a bin: of the key's tenant, or, with an admin key, of the tenant that it names, or of nobody.
func (c *Client) CreateBin(ctx context.Context, b Bin, opts ...CallOption) (*Bin, error) {
	return resource[Bin](ctx, c, newCall(http.MethodPost, path("bins"), opts), b)
}

// Bins lists the bins that the key may see, by their ids. [OfTenant] narrows what an admin key gets.
func (c *Client) Bins(ctx context.Context, opts ...ListOption) iter.Seq2[Bin, error] {
	return list[Bin](ctx, c, path("bins"), opts)
}

// OfTenant keeps what is for one tenant, in lists that go over all of them: bins and API keys, for admin keys.
func OfTenant(name string) ListOption { return func(q url.Values) { q.Set("tenant", name) } }

// Search keeps captured requests that match a query: words that must all occur, method:POST, content:"a b",
// headers.x-event:push, path:/sub, ip:10., note:, each negated by a minus before it.
func Search(query string) ListOption { return func(q url.Values) { q.Set("query", query) } }

// Method keeps captured requests with this method.
func Method(m string) ListOption { return func(q url.Values) { q.Set("method", m) } }

// MaxBody leaves out the bodies, with the forms and files that are read from them, of captured requests whose bodies have more
// than n bytes: their BodyOmitted is true. It goes with [BinHandle.Requests] and [BinHandle.Follow].
func MaxBody(n int) ListOption { return func(q url.Values) { q.Set("max_body", strconv.Itoa(n)) } }

// OldestFirst lists captured requests in the order in which they came, instead of the newest first.
func OldestFirst() ListOption { return func(q url.Values) { q.Set("order", "oldest") } }

// BinHandle is one bin, named by its id or alias, whether it exists or not. It is safe for concurrent use.
type BinHandle struct {
	c    *Client
	name string
}

// Bin returns a handle of a bin. Nothing is sent.
func (c *Client) Bin(name string) *BinHandle { return &BinHandle{c, name} }

func (b *BinHandle) path(more ...string) string {
	return path(append([]string{"bins", b.name}, more...)...)
}

// Get reads the bin with its figures.
func (b *BinHandle) Get(ctx context.Context) (*Bin, error) {
	return resource[Bin](ctx, b.c, newCall(http.MethodGet, b.path(), nil), nil)
}

// Update replaces the bin's configuration; with the ETag of one that was read, only that version.
func (b *BinHandle) Update(ctx context.Context, configuration Bin, opts ...CallOption) (*Bin, error) {
	k := newCall(http.MethodPut, b.path(), opts)
	k.set("If-Match", configuration.ETag)
	return resource[Bin](ctx, b.c, k, configuration)
}

// Patch changes fields of the bin by a merge patch (RFC 7386): a value that encodes to a JSON object.
func (b *BinHandle) Patch(ctx context.Context, patch any, opts ...CallOption) (*Bin, error) {
	return resource[Bin](ctx, b.c, patchCall(b.path(), opts), patch)
}

// Delete deletes the bin with all that is in it.
func (b *BinHandle) Delete(ctx context.Context, opts ...CallOption) error {
	_, err := b.c.do(ctx, newCall(http.MethodDelete, b.path(), opts), nil, nil)
	return err
}

// Requests lists the captured requests, the newest first; see [Search], [Method], [Since], [Until] and [OldestFirst].
func (b *BinHandle) Requests(ctx context.Context, opts ...ListOption) iter.Seq2[BinRequest, error] {
	return list[BinRequest](ctx, b.c, b.path("requests"), opts)
}

// Request reads a captured request: its id, its number, or "latest".
func (b *BinHandle) Request(ctx context.Context, ref string) (*BinRequest, error) {
	var out BinRequest
	_, err := b.c.do(ctx, newCall(http.MethodGet, b.path("requests", ref), nil), nil, &out)
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// Next waits for a request that comes after the one with the number after (0: after the call), at most wait, which is at
// most 60 s; nil when none came.
func (b *BinHandle) Next(ctx context.Context, after int64, wait time.Duration) (*BinRequest, error) {
	k := newCall(http.MethodGet, b.path("requests", "latest"), nil)
	k.query = url.Values{"wait": {Duration(wait).String()}}
	if after > 0 {
		k.query.Set("after", strconv.FormatInt(after, 10))
	}
	k.wait = wait
	var out BinRequest
	if _, err := b.c.do(ctx, k, nil, &out); err != nil {
		return nil, err
	}
	if out.ID == "" {
		return nil, nil //nolint:nilnil // documented
	}
	return &out, nil
}

// Raw reads a captured request byte for byte: its line, its headers, its body.
func (b *BinHandle) Raw(ctx context.Context, ref string) ([]byte, error) {
	return b.bytes(ctx, newCall(http.MethodGet, b.path("requests", ref, "raw"), nil))
}

// Body reads a captured request's body.
func (b *BinHandle) Body(ctx context.Context, ref string) ([]byte, error) {
	return b.bytes(ctx, newCall(http.MethodGet, b.path("requests", ref, "body"), nil))
}

// File reads an uploaded file of a captured request, by its place among the request's files, counted from 0.
func (b *BinHandle) File(ctx context.Context, ref string, n int) ([]byte, error) {
	return b.bytes(ctx, newCall(http.MethodGet, b.path("requests", ref, "files", strconv.Itoa(n)), nil))
}

// Note writes a note to a captured request.
func (b *BinHandle) Note(ctx context.Context, ref, note string) (*BinRequest, error) {
	var out BinRequest
	if _, err := b.c.do(ctx, patchCall(b.path("requests", ref), nil), BinNote{note}, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// Answer gives the caller of a captured request, who is held, its answer; a [*Problem] with status 409 when nobody is.
func (b *BinHandle) Answer(ctx context.Context, ref string, a BinAnswer) error {
	_, err := b.c.do(ctx, newCall(http.MethodPost, b.path("requests", ref, "answer"), nil), a, nil)
	return err
}

// Replay sends a captured request again to a URL and returns the answer.
func (b *BinHandle) Replay(ctx context.Context, ref string, r BinReplay) (*BinReplayed, error) {
	var out BinReplayed
	if _, err := b.c.do(ctx, newCall(http.MethodPost, b.path("requests", ref, "replay"), nil), r, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// DeleteRequest deletes a captured request.
func (b *BinHandle) DeleteRequest(ctx context.Context, ref string) error {
	_, err := b.c.do(ctx, newCall(http.MethodDelete, b.path("requests", ref), nil), nil, nil)
	return err
}

// DeleteRequests deletes the captured requests that the options select, without any all, and returns how many.
func (b *BinHandle) DeleteRequests(ctx context.Context, opts ...ListOption) (int, error) {
	k := newCall(http.MethodDelete, b.path("requests"), nil)
	k.query = url.Values{}
	for _, o := range opts {
		o(k.query)
	}
	var out BinDeleted
	_, err := b.c.do(ctx, k, nil, &out)
	return out.Deleted, err
}

// Export writes the captured requests that the options select as json, csv, har or curl.
func (b *BinHandle) Export(ctx context.Context, w io.Writer, format string, opts ...ListOption) error {
	k := newCall(http.MethodGet, b.path("export"), nil)
	k.query = url.Values{}
	for _, o := range opts {
		o(k.query)
	}
	k.query.Set("format", format)
	body, err := b.c.open(ctx, k, "*/*")
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if _, err := io.Copy(w, body); err != nil {
		return fmt.Errorf("client: read the answer: %w", err)
	}
	return nil
}

// bytes reads an answer that is not JSON.
func (b *BinHandle) bytes(ctx context.Context, k *call) ([]byte, error) {
	body, err := b.c.open(ctx, k, "*/*")
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	content, err := io.ReadAll(io.LimitReader(body, maxRaw+1))
	if err != nil {
		return nil, fmt.Errorf("client: read the answer: %w", err)
	}
	if len(content) > maxRaw {
		return nil, fmt.Errorf("client: the answer is larger than %d bytes", maxRaw)
	}
	return content, nil
}

// maxRaw is more than a captured request may have, in bytes.
const maxRaw = 320 << 20

// open sends a call whose answer is read as it comes. It takes as long as the context lets it.
func (c *Client) open(ctx context.Context, k *call, accept string) (io.ReadCloser, error) {
	req, err := c.request(ctx, k, accept)
	if err != nil {
		return nil, err
	}
	res, err := c.patient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
		if err != nil {
			return nil, fmt.Errorf("client: read the answer: %w", err)
		}
		return nil, c.problem(res, body)
	}
	if accept != typeEvents {
		return res.Body, nil
	}
	kind := res.Header.Get("Content-Type")
	if media, _, err := mime.ParseMediaType(kind); err != nil || media != typeEvents {
		_ = res.Body.Close()
		return nil, &formError{got: cmp.Or(kind, "without a type")}
	}
	return res.Body, nil
}

// BinNews is one item of [BinHandle.Follow]; one of its fields is set.
type BinNews struct {
	// Request is one that came.
	Request *BinRequest
	// Change is what happened to requests that came before.
	Change *BinChange
	// Again says that the connection was made again: no request was missed, but changes of meanwhile may have been. Who shows
	// what is in the bin reads it again.
	Again bool
}

// Watch yields the requests that come after the one with the number after (0: after the call; negative: all
// that is kept), each once and in order, until the context ends. It connects again when the connection breaks, and misses nothing that the bin kept. An error that trying
// again would not mend, such as that the bin is gone, is yielded once, as the last item.
func (b *BinHandle) Watch(ctx context.Context, after int64) iter.Seq2[BinRequest, error] {
	return func(yield func(BinRequest, error) bool) {
		for news, err := range b.Follow(ctx, after) {
			if err != nil {
				yield(BinRequest{}, err)
				return
			}
			if news.Request != nil && !yield(*news.Request, nil) {
				return
			}
		}
	}
}

// Follow yields what [BinHandle.Watch] does, and what happens to requests that are in the bin while it is connected: they are
// deleted, or get notes or answers. Of the options only [MaxBody] goes with it.
func (b *BinHandle) Follow(ctx context.Context, after int64, opts ...ListOption) iter.Seq2[BinNews, error] {
	return func(yield func(BinNews, error) bool) {
		if after == 0 {
			bin, err := b.Get(ctx)
			if err != nil {
				yield(BinNews{}, err)
				return
			}
			if bin.Stats != nil {
				after = bin.Stats.Last
			}
		}
		f := binFollower{b: b, after: max(after, 0), query: url.Values{}, yield: yield}
		for _, o := range opts {
			o(f.query)
		}
		rewatch(ctx, func() (heard, more bool, err error) {
			f.heard = false
			more, err = f.once(ctx)
			return f.heard, more, err
		}, func(err error) { yield(BinNews{}, err) })
	}
}

// binFollower is one call of Follow.
type binFollower struct {
	b     *BinHandle
	after int64
	query url.Values
	again bool // there was a connection before
	heard bool // this one brought something new
	yield func(BinNews, error) bool
}

// once gives what comes over one connection. more is false when the caller wants no more.
func (f *binFollower) once(ctx context.Context) (more bool, err error) {
	k := newCall(http.MethodGet, f.b.path("stream"), nil)
	k.query = f.query
	k.set("Last-Event-ID", strconv.FormatInt(f.after, 10))
	return f.b.c.watchOnce(ctx, k, maxRaw, func() bool {
		again := f.again
		f.again = true
		return !again || f.yield(BinNews{Again: true}, nil)
	}, f.take)
}

// take gives on what one block of a connection says.
func (f *binFollower) take(block *sseBlock) (more bool, err error) {
	switch {
	case !block.hasData:
	case block.name == "request":
		var r BinRequest
		if err := json.Unmarshal(block.data, &r); err != nil {
			return true, &faultError{fmt.Errorf("decode a request: %w", err)}
		}
		if r.Seq > f.after {
			f.after, f.heard = r.Seq, true
			return f.yield(BinNews{Request: &r}, nil), nil
		}
	case block.name == "change":
		var c BinChange
		if err := json.Unmarshal(block.data, &c); err != nil {
			return true, &faultError{fmt.Errorf("decode a change: %w", err)}
		}
		f.heard = true
		return f.yield(BinNews{Change: &c}, nil), nil
	}
	return true, nil
}
