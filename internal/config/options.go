package config

import (
	"slices"
	"strings"
	"time"
)

// Option describes one option of the server.
type Option struct {
	// Name is the option's flag without its dashes, and its key in the file.
	Name string
	// Group is the heading that the option stands under.
	Group string
	// Default is the default as text; empty when there is none or it follows from
	// another option, which Help then tells.
	Default string
	// Help says in one or more sentences what the option does.
	Help string

	// bind gives the value that reads and writes the option's field of a Config.
	bind func(*Config) value
}

// Flag returns the option's flag, such as --max-event-size.
func (o Option) Flag() string { return "--" + o.Name }

// Env returns the option's environment variable, such as POSTHORN_MAX_EVENT_SIZE.
func (o Option) Env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(o.Name, "-", "_"))
}

// Kind returns the kind of the option's value in one or two words, such as size.
func (o Option) Kind() string { return o.bind(new(Config)).kind() }

// Allowed returns what the option accepts, as a phrase with Markdown code marks.
func (o Option) Allowed() string { return o.bind(new(Config)).allowed() }

// Secret reports whether the option's value is never shown.
func (o Option) Secret() bool { return o.Kind() == "secret" }

// Values returns the words that the option accepts when it accepts only a few, for completion.
func (o Option) Values() []string {
	switch v := o.bind(new(Config)).(type) {
	case enumValue:
		return slices.Clone(v.values)
	case levelValue:
		return levelNames()
	case switchValue:
		return slices.Clone(switchWords)
	}
	if o.Name == "store" {
		return []string{StoreSQLite}
	}
	return nil
}

// Options returns the table of all options, in the order of the documentation.
func Options() []Option { return slices.Clone(table) }

// lookup finds an option by name.
func lookup(name string) (Option, bool) {
	i := slices.IndexFunc(table, func(o Option) bool { return o.Name == name })
	if i < 0 {
		return Option{}, false
	}
	return table[i], true
}

// Sizes, for the bounds in the table.
const (
	kib = 1 << 10
	mib = 1 << 20
	tib = 1 << 40
)

// table is the only list of options: flags, variables, file keys, documentation,
// completion and the logged configuration all come from it.
var table = slices.Concat(serverOptions, storageOptions, securityOptions, retentionOptions, auditOptions, limitOptions, deliveryOptions, liveOptions, inboundOptions, uiOptions, sessionOptions)

var serverOptions = []Option{{
	Name: "listen", Group: "Server", Default: "127.0.0.1:8080",
	Help: "The address that the HTTP server listens on. One port carries every HTTP interface. Port 0 takes any free port.",
	bind: func(c *Config) value { return addressValue(&c.Listen) },
}, {
	Name: "public-url", Group: "Server",
	Help: "The address under which others reach this server; it stands in thin payloads. By default it follows from `listen`.",
	bind: func(c *Config) value { return urlValue(&c.PublicURL) },
}, {
	Name: "shutdown-timeout", Group: "Server", Default: "30s",
	Help: "How long a graceful stop waits for requests and deliveries under way. What is not finished by then is sent again after the next start.",
	bind: func(c *Config) value {
		return durationValue{p: &c.ShutdownTimeout, min: 0, max: time.Hour, zero: true}
	},
}, {
	Name: "log-level", Group: "Server", Default: "info",
	Help: "The lowest level that is logged.",
	bind: func(c *Config) value { return levelValue{&c.LogLevel} },
}, {
	Name: "log-format", Group: "Server", Default: LogFormatAuto,
	Help: "The form of log lines. `auto` writes text on a terminal and JSON otherwise.",
	bind: func(c *Config) value {
		return enumValue{&c.LogFormat, []string{LogFormatAuto, LogFormatText, LogFormatJSON}}
	},
}}

var storageOptions = []Option{{
	Name: "data", Group: "Storage", Default: "./posthorn-data",
	Help: "The folder that holds the database and generated keys. It is made when it does not exist. One process uses it at a time.",
	bind: func(c *Config) value { return pathValue(&c.Data) },
}, {
	Name: "store", Group: "Storage", Default: StoreSQLite,
	Help: "Where events and state are kept. `sqlite` keeps them in the data folder.",
	bind: func(c *Config) value { return storeValue(&c.Store) },
}, {
	Name: "commit-delay", Group: "Storage", Default: "1ms",
	Help: "How long, under load, a publish waits for others to share its commit. Longer costs latency and saves disk writes.",
	bind: func(c *Config) value {
		return durationValue{p: &c.CommitDelay, min: 0, max: time.Second, zero: true}
	},
}, {
	Name: "record-delay", Group: "Storage", Default: "20ms",
	Help: "How long the outcome of a delivery waits for others to share its commit. After a crash, deliveries whose outcome was not yet committed are sent again.",
	bind: func(c *Config) value {
		return durationValue{p: &c.RecordDelay, min: 0, max: 10 * time.Second, zero: true}
	},
}}

