package inspect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

type netDialer struct{ net.Dialer }

func (d *netDialer) dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestCreate(t *testing.T) {
	t.Parallel()
	s := newService(t)
	long := strings.Repeat("x", 200)
	for name, tt := range map[string]struct {
		bin    event.Bin
		fields string // that are wrong
	}{
		"plain":            {event.Bin{}, ""},
		"all":              {event.Bin{Alias: "a_B-3", Description: "d", Delay: 30 * time.Second, Hold: time.Minute, CORS: true, Keep: 10_000, Refuse: true, Expires: time.Now().Add(event.MaxBinAge)}, ""},
		"short alias":      {event.Bin{Alias: "ab"}, "alias"},
		"long alias":       {event.Bin{Alias: long}, "alias"},
		"path as alias":    {event.Bin{Alias: "a/../b"}, "alias"},
		"UUID as alias":    {event.Bin{Alias: "00000000-0000-4000-8000-00000000000A"}, "alias"},
		"delay":            {event.Bin{Delay: 31 * time.Second}, "delay"},
		"negative":         {event.Bin{Delay: -1, Hold: -1, Keep: -1}, "delay hold keep"},
		"hold":             {event.Bin{Hold: 61 * time.Second}, "hold"},
		"keep":             {event.Bin{Keep: 10_001}, "keep"},
		"past":             {event.Bin{Expires: time.Now().Add(-time.Second)}, "expires"},
		"too long":         {event.Bin{Expires: time.Now().Add(event.MaxBinAge + time.Hour)}, "expires"},
		"tunnel":           {event.Bin{Tunnel: "No"}, "tunnel"},
		"tunnel and hold":  {event.Bin{Tunnel: "a", Hold: 1}, "hold"},
		"informational":    {event.Bin{Answer: event.Answer{Status: 101}}, "answer.status"},
		"status":           {event.Bin{Answer: event.Answer{Status: 600}}, "answer.status"},
		"header name":      {event.Bin{Answer: event.Answer{Headers: []event.Header{{Name: "a b", Value: "c"}}}}, "answer.headers.a b"},
		"header injection": {event.Bin{Answer: event.Answer{Headers: []event.Header{{Name: "A", Value: "b\r\nSet-Cookie: c"}}}}, "answer.headers.A"},
		"hop by hop":       {event.Bin{Answer: event.Answer{Headers: []event.Header{{Name: "Transfer-Encoding", Value: "chunked"}}}}, "answer.headers.Transfer-Encoding"},
		"cookie":           {event.Bin{Answer: event.Answer{Headers: []event.Header{{Name: "set-cookie", Value: "a=b"}}}}, "answer.headers.set-cookie"},
		"large body":       {event.Bin{Answer: event.Answer{Body: make([]byte, event.MaxBinAnswer+1)}}, "answer.body"},
		"many headers":     {event.Bin{Answer: event.Answer{Headers: make([]event.Header, 51)}}, "answer.headers"},
		"metadata":         {event.Bin{Metadata: map[string]string{"": "x"}}, "metadata"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := s.Create(t.Context(), 1, tt.bin)
			if tt.fields == "" {
				if err != nil || !isUUID(b.ID) || b.Keep == 0 || b.Tenant != 1 || b.Revision == 0 || s.URL(&b) != "https://posthorn.example/b/"+b.ID {
					t.Errorf("%+v, %v", b, err)
				}
				return
			}
			e, ok := errors.AsType[*event.Error](err)
			if !ok || e.Kind != event.KindInvalid {
				t.Fatalf("error: %v", err)
			}
			for field := range strings.SplitSeq(tt.fields, " ") {
				if !strings.Contains(err.Error(), field) {
					t.Errorf("%s is not named: %v", field, err)
				}
			}
		})
	}
	if _, err := s.Create(t.Context(), 0, event.Bin{Tunnel: "laptop"}); event.KindOf(err) != event.KindInvalid {
		t.Errorf("a tunnel of nobody: %v", err)
	}
}

