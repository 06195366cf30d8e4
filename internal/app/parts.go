package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"os"
	"strconv"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/config"
	"github.com/posthornhq/posthorn/internal/deliver"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/fanout"
	"github.com/posthornhq/posthorn/internal/keyring"
	"github.com/posthornhq/posthorn/internal/match"
	"github.com/posthornhq/posthorn/internal/store"
)

// newLogger logs text on a terminal and JSON otherwise, unless the configuration says which.
func newLogger(cfg config.Config, w io.Writer) *slog.Logger {
	f, isFile := w.(*os.File)
	terminal := isFile && term.IsTerminal(int(f.Fd()))
	if cfg.LogFormat == config.LogFormatText || cfg.LogFormat == config.LogFormatAuto && terminal {
		return slog.New(tint.NewTextHandler(w, &tint.Options{
			Level: cfg.LogLevel, TimeFormat: "15:04:05.000", NoColor: !terminal || os.Getenv("NO_COLOR") != "",
		}))
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: cfg.LogLevel}))
}

func checkPattern(pattern string) error {
	if reason := match.CheckPattern(pattern); reason != "" {
		return errors.New(reason)
	}
	return nil
}

func checkFilter(filter string, limits event.Limits) error {
	_, err := match.CompileFilter(filter, limits)
	var e *event.Error
	if errors.As(err, &e) && len(e.Fields) > 0 {
		return errors.New(e.Fields[0].Message)
	}
	return err
}

// typeFilter compiles patterns of event types for lists, by the rule that endpoints follow.
func typeFilter(patterns []string) (func(eventType string) bool, error) {
	for _, p := range patterns {
		if err := checkPattern(p); err != nil {
			return nil, err
		}
	}
	ep := &event.Endpoint{Types: patterns}
	return func(eventType string) bool { return match.Matches(ep, &event.Event{Version: 1, Type: eventType}) }, nil
}

// canary is sealed into the store at the first start, so that a wrong key is noticed at the start and not when the first
// secret cannot be opened.
const (
	canaryScope = "posthorn"
	canaryKey   = "encryption-canary"
)

