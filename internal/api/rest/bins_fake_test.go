package rest_test

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/inspect"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

// fakeBins are the bins of a fake: the real ones over a store in memory, which fail when they are told to. The caller of
// request 2 of the bin "box" is held.
type fakeBins struct {
	*inspect.Service
	f        *fake
	box      event.Bin
	replayed []string
}

// reset makes the bins as new: "box" of acme with two requests, and one of nobody. It is called with the fake's lock held.
func (b *fakeBins) reset(f *fake) {
	*b = fakeBins{f: f}
	b.Service = inspect.New(inspect.Config{
		Store: storetest.NewModel(), Logger: slog.New(slog.DiscardHandler), PublicURL: "https://posthorn.example", MaxBins: 5,
		Sender: func(_ context.Context, url string, r event.Request) (event.Answer, error) {
			if url == "http://10.0.0.1/" {
				return event.Answer{}, event.Invalid("url", "the address 10.0.0.1 is not allowed")
			}
			method, target, _ := r.Line()
			b.replayed = append(b.replayed, method+" "+target+" "+url+" "+string(r.Body))
			return event.Answer{Status: 418, Headers: []event.Header{{Name: "Set-Cookie", Value: "a"}, {Name: "Set-Cookie", Value: "b"}}, Body: []byte{0xff}}, nil
		},
		Arrived: func(r *http.Request, _ string) event.Request { return event.Request{URL: r.URL.String()} },
	})
	ctx := context.Background()
	var err error
	b.box, err = b.Service.Create(ctx, 1, event.Bin{
		Alias: "box", Answer: event.Answer{Status: 201, Headers: []event.Header{{Name: "X-A", Value: "b"}}, Body: []byte("ok")},
		Expires: time.Now().Add(time.Hour).Truncate(time.Microsecond),
	})
	if err != nil {
		panic(err)
	}
	if _, err = b.Service.Create(ctx, 0, event.Bin{Alias: "nobodys"}); err != nil {
		panic(err)
	}
	for _, r := range []event.Request{{
		Head: []byte("POST /b/box/x?b=1&a=%20 HTTP/1.1\r\nHost: posthorn.example\r\ncontent-type: multipart/form-data; boundary=q\r\nX-Event: push\r\n"),
		Body: []byte("--q\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\nv\r\n--q\r\n" +
			"Content-Disposition: form-data; name=\"f\"; filename=\"a.html\"\r\nContent-Type: text/html\r\n\r\n<b>\xff\r\n--q--\r\n"),
		Remote: "192.0.2.7", URL: "https://posthorn.example/b/box/x?b=1&a=%20", Path: "/x?b=1&a=%20",
	}, {
		Head: []byte("GET /b/box HTTP/1.1\r\nHost: posthorn.example\r\n"), Remote: "192.0.2.8", URL: "https://posthorn.example/b/box",
	}} {
		if _, err := b.Keep(ctx, b.box.ID, r, "", event.Answer{}); err != nil {
			panic(err)
		}
	}
}

func (b *fakeBins) Create(ctx context.Context, tenant event.TenantID, v event.Bin) (event.Bin, error) {
	if b.f.fail != nil {
		return v, b.f.fail
	}
	return b.Service.Create(ctx, tenant, v)
}

func (b *fakeBins) Bin(ctx context.Context, tenant event.TenantID, name string) (event.Bin, error) {
	if b.f.fail != nil {
		return event.Bin{}, b.f.fail
	}
	return b.Service.Bin(ctx, tenant, name)
}

func (b *fakeBins) Bins(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Bin, error) {
	if b.f.fail != nil {
		return nil, b.f.fail
	}
	return b.Service.Bins(ctx, tenant, after, limit)
}

// Next does not wait: it says that the server stops, which ends a stream.
func (b *fakeBins) Next(ctx context.Context, bin string, after int64, _ time.Duration) ([]event.Capture, error) {
	list, err := b.Service.Next(ctx, bin, after, 0)
	if err == nil && len(list) == 0 && after < 99 {
		err = event.Errorf(event.KindUnavailable, "shutting_down", "the server is stopping")
	}
	return list, err
}

// News does not wait either.
func (b *fakeBins) News(ctx context.Context, bin string, after, _ int64, wait time.Duration) (inspect.News, error) {
	list, err := b.Next(ctx, bin, after, wait)
	return inspect.News{Captures: list}, err
}

func (b *fakeBins) Held(_ string, seq int64) bool { return seq == 2 }

func (b *fakeBins) Answer(bin string, seq int64, a event.Answer) error {
	if seq == 2 && len(inspect.CheckAnswer("", a)) == 0 {
		return nil
	}
	return b.Service.Answer(bin, seq, a)
}
