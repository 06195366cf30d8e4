// Command gendocs writes the configuration page, docs/configuration.md, from the option table.
//
// It takes the path of the file to write as its only argument.
package main

import (
	"log/slog"
	"os"

	"github.com/posthornhq/posthorn/internal/config"
)

func main() {
	const args = 2
	if len(os.Args) != args {
		slog.Error("usage: gendocs FILE")
		os.Exit(2)
	}
	const readable = 0o644
	if err := os.WriteFile(os.Args[1], []byte(config.Markdown()), readable); err != nil {
		slog.Error("cannot write the page", slog.Any("error", err))
		os.Exit(1)
	}
}
