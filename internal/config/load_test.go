package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

const testSecret = "root-key-0123456789abcdef"

// files is a readFile over a map from path to content.
func files(m map[string]string) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		if s, ok := m[path]; ok {
			return []byte(s), nil
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
}

func TestLoadDefaults(t *testing.T) {
	c, err := Load(nil, []string{"HOME=/", "PATH=/bin"}, files(nil))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(c.Redacted()), fmt.Sprint(new(Default()).Redacted()); got != want {
		t.Errorf("nothing set gives\n%s\nwant the defaults\n%s", got, want)
	}
	if c.Listen != "127.0.0.1:8080" || c.PublicURL != "http://127.0.0.1:8080" || c.EncryptionKeyFile != "posthorn-data/encryption.key" {
		t.Errorf("listen %q, public-url %q, encryption-key-file %q", c.Listen, c.PublicURL, c.EncryptionKeyFile)
	}
	if c.MaxEventSize != 256<<10 || c.RetentionAge != 30*24*time.Hour || len(c.RetrySchedule) != 9 || c.RetrySchedule[8] != 24*time.Hour {
		t.Errorf("max-event-size %d, retention-age %v, retry-schedule %v", c.MaxEventSize, c.RetentionAge, c.RetrySchedule)
	}
}

func TestLoadPrecedence(t *testing.T) {
	const file = "# comment\r\n listen = 127.0.0.1:1\n\nmax-headers=1\nmax-probes = 1\nallow-targets = 10.0.0.0/8, ::1\n"
	c, err := Load(
		[]string{"--config", "a.conf", "--listen=127.0.0.1:3"},
		[]string{"POSTHORN_LISTEN=127.0.0.1:2", "POSTHORN_MAX_HEADERS=2", "POSTHORN_MAX_PROBES=", "POSTHORN_CONFIG=missing.conf", "POSTHORN_SERVER=http://x"},
		files(map[string]string{"a.conf": file}))
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:3" || c.MaxHeaders != 2 || c.MaxProbes != 1 || c.MaxInFlight != 4096 {
		t.Errorf("listen %s, max-headers %d, max-probes %d, max-in-flight %d; want flag, variable, file, default", c.Listen, c.MaxHeaders, c.MaxProbes, c.MaxInFlight)
	}
	if want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}; !slices.Equal(c.AllowTargets, want) {
		t.Errorf("allow-targets = %v, want %v", c.AllowTargets, want)
	}
	if c.PublicURL != "http://127.0.0.1:3" {
		t.Errorf("public-url = %q, want it to follow listen", c.PublicURL)
	}

	c, err = Load(nil, []string{"POSTHORN_CONFIG=a.conf"}, files(map[string]string{"a.conf": "\ufeff" + file}))
	if err != nil || c.Listen != "127.0.0.1:1" {
		t.Errorf("file by variable, with a byte order mark: listen %q, error %v", c.Listen, err)
	}
}

