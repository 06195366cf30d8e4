package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	envPrefix  = "POSTHORN_"
	configFlag = "config"
	configEnv  = envPrefix + "CONFIG"
)

// clientVariables are read by the commands that talk to a server. They are no
// options of the server, and no mistakes either.
var clientVariables = []string{"POSTHORN_SERVER", "POSTHORN_KEY", "POSTHORN_TENANT"}

// layer ranks the places that an option may be set in; a higher one wins.
type layer int

const (
	layerDefault layer = iota
	layerFile
	layerEnv
	layerFlag
)

// setting is one option's text and where it came from.
type setting struct {
	layer layer
	where string // As in Error.Where.
	text  string
}

// loader gathers settings and errors from all layers.
type loader struct {
	settings map[string]setting
	errs     []error
}

// Load reads the configuration of the server.
//
// args are the arguments after the command, without positional ones; environ is a
// list of NAME=value, as from os.Environ; readFile reads a whole file, as os.ReadFile.
// An option set in several places takes its value from the first of: flag, variable,
// file, default. Every mistake is reported, joined into one error whose parts are
// mostly of type *Error. Load returns ErrHelp when args contain -h or --help.
func Load(args, environ []string, readFile func(string) ([]byte, error)) (Config, error) {
	l := &loader{settings: map[string]setting{}}
	flags, err := parseFlags(args)
	if errors.Is(err, ErrHelp) {
		return Config{}, err
	}
	l.fail(err)
	env := l.environment(environ)

	path, pathFlag := env[configEnv], configEnv
	if v, ok := flags[configFlag]; ok {
		path, pathFlag = v, "--"+configFlag
		if path == "" {
			l.fail(&Error{Where: pathFlag, Problem: "needs the path of a file"})
		}
	}
	if path != "" {
		l.file(pathFlag, path, readFile)
	}
	for _, o := range table {
		if v := env[o.Env()]; v != "" {
			l.settings[o.Name] = setting{layerEnv, o.Env(), v}
		}
		if v, ok := flags[o.Name]; ok {
			l.settings[o.Name] = setting{layerFlag, o.Flag(), v}
		}
	}
	return l.config(readFile)
}

func (l *loader) fail(err error) {
	if err != nil {
		l.errs = append(l.errs, err)
	}
}

// parseFlags reads --name value and --name=value. Names must be in the table.
func parseFlags(args []string) (map[string]string, error) {
	flags := map[string]string{}
	var errs []error
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "-h" || arg == "--help" {
			return nil, ErrHelp
		}
		if !strings.HasPrefix(arg, "-") || strings.Trim(arg, "-") == "" {
			// Named by its place, since it may be the value of a secret gone astray.
			errs = append(errs, &Error{Where: fmt.Sprintf("argument %d", i+1), Problem: "is not a flag; flags are --name value or --name=value"})
			continue
		}
		name, isFlag := strings.CutPrefix(arg, "--")
		name, val, inline := strings.Cut(name, "=")
		if _, known := lookup(name); !isFlag || !known && name != configFlag {
			given, _, _ := strings.Cut(arg, "=")
			errs = append(errs, unknown(clip(given), "an option", given, flagNames()))
			// What follows an unknown flag is most likely its value.
			if !inline && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				i++
			}
			continue
		}
		if !inline {
			if i+1 == len(args) || strings.HasPrefix(args[i+1], "--") {
				errs = append(errs, &Error{Where: "--" + name, Option: name, Problem: "needs a value"})
				continue
			}
			i++
			val = args[i]
		}
		if _, twice := flags[name]; twice {
			errs = append(errs, &Error{Where: "--" + name, Option: name, Problem: "is given twice"})
			continue
		}
		flags[name] = val
	}
	return flags, errors.Join(errs...)
}

func flagNames() []string {
	names := []string{"--" + configFlag}
	for _, o := range table {
		names = append(names, o.Flag())
	}
	return names
}

