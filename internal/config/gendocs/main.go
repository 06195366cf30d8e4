// Command gendocs writes the configuration page, docs/configuration.md, from the option table.
//
// It takes the path of the file to write as its only argument.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/posthornhq/posthorn/internal/config"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gendocs:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("needs the path of the file to write")
	}
	const readable = 0o644 // A page of the repository, not a secret.
	return os.WriteFile(args[0], []byte(config.Markdown()), readable)
}
