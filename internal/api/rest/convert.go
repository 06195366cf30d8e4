package rest

import (
	"cmp"
	"encoding/base64"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

// timePointer returns nil for the zero time.
func timePointer(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func showTenant(t *event.Tenant) client.Tenant {
	return client.Tenant{
		Name: t.Name, Description: t.Description, PublishRate: t.PublishRate, MaxEndpoints: t.MaxEndpoints,
		Metadata: orEmpty(t.Metadata), Created: t.Created.UTC(), Updated: t.Updated.UTC(),
	}
}

func readTenant(in *client.Tenant) event.Tenant {
	return event.Tenant{
		Name: in.Name, Description: in.Description, PublishRate: in.PublishRate, MaxEndpoints: in.MaxEndpoints, Metadata: in.Metadata,
	}
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func orNone(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// showEndpoint renders an endpoint; s is given for callers that may see custom headers, with the credentials masked.
func showEndpoint(e *event.Endpoint, s *event.Secrets) client.Endpoint {
	out := client.Endpoint{
		ID: e.ID.String(), URL: e.URL, Kind: cmp.Or(e.Kind, event.KindWebhook), Description: e.Description,
		Types: orNone(e.Types), Filter: e.Filter, Channels: orNone(e.Channels), Changed: orNone(e.Changed), Start: e.Start + 1,
		Order: string(cmp.Or(e.Order, event.OrderNone)), Payload: string(cmp.Or(e.Payload, event.PayloadFull)),
		Envelope: string(cmp.Or(e.Envelope, event.EnvelopeStandard)), Format: cmp.Or(e.Format, event.FormatJSON),
		Signing: cmp.Or(e.Signing, "standard"), Timeout: client.Duration(e.Timeout), Forever: e.Forever, Profile: cmp.Or(e.Profile, event.ProfileDefault),
		RateLimit: e.RateLimit, Concurrency: e.Concurrency, Disabled: e.Disabled, Metadata: orEmpty(e.Metadata),
		Created: e.Created.UTC(), Updated: e.Updated.UTC(),
	}
	if e.Disabled {
		out.DisabledReason = e.DisabledReason
	}
	for _, d := range e.Retries {
		out.Retries = append(out.Retries, client.Duration(d))
	}
	if e.Batch.Max > 1 || e.Batch.Wait > 0 || e.Batch.Coalesce {
		out.Batch = &client.Batch{Max: e.Batch.Max, Wait: client.Duration(e.Batch.Wait), Coalesce: e.Batch.Coalesce}
	}
	if e.AuthType != "" {
		out.Auth = &client.Auth{Type: e.AuthType}
	}
	if s != nil {
		out.Headers = make(map[string]string, len(s.Headers))
		for _, h := range s.Headers {
			out.Headers[h.Name] = h.Value
		}
		if out.Auth != nil && s.Auth != nil {
			out.Auth.Username = s.Auth.Username
		}
	}
	return out
}

// readEndpoint is the configuration and the secrets that a body describes, without its place in the log.
func readEndpoint(in *client.Endpoint) (event.Endpoint, event.Secrets) {
	e := event.Endpoint{
		URL: in.URL, Kind: cmp.Or(in.Kind, event.KindWebhook), Description: in.Description, Types: in.Types, Filter: in.Filter,
		Channels: in.Channels, Changed: in.Changed, Order: cmp.Or(event.Order(in.Order), event.OrderNone),
		Payload:  cmp.Or(event.Payload(in.Payload), event.PayloadFull),
		Envelope: cmp.Or(event.Envelope(in.Envelope), event.EnvelopeStandard), Format: cmp.Or(in.Format, event.FormatJSON),
		Signing: cmp.Or(in.Signing, "standard"), Timeout: time.Duration(in.Timeout), RateLimit: in.RateLimit,
		Concurrency: in.Concurrency, Disabled: in.Disabled, Metadata: in.Metadata, Forever: in.Forever, Profile: in.Profile,
	}
	if in.Disabled {
		e.DisabledReason = "paused"
	}
	for _, d := range in.Retries {
		e.Retries = append(e.Retries, time.Duration(d))
	}
	if in.Batch != nil {
		e.Batch = event.Batch{Max: in.Batch.Max, Wait: time.Duration(in.Batch.Wait), Coalesce: in.Batch.Coalesce}
	}
	var s event.Secrets
	for _, name := range slices.Sorted(maps.Keys(in.Headers)) {
		s.Headers = append(s.Headers, event.Header{Name: name, Value: in.Headers[name]})
	}
	if in.Auth != nil {
		e.AuthType = in.Auth.Type
		s.Auth = &event.Credentials{Username: in.Auth.Username, Password: in.Auth.Password, Token: in.Auth.Token}
	}
	return e, s
}

// checkAuth refuses credentials that do not belong to their type or lack something.
func checkAuth(in *client.Auth) *problem {
	if in == nil {
		return nil
	}
	switch {
	case in.Type == "basic" && in.Token != "":
		return invalid("auth.token", "does not go with the type basic")
	case in.Type == "bearer" && (in.Username != "" || in.Password != ""):
		return invalid("auth.username", "username and password do not go with the type bearer")
	case in.Type == "basic" && in.Username == "":
		return invalid("auth.username", "must be given")
	case in.Type == "basic" && in.Password == "":
		return invalid("auth.password", "must be given")
	case in.Type == "bearer" && in.Token == "":
		return invalid("auth.token", "must be given")
	}
	return nil
}

// keepCredentials fills a left-out password or token in from the stored one: while the type and the username stay the
// same, and while the URL's origin does, so that stored credentials are never sent to another server than before.
func keepCredentials(in *client.Endpoint, stored *event.Endpoint, s *event.Secrets) {
	if in.Auth == nil || s.Auth == nil || in.Auth.Type != stored.AuthType || origin(in.URL) != origin(stored.URL) {
		return
	}
	switch in.Auth.Type {
	case "basic":
		if in.Auth.Password == "" && in.Auth.Token == "" && in.Auth.Username == s.Auth.Username {
			in.Auth.Password = s.Auth.Password
		}
	case "bearer":
		if in.Auth.Token == "" && in.Auth.Username == "" && in.Auth.Password == "" {
			in.Auth.Token = s.Auth.Token
		}
	}
}

// origin is a URL's scheme and host, or the whole of what is no URL.
func origin(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return s
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}

func showState(v *event.LaneView) *client.EndpointState {
	s := &client.EndpointState{
		Lane: v.State, Waiting: v.Waiting, Backlog: v.Backlog, OldestAt: timePointer(v.OldestAt), Retries: v.Retries,
		InFlight: v.InFlight, Penalty: client.Duration(v.Penalty), PenaltyUntil: timePointer(v.PenaltyUntil),
		FailingSince: timePointer(v.FailingSince), Failures: v.Failures,
	}
	for i := range v.Replays {
		s.Replays = append(s.Replays, showReplay(&v.Replays[i]))
	}
	return s
}

func showType(t *event.Type) client.EventType {
	return client.EventType{
		Name: t.Name, Description: t.Description, Schema: t.Schema, Examples: t.Examples, Archived: t.Archived,
		Created: t.Created.UTC(), Updated: t.Updated.UTC(),
	}
}

func readType(in *client.EventType) event.Type {
	t := event.Type{
		Name: in.Name, Description: in.Description, Schema: in.Schema, Examples: in.Examples, Archived: in.Archived,
	}
	if string(t.Schema) == "null" {
		t.Schema = nil
	}
	return t
}

// headerMap joins the values of headers of one name.
func headerMap(list []event.Header) map[string]string {
	if len(list) == 0 {
		return nil
	}
	m := make(map[string]string, len(list))
	for _, h := range list {
		if old, ok := m[h.Name]; ok {
			m[h.Name] = old + ", " + h.Value
			continue
		}
		m[h.Name] = h.Value
	}
	for name, value := range m {
		m[name] = strings.ToValidUTF8(value, "\uFFFD")
	}
	return m
}

func showAttempt(t *event.Attempt) client.Attempt {
	out := client.Attempt{
		ID: event.AttemptID(t.ID), Event: t.EventID, Endpoint: t.Endpoint.String(), Number: t.Number, At: t.At.UTC(),
		Status: t.Status, Verdict: string(t.Verdict), DurationMS: client.Milliseconds(t.Duration), Error: t.Error,
		Cause: string(event.CauseOf(t.Error)), NextAt: timePointer(t.Next),
	}
	if len(t.Versions) > 0 {
		out.Version = t.Versions[0]
	}
	if len(t.Versions) > 1 {
		out.Versions = t.Versions
	}
	if t.Status != 0 {
		out.Response = &client.Response{Headers: headerMap(t.Headers), Body: strings.ToValidUTF8(string(t.Body), "\uFFFD")}
	}
	return out
}

// showSecrets renders signing secrets: the current one has no end.
func showSecrets(s *event.Secrets, now time.Time) client.Secret {
	var out client.Secret
	for _, x := range s.Signing {
		switch {
		case x.Expires.IsZero() && out.Secret == "":
			out.Secret = x.Secret
			out.PublicKey = publicKey(x.Secret)
		case x.Expires.After(now):
			out.Previous = append(out.Previous, client.PreviousSecret{Secret: x.Secret, Expires: x.Expires.UTC()})
		}
	}
	return out
}

// publicKey returns the whpk_ form of a whsk_ secret (Standard Webhooks, v1a), whose second half it is; "" of another.
func publicKey(secret string) string {
	const half = 32
	encoded, ok := strings.CutPrefix(secret, "whsk_")
	if !ok {
		return ""
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) != 2*half {
		return ""
	}
	return "whpk_" + base64.StdEncoding.EncodeToString(raw[half:])
}
