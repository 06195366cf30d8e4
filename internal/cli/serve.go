package cli

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/posthornhq/posthorn/internal/app"
	"github.com/posthornhq/posthorn/internal/config"
	"github.com/posthornhq/posthorn/internal/store"
)

// serveCmd runs the server. Its options are those of package config, which reads them itself.
type serveCmd struct {
	Args []string `arg:"" optional:"" help:"Options of the server; posthorn serve --help lists them."`
}

// Run serves until it is interrupted.
func (x *serveCmd) Run(c *console) error {
	cfg, err := config.Load(x.Args, os.Environ(), os.ReadFile)
	if errors.Is(err, config.ErrHelp) {
		columns, _ := c.size()
		c.printf("Usage: posthorn serve [options]\n\nRun the server. Every option is also a variable, or a line of the file that --config names.\n\n%s", config.Usage(min(columns, 110)))
		return nil
	}
	if err != nil {
		return &usageError{err: err, command: "posthorn serve"}
	}
	server, err := app.New(c.ctx, cfg, app.Options{
		Log: c.err, Version: version(),
		OnReady: func(baseURL, rootKey string) { c.banner(baseURL, rootKey, cfg.Data) },
	})
	if err != nil {
		return explainStart(err)
	}
	return server.Run(c.ctx)
}

// banner says once where everything is. The root key goes to standard output and never into the log.
func (c *console) banner(baseURL, rootKey, data string) {
	if c.json {
		out := map[string]string{"version": version(), "address": baseURL, "docs": baseURL + "/docs", "data": data}
		if rootKey != "" {
			out["root_key"] = rootKey
		}
		_ = c.writeLine(out)
		return
	}
	list := []field{
		{"address", cell{baseURL, bold}},
		{"docs", text(baseURL + "/docs")},
		{"data", text(data)},
		{"root key", cell{rootKey, bold}},
	}
	c.printf("%s\n", c.paint(bold, "Posthorn "+version()))
	c.fields(list)
	if rootKey != "" {
		c.printf("%s\n", c.paint(yellow, "The root key is not shown again. Use it with:  export POSTHORN_KEY="+rootKey))
	}
}

// explainStart adds what to do to the reasons why a server does not start.
func explainStart(err error) error {
	hint := ""
	switch {
	case errors.Is(err, store.ErrInUse):
		hint = "stop the other server, or name another folder with --data"
	case errors.Is(err, store.ErrNewer):
		hint = "run the newer version that wrote it, or name another folder with --data"
	case errors.Is(err, store.ErrCorrupt):
		hint = "restore a backup, or name another folder with --data; nothing was changed"
	case errors.Is(err, store.ErrFull):
		hint = "free some space on its disk"
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "another program listens there: stop it, or name another address with --listen"
	case errors.Is(err, os.ErrPermission):
		hint = "this user has no permission"
	default:
		return err
	}
	return fmt.Errorf("%w\n%s", err, hint)
}