func TestTenants(t *testing.T) {
	t.Parallel()
	s := newService(t, func(c *Config) { c.MaxBins = 2 })
	ctx := t.Context()
	mine := makeBin(t, s, event.Bin{Alias: "mine"})
	nobodys, err := s.Create(ctx, 0, event.Bin{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		tenant event.TenantID
		name   string
		found  bool
	}{
		{1, mine.ID, true},
		{1, "mine", true},
		{2, mine.ID, false},
		{2, "mine", false},
		{0, "mine", true},
		{1, nobodys.ID, false},
		{0, nobodys.ID, true},
	} {
		if _, err := s.Bin(ctx, tt.tenant, tt.name); (err == nil) != tt.found || err != nil && event.KindOf(err) != event.KindNotFound {
			t.Errorf("tenant %d, %s: %v", tt.tenant, tt.name, err)
		}
	}
	if _, err := s.Create(ctx, 2, event.Bin{Alias: "mine"}); event.KindOf(err) != event.KindConflict {
		t.Errorf("an alias that is taken: %v", err)
	}
	makeBin(t, s, event.Bin{})
	if _, err := s.Create(ctx, 1, event.Bin{}); event.KindOf(err) != event.KindConflict {
		t.Errorf("one bin too many: %v", err)
	}
	if _, err := s.Create(ctx, 0, event.Bin{}); err != nil {
		t.Errorf("the second of nobody: %v", err)
	}
	if err := s.TenantDeleted(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Bins(ctx, 0, "", 10); err != nil || len(list) != 2 {
		t.Errorf("left: %v %v", list, err)
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ctx := t.Context()
	b := makeBin(t, s, event.Bin{Alias: "one"})
	changed := b
	changed.Description, changed.Tenant = "new", 7
	saved, err := s.Update(ctx, changed, b.Revision)
	if err != nil || saved.Description != "new" || saved.Tenant != 1 || !saved.Created.Equal(b.Created) {
		t.Errorf("%+v, %v", saved, err)
	}
	if _, err := s.Update(ctx, changed, b.Revision); event.KindOf(err) != event.KindPrecondition {
		t.Errorf("an old revision: %v", err)
	}
	changed.ID = "one"
	if _, err := s.Update(ctx, changed, 0); event.KindOf(err) != event.KindNotFound {
		t.Errorf("by alias: %v", err)
	}
	if err := s.Delete(ctx, b.ID, b.Revision); event.KindOf(err) != event.KindPrecondition {
		t.Errorf("delete an old revision: %v", err)
	}
	if err := s.Delete(ctx, b.ID, 0); err != nil {
		t.Error(err)
	}
	if _, err := s.Bin(ctx, 0, b.ID); event.KindOf(err) != event.KindNotFound {
		t.Errorf("deleted: %v", err)
	}
}

// keepMany puts requests into a bin: GET and POST in turn, with their number as body.
func keepMany(t *testing.T, s *Service, bin string, n int) {
	t.Helper()
	for i := range n {
		method := [...]string{"GET", "POST"}[i%2]
		r := event.Request{Head: []byte(method + " /b/x HTTP/1.1\r\n"), Body: fmt.Appendf(nil, "body %d.", i+1)}
		if _, err := s.Keep(t.Context(), bin, r, "", event.Answer{}); err != nil {
			t.Fatal(err)
		}
	}
}

func seqs(list []event.Capture) string {
	var out []string
	for i := range list {
		out = append(out, fmt.Sprint(list[i].Seq))
	}
	return strings.Join(out, " ")
}

func TestSearchPages(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := makeBin(t, s, event.Bin{Keep: 5000})
	keepMany(t, s, b.ID, 9)
	ctx := t.Context()
	q := event.CaptureQuery{Bin: b.ID, Limit: 2}
	var got []string
	for {
		list, next, err := s.Search(ctx, q, "method:post")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, seqs(list))
		if q.After = next; next == 0 {
			break
		}
	}
	want(t, "oldest first", strings.Join(got, "|"), "2 4|6 8|") // what follows is looked at by the next page
	got = nil
	q = event.CaptureQuery{Bin: b.ID, Limit: 4, Newest: true}
	for {
		list, next, err := s.Search(ctx, q, "")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, seqs(list))
		if q.Before = next; next == 0 {
			break
		}
	}
	want(t, "newest first", strings.Join(got, "|"), "9 8 7 6|5 4 3 2|1")
	if _, _, err := s.Search(ctx, q, `"`); event.KindOf(err) != event.KindInvalid {
		t.Errorf("a bad query: %v", err)
	}
}

// TestSearchBound stops a search that finds little after a while, and says where to go on.
func TestSearchBound(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := makeBin(t, s, event.Bin{Keep: 5000})
	keepMany(t, s, b.ID, MaxSearch+500)
	q := event.CaptureQuery{Bin: b.ID, Limit: 10}
	text := fmt.Sprintf(`"body %d."`, MaxSearch+400)
	list, next, err := s.Search(t.Context(), q, text)
	if err != nil || len(list) != 0 || next != MaxSearch {
		t.Fatalf("%d found, next %d, %v", len(list), next, err)
	}
	q.After = next
	list, next, err = s.Search(t.Context(), q, text)
	if err != nil || seqs(list) != fmt.Sprint(MaxSearch+400) || next != 0 {
		t.Errorf("%s found, next %d, %v", seqs(list), next, err)
	}
	n, err := s.DeleteMatching(t.Context(), event.CaptureQuery{Bin: b.ID}, "method:GET")
	if err != nil || n != (MaxSearch+500)/2 {
		t.Errorf("%d deleted, %v", n, err)
	}
	if n, err = s.DeleteMatching(t.Context(), event.CaptureQuery{Bin: b.ID}, ""); err != nil || n != (MaxSearch+500)/2 {
		t.Errorf("%d deleted, %v", n, err)
	}
}

func TestOneCapture(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ctx := t.Context()
	b := makeBin(t, s, event.Bin{})
	if _, err := s.Capture(ctx, b.ID, "latest"); event.KindOf(err) != event.KindNotFound {
		t.Errorf("latest of none: %v", err)
	}
	keepMany(t, s, b.ID, 2)
	latest, err := s.Capture(ctx, b.ID, "latest")
	if err != nil || latest.Seq != 2 {
		t.Fatal(latest, err)
	}
	if c, err := s.Capture(ctx, b.ID, strings.ToUpper(latest.ID)); err != nil || c.Seq != 2 {
		t.Errorf("by id: %v %v", c, err)
	}
	for _, ref := range []string{"3", "0", "-1", "x", "", newUUID(), "99999999999999999999"} {
		if _, err := s.Capture(ctx, b.ID, ref); event.KindOf(err) != event.KindNotFound {
			t.Errorf("%q: %v", ref, err)
		}
	}
	if err := s.Note(ctx, b.ID, 1, "seen"); err != nil {
		t.Error(err)
	}
	if err := s.Note(ctx, b.ID, 1, strings.Repeat("x", event.MaxNote+1)); event.KindOf(err) != event.KindInvalid {
		t.Errorf("a long note: %v", err)
	}
	if list, _, err := s.Search(ctx, event.CaptureQuery{Bin: b.ID}, "note:SEE"); err != nil || seqs(list) != "1" {
		t.Errorf("by note: %s %v", seqs(list), err)
	}
	if err := s.DeleteCapture(ctx, b.ID, 1); err != nil {
		t.Error(err)
	}
	if err := s.DeleteCapture(ctx, b.ID, 1); event.KindOf(err) != event.KindNotFound {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		b := makeBin(t, s, event.Bin{})
		ctx := t.Context()
		began := time.Now()
		if list, err := s.Next(ctx, b.ID, 0, 5*time.Second); err != nil || len(list) != 0 || time.Since(began) != 5*time.Second {
			t.Errorf("%v %v after %s", list, err, time.Since(began))
		}
		type result struct {
			list []event.Capture
			err  error
		}
		results := make(chan result, 1)
		next := func(after int64) {
			go func() {
				list, err := s.Next(ctx, b.ID, after, time.Minute)
				results <- result{list, err}
			}()
			synctest.Wait()
		}
		next(0)
		keepMany(t, s, b.ID, 1)
		if r := <-results; r.err != nil || seqs(r.list) != "1" {
			t.Errorf("%v %v", r.list, r.err)
		}
		keepMany(t, s, b.ID, 150)
		if list, err := s.Next(ctx, b.ID, 1, 0); err != nil || len(list) != nextCaptures || list[0].Seq != 2 {
			t.Errorf("%d %v", len(list), err)
		}
		next(151)
		if err := s.Delete(ctx, b.ID, 0); err != nil {
			t.Fatal(err)
		}
		if r := <-results; event.KindOf(r.err) != event.KindNotFound {
			t.Errorf("of a bin that is deleted: %v %v", r.list, r.err)
		}
		b = makeBin(t, s, event.Bin{})
		next(0)
		s.Drain()
		if r := <-results; event.KindOf(r.err) != event.KindUnavailable {
			t.Errorf("of a server that stops: %v %v", r.list, r.err)
		}
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := newService(t).Next(gone, b.ID, 0, time.Minute); err == nil {
			t.Error("a caller that is gone gets something")
		}
		if n := len(s.hub.bins); n != 0 {
			t.Errorf("%d watches are left", n)
		}
	})
}

