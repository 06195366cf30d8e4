package inbound

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/receiver"
)

// attempts is how often a change without a named revision is tried when another one comes in between.
const attempts = 5

const (
	// DefaultOverlap is how long the other secrets stay good beside one that is added, unless the caller says otherwise.
	DefaultOverlap = 24 * time.Hour
	// MaxOverlap is the longest overlap.
	MaxOverlap = 30 * 24 * time.Hour
)

// Create makes a source with its secrets and settings. Errors: KindInvalid naming every wrong field, KindConflict
// ("already_exists", "too_many_sources").
func (s *Service) Create(ctx context.Context, t *event.Tenant, src event.Source, secrets []string, settings map[string]string) (event.Source, error) {
	src.ID, src.Tenant, src.Bin, src.Revision = event.NewSourceID(), t.ID, "", 0
	hidden := event.SourceSecrets{Settings: withoutEmpty(settings)}
	for _, secret := range secrets {
		hidden.Secrets = append(hidden.Secrets, event.SigningSecret{Secret: secret})
	}
	if err := s.check(ctx, t, &src, &hidden); err != nil {
		return event.Source{}, err
	}
	var err error
	if src.Sealed, err = s.seal(src.ID, hidden); err != nil {
		return event.Source{}, err
	}
	src.Created = s.stamp()
	src.Updated = src.Created
	s.making.Lock()
	defer s.making.Unlock()
	if err := s.room(ctx, t.ID, src.Name); err != nil {
		return event.Source{}, err
	}
	if err := s.bin(ctx, t, &src); err != nil {
		return event.Source{}, err
	}
	saved, err := s.Store.PutSource(ctx, src, 0)
	if err != nil {
		s.drop(ctx, t, src.Bin)
		return event.Source{}, err
	}
	s.changed(t.ID, src.Name)
	return saved, nil
}

// room checks that a tenant may have one more source, and that the name is free.
func (s *Service) room(ctx context.Context, tenant event.TenantID, name string) error {
	const page = 1000
	after, count := "", 0
	for {
		list, err := s.Store.Sources(ctx, tenant, after, page)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(list, func(x event.Source) bool { return x.Name == name }) {
			return event.Errorf(event.KindConflict, "already_exists", "there is a source of this name already")
		}
		if count += len(list); count >= s.MaxSources {
			return event.Errorf(event.KindConflict, "too_many_sources", "the tenant has as many sources as it may have")
		}
		if len(list) < page {
			return nil
		}
		after = list[len(list)-1].Name
	}
}

// bin makes the source's bin when it needs one.
func (s *Service) bin(ctx context.Context, t *event.Tenant, src *event.Source) error {
	if src.Inspect == event.InspectNone || src.Bin != "" {
		return nil
	}
	bin, err := s.Inspector.MakeBin(ctx, t, src.Name)
	src.Bin = bin
	return err
}

// remake gives a source whose bin is lost another one. It is KindNotFound when the source has changed meanwhile.
func (s *Service) remake(ctx context.Context, t *event.Tenant, src *event.Source) (bin string, err error) {
	saved, err := s.change(ctx, t, src.Name, 0, func(old *event.Source, _ *event.SourceSecrets) (event.Source, error) {
		if old.ID != src.ID || old.Bin != src.Bin {
			return event.Source{}, event.NotFound("bin")
		}
		next := *old
		next.Bin = ""
		return next, nil
	})
	return saved.Bin, err
}

// drop deletes a bin that is not needed any more. What stays then is a bin of the tenant's.
func (s *Service) drop(ctx context.Context, t *event.Tenant, bin string) {
	if bin != "" && s.Inspector != nil {
		_ = s.Inspector.DropBin(context.WithoutCancel(ctx), t, bin)
	}
}

// Update replaces a source's configuration, found by its name. Secrets and settings that are nil stay as they are; a setting whose
// value is empty keeps the value that it has. revision 0 stands for whichever is stored. Errors: KindInvalid, KindNotFound,
// KindPrecondition.
func (s *Service) Update(ctx context.Context, t *event.Tenant, src event.Source, secrets []string, settings map[string]string, revision int64) (event.Source, error) {
	return s.change(ctx, t, src.Name, revision, func(old *event.Source, hidden *event.SourceSecrets) (event.Source, error) {
		next := src
		next.ID, next.Tenant, next.Bin, next.Created = old.ID, old.Tenant, old.Bin, old.Created
		if secrets != nil {
			hidden.Secrets = nil
			for _, secret := range secrets {
				hidden.Secrets = append(hidden.Secrets, event.SigningSecret{Secret: secret})
			}
		}
		if settings != nil {
			merged := map[string]string{}
			for name, value := range settings {
				merged[name] = cmp.Or(value, hidden.Settings[name])
			}
			hidden.Settings = withoutEmpty(merged)
		}
		return next, s.check(ctx, t, &next, hidden)
	})
}

// change reads a source and its secrets, applies fn to them and saves what comes out.
func (s *Service) change(ctx context.Context, t *event.Tenant, name string, revision int64, fn func(old *event.Source, hidden *event.SourceSecrets) (event.Source, error)) (event.Source, error) {
	var saved event.Source
	var err error
	for range attempts {
		if saved, err = s.changeOnce(ctx, t, name, revision, fn); revision != 0 || event.KindOf(err) != event.KindPrecondition {
			break
		}
	}
	s.changed(t.ID, name)
	return saved, err
}

