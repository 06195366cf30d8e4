package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// Version is set when a release is built; else the version is that of the module or the commit.
var Version = ""

// globals are the options of every command that talks to a server.
type globals struct {
	Server string `help:"The server's address." env:"POSTHORN_SERVER" default:"http://127.0.0.1:8080" placeholder:"URL" group:"Server"`
	Key    string `help:"The API key. The variable keeps it out of the process list." env:"POSTHORN_KEY" placeholder:"KEY" group:"Server"`
	Tenant string `help:"The tenant." env:"POSTHORN_TENANT" short:"t" placeholder:"NAME" group:"Server"`
	JSON   bool   `help:"Write JSON." name:"json"`
}

// root is the whole grammar.
type root struct {
	globals

	Serve serveCmd `cmd:"" passthrough:"" help:"Run the server." group:"Run"`
	Demo  demoCmd  `cmd:"" help:"Show the server at work: a receiver, three endpoints and a stream of orders." group:"Run"`

	Send     sendCmd     `cmd:"" help:"Publish an event, or many from a file." group:"Events"`
	Tail     tailCmd     `cmd:"" help:"Show the newest events and those that follow." group:"Events"`
	Event    eventCmd    `cmd:"" help:"Look up events: did it arrive?" group:"Events"`
	Queue    queueCmd    `cmd:"" help:"Share events among workers." group:"Events"`
	Overview overviewCmd `cmd:"" help:"Show how the server, or a tenant, does." group:"Manage"`
	Endpoint endpointCmd `cmd:"" help:"Manage endpoints." group:"Manage"`
	Stream   streamCmd   `cmd:"" help:"See who listens, and end live connections." group:"Manage"`
	Tenant_  tenantCmd   `cmd:"" name:"tenant" help:"Manage tenants." group:"Manage"` //nolint:revive // the flag has the plain name
	Apikey   apikeyCmd   `cmd:"" help:"Manage API keys." group:"Manage"`
	Audit    auditCmd    `cmd:"" help:"Show the audit log: who changed what, the newest first." group:"Manage"`
	Token    tokenCmd    `cmd:"" help:"Make short-lived tokens, such as for web pages." group:"Manage"`
	Portal   portalCmd   `cmd:"" help:"Pages for a tenant's own customers: set up, and let in by a link." group:"Manage"`
	Backup   backupCmd   `cmd:"" help:"Copy the data into a folder." group:"Manage"`

	Sign    signCmd    `cmd:"" help:"Sign a body as Standard Webhooks does." group:"Webhooks"`
	Verify  verifyCmd  `cmd:"" help:"Verify a signed body." group:"Webhooks"`
	Listen  listenCmd  `cmd:"" help:"Bring what arrives at the server to a program on this computer." group:"Webhooks"`
	Tunnel  tunnelCmd  `cmd:"" help:"Look after tunnels, which listen makes." group:"Webhooks"`
	Sink    sinkCmd    `cmd:"" help:"Receive webhooks and print them." group:"Webhooks"`
	Source  sourceCmd  `cmd:"" help:"Take other systems' webhooks in: verified, they become events." group:"Webhooks"`
	Bin     binCmd     `cmd:"" help:"Capture what is sent to a URL, and look at it." group:"Webhooks"`
	Bench   benchCmd   `cmd:"" help:"Measure what a delivered event costs." group:"More"`
	Version versionCmd `cmd:"" help:"Print the version." group:"More"`

	Completion completionCmd `cmd:"" help:"Print a completion script for a shell." group:"More"`
	Complete   completeCmd   `cmd:"" hidden:"" passthrough:""`
	BenchSink  benchSinkCmd  `cmd:"" hidden:""`
	BenchLoad  benchLoadCmd  `cmd:"" hidden:""`
	BenchCrowd benchCrowdCmd `cmd:"" hidden:""`
}

const description = `A self-hosted event-push server: an event goes in once, every endpoint gets its signed webhook.

Try "posthorn demo" first.`