// TestEveryOptionFromEveryPlace sets each option to its own default's text by each way.
func TestEveryOptionFromEveryPlace(t *testing.T) {
	samples := map[string]string{ //nolint:gosec // names of options, and nothing secret
		"public-url": "https://push.example.com/base/", "root-key": testSecret, "root-key-file": "k", "encryption-key": strings.Repeat("k", 32),
		"encryption-key-file": "e.key", "allow-targets": "127.0.0.0/8,::1/128", "deny-targets": "8.8.8.8", "publish-burst": "0",
		"allow-origins": "https://app.example.com,*", "trusted-proxies": "10.0.0.0/8", "token-jwks-url": "https://id.example.com/jwks",
		"token-keys-file": "keys.pem", "token-issuer": "https://id.example.com", "token-audience": "push",
		"tunnel-hosts": "*.dev.example.com", "oidc-issuer": "https://id.example.com/", "oidc-client-id": "posthorn", "oidc-client-secret": "s",
		"oidc-client-secret-file": "k", "oidc-roles": "ops=admin,shop=acme:read+publish",
	}
	const issuer, keys = "POSTHORN_TOKEN_ISSUER=https://id.example.com", "POSTHORN_TOKEN_KEYS_FILE=keys.pem"
	const provider, client, roles = "POSTHORN_OIDC_ISSUER=https://id.example.com", "POSTHORN_OIDC_CLIENT_ID=posthorn", "POSTHORN_OIDC_ROLES=ops=admin"
	needs := map[string][]string{ // what an option cannot be without
		"oidc-issuer": {client, roles}, "oidc-client-id": {provider, roles}, "oidc-roles": {provider, client},
		"oidc-client-secret": {provider, client, roles}, "oidc-client-secret-file": {provider, client, roles},
		"token-jwks-url": {issuer}, "token-keys-file": {issuer}, "token-issuer": {keys}, "token-audience": {issuer, keys},
	}
	for _, o := range Options() {
		v := o.Default
		if v == "" {
			v = samples[o.Name]
		}
		env := needs[o.Name]
		if v == "" {
			t.Fatalf("%s: add a sample value for the new option", o.Name)
		}
		read := files(map[string]string{"k": testSecret + "\n", "c": o.Name + " = " + v})
		for place, load := range map[string]func() (Config, error){
			"flag":     func() (Config, error) { return Load([]string{o.Flag(), v}, env, read) },
			"variable": func() (Config, error) { return Load(nil, append(slices.Clone(env), o.Env()+"="+v), read) },
			"file":     func() (Config, error) { return Load([]string{"--config=c"}, env, read) },
		} {
			c, err := load()
			if err != nil {
				t.Errorf("%s by %s: %v", o.Name, place, err)
				continue
			}
			want := new(Config)
			if err := o.bind(want).set(v); err != nil {
				t.Fatal(err)
			}
			if got := o.bind(&c).text(); got != o.bind(want).text() {
				t.Errorf("%s by %s = %q, want %q", o.Name, place, got, o.bind(want).text())
			}
		}
	}
}