// keyPresent checks that the key file was not lost: a new one would be of no use to a folder that was made with another.
func keyPresent(ctx context.Context, s store.Store, cfg config.Config) error {
	if cfg.EncryptionKey.Reveal() != "" {
		return nil
	}
	if _, err := os.Stat(cfg.EncryptionKeyFile); !errors.Is(err, fs.ErrNotExist) {
		return nil // reading it says what is wrong with it
	}
	_, err := s.Answer(ctx, canaryScope, canaryKey)
	switch {
	case event.KindOf(err) == event.KindNotFound:
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("the encryption key file %s is missing; restore it, the secrets in the data folder cannot be read without it", cfg.EncryptionKeyFile)
}

func checkKey(ctx context.Context, s store.Store, keys *keyring.Keyring) error {
	a, err := s.Answer(ctx, canaryScope, canaryKey)
	switch {
	case event.KindOf(err) == event.KindNotFound:
		sealed, err := keys.Seal([]byte(canaryKey), []byte(canaryScope))
		if err != nil {
			return err
		}
		// Far in the future, so that it is never trimmed with old answers.
		at := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
		return s.SaveAnswer(ctx, canaryScope, canaryKey, store.Answer{Body: sealed, At: at})
	case err != nil:
		return err
	}
	if _, err := keys.Open(a.Body, []byte(canaryScope)); err != nil {
		return fmt.Errorf("the encryption key is not the one that this data folder was made with: %w", err)
	}
	return nil
}

// changes tells what looks after endpoints and tenants what the control plane saved.
type changes struct{ a *App }

// EndpointChanged implements [control.Listener].
func (c changes) EndpointChanged(e *event.Endpoint) {
	c.a.registry.Put(e)
	c.a.manager.EndpointChanged(e)
}

// EndpointExpected implements [control.Listener].
func (c changes) EndpointExpected(e *event.Endpoint) { c.a.registry.Follow(e, false) }

// EndpointBehind implements [control.Listener]. The lane comes first, so that it is the one that says when events are to be
// matched for the endpoint.
func (c changes) EndpointBehind(e *event.Endpoint) {
	c.a.manager.EndpointBehind(e)
	c.a.registry.Put(e)
}

// EndpointDeleted implements [control.Listener].
func (c changes) EndpointDeleted(tenant event.TenantID, id event.EndpointID) {
	c.a.registry.Remove(tenant, id)
	c.a.manager.EndpointDeleted(id)
	c.a.registry.Remove(tenant, id) // a lane may have asked not to be followed in between
	c.a.tunnels.EndpointDeleted(tenant, id)
}

// TenantDeleted implements [control.Listener]. The tenant's bins are deleted with its events, by the house-keeping.
func (c changes) TenantDeleted(id event.TenantID) {
	c.a.registry.RemoveTenant(id)
	c.a.manager.TenantDeleted(id)
	c.a.ingest.TenantDeleted(id)
	c.a.hub.TenantDeleted(id)
	c.a.overview.TenantDeleted(id)
	c.a.queues.TenantDeleted(id)
	c.a.sources.TenantDeleted(id)
	c.a.tunnels.TenantDeleted(id)
}

// owner does what the lanes decide about an endpoint.
type owner struct{ a *App }

// Disable implements [deliver.Owner]: it tells the tenant by an operational event, then disables. The event's id follows
// from the decision, so that doing it again tells once.
func (o owner) Disable(ctx context.Context, e *event.Endpoint, reason string, since time.Time) error {
	data, err := json.Marshal(map[string]string{
		"endpoint": e.ID.String(), "description": e.Description, "reason": reason, "since": since.UTC().Format(time.RFC3339Nano),
	})
	if err != nil {
		return err
	}
	if _, err := o.a.ingest.PublishOperational(ctx, e.Tenant, event.Event{
		ID:   "disabled:" + e.ID.String() + ":" + strconv.FormatInt(since.UnixMicro(), 10),
		Type: event.ReservedPrefix + "endpoint.disabled", Subject: e.ID.String(), Data: data,
	}); err != nil {
		return err
	}
	// If it was changed meanwhile, control tells the lanes to go on with what is configured now.
	return o.a.disable(ctx, e, reason, since)
}

// delivery is what the REST API sees of the lanes.
type delivery struct {
	*deliver.Manager
	registry *fanout.Registry
}

// Targets implements [rest.Delivery].
func (d delivery) Targets(ctx context.Context, ev *event.Event) ([]*event.Endpoint, error) {
	return d.registry.Targets(ctx, ev)
}

// Why implements [rest.Explainer].
func (delivery) Why(e *event.Endpoint, ev *event.Event) string { return string(match.Why(e, ev)) }

// history is what the REST API reads of the store.
type history struct{ store.Store }

// Changes implements [rest.Log].
func (h history) Changes(ctx context.Context, tenant event.TenantID, after int64, limit, maxBytes int) (list []event.Event, oldest, head int64, err error) {
	p, err := h.ReadTenant(ctx, tenant, after, limit, maxBytes)
	return p.Events, p.Oldest, p.Head, err
}

// Newest implements [rest.Log].
func (h history) Newest(ctx context.Context, tenant event.TenantID, before int64, limit int) ([]event.Event, error) {
	p, err := h.ReadTenantBack(ctx, tenant, before, limit)
	return p.Events, err
}

// answers keeps the answers of repeatable writes in the store.
type answers struct{ store store.Store }

// Answer implements [rest.Answers].
func (s answers) Answer(ctx context.Context, scope, key string) (rest.Answer, error) {
	a, err := s.store.Answer(ctx, scope, key)
	return rest.Answer(a), err
}

// SaveAnswer implements [rest.Answers].
func (s answers) SaveAnswer(ctx context.Context, scope, key string, a rest.Answer) error {
	return s.store.SaveAnswer(ctx, scope, key, store.Answer(a))
}

func (a *App) eventURL(ev *event.Event) string {
	name, err := a.control.TenantName(context.Background(), ev.Tenant)
	if err != nil {
		return ""
	}
	return a.cfg.PublicURL + "/v1/tenants/" + name + "/events/" + pathEscape(ev.ID)
}

func healthy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n") // the asker may be gone
}

// ready answers 200 when the server can take work, else 503 and why.
func (a *App) ready(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := a.store.Ready(r.Context()); err != nil {
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
		reason := "the store cannot take writes"
		if errors.Is(err, store.ErrFull) {
			reason = "no space left on the disk"
		}
		_, _ = io.WriteString(w, reason+"\n")
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}

func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
