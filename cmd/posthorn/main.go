// Command posthorn is the event-push server and its tools.
package main

import "github.com/posthornhq/posthorn/internal/cli"

func main() { cli.Main() }
