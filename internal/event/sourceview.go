package event

import "time"

// SourceState counts what came to a source since the server's start.
type SourceState struct {
	// Accepted counts events that were stored, Duplicates those that were on the log already, Dropped requests that the
	// source's map left out.
	Accepted, Duplicates, Refused, Handshakes, Dropped int64
	LastAccepted                                       time.Time
	LastRefused                                        SourceRefusal
}

// SourceRefusal says when and why a source refused a request. Its texts hold nothing of a secret or a payload.
type SourceRefusal struct {
	At           time.Time // zero: none was refused
	Code, Detail string
}

// Provider describes a rule by which requests are verified and read.
type Provider struct {
	Name    string
	Title   string
	Aliases []string
	// Secret says what the secret is and where it comes from; empty: there is none to give.
	Secret string
	// Optional says that it also works without a secret; Learns that the provider hands its secret over in a first handshake.
	Optional, Learns bool
	Settings         []ProviderSetting
	// Event says where an event's type, id and subject come from.
	Event string
}

// ProviderSetting describes what a provider needs besides secrets.
type ProviderSetting struct {
	Name, Doc string
	Required  bool
	// Secret settings are never shown.
	Secret bool
}