func TestLoadErrors(t *testing.T) {
	read := files(map[string]string{
		"bad.conf":   "listen 127.0.0.1:1\nmax-heders = 3\n= x\nmax-headers = 1 # why\n",
		"twice.conf": "data = a\ndata = b\n",
		"bin.conf":   "data = \x00",
		"self.conf":  "config = other.conf\n",
		"short.key":  "abc\n",
	})
	tests := []struct {
		name string
		args []string
		env  []string
		want []string // Each must be part of the error.
	}{
		{"bad value by flag", []string{"--retention-size", "20 apples"}, nil, []string{"--retention-size", `"20 apples"`, "not a size", "16MiB to 1024TiB"}},
		{"bad value by variable", nil, []string{"POSTHORN_LOG_LEVEL=loud"}, []string{"POSTHORN_LOG_LEVEL", `"loud"`, "debug, info, warn, error"}},
		{"out of range", []string{"--max-json-depth=0"}, nil, []string{"--max-json-depth", `"0"`, "out of range", "from 1 to 1000"}},
		{"unknown flag", []string{"--max-event-sise", "4"}, nil, []string{"--max-event-sise is not an option", "did you mean --max-event-size?"}},
		{"unknown flag, one dash", []string{"-listen", ":1"}, nil, []string{"-listen is not an option", "did you mean --listen?"}},
		{"unknown variable", nil, []string{"POSTHORN_ROOTKEY=" + testSecret}, []string{"POSTHORN_ROOTKEY is not a variable", "did you mean POSTHORN_ROOT_KEY?"}},
		{"unknown, nothing near", []string{"--frobnicate"}, nil, []string{"--frobnicate is not an option"}},
		{"positional", []string{"serve"}, nil, []string{"argument 1 is not a flag"}},
		{"value missing at the end", []string{"--listen"}, nil, []string{"--listen needs a value"}},
		{"value missing before a flag", []string{"--listen", "--data", "x"}, nil, []string{"--listen needs a value"}},
		{"twice", []string{"--data", "a", "--data", "b"}, nil, []string{"--data is given twice"}},
		{"empty", []string{"--data="}, nil, []string{"--data has no value"}},
		{"several at once", []string{"--listen", "x", "--max-probes", "y"}, []string{"POSTHORN_STORE=z"}, []string{"--listen", "--max-probes", "POSTHORN_STORE"}},
		{"config missing", []string{"--config", "no.conf"}, nil, []string{"--config", "no.conf", "cannot read"}},
		{"config missing by variable", nil, []string{"POSTHORN_CONFIG=no.conf"}, []string{"POSTHORN_CONFIG", "no.conf"}},
		{"config empty", []string{"--config="}, nil, []string{"--config needs the path"}},
		{"file lines", []string{"--config", "bad.conf"}, nil, []string{"bad.conf:1: is not of the form", "bad.conf:2: max-heders is not an option; did you mean max-headers?", "bad.conf:3: is not of the form", `bad.conf:4: max-headers: "1 # why" is not a whole number`}},
		{"file duplicate", []string{"--config", "twice.conf"}, nil, []string{"twice.conf:2: data was already set on line 1"}},
		{"file binary", []string{"--config", "bin.conf"}, nil, []string{"bin.conf is not a UTF-8 text file"}},
		{"file names a file", []string{"--config", "self.conf"}, nil, []string{"self.conf:1: config is not an option"}},
		{"secret and file", nil, []string{"POSTHORN_ROOT_KEY=" + testSecret, "POSTHORN_ROOT_KEY_FILE=k"}, []string{"POSTHORN_ROOT_KEY and POSTHORN_ROOT_KEY_FILE are both set"}},
		{"secret file missing", []string{"--root-key-file", "none"}, nil, []string{"--root-key-file", "cannot read the root key", "none"}},
		{"secret file short", []string{"--root-key-file", "short.key"}, nil, []string{"--root-key-file", "content is too short", "20 to"}},
		{"cross: event and batch", []string{"--max-event-size", "8MiB"}, nil, []string{"max-event-size (8MiB) is larger than max-batch-size (4MiB)"}},
		{"cross: schedule", []string{"--retry-schedule", "8d"}, nil, []string{"retry-schedule lasts 8d, longer than backlog-max-age (7d)"}},
		{"cross: token keys", []string{"--token-jwks-url", "https://a.example", "--token-keys-file", "k"}, nil, []string{"token-issuer is needed", "token-keys-file does not go with"}},
		{"cross: token issuer", []string{"--token-issuer", "a", "--token-audience", "b"}, nil, []string{"token-issuer has no effect", "token-audience has no effect"}},
		{"cross: burst", []string{"--publish-burst", "5"}, nil, []string{"publish-burst has no effect without publish-rate"}},
		{"cross: probes", []string{"--max-in-flight", "5"}, nil, []string{"max-probes (512) is larger than max-in-flight (5)"}},
		{"cross: attribute", []string{"--max-attribute-size", "8KiB", "--max-event-size", "4KiB"}, nil, []string{"max-attribute-size (8KiB) is larger than max-event-size (4KiB)"}},
		{"cross: retention", []string{"--retention-size", "16MiB", "--max-batch-size", "32MiB"}, nil, []string{"retention-size (16MiB) is smaller than max-batch-size (32MiB)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(tt.args, tt.env, read)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error lacks %q:\n%v", want, err)
				}
			}
		})
	}
}

func TestErrorFields(t *testing.T) {
	_, err := Load([]string{"--max-headers", "many"}, nil, files(nil))
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Option != "max-headers" || e.Where != "--max-headers" || e.Value != "many" || e.Allowed == "" {
		t.Errorf("error = %#v", e)
	}
}

func TestHelp(t *testing.T) {
	for _, arg := range []string{"-h", "--help"} {
		if _, err := Load([]string{"--listen", "x", arg}, nil, files(nil)); !errors.Is(err, ErrHelp) {
			t.Errorf("%s: error = %v, want ErrHelp", arg, err)
		}
	}
}

