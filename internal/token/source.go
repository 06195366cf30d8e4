package token

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/posthornhq/posthorn/internal/event"
)

const (
	// refreshEvery is the age at which keys are read again, so how long a key lives that the issuer withdrew.
	refreshEvery = 10 * time.Minute
	// retryEvery is when a reading that failed is made again.
	retryEvery = 30 * time.Second
	// refreshPause is the least time between a reading and the next one that a token with an unknown key may cause.
	refreshPause = 10 * time.Second
	// staleAfter is for how long keys are used while they cannot be read.
	staleAfter = 24 * time.Hour
	// fetchTimeout bounds a reading, and a request's wait for it.
	fetchTimeout = 5 * time.Second
)

// keySource keeps the keys of the other issuer. Only its run reads them; a request that meets an unknown key asks for a
// reading and waits.
type keySource struct {
	where string // for logs: a file or a host, never a whole URL
	load  func(context.Context) (*publicKeys, error)
	now   func() time.Time
	log   *slog.Logger

	current atomic.Pointer[loadedKeys]

	mu      sync.Mutex
	tried   time.Time     // when the last reading ended
	waiting chan struct{} // closed by the end of the next reading; nil: nobody waits
	failing bool

	asked chan struct{} // wakes run
}

func newKeySource(where string, load func(context.Context) (*publicKeys, error), now func() time.Time, log *slog.Logger) *keySource {
	return &keySource{where: where, load: load, now: now, log: log, asked: make(chan struct{}, 1)}
}

type loadedKeys struct {
	keys *publicKeys
	at   time.Time
}

// set returns the keys in use, nil when there are none or they are too old.
func (k *keySource) set() *publicKeys {
	c := k.current.Load()
	if c == nil || k.now().Sub(c.at) >= staleAfter {
		return nil
	}
	return c.keys
}

// find returns the keys that a token may be signed with, none when no key fits, and the set that they are of. Error:
// KindUnavailable when there are no keys at all.
func (k *keySource) find(ctx context.Context, kid, algorithm string) ([]jwt.VerificationKey, *publicKeys, error) {
	for last := false; ; last = true {
		set := k.set()
		if set != nil {
			if list := set.candidates(kid, algorithm); len(list) > 0 || last {
				return list, set, nil
			}
		} else if last {
			return nil, nil, &event.Error{
				Kind: event.KindUnavailable, Code: "token_keys_unavailable", Detail: "the keys of this token's issuer cannot be had now",
				RetryAfter: refreshPause,
			}
		}
		k.await(ctx)
	}
}

// await asks for a reading and returns when it has ended, or at once when there has been one just now.
func (k *keySource) await(ctx context.Context) {
	k.mu.Lock()
	if k.waiting == nil {
		if k.now().Sub(k.tried) < refreshPause {
			k.mu.Unlock()
			return
		}
		k.waiting = make(chan struct{})
		select {
		case k.asked <- struct{}{}:
		default: // it is asked already
		}
	}
	done := k.waiting
	k.mu.Unlock()
	timer := time.NewTimer(fetchTimeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-ctx.Done():
	case <-timer.C:
	}
}

// run reads the keys now, from time to time, and when asked, until ctx ends.
func (k *keySource) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.asked:
		case <-timer.C:
		}
		wait := refreshEvery
		if k.refresh(ctx) != nil {
			wait = retryEvery
		}
		timer.Reset(wait)
	}
}

// refresh reads the keys. When it fails, those there are stay. It logs when failing begins and when it ends.
func (k *keySource) refresh(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, fetchTimeout)
	keys, err := k.load(bounded)
	cancel()
	now := k.now()
	if err == nil {
		k.current.Store(&loadedKeys{keys: keys, at: now})
	}
	k.mu.Lock()
	began, ended := err != nil && !k.failing, err == nil && k.failing
	k.failing, k.tried = err != nil, now
	if k.waiting != nil {
		close(k.waiting)
		k.waiting = nil
		select {
		case <-k.asked: // this was the reading that was asked for
		default:
		}
	}
	k.mu.Unlock()
	switch {
	case ctx.Err() != nil:
	case began:
		k.log.WarnContext(ctx, "the keys of tokens cannot be read; those read before stay in use for a day", slog.String("from", k.where), slog.Any("error", err))
	case ended:
		k.log.InfoContext(ctx, "the keys of tokens can be read again", slog.String("from", k.where))
	}
	return err
}

// fetcher returns a reader of a JWK set at a URL. It follows no redirect: keys come from where the operator said.
func fetcher(from string) func(context.Context) (*publicKeys, error) {
	client := &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: fetchTimeout}).DialContext,
			TLSHandshakeTimeout: fetchTimeout, MaxResponseHeaderBytes: 64 << 10, DisableKeepAlives: true, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context) (*publicKeys, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
		if err != nil {
			return nil, errors.New("token: the URL of the keys cannot be used")
		}
		req.Header.Set("Accept", "application/jwk-set+json, application/json")
		req.Header.Set("User-Agent", "Posthorn")
		resp, err := client.Do(req)
		if err != nil {
			if u, ok := errors.AsType[*url.Error](err); ok {
				err = u.Err // the URL may hold a password
			}
			return nil, fmt.Errorf("token: fetch the keys: %w", err)
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("token: fetch the keys: the answer has status %d", resp.StatusCode)
		}
		data, err := readKeySet(resp.Body)
		if err != nil {
			return nil, fmt.Errorf("token: fetch the keys: %w", err)
		}
		keys, err := parseJWKSet(data)
		if err != nil {
			return nil, fmt.Errorf("token: fetch the keys: %w", err)
		}
		return keys, nil
	}
}