func TestJoin(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var leaves []func()
	for range maxBinWatchers {
		leave, err := s.Join("a")
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leave)
	}
	if _, err := s.Join("a"); event.KindOf(err) != event.KindUnavailable {
		t.Errorf("one too many: %v", err)
	}
	leave, err := s.Join("b")
	if err != nil {
		t.Error(err)
	}
	leave()
	leave()
	leaves[0]()
	if leave, err = s.Join("a"); err != nil {
		t.Error(err)
	}
	leave()
	for _, leave := range leaves {
		leave()
	}
	if s.hub.total != 0 || len(s.hub.bins) != 0 {
		t.Errorf("%d watchers of %d bins are left", s.hub.total, len(s.hub.bins))
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	var sent event.Request
	var to string
	var answer event.Answer
	var fault error
	s := newService(t, func(c *Config) {
		c.Sender = func(ctx context.Context, url string, r event.Request) (event.Answer, error) {
			if _, bounded := ctx.Deadline(); !bounded {
				t.Error("the time is not bounded")
			}
			sent, to = r, url
			return answer, fault
		}
	})
	c := event.Capture{Request: event.Request{
		Head: []byte("PUT /b/x/a%2Fb?q=1 HTTP/1.1\r\nhost: posthorn.example\r\nX-Event: Push\r\nx-event: again\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n" +
			"Transfer-Encoding: chunked\r\nX-Forwarded-For: 192.0.2.1\r\nContent-Length: 3\r\nContent-Type: a/b\r\nbroken\r\nBad Name: x\r\n"),
		Body: []byte{0, 0xff, '\n'}, Path: "/a%2Fb?q=1",
	}}
	answer = event.Answer{Status: 500, Headers: []event.Header{{Name: "B", Value: "1"}, {Name: "A", Value: "2"}}}
	for _, tt := range []struct {
		url      string
		keep     bool
		to, line string
	}{
		{"https://example.com", false, "https://example.com/", "PUT / HTTP/1.1"},
		{"https://example.com/in?k=v#f", false, "https://example.com/in?k=v", "PUT /in?k=v HTTP/1.1"},
		{"https://example.com/in/?k=v", true, "https://example.com/in/a%2Fb?k=v&q=1", "PUT /in/a%2Fb?k=v&q=1 HTTP/1.1"},
		{"http://example.com:8080", true, "http://example.com:8080/a%2Fb?q=1", "PUT /a%2Fb?q=1 HTTP/1.1"},
	} {
		a, _, err := s.Replay(t.Context(), c, tt.url, tt.keep)
		if err != nil || a.Status != 500 || a.Headers[0].Name != "A" {
			t.Fatal(a, err)
		}
		host, _, _ := strings.Cut(strings.SplitN(tt.to, "/", 4)[2], "/")
		want(t, tt.url+" to", to, tt.to)
		want(t, tt.url+" head", string(sent.Head), tt.line+"\r\nHost: "+host+"\r\nX-Event: Push\r\nx-event: again\r\nContent-Type: a/b\r\n")
		want(t, tt.url+" body", string(sent.Body), string(c.Body))
	}
	for _, url := range []string{"", "ftp://example.com/", "//example.com", "http://", "http://u:p@example.com/", "http://example.com/" + strings.Repeat("x", 3000), "http://[::1"} {
		if _, _, err := s.Replay(t.Context(), c, url, false); event.KindOf(err) != event.KindInvalid || !strings.Contains(err.Error(), "url") {
			t.Errorf("%.30s: %v", url, err)
		}
	}
	fault = event.Invalid("url", "the address is not allowed")
	if _, _, err := s.Replay(t.Context(), c, "http://10.0.0.1/", false); event.KindOf(err) != event.KindInvalid {
		t.Errorf("a forbidden address: %v", err)
	}
	fault = errors.New("dial: hush")
	_, _, err := s.Replay(t.Context(), c, "http://example.com/", false)
	if e, ok := errors.AsType[*event.Error](err); !ok || e.Code != "no_answer" || strings.Contains(e.Detail, "hush") {
		t.Errorf("no answer: %v", err)
	}
	fault, answer = nil, event.Answer{Reason: "timeout"}
	if _, _, err := s.Replay(t.Context(), c, "http://example.com/", false); event.KindOf(err) != event.KindUnavailable || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("no answer: %v", err)
	}
	if _, _, err := newService(t).Replay(t.Context(), c, "http://example.com/", false); event.KindOf(err) != event.KindUnavailable {
		t.Errorf("without a sender: %v", err)
	}
	if raw := Raw(&c.Request); string(raw) != string(c.Head)+"\r\n"+string(c.Body) {
		t.Errorf("raw: %q", raw)
	}
}

