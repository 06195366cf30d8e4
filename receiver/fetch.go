package receiver

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of what is fetched.
const (
	fetchTimeout  = 10 * time.Second
	fetchLimit    = 1 << 20 // bytes of one answer
	fetchAge      = time.Hour
	fetchFailAge  = 30 * time.Second
	fetchAgain    = time.Minute // between two fetches of one URL that found something
	fetchEntries  = 256         // answers kept
	fetchBytes    = 8 << 20     // bytes kept
	fetchFailures = 256         // failures kept
	fetchAtOnce   = 8           // requests under way
	fetchURL      = 2048        // bytes of an address
)

// errLeft says that who waited for a fetch went away.
var errLeft = errors.New("the request was given up")

// errFetchURL says that a request names an address of another's, which is never asked.
var errFetchURL = fail(CodeSignature, "the address of the key is not one of the provider's own")

// hostRule says whether a host, in lower case and without a port, is the provider's own.
type hostRule func(host string) bool

// onlyHosts is the rule of a provider with a few known hosts.
func onlyHosts(hosts ...string) hostRule {
	return func(host string) bool { return slices.Contains(hosts, host) }
}

// checkFetchURL returns the address to ask. It is https at a host that the rule allows, with the usual port and nothing that could
// make a client go elsewhere: no user, no escapes in the host, no fragment, no control characters.
func checkFetchURL(raw string, own hostRule) (*url.URL, error) {
	if raw == "" || len(raw) > fetchURL || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
		return nil, errFetchURL
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Opaque != "" || u.User != nil || u.Fragment != "" {
		return nil, errFetchURL
	}
	host := strings.ToLower(u.Hostname())
	if port := u.Port(); (port != "" && port != "443") || !own(host) {
		return nil, errFetchURL
	}
	// The host as it was compared is the one that is asked.
	u.Host = host
	return u, nil
}

// fetchFrom reads an address that the rule allows. The rule is asked before the fetcher, which may be the caller's own.
func fetchFrom(ctx context.Context, f Fetcher, raw string, own hostRule) ([]byte, error) {
	u, err := checkFetchURL(raw, own)
	if err != nil {
		return nil, err
	}
	return fetched(orDefault(f).Fetch(ctx, u.String()))
}

// fetchNewer is fetchFrom past what is cached, for a key that is not in it.
func fetchNewer(ctx context.Context, f Fetcher, raw string, own hostRule) ([]byte, error) {
	u, err := checkFetchURL(raw, own)
	if err != nil {
		return nil, err
	}
	r, ok := orDefault(f).(refresher)
	if !ok {
		return nil, nil
	}
	return fetched(r.Refresh(ctx, u.String()))
}

func fetched(body []byte, err error) ([]byte, error) {
	if err != nil {
		// The request may be good: its proof could not be had.
		return nil, failWith(CodeFetch, "the provider's key could not be fetched", err)
	}
	if len(body) > fetchLimit {
		return nil, fail(CodeFetch, "the provider's key is too long")
	}
	return body, nil
}

// refresher is a Fetcher that can read an address anew, once in a while.
type refresher interface {
	// Refresh returns what is at an address now, or what was there less than a minute ago.
	Refresh(ctx context.Context, url string) ([]byte, error)
}

var sharedFetcher = sync.OnceValue(func() *fetcher { return newFetcher(&http.Client{Transport: fetchTransport()}) })

// DefaultFetcher returns the Fetcher that is used where the option Fetch names none; all share it and its cache. It asks by HTTPS,
// without a proxy, follows no redirects, gives up after 10 seconds, takes 1 MiB at most, keeps an answer for an hour (256 of them,
// 8 MiB together) and a failure for 30 seconds, whatever the answer's own cache headers say. Concurrent fetches of one address are one.
func DefaultFetcher() Fetcher { return sharedFetcher() }

func orDefault(f Fetcher) Fetcher {
	if f == nil {
		return DefaultFetcher()
	}
	return f
}

