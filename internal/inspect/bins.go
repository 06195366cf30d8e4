package inspect

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/url"
	"strings"

	"github.com/posthornhq/posthorn/internal/event"
)

// changeTries is how often a change without a named revision is tried when another one comes in between.
const changeTries = 5

// URL is the address of a bin, to which callers send: https://…/b/{id}.
func (s *Service) URL(b *event.Bin) string {
	return strings.TrimSuffix(s.cfg.PublicURL, "/") + "/b/" + b.ID
}

// Create makes a bin of a tenant (0: of nobody) with a random ID. Keep 0 stands for [event.DefaultBinKept]; a zero
// Expires is kept as it is: never. Errors: KindInvalid, KindConflict ("too_many_bins", "already_exists" of an alias).
func (s *Service) Create(ctx context.Context, tenant event.TenantID, b event.Bin) (event.Bin, error) {
	b.ID, b.Tenant = newUUID(), tenant
	b.Created = s.now()
	b.Updated = b.Created
	b.Keep = cmp.Or(b.Keep, event.DefaultBinKept)
	if err := s.check(&b, nil); err != nil {
		return event.Bin{}, err
	}
	if err := s.room(ctx, tenant); err != nil {
		return event.Bin{}, err
	}
	saved, err := s.cfg.Store.PutBin(ctx, b, 0)
	return saved, taken(err, &b)
}

// taken says of a bin that could not be saved that its alias is another's: ids are random.
func taken(err error, b *event.Bin) error {
	if event.KindOf(err) != event.KindConflict || b.Alias == "" {
		return mapError(err)
	}
	return event.Errorf(event.KindConflict, "already_exists", "another bin has the alias "+b.Alias+"; take another one, or delete that bin")
}

// room reports whether a tenant may have one more bin. Two that ask at once may both get the last place.
func (s *Service) room(ctx context.Context, tenant event.TenantID) error {
	if s.cfg.MaxBins <= 0 {
		return nil
	}
	n, err := s.cfg.Store.CountBins(ctx, tenant, s.now())
	if err != nil {
		return mapError(err)
	}
	if n >= s.cfg.MaxBins {
		return event.Errorf(event.KindConflict, "too_many_bins", fmt.Sprintf("there are %d bins, as many as there may be; delete one, or let them expire", n))
	}
	return nil
}

// Expired reports whether a bin's time is over. It is answered like one that was deleted, but with 410.
func (s *Service) Expired(b *event.Bin) bool {
	return !b.Expires.IsZero() && !s.now().Before(b.Expires)
}

// Bin returns a bin by its ID or alias: one of a tenant, or, for tenant 0, any. KindNotFound; KindGone ("bin_expired").
func (s *Service) Bin(ctx context.Context, tenant event.TenantID, name string) (event.Bin, error) {
	if isUUID(name) {
		name = strings.ToLower(name)
	}
	b, err := s.cfg.Store.Bin(ctx, name)
	switch {
	case err != nil:
		return event.Bin{}, mapError(err)
	case tenant != 0 && b.Tenant != tenant:
		return event.Bin{}, event.NotFound("bin")
	case s.Expired(&b):
		return event.Bin{}, event.Errorf(event.KindGone, "bin_expired", "the bin has expired")
	}
	return b, nil
}

// Bins lists by ID, after the given one, at most limit: the bins of a tenant, or, for tenant 0, all. Those that have
// expired are among them until they are trimmed; see [Service.Expired].
func (s *Service) Bins(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Bin, error) {
	list, err := s.cfg.Store.Bins(ctx, tenant, after, limit)
	return list, mapError(err)
}

// Stats returns a bin's figures, by its ID (KindNotFound).
func (s *Service) Stats(ctx context.Context, id string) (event.BinStats, error) {
	stats, err := s.cfg.Store.BinStats(ctx, id)
	return stats, mapError(err)
}

// Update replaces a bin's configuration, found by its ID; its tenant stays. revision 0 stands for whichever is stored. A
// tunnel that is set now gets what comes from now on. Errors: KindInvalid, KindNotFound, KindConflict, KindPrecondition.
func (s *Service) Update(ctx context.Context, b event.Bin, revision int64) (event.Bin, error) {
	b.Keep = cmp.Or(b.Keep, event.DefaultBinKept)
	var saved event.Bin
	for range changeTries {
		stored, err := s.cfg.Store.Bin(ctx, b.ID)
		if err == nil && stored.ID != b.ID {
			err = event.NotFound("bin")
		}
		if err != nil {
			return event.Bin{}, mapError(err)
		}
		b.Tenant, b.Created, b.Updated = stored.Tenant, stored.Created, s.now()
		if err := s.check(&b, &stored); err != nil {
			return event.Bin{}, err
		}
		if err := s.newTunnel(ctx, &b, &stored); err != nil {
			return event.Bin{}, mapError(err)
		}
		saved, err = s.cfg.Store.PutBin(ctx, b, cmp.Or(revision, stored.Revision))
		if err == nil {
			s.changed(&saved, &stored)
			return saved, nil
		}
		if revision != 0 || event.KindOf(err) != event.KindPrecondition {
			return event.Bin{}, taken(err, &b)
		}
	}
	return event.Bin{}, event.Errorf(event.KindConflict, "busy_bin", "the bin is being changed by others; try again")
}

