package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/tunnel/agent"
)

// listenCmd brings what arrives at the server to a program on this computer.
type listenCmd struct {
	Target     string   `arg:"" optional:"" default:"3000" help:"The program that gets the requests: a port, host:port or URL; port 3000 when it is left out."`
	Path       string   `help:"A path to put before that of every request." placeholder:"PATH"`
	Bin        bool     `help:"Get what is sent to a bin of its own, also what came while nobody listened: the default." xor:"kind"`
	Source     string   `help:"Get what a source takes in, as it came." xor:"kind" placeholder:"NAME"`
	Endpoint   []string `help:"Get events as signed webhooks: those whose types match one of the patterns, such as order.*." xor:"kind" placeholder:"PATTERN"`
	HTTP       bool     `name:"http" help:"Make the program reachable under a path of the server, WebSockets too." xor:"kind"`
	Host       string   `help:"With --http: be at this name under the server's tunnel host names." placeholder:"NAME"`
	Filter     string   `help:"With --source or --endpoint: only events for which this CEL expression is true." placeholder:"CEL"`
	Order      string   `help:"With --source or --endpoint: strict: one event after the other, and one that the program refuses holds up the rest; key: so for the events of one key; none: in any order; strict without it." enum:",none,key,strict" default:"" placeholder:"ORDER"`
	Name       string   `help:"The tunnel's name. Listeners of one name share the work. By default it is made of this computer's name, the port and the kind." placeholder:"NAME"`
	NoAnswer   bool     `help:"Do not let the callers wait for the program's answer."`
	HostHeader string   `help:"keep the host that was called, or rewrite it to the program's own." enum:"keep,rewrite" default:"keep"`
	Inspect    string   `help:"Where the inspector page is: an address, or off. When the port is taken the next free one." default:"127.0.0.1:4040" placeholder:"ADDRESS"`
	Plain      bool     `help:"Write lines only, as when the output is not a terminal."`
}

// listening is a tunnel that is set up.
type listening struct {
	c         *console
	x         *listenCmd
	client    *client.Client
	tenant    string
	target    *url.URL
	request   client.TunnelSetup
	tunnel    *client.Tunnel
	agent     *agent.Agent
	inspector string // its URL, or ""
}

// Run listens until it is interrupted.
func (x *listenCmd) Run(c *console) error {
	target, err := targetOf(x.Target, x.Path)
	if err != nil {
		return err
	}
	request, err := x.request(target)
	if err != nil {
		return err
	}
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	l := &listening{c: c, x: x, client: cl, tenant: tenant, target: target, request: request}
	if l.tunnel, err = l.setUp(c.ctx); err != nil {
		return err
	}
	l.agent, err = agent.New(agent.Options{
		Connect: cl.TunnelURL(tenant, l.tunnel.Name), Key: c.globals.Key, Target: target, RewriteHost: x.HostHeader == "rewrite",
		Name: l.tunnel.Name, Kind: l.tunnel.Kind, PublicURL: l.publicURL(l.tunnel), UserAgent: "posthorn-cli/" + version(), Setup: l.again,
	})
	if err != nil {
		return err
	}
	return l.run()
}

// run keeps the connection, the inspector and the view until one of them ends.
func (l *listening) run() error {
	ctx, stop := context.WithCancel(l.c.ctx)
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	if l.x.Inspect != "off" {
		in, err := agent.ListenInspector(ctx, l.x.Inspect)
		if err != nil {
			return err
		}
		l.inspector = "http://" + in.Addr().String()
		if !loopbackAddress(in.Addr()) {
			_, _ = fmt.Fprintf(l.c.err, "%s\n", l.c.errPaint(yellow, "the inspector is open to whoever reaches "+l.inspector+": it shows whole requests"))
		}
		g.Go(func() error { return l.agent.ServeInspector(ctx, in) })
	}
	// The view stays until the last requests are through; when it goes by itself, so does all.
	shown, hide := context.WithCancel(context.WithoutCancel(ctx))
	view := l.view()
	g.Go(func() error {
		defer stop()
		return view(shown)
	})
	g.Go(func() error {
		defer hide()
		return l.agent.Run(ctx)
	})
	return g.Wait()
}

func loopbackAddress(a net.Addr) bool {
	ap, err := netip.ParseAddrPort(a.String())
	return err == nil && ap.Addr().IsLoopback()
}

