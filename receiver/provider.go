package receiver

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Info describes a provider for people and for forms.
type Info struct {
	Name          string        // as [Verify] takes it
	Title         string        // as the provider writes its name
	Aliases       []string      // other names that [Verify] takes
	Secret        string        // what the secret is and where it comes from; "" if there is none to give
	Optional      bool          // whether it also works without a secret, which is then not verified by one
	Settings      []SettingInfo // what [Setting] takes
	Event         string        // where the type, the id and the subject come from
	SecretHeaders []string      // request headers that hold a secret: to be masked when a request is shown
	SecretQuery   []string      // parameters of the address that hold a secret
	Handshakes    []string      // methods of requests that are questions rather than events, such as "GET" and "HEAD"
	Learns        bool          // whether the provider hands its secret over in the first handshake
}

// SettingInfo describes one setting.
type SettingInfo struct {
	Name     string
	Doc      string // a sentence without an end
	Required bool   // without it nothing verifies
	Secret   bool   // not to be shown
}

// provider is all that is known of one provider. Only verify is needed; nil functions do nothing.
type provider struct {
	Info

	// tolerance is how far timestamps may be off; zero means DefaultTolerance.
	tolerance time.Duration
	// verify checks that the request is the provider's. It is called with at least one secret, unless Info.Optional is set or
	// Info.Secret is empty.
	verify func(*request) error
	// describe reads type, id, subject and time from a verified request.
	describe func(*request) Delivery
	// handshake answers a request that is no event; a nil answer says that it is one. It may be called without secrets: it has to
	// check what it echoes, or to whom.
	handshake func(*request) (*Answer, *Learned, error)
	// accepted is the answer to an event; nil means 200 without a body.
	accepted func(Delivery) Answer
	// refused is the answer to what did not verify; nil means the error's status.
	refused func(*Error) Answer
}

// providers are all by name, aliases included. Only register writes it, before main starts.
var providers = map[string]*provider{}

// register adds a provider. Each provider's file calls it from its init function.
func register(p provider) {
	if p.verify == nil {
		panic("receiver: provider " + p.Name + " has no verify function")
	}
	for i, h := range p.SecretHeaders {
		p.SecretHeaders[i] = http.CanonicalHeaderKey(h)
	}
	for _, name := range append([]string{p.Name}, p.Aliases...) {
		if name == "" || name != strings.ToLower(name) || providers[name] != nil {
			panic(fmt.Sprintf("receiver: provider name %q is empty, not in lower case, or taken", name))
		}
		providers[name] = &p
	}
}

// find returns a provider by name or alias.
func find(name string) (*provider, error) {
	p := providers[name]
	if p == nil {
		return nil, &Error{Provider: name, Code: CodeUnknownProvider, Detail: "there is no provider of this name", Status: statusOf(CodeUnknownProvider)}
	}
	return p, nil
}

// Providers returns all providers, by name.
func Providers() []Info {
	var list []Info
	for _, name := range slices.Sorted(maps.Keys(providers)) {
		if p := providers[name]; p.Name == name {
			list = append(list, clone(p.Info))
		}
	}
	return list
}

// Provider returns what is known of one provider, by name or alias.
func Provider(name string) (Info, bool) {
	p := providers[name]
	if p == nil {
		return Info{}, false
	}
	return clone(p.Info), true
}

// clone keeps callers from changing the table.
func clone(info Info) Info {
	info.Aliases = slices.Clone(info.Aliases)
	info.Settings = slices.Clone(info.Settings)
	info.SecretHeaders = slices.Clone(info.SecretHeaders)
	info.SecretQuery = slices.Clone(info.SecretQuery)
	info.Handshakes = slices.Clone(info.Handshakes)
	return info
}

// setting returns the description of a setting.
func (p *provider) setting(name string) (SettingInfo, bool) {
	i := slices.IndexFunc(p.Settings, func(s SettingInfo) bool { return s.Name == name })
	if i < 0 {
		return SettingInfo{}, false
	}
	return p.Settings[i], true
}