// environment picks out our variables. An empty one counts as not set, since many
// tools can only pass a variable on, not leave it out.
func (l *loader) environment(environ []string) map[string]string {
	known := append([]string{configEnv}, clientVariables...)
	for _, o := range table {
		known = append(known, o.Env())
	}
	env := map[string]string{}
	for _, e := range environ {
		name, v, ok := strings.Cut(e, "=")
		if !ok || !strings.HasPrefix(name, envPrefix) || injected(name) {
			continue
		}
		if !slices.Contains(known, name) {
			l.fail(unknown(clip(name), "a variable that Posthorn knows", name, known))
			continue
		}
		env[name] = v
	}
	return env
}

// injected reports whether a variable is one of those that Kubernetes and Docker
// add for a service or link named posthorn.
func injected(name string) bool {
	rest := strings.TrimPrefix(name, envPrefix)
	return rest == "PORT" || rest == "NAME" || strings.HasPrefix(rest, "PORT_") || strings.HasPrefix(rest, "SERVICE_")
}

// file reads the configuration file into the settings.
func (l *loader) file(flag, path string, readFile func(string) ([]byte, error)) {
	data, err := readFile(path)
	if err != nil {
		l.fail(fmt.Errorf("%s: cannot read the configuration file: %w", flag, err))
		return
	}
	lines, err := parseFile(path, data)
	l.fail(err)
	var names []string
	for _, o := range table {
		names = append(names, o.Name)
	}
	for _, ln := range lines {
		where := fmt.Sprintf("%s:%d: %s", path, ln.number, clip(ln.key))
		if _, ok := lookup(ln.key); !ok {
			l.fail(unknown(where, "an option", ln.key, names))
			continue
		}
		l.settings[ln.key] = setting{layerFile, where, ln.value}
	}
}

// config parses the settings into a Config and checks it.
func (l *loader) config(readFile func(string) ([]byte, error)) (Config, error) {
	l.choose("root-key", "root-key-file")
	l.choose("encryption-key", "encryption-key-file")
	l.choose("oidc-client-secret", "oidc-client-secret-file")
	l.fromFile("root-key", "the root key", readFile)
	l.fromFile("oidc-client-secret", "the client secret", readFile)
	c := Default()
	c.PublicURL, c.EncryptionKeyFile = "", "" // Derived again from what is set.
	for _, name := range slices.Sorted(maps.Keys(l.settings)) {
		s := l.settings[name]
		o, _ := lookup(name)
		if err := o.bind(&c).set(s.text); err != nil {
			e := &Error{Where: s.where, Option: name, Value: s.text, Problem: err.Error(), Allowed: o.Allowed()}
			if o.Secret() {
				e.Value = ""
			}
			if s.text == "" {
				e.Problem = "has no value"
			}
			l.fail(e)
		}
	}
	if len(l.errs) == 0 {
		c.derive()
		l.fail(c.Validate())
	}
	if err := errors.Join(l.errs...); err != nil {
		return Config{}, err
	}
	return c, nil
}

// fromFile reads a secret from the file that its other option names.
func (l *loader) fromFile(secret, what string, readFile func(string) ([]byte, error)) {
	s, ok := l.settings[secret+"-file"]
	if !ok || s.text == "" {
		return
	}
	data, err := readFile(s.text)
	if err != nil {
		l.fail(fmt.Errorf("%s: cannot read %s: %w", s.where, what, err))
		return
	}
	l.settings[secret] = setting{s.layer, s.where + ": the content", strings.TrimSpace(string(data))}
}

// choose keeps the one of a secret and its file that was set in the higher layer.
// Both in the same layer is a mistake: nobody could tell which one counts.
func (l *loader) choose(secret, file string) {
	s, hasSecret := l.settings[secret]
	f, hasFile := l.settings[file]
	switch {
	case !hasSecret || !hasFile:
	case s.layer == f.layer:
		l.fail(&Error{Where: s.where, Option: secret, Problem: "and " + f.where + " are both set: only one of them may be"})
	case s.layer > f.layer:
		delete(l.settings, file)
	default:
		delete(l.settings, secret)
	}
}