// request says what the tunnel is for.
func (x *listenCmd) request(target *url.URL) (client.TunnelSetup, error) {
	r := client.TunnelSetup{Name: x.Name, Kind: "bin", Filter: x.Filter, Order: x.Order, Host: x.Host}
	switch {
	case x.Source != "":
		r.Kind, r.Source = "source", x.Source
	case len(x.Endpoint) > 0:
		r.Kind, r.Types = "endpoint", x.Endpoint
		if slices.Contains(x.Endpoint, "*") {
			r.Types = nil
		}
	case x.HTTP:
		r.Kind = "http"
	}
	if x.Host != "" && !x.HTTP {
		return r, usagef("--host is for --http")
	}
	if x.Filter != "" && r.Kind != "source" && r.Kind != "endpoint" {
		return r, usagef("--filter is for --source and --endpoint")
	}
	if x.Order != "" && r.Kind != "source" && r.Kind != "endpoint" {
		return r, usagef("--order is for --source and --endpoint")
	}
	if x.NoAnswer {
		answer := false
		r.Answer = &answer
	}
	if r.Name == "" {
		computer, err := os.Hostname()
		if err != nil {
			computer = "listener"
		}
		r.Name = tunnelName(computer, target.Port(), r.Kind, r.Source)
	}
	return r, nil
}

// maxTunnelName is how long a tunnel's name may be.
const maxTunnelName = 63

// tunnelName makes a name of the computer's, the port and the kind, so that the same command means the same tunnel again.
func tunnelName(computer, port, kind, source string) string {
	computer, _, _ = strings.Cut(computer, ".")
	end := ""
	if port != "" {
		end = "-" + port
	}
	switch kind {
	case "source":
		end += "-" + source
	case "endpoint", "http":
		end += "-" + kind
	}
	name := strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(computer)), "-")
	if name == "" {
		name = "listener"
	}
	if len(end) > maxTunnelName/2 {
		end = end[:maxTunnelName/2]
	}
	return strings.TrimRight(name[:min(len(name), maxTunnelName-len(end))]+end, "-")
}

// targetOf reads the target: a port, host:port, or a URL; and adds a path.
func targetOf(s, path string) (*url.URL, error) {
	wrong := usagef("TARGET: %q is not a port, host:port or http URL", s)
	if port, err := strconv.ParseUint(strings.TrimPrefix(s, ":"), 10, 16); err == nil && port > 0 {
		// Programs listen at 127.0.0.1 or at ::1: the name means both.
		s = "localhost:" + strconv.FormatUint(port, 10)
	} else if strings.Trim(s, "0123456789-:") == "" {
		return nil, wrong
	}
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, wrong
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return nil, wrong
		}
	}
	if path == "" {
		return u, nil
	}
	add, err := url.Parse("/" + strings.TrimLeft(path, "/"))
	if err != nil || add.RawQuery != "" || add.Fragment != "" {
		return nil, usagef("--path: %q is not a path", path)
	}
	joined, err := url.Parse(strings.TrimRight(u.EscapedPath(), "/") + add.EscapedPath())
	if err != nil {
		return nil, usagef("--path: %q is not a path", path)
	}
	u.Path, u.RawPath = joined.Path, joined.RawPath
	return u, nil
}

// setUp makes the tunnel at the server, or finds it there.
func (l *listening) setUp(ctx context.Context) (*client.Tunnel, error) {
	t, err := l.client.SetUpTunnel(ctx, l.tenant, l.request)
	p, ok := errors.AsType[*client.Problem](err)
	if !ok || l.request.Source == "" || !slices.ContainsFunc(p.Errors, func(f client.FieldError) bool { return f.Field == "source" }) {
		return t, err
	}
	return nil, &statusError{
		err:    fmt.Errorf("there is no source %q\n\"posthorn source add %s --provider PROVIDER\" adds it; \"posthorn source providers\" lists those that are known", l.request.Source, l.request.Source),
		status: ExitNotFound,
	}
}

// again sets the tunnel up when the server has forgotten it.
func (l *listening) again(ctx context.Context) (string, error) {
	t, err := l.setUp(ctx)
	if err != nil {
		return "", err
	}
	return l.publicURL(t), nil
}

// publicURL returns where others call: "" for events. A server that does not know its own address gives a path.
func (l *listening) publicURL(t *client.Tunnel) string {
	if t.Host != "" {
		return t.Host
	}
	if strings.HasPrefix(t.URL, "/") {
		return strings.TrimRight(l.c.globals.Server, "/") + t.URL
	}
	return t.URL
}