var securityOptions = []Option{{
	Name: "root-key", Group: "Security",
	Help: "The first admin API key. Without one the first start makes one and prints it once. Other users of the machine can see a flag's value in the process list, so prefer the variable or `root-key-file`.",
	bind: func(c *Config) value { return secretValue{p: &c.RootKey, min: 20, max: 4 * kib} },
}, {
	Name: "root-key-file", Group: "Security",
	Help: "A file that holds the root key; white space around the key is ignored.",
	bind: func(c *Config) value { return pathValue(&c.RootKeyFile) },
}, {
	Name: "encryption-key", Group: "Security",
	Help: "The keys that encrypt endpoint secrets in the database: the content of an `encryption-key-file`, as it is or in base64. They take the place of that file, and cannot be rotated by the server. Prefer the variable to the flag.",
	bind: func(c *Config) value { return secretValue{p: &c.EncryptionKey, min: 32, max: 64 * kib, spaces: true} },
}, {
	Name: "encryption-key-file", Group: "Security",
	Help: "The file that holds the keys that encrypt endpoint secrets in the database. When it does not exist it is made with a new key, readable by its owner only. Without it the secrets cannot be read: keep a copy apart from the data. By default it is `encryption.key` in the data folder.",
	bind: func(c *Config) value { return pathValue(&c.EncryptionKeyFile) },
}, {
	Name: "allow-targets", Group: "Security",
	Help: "Addresses that endpoints may have beside public ones. By default loopback, private and other special addresses are refused. The check is made on the address that is dialled.",
	bind: func(c *Config) value { return prefixesValue{&c.AllowTargets} },
}, {
	Name: "deny-targets", Group: "Security",
	Help: "Addresses that endpoints may not have, even when they are public or in `allow-targets`.",
	bind: func(c *Config) value { return prefixesValue{&c.DenyTargets} },
}}

var retentionOptions = []Option{{
	Name: "retention-age", Group: "Retention", Default: "30d",
	Help: "How long events are kept. 0 keeps them whatever their age.",
	bind: func(c *Config) value {
		return durationValue{p: &c.RetentionAge, min: time.Minute, max: 36500 * day, zero: true}
	},
}, {
	Name: "retention-size", Group: "Retention", Default: "20GiB",
	Help: "The size of all stored events at which the oldest are deleted. 0 sets no bound.",
	bind: func(c *Config) value {
		return sizeValue[int64]{p: &c.RetentionSize, min: 16 * mib, max: 1024 * tib, zero: true}
	},
}, {
	Name: "attempts-retention-age", Group: "Retention", Default: "30d",
	Help: "How long delivery attempts are kept. 0 keeps them whatever their age.",
	bind: func(c *Config) value {
		return durationValue{p: &c.AttemptsRetentionAge, min: time.Minute, max: 36500 * day, zero: true}
	},
}, {
	Name: "backlog-max-age", Group: "Retention", Default: "7d",
	Help: "How long an event that an endpoint still waits for is kept, whatever the retention. Older ones are deleted, counted and reported.",
	bind: func(c *Config) value {
		return durationValue{p: &c.BacklogMaxAge, min: time.Minute, max: 36500 * day}
	},
}}

