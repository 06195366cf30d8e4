package inbound

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/receiver"
)

// Limits of a source beside those of package event.
const (
	maxSecret       = 8 << 10 // bytes: a public key in PEM fits
	maxSetting      = 8 << 10 // bytes
	maxNetworks     = 100
	maxAnswerHeader = 20
	minSyncWait     = 100 * time.Millisecond
	maxTolerance    = 24 * time.Hour
)

// check fills defaults in and reports everything that is wrong with a source.
func (s *Service) check(ctx context.Context, t *event.Tenant, src *event.Source, hidden *event.SourceSecrets) error {
	var bad []event.FieldError
	add := func(field, message string) {
		if message != "" {
			bad = append(bad, event.FieldError{Field: field, Message: message})
		}
	}
	add("name", event.CheckName(src.Name))
	add("description", event.CheckText(src.Description, event.MaxDescription))
	if src.Dedupe == "" {
		src.Dedupe = event.DedupeID
	}
	if !slices.Contains([]string{event.DedupeID, event.DedupeBody, event.DedupeNone}, src.Dedupe) {
		add("dedupe", "must be id, body or none")
	} else if src.Map.ID != "" && src.Dedupe != event.DedupeID {
		add("dedupe", "must be id when map.id is given")
	}
	if !slices.Contains([]string{event.InspectNone, event.InspectRefused, event.InspectAll}, src.Inspect) {
		add("inspect", "must be none, refused or all")
	} else if src.Inspect != event.InspectNone && s.Inspector == nil {
		add("inspect", "cannot be used here: this server keeps no requests")
	}
	if src.Tolerance < 0 || src.Tolerance > maxTolerance {
		add("tolerance", "must be at most 24h")
	}
	bad = append(bad, checkAllow(src)...)
	bad = append(bad, checkAnswer(&src.Answer)...)
	bad = append(bad, s.checkSync(ctx, t, src)...)
	_, wrong := compileMap(&src.Map)
	bad = append(bad, wrong...)
	bad = append(bad, checkHidden(src, hidden)...)
	bad = append(bad, event.CheckMetadata(src.Metadata)...)
	return invalid(bad)
}

func invalid(bad []event.FieldError) error {
	if len(bad) == 0 {
		return nil
	}
	return &event.Error{Kind: event.KindInvalid, Code: "invalid", Detail: "the request is not valid", Fields: bad}
}

func checkAllow(src *event.Source) []event.FieldError {
	if len(src.Allow) > maxNetworks {
		return []event.FieldError{{Field: "allow", Message: fmt.Sprintf("must be at most %d networks", maxNetworks)}}
	}
	var bad []event.FieldError
	kept := make([]string, 0, len(src.Allow))
	for i, text := range src.Allow {
		network, ok := parseNetwork(text)
		if !ok {
			bad = append(bad, event.FieldError{Field: fmt.Sprintf("allow[%d]", i), Message: "must be an address or a network such as 192.0.2.0/24"})
		}
		kept = append(kept, network)
	}
	src.Allow = kept
	return bad
}

func checkAnswer(a *event.Answer) []event.FieldError {
	var bad []event.FieldError
	add := func(field, message string) {
		bad = append(bad, event.FieldError{Field: "answer." + field, Message: message})
	}
	if a.Status == 0 && (len(a.Headers) > 0 || len(a.Body) > 0) {
		a.Status = http.StatusOK
	}
	if a.Status != 0 && (a.Status < 200 || a.Status > 599) {
		add("status", "must be 200 to 599")
	}
	if len(a.Body) > event.MaxSourceAnswer {
		add("body", fmt.Sprintf("must be at most %d bytes", event.MaxSourceAnswer))
	}
	if len(a.Body) > 0 && (a.Status == http.StatusNoContent || a.Status == http.StatusNotModified) {
		add("body", "must be empty: this status has none")
	}
	if len(a.Headers) > maxAnswerHeader {
		add("headers", fmt.Sprintf("must be at most %d", maxAnswerHeader))
	}
	for _, h := range a.Headers {
		field := "headers." + event.Printable(h.Name)
		switch message := event.CheckLine(h.Value, maxAttribute); {
		case !event.IsHeaderName(h.Name):
			add(field, "is not the name of a header")
		case !passes(h.Name):
			add(field, "cannot be set")
		case message != "":
			add(field, message)
		}
	}
	return bad
}

