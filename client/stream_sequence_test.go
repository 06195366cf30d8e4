package client

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
)

func TestStreamSequence(t *testing.T) {
	t.Parallel()
	gap := from(1, 1) + from(3, 3)
	for name, c := range map[string]struct {
		bad  string
		opts []StreamOption
		key  string
		want []int64 // of the bad answer alone, nil: it is refused
	}{
		"a gap":                     {bad: gap},
		"a gap at the start":        {bad: from(2, 2)},
		"a place after a gap":       {bad: from(1, 1) + "id: 3\n\n"},
		"double":                    {bad: from(1, 1) + from(1, 1)},
		"backward":                  {bad: from(1, 2) + from(1, 1)},
		"a place backward":          {bad: from(1, 2) + "id: 1\n\n"},
		"no version":                {bad: "data: {\"type\":\"a\"}\n\n"},
		"an id of another version":  {bad: "id: 2\ndata: {\"type\":\"a\",\"version\":1}\n\n"},
		"an id that is no number":   {bad: "id: x\n\n"},
		"not JSON":                  {bad: "id: 1\ndata: {\n\n"},
		"a negative id":             {bad: "id: -4\n\n"},
		"a gap, filtered":           {bad: gap, opts: []StreamOption{Types("a")}, want: []int64{1, 3}},
		"a gap, by subject":         {bad: gap, opts: []StreamOption{Subject("a")}, want: []int64{1, 3}},
		"a gap, with a narrow key":  {bad: gap, key: jwt(`{"subjects":["a"]}`), want: []int64{1, 3}},
		"a gap, with their narrow":  {bad: gap, key: jwt(`{"posthorn":{"types":["a"]}}`), want: []int64{1, 3}},
		"a gap, with a wide token":  {bad: gap, key: jwt(`{"allow":["read"]}`)},
		"double, filtered":          {bad: from(1, 1) + from(1, 1), opts: []StreamOption{Filter("true")}},
		"a place ahead, filtered":   {bad: from(1, 1) + "id: 9\n\n" + from(10, 10), opts: []StreamOption{Filter("true")}, want: []int64{1, 10}},
		"before a place, filtered":  {bad: from(1, 1) + "id: 9\n\n" + from(9, 9), opts: []StreamOption{Filter("true")}},
		"something that is no fact": {bad: "id: 1\ndata: \"x\"\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				opts := append([]StreamOption{Start(1), Via(TransportSSE)}, c.opts...)
				f := &fakeServer{stream: []respond{sse(io.EOF, c.bad), sse(nil)}}
				key := c.key
				if key == "" {
					key = "key"
				}
				open := func(f *fakeServer) *Stream {
					return f.client(t, WithToken(func(context.Context) (string, error) { return key, nil })).Stream("acme", opts...)
				}
				if c.want != nil {
					if got, err := take(t.Context(), open(f), len(c.want)); !slices.Equal(got, c.want) || err != nil {
						t.Errorf("%v, %v", got, err)
					}
					return
				}
				// Once, it is mended by connecting again; each version comes once.
				f.stream[1] = func(r *http.Request) (*http.Response, error) {
					start, _ := strconv.ParseInt(r.URL.Query().Get("start"), 10, 64)
					return sse(nil, from(start, 12))(r)
				}
				// Versions before a place that was reached are those not selected.
				if got, err := take(t.Context(), open(f), 3); err != nil || name != "before a place, filtered" && !slices.Equal(got, upTo(3)) {
					t.Errorf("%v, %v", got, err)
				}
				// Always, it ends the stream.
				f = &fakeServer{stream: []respond{func(r *http.Request) (*http.Response, error) {
					if r.URL.Query().Get("start") == "1" {
						return sse(io.EOF, c.bad)(r)
					}
					return sse(io.EOF, "id: x\n\n")(r)
				}}}
				got, err := take(t.Context(), open(f), 0)
				if err == nil || !slices.Equal(got, upTo(int64(len(got)))) || len(f.got) > 6 {
					t.Errorf("%v, %v after %v", got, err, f.starts())
				}
			})
		})
	}
}

func jwt(claims string) string {
	return "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func TestStreamSequenceOfPolls(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]string{
		"a gap":            `{"changes":[{"version":1},{"version":3}],"next":4,"head":9}`,
		"double":           `{"changes":[{"version":1},{"version":1}],"next":2,"head":9}`,
		"next after a gap": `{"changes":[{"version":1}],"next":4,"head":9}`,
		"next backward":    `{"changes":[{"version":1}],"next":1,"head":9}`,
		"nothing":          `{}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeServer{changes: []respond{func(r *http.Request) (*http.Response, error) {
				if r.URL.Query().Get("start") != "1" {
					return answerOf(200, nil, `{"changes":[],"next":1,"head":9}`)(r)
				}
				return answerOf(200, nil, bad)(r)
			}}}
			got, err := take(t.Context(), f.client(t).Stream("acme", Start(1), Via(TransportPoll)), 0)
			if e, ok := errors.AsType[*SequenceError](err); !ok || e.Got == e.Due || len(got) > 1 {
				t.Errorf("%s: %v, %v", name, got, err)
			}
		})
	}
}