func fetchTransport() *http.Transport {
	return &http.Transport{
		// No Proxy: which host is asked decides what is trusted, and an environment variable shall not. Keys are read once an hour:
		// connections are not worth keeping.
		DisableKeepAlives:      true,
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  fetchTimeout,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// fetcher is the default Fetcher.
type fetcher struct {
	client *http.Client
	slots  chan struct{} // one for each request under way

	mu      sync.Mutex
	kept    map[string]*list.Element // of *fetchedBody
	order   *list.List               // newest use first
	size    int                      // bytes kept
	failed  map[string]fetchFailure
	running map[string]*fetching
}

type fetchedBody struct {
	url  string
	body []byte
	at   time.Time
}

type fetchFailure struct {
	err error
	at  time.Time
}

// fetching is a request under way; its results may be read when done is closed.
type fetching struct {
	done chan struct{}
	body []byte
	err  error
}

func newFetcher(client *http.Client) *fetcher {
	c := *client
	c.Timeout = fetchTimeout
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &fetcher{
		client: &c, slots: make(chan struct{}, fetchAtOnce), kept: map[string]*list.Element{}, order: list.New(),
		failed: map[string]fetchFailure{}, running: map[string]*fetching{},
	}
}

// Fetch returns the body of an address, kept or asked for.
func (f *fetcher) Fetch(ctx context.Context, url string) ([]byte, error) {
	return f.get(ctx, url, fetchAge)
}

// Refresh implements refresher.
func (f *fetcher) Refresh(ctx context.Context, url string) ([]byte, error) {
	return f.get(ctx, url, fetchAgain)
}

// get returns the kept body if it is younger than age, and asks for it otherwise.
func (f *fetcher) get(ctx context.Context, url string, age time.Duration) ([]byte, error) {
	for {
		f.mu.Lock()
		if body, err, ok := f.look(url, age); ok {
			f.mu.Unlock()
			return body, err
		}
		if running, ok := f.running[url]; ok {
			f.mu.Unlock()
			select {
			case <-running.done:
			case <-ctx.Done():
				return nil, left(ctx)
			}
			if running.err == nil || !isCancel(running.err) {
				return running.body, running.err
			}
			// Who asked went away. That is no answer to us.
			continue
		}
		mine := &fetching{done: make(chan struct{})}
		f.running[url] = mine
		f.mu.Unlock()

		mine.body, mine.err = f.ask(ctx, url)
		f.mu.Lock()
		f.keep(url, mine)
		delete(f.running, url)
		f.mu.Unlock()
		close(mine.done)
		return mine.body, mine.err
	}
}

// look finds an answer or a failure that is young enough. The caller holds mu.
func (f *fetcher) look(url string, age time.Duration) (body []byte, err error, ok bool) { //nolint:revive // ok says whether err is one.
	now := time.Now()
	if e, found := f.kept[url]; found {
		a, _ := e.Value.(*fetchedBody)
		if now.Sub(a.at) < age {
			f.order.MoveToFront(e)
			return a.body, nil, true
		}
	}
	if failed, found := f.failed[url]; found && now.Sub(failed.at) < fetchFailAge {
		return nil, failed.err, true
	}
	return nil, nil, false
}

// keep remembers what came of a request. The caller holds mu.
func (f *fetcher) keep(url string, done *fetching) {
	now := time.Now()
	if done.err != nil {
		if !isCancel(done.err) {
			f.keepFailure(url, fetchFailure{err: done.err, at: now})
		}
		return
	}
	delete(f.failed, url)
	if e, ok := f.kept[url]; ok {
		f.drop(e)
	}
	f.kept[url] = f.order.PushFront(&fetchedBody{url: url, body: done.body, at: now})
	f.size += len(done.body)
	for f.order.Len() > fetchEntries || f.size > fetchBytes {
		f.drop(f.order.Back())
	}
}

func (f *fetcher) drop(e *list.Element) {
	a, _ := f.order.Remove(e).(*fetchedBody)
	delete(f.kept, a.url)
	f.size -= len(a.body)
}

// keepFailure keeps failures apart from answers: addresses that somebody made up push no key out.
func (f *fetcher) keepFailure(url string, failed fetchFailure) {
	if len(f.failed) >= fetchFailures {
		for u, old := range f.failed {
			if failed.at.Sub(old.at) >= fetchFailAge {
				delete(f.failed, u)
			}
		}
	}
	if len(f.failed) >= fetchFailures {
		for u := range f.failed {
			delete(f.failed, u)
			break
		}
	}
	f.failed[url] = failed
}

// ask makes one request.
func (f *fetcher) ask(ctx context.Context, url string) ([]byte, error) {
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return nil, left(ctx)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	if req.URL.Scheme != "https" {
		return nil, errors.New("fetch: only https")
	}
	res, err := f.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, left(ctx)
		}
		return nil, fmt.Errorf("fetch: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch: %s answered %d", req.URL.Hostname(), res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, fetchLimit+1))
	if err != nil {
		if ctx.Err() != nil {
			return nil, left(ctx)
		}
		return nil, fmt.Errorf("fetch: %w", err)
	}
	if len(body) > fetchLimit {
		return nil, fmt.Errorf("fetch: %s answered with more than %d bytes", req.URL.Hostname(), fetchLimit)
	}
	return body, nil
}

func left(ctx context.Context) error { return fmt.Errorf("%w: %w", errLeft, context.Cause(ctx)) }

func isCancel(err error) bool { return errors.Is(err, errLeft) }