// Delete deletes a bin by its ID with all that is in it; who watches it or waits in it is let go. revision 0 stands for
// whichever is stored. Errors: KindNotFound, KindPrecondition.
func (s *Service) Delete(ctx context.Context, id string, revision int64) error {
	if err := s.cfg.Store.DeleteBin(ctx, id, revision); err != nil {
		return mapError(err)
	}
	s.hub.tell(id)
	s.dropLine(id, math.MaxInt64)
	return nil
}

// TenantDeleted deletes the bins of a tenant.
func (s *Service) TenantDeleted(ctx context.Context, tenant event.TenantID) error {
	if err := s.cfg.Store.DeleteTenantBins(ctx, tenant); err != nil {
		return mapError(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for bin, l := range s.lines {
		if l.tenant == tenant {
			l.end()
			delete(s.lines, bin)
		}
	}
	return nil
}

// check reports what is wrong with a bin, every field named.
func (s *Service) check(b, stored *event.Bin) error {
	var bad []event.FieldError
	add := func(field, message string) {
		if message != "" {
			bad = append(bad, event.FieldError{Field: field, Message: message})
		}
	}
	add("alias", checkAlias(b.Alias))
	add("description", event.CheckText(b.Description, event.MaxDescription))
	bad = append(bad, CheckAnswer("answer.", b.Answer)...)
	if b.Delay < 0 || b.Delay > event.MaxBinDelay {
		add("delay", "must be 0s to "+event.MaxBinDelay.String())
	}
	if b.Hold < 0 || b.Hold > event.MaxBinHold {
		add("hold", "must be 0s to "+event.MaxBinHold.String())
	}
	if b.Keep < 1 || b.Keep > event.MaxBinKept {
		add("keep", fmt.Sprintf("must be 1 to %d", event.MaxBinKept))
	}
	now := s.now()
	if !b.Expires.IsZero() && (stored == nil || !b.Expires.Equal(stored.Expires)) {
		if !b.Expires.After(now) {
			add("expires", "must be in the future")
		} else if b.Expires.After(now.Add(event.MaxBinAge)) {
			add("expires", "must be within 365 days")
		}
	}
	if b.Tunnel != "" {
		add("tunnel", event.CheckName(b.Tunnel))
		if b.Tenant == 0 {
			add("tunnel", "is for bins of a tenant")
		}
		if b.Hold > 0 {
			add("hold", "does not go with a tunnel, which answers by itself")
		}
	}
	bad = append(bad, event.CheckMetadata(b.Metadata)...)
	if len(bad) > 0 {
		return &event.Error{Kind: event.KindInvalid, Code: "invalid", Detail: "the request is not valid", Fields: bad}
	}
	return nil
}

func checkAlias(s string) string {
	const rule = "must be 3 to 128 characters of A-Z, a-z, 0-9, '_' and '-'"
	switch {
	case s == "":
		return ""
	case len(s) < 3 || len(s) > 128:
		return rule
	case isUUID(s):
		return "must not have the form of a bin's id"
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return rule
		}
	}
	return ""
}

// notInAnswers are headers that belong to the server, or that would reach beyond the bin: a cookie or a policy set by a bin
// would be one of the whole server.
var notInAnswers = map[string]bool{
	"content-length": true, "x-request-id": true, "x-token-id": true,
	"set-cookie": true, "set-cookie2": true, "clear-site-data": true, "strict-transport-security": true, "alt-svc": true,
	"service-worker-allowed": true, "public-key-pins": true, "nel": true, "report-to": true, "reporting-endpoints": true,
	"x-content-type-options": true, "access-control-allow-credentials": true,
}

// inAnswers reports whether a bin's answer may have a header.
func inAnswers(name string) bool {
	return !event.OfConnection(name) && !notInAnswers[strings.ToLower(name)]
}

// Limits of the headers of a set answer.
const (
	maxAnswerHeaders     = 50
	maxAnswerHeaderValue = 4 << 10 // bytes
)

// CheckAnswer reports what is wrong with a set answer; the names of the fields begin with prefix. A Status of 0 is right.
func CheckAnswer(prefix string, a event.Answer) []event.FieldError {
	var bad []event.FieldError
	add := func(field, message string) {
		bad = append(bad, event.FieldError{Field: prefix + field, Message: message})
	}
	if a.Status != 0 && (a.Status < 200 || a.Status > 599) {
		add("status", "must be 200 to 599")
	}
	if len(a.Headers) > maxAnswerHeaders {
		add("headers", fmt.Sprintf("must have at most %d entries", maxAnswerHeaders))
	}
	for _, h := range a.Headers {
		field := "headers." + event.Printable(h.Name)
		switch {
		case !event.IsHeaderName(h.Name):
			add(field, "is not the name of a header")
		case !inAnswers(h.Name):
			add(field, "cannot be set: it belongs to the connection or to the server")
		case len(h.Value) > maxAnswerHeaderValue:
			add(field, fmt.Sprintf("must be at most %d bytes", maxAnswerHeaderValue))
		case !event.IsHeaderValue(h.Value):
			add(field, "must not hold line ends or other control characters")
		}
	}
	if len(a.Body) > event.MaxBinAnswer {
		add("body", fmt.Sprintf("must be at most %d bytes", event.MaxBinAnswer))
	}
	return bad
}

// checkTarget reports why a URL is not one to which a request can be sent, or "".
func checkTarget(raw string) string {
	u, err := url.Parse(raw)
	switch {
	case len(raw) > 2<<10:
		return "must be at most 2,048 bytes"
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "must be an address that begins with http:// or https://"
	case u.User != nil:
		return "must not hold a user name or a password"
	}
	return ""
}
