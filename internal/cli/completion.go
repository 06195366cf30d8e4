package cli

import (
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/posthornhq/posthorn/internal/config"
)

// completionScripts ask the binary itself what may come next, so that they never need to change.
var completionScripts = map[string]string{
	"bash": `# posthorn: put this line into ~/.bashrc:  source <(posthorn completion bash)
_posthorn() {
  local IFS=$'\n'
  COMPREPLY=($(posthorn complete "${COMP_WORDS[@]:1:$COMP_CWORD}" 2>/dev/null))
  [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -o default -F _posthorn posthorn
`,
	"zsh": `#compdef posthorn
# posthorn: put this line into ~/.zshrc, after compinit:  source <(posthorn completion zsh)
_posthorn() {
  local -a found
  found=("${(@f)$(posthorn complete "${(@)words[2,$CURRENT]}" 2>/dev/null)}")
  if [[ -n ${found[1]} ]]; then compadd -- "${found[@]}"; else _files; fi
}
compdef _posthorn posthorn
`,
	"fish": `# posthorn: posthorn completion fish > ~/.config/fish/completions/posthorn.fish
complete -c posthorn -a '(posthorn complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`,
}

// completionCmd prints a completion script.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run prints the script.
func (x *completionCmd) Run(c *console) error {
	c.printf("%s", completionScripts[x.Shell])
	return nil
}

// completeCmd prints what may stand in the place of the last of the words.
type completeCmd struct {
	Words []string `arg:"" optional:""`
}

// Run prints the candidates, one a line.
func (x *completeCmd) Run(c *console, parser *kong.Kong) error {
	for _, s := range candidates(parser.Model.Node, x.Words) {
		c.printf("%s\n", s)
	}
	return nil
}

// candidates returns what may stand in the place of the last word.
func candidates(node *kong.Node, words []string) []string {
	last := ""
	if len(words) > 0 {
		last, words = words[len(words)-1], words[:len(words)-1]
	}
	waiting := "" // a flag that waits for its value
	for _, w := range words {
		switch {
		case waiting != "":
			waiting = ""
		case strings.HasPrefix(w, "-"):
			if !strings.Contains(w, "=") && takesValue(node, w) {
				waiting = w
			}
		default:
			if child := childOf(node, w); child != nil {
				node = child
			}
		}
	}
	var all []string
	switch {
	case waiting != "":
		all = flagValues(node, waiting)
	case strings.HasPrefix(last, "-"):
		all = flagsOf(node)
	default:
		for _, child := range node.Children {
			if !child.Hidden {
				all = append(all, child.Name)
			}
		}
		for _, arg := range node.Positional {
			all = append(all, arg.EnumSlice()...)
		}
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" || !strings.HasPrefix(s, last) })
}

func childOf(node *kong.Node, name string) *kong.Node {
	for _, child := range node.Children {
		if child.Name == name {
			return child
		}
	}
	return nil
}

// options returns the options of serve, whose flags kong does not know.
func options(node *kong.Node) map[string]config.Option {
	if node.Name != "serve" {
		return nil
	}
	list := map[string]config.Option{"--config": {}}
	for _, o := range config.Options() {
		list[o.Flag()] = o
	}
	return list
}

func flagsOf(node *kong.Node) []string {
	if list := options(node); list != nil {
		return slices.Sorted(maps.Keys(list))
	}
	var names []string
	for _, group := range node.AllFlags(true) {
		for _, f := range group {
			names = append(names, "--"+f.Name)
		}
	}
	slices.Sort(names)
	return names
}

// flagNamed finds a flag by --name or -n.
func flagNamed(node *kong.Node, name string) *kong.Flag {
	for _, group := range node.AllFlags(false) {
		for _, f := range group {
			if "--"+f.Name == name || f.Short != 0 && "-"+string(f.Short) == name {
				return f
			}
		}
	}
	return nil
}

func takesValue(node *kong.Node, name string) bool {
	if list := options(node); list != nil {
		_, ok := list[name]
		return ok
	}
	f := flagNamed(node, name)
	return f != nil && !f.IsBool()
}

func flagValues(node *kong.Node, name string) []string {
	if list := options(node); list != nil {
		if o, ok := list[name]; ok && o.Name != "" {
			return o.Values()
		}
		return nil
	}
	if f := flagNamed(node, name); f != nil {
		if name == "--case" {
			return nil
		}
		return f.EnumSlice()
	}
	return nil
}