func (s *Service) checkSync(ctx context.Context, t *event.Tenant, src *event.Source) []event.FieldError {
	if src.Sync == 0 {
		src.SyncWait = 0
		return nil
	}
	if src.SyncWait == 0 {
		src.SyncWait = event.DefaultSyncWait
	}
	var bad []event.FieldError
	if src.SyncWait < minSyncWait || src.SyncWait > event.MaxSyncTimeout {
		bad = append(bad, event.FieldError{Field: "sync.wait", Message: "must be 100ms to 30s"})
	}
	if s.Awaiter == nil {
		return append(bad, event.FieldError{Field: "sync", Message: "cannot be used here: this server does not wait for answers"})
	}
	if s.Endpoint == nil {
		return bad
	}
	if err := s.Endpoint(ctx, t, src.Sync); err != nil {
		message := "cannot be looked up now"
		if event.KindOf(err) == event.KindNotFound {
			message = "there is no such endpoint"
		}
		bad = append(bad, event.FieldError{Field: "sync.endpoint", Message: message})
	}
	return bad
}

// checkHidden checks the provider, the secrets and the settings together.
func checkHidden(src *event.Source, hidden *event.SourceSecrets) []event.FieldError {
	var bad []event.FieldError
	add := func(field, message string) { bad = append(bad, event.FieldError{Field: field, Message: message}) }
	info, ok := receiver.Provider(src.Provider)
	if !ok {
		add("provider", "is none of the providers; GET /v1/providers, or \"posthorn source providers\", lists them")
		return bad
	}
	src.Provider = info.Name
	switch {
	case len(hidden.Secrets) > event.MaxSourceSecrets:
		add("secrets", fmt.Sprintf("must be at most %d", event.MaxSourceSecrets))
	case len(hidden.Secrets) > 0 && info.Secret == "":
		add("secrets", "must be left out: the provider has none")
	}
	// None need be given: many providers name theirs only once they know where to send. Until then nothing verifies.
	for i := range hidden.Secrets {
		if message := checkSecret(hidden.Secrets[i].Secret); message != "" {
			add(fmt.Sprintf("secrets[%d]", i), message)
		}
	}
	known := map[string]bool{}
	for _, x := range info.Settings {
		known[x.Name] = true
		if x.Required && hidden.Settings[x.Name] == "" {
			add("settings."+x.Name, "must be given: "+x.Doc)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(hidden.Settings)) {
		if !known[name] {
			add("settings."+event.Printable(name), "is not a setting of this provider")
		} else if message := event.CheckText(hidden.Settings[name], maxSetting); message != "" {
			add("settings."+name, message)
		}
	}
	if len(bad) > 0 {
		return bad
	}
	return fieldsOrNone(probe(true, &info, src, hidden, "secrets"))
}

func fieldsOrNone(err error) []event.FieldError {
	if err == nil {
		return nil
	}
	return fieldsOf(err, "settings")
}

// checkSecret reports why a text cannot be a secret, or "". It never repeats the secret.
func checkSecret(secret string) string {
	if strings.TrimSpace(secret) == "" {
		return "must not be empty"
	}
	return event.CheckText(secret, maxSecret)
}

// noFetch gets nothing: a rule that is tried asks nobody.
type noFetch struct{}

func (noFetch) Fetch(context.Context, string) ([]byte, error) {
	return nil, errors.New("nothing is fetched here")
}

// probe tries the provider's rule on an empty request: of some secrets and settings only the rule knows that they are wrong.
func probe(known bool, info *receiver.Info, src *event.Source, hidden *event.SourceSecrets, field string) error {
	if !known {
		return nil
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "https://posthorn.invalid/in", http.NoBody)
	if err != nil {
		return err
	}
	options := []receiver.Option{receiver.Fetch(noFetch{}), receiver.Tolerance(src.Tolerance)}
	for name, value := range hidden.Settings {
		options = append(options, receiver.Setting(name, value))
	}
	// Rules read settings when they have what the settings are about.
	for name, text := range map[string]string{
		"header": hidden.Settings["prefix"] + "00", "timestamp_header": hidden.Settings["timestamp_prefix"] + "1", "id_header": "1",
	} {
		if header := hidden.Settings[name]; event.IsHeaderName(header) {
			r.Header.Set(header, text)
		}
	}
	var secrets []string
	for _, x := range hidden.Secrets {
		secrets = append(secrets, x.Secret)
	}
	_, err = receiver.Verify(info.Name, secrets, r, nil, options...)
	refusal, ok := errors.AsType[*receiver.Error](err)
	switch {
	case !ok:
		return nil
	case refusal.Code == receiver.CodeWrongSetting:
		return event.Invalid("settings", refusal.Detail)
	case refusal.Code == receiver.CodeWrongSecret:
		return event.Invalid(field, refusal.Detail)
	}
	return nil
}