var limitOptions = []Option{{
	Name: "max-event-size", Group: "Limits", Default: "256KiB",
	Help: "The largest event. A larger one is answered with 413.",
	bind: func(c *Config) value { return sizeValue[int]{p: &c.MaxEventSize, min: kib, max: 64 * mib} },
}, {
	Name: "max-batch-events", Group: "Limits", Default: "1000",
	Help: "The most events in one publish request.",
	bind: func(c *Config) value { return intValue{&c.MaxBatchEvents, 1, 100_000} },
}, {
	Name: "max-batch-size", Group: "Limits", Default: "4MiB",
	Help: "The largest body of a publish request.",
	bind: func(c *Config) value { return sizeValue[int]{p: &c.MaxBatchSize, min: kib, max: 256 * mib} },
}, {
	Name: "max-attribute-size", Group: "Limits", Default: "1KiB",
	Help: "The largest value of one attribute of an event, such as its `subject`.",
	bind: func(c *Config) value { return sizeValue[int]{p: &c.MaxAttributeSize, min: 64, max: 64 * kib} },
}, {
	Name: "max-json-depth", Group: "Limits", Default: "20",
	Help: "The deepest nesting of objects and arrays in an event's JSON.",
	bind: func(c *Config) value { return intValue{&c.MaxJSONDepth, 1, 1000} },
}, {
	Name: "max-endpoints", Group: "Limits", Default: "100000",
	Help: "The most endpoints of one tenant.",
	bind: func(c *Config) value { return intValue{&c.MaxEndpoints, 1, 10_000_000} },
}, {
	Name: "max-url-size", Group: "Limits", Default: "2KiB",
	Help: "The longest URL of an endpoint.",
	bind: func(c *Config) value { return sizeValue[int]{p: &c.MaxURLSize, min: 64, max: 64 * kib} },
}, {
	Name: "max-headers", Group: "Limits", Default: "50",
	Help: "The most custom headers of one endpoint.",
	bind: func(c *Config) value { return intValue{&c.MaxHeaders, 0, 1000} },
}, {
	Name: "max-filter-size", Group: "Limits", Default: "4KiB",
	Help: "The longest text of an endpoint's filter.",
	bind: func(c *Config) value { return sizeValue[int]{p: &c.MaxFilterSize, min: 64, max: 64 * kib} },
}, {
	Name: "filter-cost-limit", Group: "Limits", Default: "10000",
	Help: "The most that one evaluation of a filter may cost, in CEL cost units (about one for each step).",
	bind: func(c *Config) value { return intValue{&c.FilterCostLimit, 1, 100_000_000} },
}, {
	Name: "publish-rate", Group: "Limits", Default: "0",
	Help: "The most events that one tenant may publish, in events a second. More are answered with 429 and `Retry-After`. 0 sets no bound.",
	bind: func(c *Config) value { return intValue{&c.PublishRate, 0, 10_000_000} },
}, {
	Name: "publish-burst", Group: "Limits", Default: "0",
	Help: "How many events one tenant may publish at once under `publish-rate`. A request with more passes when nothing of it is used up; the tenant's next ones are then answered with 429 until the rate has made up for it. 0 stands for the events of one second. A tenant with a rate of its own has one second's.",
	bind: func(c *Config) value { return intValue{&c.PublishBurst, 0, 10_000_000} },
}}

var deliveryOptions = []Option{{
	Name: "delivery-timeout", Group: "Delivery", Default: "30s",
	Help: "How long one attempt may take, from dialling to the end of the answer, for endpoints without their own timeout.",
	bind: func(c *Config) value {
		return durationValue{p: &c.DeliveryTimeout, min: 10 * time.Millisecond, max: 10 * time.Minute}
	},
}, {
	Name: "retry-schedule", Group: "Delivery", Default: "5s,5m,30m,2h,5h,10h,14h,20h,1d",
	Help: "The waits between the attempts to deliver one event, for endpoints without their own schedule. Each wait is varied a little, so that retries spread out.",
	bind: func(c *Config) value {
		return scheduleValue{p: &c.RetrySchedule, most: 50, min: time.Millisecond, max: 30 * day}
	},
}, {
	Name: "disable-after", Group: "Delivery", Default: "5d",
	Help: "How long an endpoint may do nothing but fail before it is disabled. 0 never disables one.",
	bind: func(c *Config) value {
		return durationValue{p: &c.DisableAfter, min: time.Minute, max: 365 * day, zero: true}
	},
}, {
	Name: "max-in-flight", Group: "Delivery", Default: "4096",
	Help: "The most attempts under way at once in the whole server.",
	bind: func(c *Config) value { return intValue{&c.MaxInFlight, 1, 100_000} },
}, {
	Name: "max-probes", Group: "Delivery", Default: "512",
	Help: "The most attempts under way at once to endpoints that are failing, so that dead endpoints leave room for healthy ones.",
	bind: func(c *Config) value { return intValue{&c.MaxProbes, 1, 100_000} },
}}
