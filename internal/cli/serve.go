package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/posthornhq/posthorn/internal/app"
	"github.com/posthornhq/posthorn/internal/config"
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
		OnReady: func(baseURL, rootKey string) { c.banner(baseURL, rootKey, cfg) },
	})
	if err != nil {
		return explainStart(err)
	}
	return server.Run(c.ctx)
}

// banner says once where everything is. The root key goes to standard output and never into the log.
func (c *console) banner(baseURL, rootKey string, cfg config.Config) {
	ui := ""
	if cfg.UI {
		ui = baseURL + "/ui/"
	}
	if c.json {
		out := map[string]string{"version": version(), "address": baseURL, "docs": baseURL + "/docs", "data": cfg.Data}
		if ui != "" {
			out["ui"] = ui
		}
		if rootKey != "" {
			out["root_key"] = rootKey
		}
		_ = c.writeLine(out)
		return
	}
	list := []field{
		{"address", cell{baseURL, bold}},
		{"ui", text(ui)},
		{"docs", text(baseURL + "/docs")},
		{"data", text(cfg.Data)},
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
	if advice := app.Advice(err); advice != "" {
		return fmt.Errorf("%w\n%s", err, advice)
	}
	return err
}
