package receiver

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The providers for senders that have no file here: rules put together from settings.

// eventSettings say where the event is, for senders that put it into headers.
var eventSettings = []SettingInfo{
	{Name: "type_header", Doc: "the header that holds the event's type"},
	{Name: "id_header", Doc: "the header that holds the delivery's id, the same when it is sent again"},
}

const eventDoc = "type and id from the headers named by the settings type_header and id_header"

func init() {
	register(provider{
		Info: Info{
			Name: "token", Title: "Any sender, with a token", Secret: "the token that the sender sends", Event: eventDoc,
			Settings: append([]SettingInfo{
				{Name: "header", Doc: "the header that holds the token; without header and query it is Authorization, after Bearer"},
				{Name: "query", Doc: "the parameter of the address that holds the token, unless header is set"},
			}, eventSettings...),
			SecretHeaders: []string{"Authorization"},
		},
		verify: verifyToken, describe: describeGeneric,
	})
	register(provider{
		Info: Info{
			Name: "hmac", Title: "Any sender, with an HMAC", Secret: "the key that the sender signs with", Event: eventDoc,
			Settings: append([]SettingInfo{
				{Name: "header", Doc: "the header that holds the signature", Required: true},
				{Name: "algorithm", Doc: "sha1, sha256, sha384 or sha512; sha256 by default"},
				{Name: "encoding", Doc: "hex, base64 or base64url; hex by default"},
				{Name: "prefix", Doc: "what stands before the signature, such as sha256=; in a list with commas, before each signature"},
				{Name: "template", Doc: "what is signed: {body}, {timestamp}, {id}, {method}, {url}, {path} and text between; {body} by default"},
				{Name: "timestamp_header", Doc: "the header that holds the time of sending: Unix seconds or milliseconds, or RFC 3339"},
				{Name: "timestamp_prefix", Doc: "what stands before the time, when it is one of a list with commas, such as t="},
			}, eventSettings...),
		},
		verify: verifyRecipe, describe: describeGeneric,
	})
	register(provider{
		Info: Info{
			Name: "basic", Title: "Any sender, with a password", Secret: "user:password", Event: eventDoc,
			Settings: eventSettings, SecretHeaders: []string{"Authorization"},
		},
		verify: verifyBasic, describe: describeGeneric,
	})
	register(provider{
		Info:   Info{Name: "none", Title: "Any sender, not verified", Event: eventDoc, Settings: eventSettings},
		verify: func(*request) error { return nil }, describe: describeGeneric,
	})
}

// Masked returns the headers and the parameters of the address that hold secrets in requests of a provider with these
// settings: what is to be masked where a request is shown. Header names are in canonical form.
func Masked(name string, settings map[string]string) (headers, query []string) {
	info, ok := Provider(name)
	if !ok {
		return nil, nil
	}
	headers, query = info.SecretHeaders, info.SecretQuery
	if (info.Name == "token" || info.Name == "eventgrid") && settings["header"] != "" {
		headers = append(headers, http.CanonicalHeaderKey(settings["header"]))
	}
	if p := settings["query"]; p != "" {
		query = append(query, p)
	}
	return headers, query
}

func describeGeneric(r *request) Delivery {
	var typ, id pick
	if name := r.setting("type_header"); name != "" {
		typ = head(name)
	}
	if name := r.setting("id_header"); name != "" {
		id = head(name)
	}
	return describe(typ, id, nil, nil)(r)
}

func verifyToken(r *request) error {
	name := r.setting("header")
	if name == "" && r.setting("query") != "" {
		return verifyAddress(r)
	}
	if name == "" {
		name = "Authorization"
	}
	got, err := r.header(name)
	if err != nil {
		return err
	}
	if strings.EqualFold(name, "Authorization") {
		if method, token, ok := strings.Cut(got, " "); ok && strings.EqualFold(method, "Bearer") {
			got = token
		}
	}
	return r.anyToken(got)
}

// verifyRecipe is the rule of the provider hmac. It looks at the settings before the request, so that a recipe that cannot
// be is found out by any request.
func verifyRecipe(r *request) error {
	s, err := r.recipeScheme()
	if err != nil {
		return err
	}
	template, err := r.recipeTemplate()
	if err != nil {
		return err
	}
	text, err := r.header(r.setting("header"))
	if err != nil {
		return err
	}
	got := listed(text, r.setting("prefix"))
	if len(got) == 0 {
		return fail(CodeMalformed, "the header with the signature does not begin with the prefix")
	}
	stamp, err := r.recipeTimestamp()
	if err != nil {
		return err
	}
	parts := make([][]byte, len(template))
	for i, p := range template {
		if parts[i], err = r.recipePart(p, stamp); err != nil {
			return err
		}
	}
	if err := r.anyOfHMAC(s, got, parts...); err != nil {
		return err
	}
	if stamp == "" {
		return nil
	}
	return r.freshAny(stamp)
}