func (s *Service) changeOnce(ctx context.Context, t *event.Tenant, name string, revision int64, fn func(old *event.Source, hidden *event.SourceSecrets) (event.Source, error)) (event.Source, error) {
	old, err := s.Store.Source(ctx, t.ID, name)
	if err != nil {
		return event.Source{}, err
	}
	hidden, err := s.open(&old)
	if err != nil {
		return event.Source{}, err
	}
	next, err := fn(&old, &hidden)
	if err != nil {
		return event.Source{}, err
	}
	if next.Sealed, err = s.seal(next.ID, hidden); err != nil {
		return event.Source{}, err
	}
	if err := s.bin(ctx, t, &next); err != nil {
		return event.Source{}, err
	}
	if next.Inspect == event.InspectNone {
		next.Bin = ""
	}
	next.Updated = s.stamp()
	saved, err := s.Store.PutSource(ctx, next, cmp.Or(revision, old.Revision))
	if err != nil {
		if next.Bin != old.Bin {
			s.drop(ctx, t, next.Bin)
		}
		return event.Source{}, err
	}
	if old.Bin != saved.Bin {
		s.drop(ctx, t, old.Bin)
	}
	return saved, nil
}

// Source returns a source (KindNotFound).
func (s *Service) Source(ctx context.Context, t *event.Tenant, name string) (event.Source, error) {
	return s.Store.Source(ctx, t.ID, name)
}

// Sources lists a tenant's sources by name, after the given one, at most limit.
func (s *Service) Sources(ctx context.Context, t *event.Tenant, after string, limit int) ([]event.Source, error) {
	return s.Store.Sources(ctx, t.ID, after, limit)
}

// Delete deletes a source and its bin. revision 0 stands for whichever is stored. Errors: KindNotFound, KindPrecondition.
func (s *Service) Delete(ctx context.Context, t *event.Tenant, name string, revision int64) error {
	old, err := s.Store.Source(ctx, t.ID, name)
	if err != nil {
		return err
	}
	if err := s.Store.DeleteSource(ctx, t.ID, name, revision); err != nil {
		return err
	}
	s.changed(t.ID, name)
	s.forget(old.ID)
	s.drop(ctx, t, old.Bin)
	return nil
}

// Secrets returns a source's secrets, those that have not expired, and its settings.
func (s *Service) Secrets(_ context.Context, src *event.Source) (event.SourceSecrets, error) {
	return s.open(src)
}

// AddSecret makes a secret one of a source's; the others are good for overlap longer, 0 to [MaxOverlap], and no longer than they would
// have been. Errors: KindInvalid naming "secret" or "overlap", KindNotFound.
func (s *Service) AddSecret(ctx context.Context, t *event.Tenant, name, secret string, overlap time.Duration) (event.SourceSecrets, error) {
	if overlap < 0 || overlap > MaxOverlap {
		return event.SourceSecrets{}, event.Invalid("overlap", "must be 0 to 30 days")
	}
	var all event.SourceSecrets
	_, err := s.change(ctx, t, name, 0, func(old *event.Source, hidden *event.SourceSecrets) (event.Source, error) {
		info, ok := receiver.Provider(old.Provider)
		if ok && info.Secret == "" {
			return event.Source{}, event.Invalid("secret", "must be left out: the provider has none")
		}
		if message := checkSecret(secret); message != "" {
			return event.Source{}, event.Invalid("secret", message)
		}
		end := s.stamp().Add(overlap)
		next := []event.SigningSecret{{Secret: secret}}
		for _, x := range hidden.Secrets {
			if x.Secret == secret || overlap == 0 {
				continue
			}
			if x.Expires.IsZero() || x.Expires.After(end) {
				x.Expires = end
			}
			next = append(next, x)
		}
		hidden.Secrets = next[:min(len(next), event.MaxSourceSecrets)]
		all = *hidden
		return *old, probe(ok, &info, old, hidden, "secret")
	})
	return all, err
}

// learn keeps the secret that a provider handed over in its handshake, only while the source has none: who comes second is not the provider.
func (s *Service) learn(ctx context.Context, src *event.Source, secret string) error {
	refused := &receiver.Error{Provider: src.Provider, Code: receiver.CodeRefused, Detail: "the source has a secret already", Status: 403}
	if checkSecret(secret) != "" {
		return refused
	}
	t := &event.Tenant{ID: src.Tenant}
	_, err := s.change(ctx, t, src.Name, 0, func(old *event.Source, hidden *event.SourceSecrets) (event.Source, error) {
		if len(hidden.Secrets) > 0 || old.ID != src.ID || old.Provider != src.Provider {
			return event.Source{}, refused
		}
		hidden.Secrets = []event.SigningSecret{{Secret: secret}}
		return *old, nil
	})
	return err
}

// Providers lists the providers by name. The list is shared, not to be changed.
func (*Service) Providers() []event.Provider { return providers() }

var providers = sync.OnceValue(func() []event.Provider {
	var out []event.Provider
	for _, info := range receiver.Providers() {
		p := event.Provider{
			Name: info.Name, Title: info.Title, Aliases: info.Aliases, Secret: info.Secret, Optional: info.Optional, Learns: info.Learns, Event: info.Event,
		}
		for _, x := range info.Settings {
			p.Settings = append(p.Settings, event.ProviderSetting{Name: x.Name, Doc: x.Doc, Required: x.Required, Secret: x.Secret})
		}
		out = append(out, p)
	}
	return out
})

func (s *Service) stamp() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

func withoutEmpty(m map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range m {
		if strings.TrimSpace(value) != "" {
			out[name] = value
		}
	}
	return out
}