// TestNews tells those who watch what others change, in order and once, and ends who is too slow.
func TestNews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		b := makeBin(t, s, event.Bin{Hold: time.Minute})
		keepMany(t, s, b.ID, 3)
		ctx := t.Context()
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		check(s.Note(ctx, b.ID, 1, "before anybody joined"))
		leave, err := s.Join(b.ID)
		check(err)
		defer leave()
		first, err := s.News(ctx, b.ID, 0, -1, 0)
		if err != nil || seqs(first.Captures) != "1 2 3" || len(first.Changes) != 0 {
			t.Fatalf("%+v %v", first, err)
		}
		got := make(chan News, 1)
		go func() {
			n, err := s.News(ctx, b.ID, 3, first.Seen, time.Minute)
			if err != nil {
				t.Error(err)
			}
			got <- n
		}()
		synctest.Wait()
		check(s.Note(ctx, b.ID, 2, "mine"))
		n := <-got
		if len(n.Captures) != 0 || len(n.Changes) != 1 || *n.Changes[0].Note != "mine" || n.Changes[0].Seqs[0] != 2 {
			t.Errorf("a note: %+v", n)
		}
		check(s.DeleteCapture(ctx, b.ID, 1))
		if _, err := s.DeleteMatching(ctx, event.CaptureQuery{Bin: b.ID}, ""); err != nil {
			t.Fatal(err)
		}
		n, err = s.News(ctx, b.ID, 3, n.Seen, 0)
		if err != nil || len(n.Changes) != 2 || !n.Changes[0].Deleted || !slices.Equal(n.Changes[1].Seqs, []int64{2, 3}) || !n.Changes[1].Deleted {
			t.Errorf("deletions: %+v %v", n, err)
		}
		answered := make(chan int, 1)
		go func() { answered <- send(ctx, s, "POST", "/b/"+b.ID, "x").Code }()
		synctest.Wait()
		n, err = s.News(ctx, b.ID, 3, n.Seen, 0)
		if err != nil || seqs(n.Captures) != "4" || len(n.Changes) != 0 {
			t.Errorf("one that is held: %+v %v", n, err)
		}
		check(s.Answer(b.ID, 4, event.Answer{Status: 202}))
		if code := <-answered; code != 202 {
			t.Errorf("the caller got %d", code)
		}
		n, err = s.News(ctx, b.ID, 4, n.Seen, 0)
		if err != nil || len(n.Changes) != 1 || *n.Changes[0].Status != 202 {
			t.Errorf("an answer: %+v %v", n, err)
		}
		for range maxChanges + 1 {
			check(s.Note(ctx, b.ID, 4, "again"))
		}
		if _, err := s.News(ctx, b.ID, 4, n.Seen, 0); event.KindOf(err) != event.KindUnavailable {
			t.Errorf("one who is too slow: %v", err)
		}
		if n, err := s.News(ctx, b.ID, 4, n.Seen+1, 0); err != nil || len(n.Changes) != maxChanges {
			t.Errorf("one who is just in time: %d %v", len(n.Changes), err)
		}
		leave()
		if len(s.hub.bins) != 0 {
			t.Errorf("%d watches are left", len(s.hub.bins))
		}
	})
}