// listed returns what follows the prefix: of the whole text, or of each of its parts between commas.
func listed(text, prefix string) []string {
	if prefix == "" {
		return []string{text}
	}
	var found []string
	for part := range strings.SplitSeq(text, ",") {
		if value, ok := strings.CutPrefix(strings.TrimSpace(part), prefix); ok && value != "" {
			found = append(found, value)
		}
	}
	return found
}

func (r *request) recipeScheme() (scheme, error) {
	var s scheme
	switch r.setting("algorithm") {
	case "", "sha256":
		s = sha256Hex
	case "sha1":
		s = sha1Hex
	case "sha384":
		s = sha384Hex
	case "sha512":
		s = sha512Hex
	default:
		return s, fail(CodeWrongSetting, "the setting algorithm is not sha1, sha256, sha384 or sha512")
	}
	switch r.setting("encoding") {
	case "", "hex":
		s.decode = hex.DecodeString
	case "base64":
		s.decode = decodeBase64
	case "base64url":
		s.decode = func(text string) ([]byte, error) {
			return base64.RawURLEncoding.Strict().DecodeString(strings.TrimRight(text, "="))
		}
	default:
		return s, fail(CodeWrongSetting, "the setting encoding is not hex, base64 or base64url")
	}
	return s, nil
}

// recipeTimestamp returns the timestamp as it is written, "" if the recipe has none.
func (r *request) recipeTimestamp() (string, error) {
	name := r.setting("timestamp_header")
	if name == "" {
		return "", nil
	}
	text, err := r.header(name)
	if err != nil {
		return "", err
	}
	return only(listed(text, r.setting("timestamp_prefix")), "the timestamp in the header "+name)
}

// templatePart is a text, or the name of what stands in its place.
type templatePart struct{ text, name string }

// recipeTemplate reads the template. It has to hold the body, and the timestamp if there is one: what is not signed proves
// nothing.
func (r *request) recipeTemplate() ([]templatePart, error) {
	template, timed := r.setting("template"), r.setting("timestamp_header") != ""
	if template == "" {
		template = "{body}"
		if timed {
			template = "{timestamp}.{body}"
		}
	}
	var parts []templatePart
	var names []string
	for template != "" {
		text, rest, found := strings.Cut(template, "{")
		parts = append(parts, templatePart{text: text})
		if !found {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || !slices.Contains([]string{"body", "timestamp", "id", "method", "url", "path"}, name) {
			return nil, fail(CodeWrongSetting, "the setting template has an unknown name in braces, or a { without a }")
		}
		parts, names, template = append(parts, templatePart{name: name}), append(names, name), after
	}
	switch {
	case !slices.Contains(names, "body"):
		return nil, fail(CodeWrongSetting, "the setting template has no {body}")
	case timed != slices.Contains(names, "timestamp"):
		return nil, fail(CodeWrongSetting, "the setting template has to hold {timestamp} exactly when there is a timestamp_header")
	case slices.Contains(names, "id") && r.setting("id_header") == "":
		return nil, fail(CodeWrongSetting, "the setting template has {id}, but id_header is not set")
	}
	return parts, nil
}

// recipePart returns what is signed in the place of a part.
func (r *request) recipePart(p templatePart, stamp string) ([]byte, error) {
	switch p.name {
	case "body":
		return r.body, nil
	case "timestamp":
		return []byte(stamp), nil
	case "method":
		return []byte(r.http.Method), nil
	case "url":
		return []byte(r.url()), nil
	case "path":
		return []byte(targetOf(r.url())), nil
	case "id":
		id, err := r.header(r.setting("id_header"))
		return []byte(id), err
	default:
		return []byte(p.text), nil
	}
}

// freshAny is fresh for a time in seconds, in milliseconds (from 12 digits on) or in RFC 3339.
func (r *request) freshAny(text string) error {
	if !digits(text) {
		return r.freshText(text)
	}
	unit := time.Second
	if len(text) >= 12 {
		unit = time.Millisecond
	}
	return r.fresh(text, unit)
}