func TestSecretFromFile(t *testing.T) {
	read := files(map[string]string{"k": "  " + testSecret + "\r\n", "c": "root-key = file-key-0123456789abcdef"})
	for name, tt := range map[string]struct {
		args, env []string
		want      string
	}{
		"file option":             {[]string{"--root-key-file", "k"}, nil, testSecret},
		"variable":                {nil, []string{"POSTHORN_ROOT_KEY_FILE=k"}, testSecret},
		"higher layer: the file":  {[]string{"--root-key-file", "k", "--config", "c"}, nil, testSecret},
		"higher layer: the value": {[]string{"--root-key", "flag-key-0123456789abcdef"}, []string{"POSTHORN_ROOT_KEY_FILE=k"}, "flag-key-0123456789abcdef"},
	} {
		c, err := Load(tt.args, tt.env, read)
		if err != nil || c.RootKey.Reveal() != tt.want {
			t.Errorf("%s: root key %q, error %v", name, c.RootKey.Reveal(), err)
		}
	}
}

func TestVariablesOfOthersAreIgnored(t *testing.T) {
	env := []string{
		"POSTHORN_PORT=tcp://10.0.0.1:80", "POSTHORN_PORT_80_TCP_ADDR=10.0.0.1", "POSTHORN_SERVICE_HOST=10.0.0.1",
		"POSTHORN_SERVICE_PORT_HTTP=80", "POSTHORN_KEY=x", "POSTHORNX=1", "NOT_POSTHORN_X=1", "malformed",
	}
	if _, err := Load(nil, env, files(nil)); err != nil {
		t.Error(err)
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	const url = "postgres://user:" + testSecret + "@db/x"
	for name, args := range map[string][]string{
		"bad secret":        {"--root-key", testSecret + " "},
		"misspelt flag":     {"--root-kye", testSecret},
		"misspelt with =":   {"--root-kye=" + testSecret},
		"one dash":          {"-root-key", testSecret},
		"stray":             {testSecret},
		"given twice":       {"--root-key", testSecret, "--root-key", testSecret},
		"password in a URL": {"--store", url},
		"broken URL":        {"--public-url", url + "%zz"},
		"file":              {"--config", "f"},
		"key file":          {"--root-key-file", "g"},
	} {
		read := files(map[string]string{"f": "root-key: " + testSecret + "\nrut-key = " + testSecret, "g": testSecret + "\n" + testSecret})
		_, err := Load(args, nil, read)
		if err == nil {
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), testSecret) {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}

	c, err := Load([]string{"--root-key", testSecret}, nil, files(nil))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, format+"\n", c)
		fmt.Fprintf(&out, format+"\n", &c)
		fmt.Fprintf(&out, format+"\n", c.RootKey)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("configuration", slog.Any("config", c), slog.Any("key", c.RootKey))
	slog.New(slog.NewTextHandler(&out, nil)).LogAttrs(t.Context(), slog.LevelInfo, "configuration", c.Redacted()...)
	if err := json.NewEncoder(&out).Encode(c); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); strings.Contains(s, testSecret) || strings.Contains(s, fmt.Sprintf("%x", testSecret)) {
		t.Error("some form of the configuration shows the secret")
	}
	if !strings.Contains(out.String(), "[secret]") {
		t.Error("the configuration does not show that the secret is set")
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("--listen", ":1", "POSTHORN_DATA=x", "listen = :1\n# c\n")
	f.Add("--config", "f", "POSTHORN_ROOT_KEY_FILE=f", "root-key=x\n\x00")
	f.Add("--retry-schedule=1s,2d", "-x", "POSTHORN_CONFIG=f", "= \n==\nallow-targets=::1/129")
	f.Fuzz(func(t *testing.T, a, b, env, file string) {
		c, err := Load([]string{a, b}, []string{env, "POSTHORN_CONFIG=f"}, func(string) ([]byte, error) { return []byte(file), nil })
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without text")
			}
			return
		}
		if err := c.Validate(); err != nil {
			t.Errorf("Load returned a configuration that is not valid: %v", err)
		}
	})
}
