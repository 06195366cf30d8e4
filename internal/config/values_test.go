package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestValues(t *testing.T) {
	tests := []struct {
		option string
		good   []string
		bad    []string
	}{
		{
			"listen",
			[]string{":8080", "127.0.0.1:0", "[::1]:65535", "localhost:80"},
			[]string{"8080", "127.0.0.1", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:080", "127.0.0.1:http", "a b:80", "http://x:80", "::1:80", ":"},
		},
		{
			"public-url",
			[]string{"http://localhost", "https://push.example.com/base", "http://[::1]:8080"},
			[]string{"push.example.com", "ftp://x", "http://", "https://u:p@x", "https://x?q", "https://x?", "https://x#f", "https://x#", "http:x", "http://x y"},
		},
		{"tunnel-hosts", []string{"", "*.dev.example.com", "*.Example.com"}, []string{"dev.example.com", "*", "*.", "*.a..b", "*.a/b", "*.a b", "a.*.b"}},
		{"oidc-issuer", []string{"", "https://id.example.com", "https://id.example.com/o/posthorn/"}, []string{"id.example.com", "https://", "https://x?q", "https://x#f", "https://u:p@x"}},
		{
			"oidc-roles",
			[]string{"", "ops=admin", "ops=admin, support=read", "a=acme:read+publish,a=globex:manage", "*=*:read", `CN=ops\,DC=x=admin`, "/realm/ops = admin"},
			[]string{"ops", "=admin", "ops=", "ops=acme", "ops=acme:", "ops=:read", "ops=acme:write", "ops=acme:read+read", "a=admin,", "a=admin\nb=read"},
		},
		{"session-idle", []string{"1m", "12h"}, []string{"0", "59s", "366d"}},
		{"data", []string{"/var/lib/posthorn", "a b"}, []string{"a\x00b", "a\nb"}},
		{"store", []string{"sqlite"}, []string{"SQLite", "mysql", "postgres://db"}},
		{"log-level", []string{"debug", "info", "warn", "error"}, []string{"INFO", "trace", "info+1"}},
		{"log-format", []string{"auto", "text", "json"}, []string{"logfmt"}},
		{"root-key", []string{strings.Repeat("k", 20)}, []string{strings.Repeat("k", 19), strings.Repeat("k", 20) + " k", strings.Repeat("é", 20), strings.Repeat("k", 4097)}},
		{"encryption-key", []string{strings.Repeat("k", 32), "{\"primaryKeyId\": 1,\n\t\"key\": [\"AAAA\"]}"}, []string{strings.Repeat("k", 31), strings.Repeat("k\x7f", 20)}},
		{
			"allow-targets",
			[]string{"", "127.0.0.0/8", "127.0.0.0/8, ::1/128", "10.1.2.3", "0.0.0.0/0", "fd00::/8"},
			[]string{"127.0.0.1/8", "::ffff:10.0.0.0/104", "::ffff:10.0.0.1", "fe80::1%eth0", "10.0.0.0/33", "10.0.0.0/8,", "localhost", "10.0.0.0/8;::1"},
		},
		{"retention-age", []string{"0", "1m", "30d"}, []string{"59s", "-1h", "30", "forever", "40000d"}},
		{"retention-size", []string{"0", "16MiB", "20GiB", "17179869184"}, []string{"15MiB", "1.5GiB", "1GB", "-1", "20 GiB", "9999999999TiB"}},
		{"max-event-size", []string{"1KiB", "64MiB"}, []string{"0", "1023", "65MiB"}},
		{"max-headers", []string{"0", "1000"}, []string{"-1", "1001", "1e2", "", "0x10", "99999999999999999999"}},
		{"retry-schedule", []string{"5s", "1ms, 2d"}, []string{"", "5s,", "0", "31d", "5s 6s", strings.Repeat("1s,", 50) + "1s"}},
		{"commit-delay", []string{"0", "1ms", "1s"}, []string{"2s", "1"}},
	}
	for _, tt := range tests {
		o, ok := lookup(tt.option)
		if !ok {
			t.Fatalf("no option %s", tt.option)
		}
		for _, s := range tt.good {
			var c Config
			if err := o.bind(&c).set(s); err != nil {
				t.Errorf("%s: %q %v", tt.option, s, err)
			}
		}
		for _, s := range tt.bad {
			c := Default()
			before := o.bind(&c).text()
			if err := o.bind(&c).set(s); err == nil {
				t.Errorf("%s: %q was accepted", tt.option, s)
			}
			if after := o.bind(&c).text(); after != before {
				t.Errorf("%s: a refused value changed the option from %q to %q", tt.option, before, after)
			}
		}
	}
}

func TestFormat(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", 24 * time.Hour: "1d", 36 * time.Hour: "1d12h", time.Hour: "1h", 10 * time.Minute: "10m", 90 * time.Minute: "1h30m",
		time.Hour + time.Second: "1h0m1s", 1500 * time.Millisecond: "1.5s", 24*time.Hour + time.Nanosecond: "1d1ns",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%v) = %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 1: "1", 1023: "1023", 1024: "1KiB", 1536: "1536", 4 << 20: "4MiB", 20 << 30: "20GiB", 5 << 40: "5TiB"} {
		if got := FormatSize(n); got != want {
			t.Errorf("FormatSize(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestPublicURLFor(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080", ":80": "http://127.0.0.1:80", "0.0.0.0:80": "http://127.0.0.1:80",
		"[::]:80": "http://[::1]:80", "push.local:80": "http://push.local:80", "127.0.0.1:0": "", "nonsense": "",
	} {
		if got := PublicURLFor(listen); got != want {
			t.Errorf("PublicURLFor(%q) = %q, want %q", listen, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	names := flagNames()
	for name, want := range map[string]string{
		"--listn": "--listen", "--allow-target": "--allow-targets", "--retention": "", "--x": "", "--max-evnt-sise": "--max-event-size",
	} {
		if got := nearest(name, names); got != want {
			t.Errorf("nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

// TestTable holds what the rest relies on: unique names in the form of flags, help
// that is a sentence, groups that stand together, and each option on its own field.
func TestTable(t *testing.T) {
	var groups, names []string
	for _, o := range Options() {
		if o.Name != strings.ToLower(o.Name) || strings.ContainsAny(o.Name, "_ ") || o.Name == configFlag {
			t.Errorf("%s: not a flag name", o.Name)
		}
		if !strings.HasSuffix(o.Help, ".") || o.Allowed() == "" || o.Kind() == "" {
			t.Errorf("%s: help, kind or allowed values are missing", o.Name)
		}
		if slices.Contains(names, o.Name) || slices.Contains(clientVariables, o.Env()) || injected(o.Env()) {
			t.Errorf("%s: the name or variable is taken", o.Name)
		}
		names = append(names, o.Name)
		if len(groups) == 0 || groups[len(groups)-1] != o.Group {
			if slices.Contains(groups, o.Group) {
				t.Errorf("%s: group %s is in two places", o.Name, o.Group)
			}
			groups = append(groups, o.Group)
		}
		for _, v := range o.Values() {
			if err := o.bind(new(Config)).set(v); err != nil {
				t.Errorf("%s: completion offers %q, which %v", o.Name, v, err)
			}
		}
	}
	if err := new(Default()).Validate(); err != nil {
		t.Errorf("the defaults are not valid: %v", err)
	}
	checkFields(t)
}

// checkFields sets one option at a time and looks that no other option's text changes.
func checkFields(t *testing.T) {
	t.Helper()
	samples := []string{"7", "777", "77KiB", "77MiB", "77m", "77s", "77ms", "error", "json", "77.0.0.0/8", "http://seventy.seven", "seventy:77", "seventy=seven:read", "*.seventy.seven", "on", "off", strings.Repeat("7", 77)}
	for _, o := range Options() {
		c := Default()
		before := c.Redacted()
		changed := o.Name == "store" // The only option with a single value.
		for _, s := range samples {
			if o.bind(&c).set(s) == nil && o.bind(&c).text() != o.bind(new(Default())).text() {
				changed = true
				break
			}
		}
		if !changed {
			t.Errorf("%s: no sample changes it", o.Name)
		}
		for i, a := range c.Redacted() {
			if a.Key != o.Name && a.Value.String() != before[i].Value.String() {
				t.Errorf("setting %s changes %s", o.Name, a.Key)
			}
		}
	}
}

func TestDocsAreUpToDate(t *testing.T) {
	page, err := os.ReadFile(filepath.FromSlash("../../docs/configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != Markdown() {
		t.Error(`docs/configuration.md is not what the option table gives: run "make docs"`)
	}
}

func TestDocsNameEveryOption(t *testing.T) {
	page, usage := Markdown(), Usage(80)
	for _, o := range Options() {
		if !strings.Contains(page, "\n#### "+o.Name+"\n") || !strings.Contains(page, "`"+o.Env()+"`") || !strings.Contains(page, o.Help) {
			t.Errorf("the page lacks %s", o.Name)
		}
		if !strings.Contains(usage, "  "+o.Flag()+" ") {
			t.Errorf("the usage lacks %s", o.Name)
		}
	}
	for line := range strings.Lines(Usage(0)) {
		if strings.HasPrefix(line, "        ") && len(strings.TrimRight(line, "\n")) > 40 && strings.Contains(strings.TrimSpace(line), " ") {
			t.Errorf("a line is wider than asked: %q", line)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"0", "256KiB", "4MiB", "20GiB", "8388607TiB", "9223372036854775807", "1B", "KiB", "1.5MiB", "-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseSize(s)
		if err != nil {
			return
		}
		if n < 0 {
			t.Fatalf("ParseSize(%q) = %d", s, n)
		}
		if again, err := ParseSize(FormatSize(n)); err != nil || again != n {
			t.Errorf("%q is %d, written as %q, read as %d (%v)", s, n, FormatSize(n), again, err)
		}
	})
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"0", "30d", "1d12h", "500ms", "1h0m1s", "106751d", "106751d23h47m16.854775807s", "9223372036854775807ns", "d", "1d-1h", "1.5d", "+1s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if err != nil {
			return
		}
		if d < 0 {
			t.Fatalf("ParseDuration(%q) = %v", s, d)
		}
		if again, err := ParseDuration(FormatDuration(d)); err != nil || again != d {
			t.Errorf("%q is %v, written as %q, read as %v (%v)", s, d, FormatDuration(d), again, err)
		}
	})
}

func FuzzPrefixes(f *testing.F) {
	for _, s := range []string{"127.0.0.0/8", "::1", "10.0.0.0/8, fd00::/8", "::ffff:1.2.3.4/128", "0.0.0.0/0"} {
		f.Add(s)
	}
	o, _ := lookup("allow-targets")
	f.Fuzz(func(t *testing.T, s string) {
		var c, again Config
		if o.bind(&c).set(s) != nil {
			return
		}
		if err := o.bind(&again).set(o.bind(&c).text()); err != nil || !slices.Equal(c.AllowTargets, again.AllowTargets) {
			t.Errorf("%q is %v, read again as %v (%v)", s, c.AllowTargets, again.AllowTargets, err)
		}
	})
}
