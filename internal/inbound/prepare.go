package inbound

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/receiver"
)

// prepared is a source as requests need it. Nothing but remaking changes.
type prepared struct {
	source   event.Source
	info     receiver.Info
	secrets  []event.SigningSecret
	settings map[string]string
	options  []receiver.Option
	allow    []netip.Prefix
	mapping  *mapping
	names    names
	counters *counters
	until    time.Time   // when it is read anew
	remaking atomic.Bool // its bin was lost, and one request makes another
}

// find returns a source, from memory when it can. Errors: KindNotFound, and what keeps a stored source from working.
func (s *Service) find(ctx context.Context, tenant event.TenantID, name string) (*prepared, error) {
	at := place{tenant, name}
	now := s.Now()
	if p, ok := s.cache.GetIfPresent(at); ok && now.Before(p.until) {
		return p, nil
	}
	changes := s.changes.Load()
	stored, err := s.Store.Source(ctx, tenant, name)
	if err != nil {
		return nil, err
	}
	p, err := s.prepare(&stored)
	if err != nil {
		return nil, err
	}
	p.until = now.Add(sourceTTL)
	if s.changes.Load() == changes {
		s.cache.Set(at, p)
		if s.changes.Load() != changes { // in between
			s.cache.Invalidate(at)
		}
	}
	return p, nil
}

func (s *Service) prepare(stored *event.Source) (*prepared, error) {
	info, ok := receiver.Provider(stored.Provider)
	if !ok {
		return nil, fmt.Errorf("inbound: the source %s has the provider %s, which is not known", stored.Name, stored.Provider)
	}
	secrets, err := s.open(stored)
	if err != nil {
		return nil, err
	}
	m, bad := compileMap(&stored.Map)
	if len(bad) > 0 {
		return nil, fmt.Errorf("inbound: the map of the source %s cannot be compiled: %s", stored.Name, bad[0].Field)
	}
	p := &prepared{source: *stored, info: info, secrets: secrets.Secrets, settings: secrets.Settings, mapping: m, counters: s.countersOf(stored.ID)}
	p.names = names{source: stored.Name, prefix: typePrefix(&info, stored.Name), dedupe: stored.Dedupe}
	for _, text := range stored.Allow {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("inbound: the source %s allows a network that cannot be read", stored.Name)
		}
		p.allow = append(p.allow, prefix)
	}
	p.options = s.receiverOptions(stored, secrets.Settings)
	return p, nil
}

func (s *Service) receiverOptions(source *event.Source, settings map[string]string) []receiver.Option {
	options := []receiver.Option{receiver.At(s.Now), receiver.Tolerance(source.Tolerance)}
	if s.Fetcher != nil {
		options = append(options, receiver.Fetch(s.Fetcher))
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		options = append(options, receiver.Setting(name, settings[name]))
	}
	return options
}

// generic are the providers that are no provider's: their events are named after the source.
var generic = []string{"token", "hmac", "basic", "standard", "none"}

// typePrefix begins the types of a source's events.
func typePrefix(info *receiver.Info, source string) string {
	if slices.Contains(generic, info.Name) && source+"." != event.ReservedPrefix {
		return source
	}
	return info.Name
}

// live returns the secrets that are good at a time.
func live(list []event.SigningSecret, now time.Time) []string {
	var out []string
	for i := range list {
		if list[i].Expires.IsZero() || now.Before(list[i].Expires) {
			out = append(out, list[i].Secret)
		}
	}
	return out
}

// admits reports whether requests may come from an address.
func (p *prepared) admits(remote string) bool {
	if len(p.allow) == 0 {
		return true
	}
	addr, err := netip.ParseAddr(remote)
	if err != nil {
		return false
	}
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(p.allow, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// parseNetwork reads a network or an address, and returns it as it is kept.
func parseNetwork(text string) (string, bool) {
	text = strings.TrimSpace(text)
	if prefix, err := netip.ParsePrefix(text); err == nil {
		if prefix.Addr().Is4In6() {
			if prefix.Bits() < 96 {
				return "", false
			}
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		return prefix.Masked().String(), true
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return "", false
	}
	addr = addr.Unmap()
	return netip.PrefixFrom(addr, addr.BitLen()).String(), true
}

// associated binds a source's sealed secrets to the source, so that they cannot be moved to another row.
func associated(id event.SourceID) []byte {
	return []byte("source:" + strconv.FormatInt(int64(id), 10))
}

func (s *Service) seal(id event.SourceID, secrets event.SourceSecrets) ([]byte, error) {
	if len(secrets.Secrets) == 0 && len(secrets.Settings) == 0 {
		return nil, nil
	}
	plain, err := json.Marshal(secrets)
	if err != nil {
		return nil, fmt.Errorf("inbound: encode secrets: %w", err)
	}
	sealed, err := s.Sealer.Seal(plain, associated(id))
	if err != nil {
		return nil, fmt.Errorf("inbound: seal secrets: %w", err)
	}
	return sealed, nil
}

var errDamaged = errors.New("they cannot be read")

// open returns a source's secrets without those that have expired.
func (s *Service) open(source *event.Source) (event.SourceSecrets, error) {
	var out event.SourceSecrets
	if len(source.Sealed) == 0 {
		return out, nil
	}
	plain, err := s.Sealer.Open(source.Sealed, associated(source.ID))
	if err != nil {
		return out, fmt.Errorf("inbound: open the secrets of the source %s: %w", source.Name, err)
	}
	if json.Unmarshal(plain, &out) != nil {
		// The cause is left out: it may quote what it could not read.
		return event.SourceSecrets{}, fmt.Errorf("inbound: the secrets of the source %s: %w", source.Name, errDamaged)
	}
	now := s.Now()
	out.Secrets = slices.DeleteFunc(out.Secrets, func(x event.SigningSecret) bool { return !x.Expires.IsZero() && !now.Before(x.Expires) })
	return out, nil
}

// syncWait is how long a source's caller waits for an answer.
func (p *prepared) syncWait() time.Duration { return cmp.Or(p.source.SyncWait, event.DefaultSyncWait) }
