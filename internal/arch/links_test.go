package arch

import (
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var (
	inlineLink    = regexp.MustCompile(`\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)`)
	referenceLink = regexp.MustCompile(`^\s{0,3}\[[^\]]+\]:\s+<?([^\s>]+)>?`)
	htmlLink      = regexp.MustCompile(`(?:href|src)="([^"]+)"`)
	htmlAnchor    = regexp.MustCompile(`(?:id|name)="([^"]+)"`)
	codeSpan      = regexp.MustCompile("``[^`]+``|`[^`]*`")
	linkText      = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
	heading       = regexp.MustCompile(`^#{1,6}\s+(.*?)\s*#*$`)
	scheme        = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*:`)
)

// page is what the link check needs of a Markdown file.
type page struct {
	links   []string
	anchors map[string]bool
}

// parsePage finds the links and anchors of a Markdown text, leaving out code.
func parsePage(text string) page {
	p := page{anchors: map[string]bool{}}
	fence := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		trimmed := strings.TrimSpace(line)
		if fence != "" {
			if strings.HasPrefix(trimmed, fence) {
				fence = ""
			}
			continue
		}
		if strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~") {
			fence = trimmed[:3]
			continue
		}
		if m := heading.FindStringSubmatch(line); m != nil {
			p.addHeading(m[1])
		}
		plain := codeSpan.ReplaceAllString(line, "")
		for _, m := range htmlAnchor.FindAllStringSubmatch(plain, -1) {
			p.anchors[m[1]] = true
		}
		for _, re := range []*regexp.Regexp{inlineLink, referenceLink, htmlLink} {
			for _, m := range re.FindAllStringSubmatch(plain, -1) {
				p.links = append(p.links, m[1])
			}
		}
	}
	return p
}

// addHeading adds the anchor that GitHub gives a heading; a repeated one gets a number.
func (p page) addHeading(text string) {
	text = linkText.ReplaceAllString(text, "$1")
	slug := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, text)
	anchor := slug
	for n := '1'; p.anchors[anchor]; n++ {
		anchor = slug + "-" + string(n)
	}
	p.anchors[anchor] = true
}

// TestLinks checks that every relative link of every Markdown file of the module
// leads to a file and, where it names one, a heading. Other sites are not asked.
func TestLinks(t *testing.T) {
	pages := map[string]page{}
	walk(t, ".md", func(rel string) {
		text, err := os.ReadFile(filepath.Join(root, rel))
		if err != nil {
			t.Fatal(err)
		}
		pages[rel] = parsePage(string(text))
	})
	for name, p := range pages {
		for _, link := range p.links {
			if problem := checkLink(pages, name, link); problem != "" {
				t.Errorf("%s: link %s: %s", name, link, problem)
			}
		}
	}
}

// checkLink returns what is wrong with a link in the named page, or nothing.
func checkLink(pages map[string]page, name, link string) string {
	if scheme.MatchString(link) || strings.HasPrefix(link, "//") {
		return ""
	}
	target, anchor, _ := strings.Cut(link, "#")
	target, err := url.PathUnescape(target)
	if err != nil {
		return "is not a valid path"
	}
	file := name
	if target != "" {
		file = path.Join(path.Dir(name), target)
		if strings.HasPrefix(target, "/") {
			return "is absolute: it works only on a web server"
		}
		if !filepath.IsLocal(filepath.FromSlash(file)) {
			return "leads out of the repository"
		}
		if _, err := os.Stat(filepath.Join(root, file)); err != nil {
			return "there is no file " + file
		}
	}
	// Anchors of other files, such as a line of code, are not known here.
	if p, isPage := pages[file]; isPage && anchor != "" && !p.anchors[anchor] {
		return "there is no heading for #" + anchor + " in " + file
	}
	return ""
}

// TestCheckLink shows that the link check can fail.
func TestCheckLink(t *testing.T) {
	pages := map[string]page{"docs/a.md": parsePage("# One two\n## `x`, y & [z](b)\n## One two\n```sh\n# not one\n[no](gone.md)\n```\n`[no](gone.md)` [a](../go.mod) [b]( <#one-two> \"t\") <a id=\"own\"></a>\n[r]: ../LICENSE\n")}
	if got := strings.Join(pages["docs/a.md"].links, " "); got != "b ../go.mod #one-two ../LICENSE" {
		t.Errorf("links = %s", got)
	}
	for link, want := range map[string]string{
		"../go.mod": "", "#one-two": "", "#one-two-1": "", "#x-y--z": "", "#own": "", "https://example.com/x": "", "mailto:a@b": "", "../internal": "", "../go.mod#L3": "",
		"#not-one": "no heading", "../gone.md": "no file", "/go.mod": "absolute", "../../x": "leads out",
	} {
		if got := checkLink(pages, "docs/a.md", link); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", link, got, want)
		}
	}
}