const statuses = `
Durations are such as 30s, 1h30m or 7d. Times are such as 2026-11-21T10:00:00Z
or 2026-11-21, or how long ago: 2h, 7d.

Exit status: 0 done; 1 failed; 2 wrong usage or option; 3 there is no such
thing; 4 the key is missing or not allowed; 5 the server cannot be reached or is
busy; 6 the server refuses the request.`

// insist is how long after a first signal a second one ends the process at once. Some supervisors send a signal twice,
// to the process and to its group; that counts as one.
const insist = time.Second

// Main runs the command line of this process and ends it with an exit status. The first interrupt, SIGTERM or SIGHUP
// stops a command in order, a later one at once.
func Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, func() {
		time.AfterFunc(insist, stop) // from then on a signal has its usual effect
	})
	status := Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// Run runs one command and returns its exit status.
func Run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	c := newConsole(ctx, in, out, errOut)
	err := c.dispatch(args)
	if err == nil {
		return ExitOK
	}
	return c.fail(err)
}

// helped unwinds kong when it has printed help.
type helped struct{}

func (c *console) dispatch(args []string) (err error) {
	var r root
	parser, err := newParser(&r, c.out, c.err)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return c.usage()
	}
	defer func() {
		if v := recover(); v != nil {
			if _, ok := v.(helped); !ok {
				panic(v)
			}
			err = nil
		}
	}()
	parsed, err := parser.Parse(asked(args))
	if err != nil {
		// --json may stand before the mistake; errors follow it where they can.
		c.json = r.JSON
		return &usageError{err: unemptied(err), command: commandOf(err)}
	}
	c.globals, c.json = &r.globals, r.JSON
	err = parsed.Run(c, parser)
	if u, ok := errors.AsType[*usageError](err); ok && u.command == "" {
		u.command = parsed.Selected().Path()
	}
	return err
}

// asked takes the other usual words for help and version as what they mean.
func asked(args []string) []string {
	switch args[0] {
	case "help":
		return append(slices.Clone(args[1:]), "--help")
	case "--version":
		return append([]string{"version"}, args[1:]...)
	default:
		return args
	}
}

func newParser(r *root, out, errOut io.Writer) (*kong.Kong, error) {
	return kong.New(r,
		kong.Name("posthorn"), kong.Description(description), kong.Writers(out, errOut),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(durationMapper)),
		kong.Exit(func(int) { panic(helped{}) }),
		kong.Help(func(options kong.HelpOptions, ctx *kong.Context) error {
			if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
				return err
			}
			if ctx.Selected() == nil {
				_, _ = fmt.Fprintln(ctx.Stdout, statuses)
			}
			return nil
		}),
	)
}

// unemptied leaves the empty value, which only says that nothing was given, out of what a flag may be.
func unemptied(err error) error {
	if text := err.Error(); strings.Contains(text, ` must be one of "",`) {
		return errors.New(strings.Replace(text, ` must be one of "",`, " must be one of ", 1))
	}
	return err
}

// commandOf returns the path of the command that the arguments got to before a mistake.
func commandOf(err error) string {
	if p, ok := errors.AsType[*kong.ParseError](err); ok && p.Context != nil {
		if n := p.Context.Selected(); n != nil {
			return n.Path()
		}
	}
	return ""
}

// usage is what posthorn says without arguments.
func (c *console) usage() error {
	c.printf("posthorn %s: an event goes in once, every endpoint gets its signed webhook.\n\n", version())
	for _, line := range [][2]string{
		{"posthorn demo", "see it work, with nothing to set up"},
		{"posthorn serve", "run the server, with its pages at /ui/"},
		{"posthorn send TYPE DATA", "publish an event"},
		{"posthorn endpoint add URL", "push events to a URL"},
		{"posthorn event ID", "did it arrive?"},
		{"posthorn --help", "all commands and options"},
	} {
		c.printf("  %-27s %s\n", line[0], line[1])
	}
	return nil
}

// versionCmd prints the version.
type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(c *console) error {
	if c.json {
		return c.writeJSON(map[string]string{"version": version()})
	}
	c.printf("posthorn %s\n", version())
	return nil
}

// version returns the release, the module's version, or the commit it was built from.
func version() string {
	if Version != "" {
		return Version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "dev-" + s.Value[:12]
		}
	}
	return "dev"
}
