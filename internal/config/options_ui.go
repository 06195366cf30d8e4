package config

import (
	"errors"
	"time"
)

var uiOptions = []Option{{
	Name: "ui", Group: "Web UI", Default: "on",
	Help: "Whether the web UI is served at `/ui/`.",
	bind: func(c *Config) value { return switchValue{&c.UI} },
}}

var auditOptions = []Option{{
	Name: "audit-retention", Group: "Retention", Default: "365d",
	Help: "How long the audit log is kept: who changed what. 0 keeps it for good.",
	bind: func(c *Config) value {
		return durationValue{p: &c.AuditRetention, min: time.Hour, max: 36500 * day, zero: true}
	},
}}

// switchValue is on or off.
type switchValue struct{ p *bool }

var switchWords = []string{"on", "off"}

func (v switchValue) kind() string    { return "choice" }
func (v switchValue) allowed() string { return oneOf(switchWords) }

func (v switchValue) text() string {
	if *v.p {
		return "on"
	}
	return "off"
}

func (v switchValue) set(s string) error {
	if s != "on" && s != "off" {
		return errors.New("is not one of the choices")
	}
	*v.p = s == "on"
	return nil
}
