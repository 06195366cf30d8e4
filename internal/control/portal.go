package control

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"image"
	_ "image/jpeg" // logos
	_ "image/png"  // logos
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/posthornhq/posthorn/internal/event"
)

// AnyRevision lets [Control.SetPortal] replace whatever settings are stored.
const AnyRevision = -1

// maxLogoSide bounds the sides of a logo, in pixels: a small file may unpack to a large image.
const maxLogoSide = 4096

var (
	colourPattern   = regexp.MustCompile(`^#[0-9a-f]{6}$`)
	languagePattern = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}$`)
	hostPattern     = regexp.MustCompile(`^([a-z0-9]([a-z0-9_-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9_-]*[a-z0-9])?(:[0-9]{1,5})?$|^\[[0-9a-f:.]+\](:[0-9]{1,5})?$`)
)

// Portal returns the settings of a tenant's portal; the zero value but for Tenant when it never set any.
func (c *Control) Portal(ctx context.Context, t *event.Tenant) (event.Portal, error) {
	return c.store.Portal(ctx, t.ID)
}

// SetPortal replaces the settings of a tenant's portal when their revision, 0 when none were ever set, is the one given, or
// whatever they are ([AnyRevision]). Errors: KindInvalid, KindPrecondition, KindNotFound when the tenant was deleted.
func (c *Control) SetPortal(ctx context.Context, t *event.Tenant, p event.Portal, revision int64) (event.Portal, error) {
	p.Colour = strings.ToLower(p.Colour)
	p.Origins = slices.Clone(p.Origins)
	if err := checkPortal(&p); err != nil {
		return event.Portal{}, err
	}
	c.life.RLock()
	defer c.life.RUnlock()
	if err := c.alive(ctx, t); err != nil {
		return event.Portal{}, err
	}
	p.Tenant, p.Updated = t.ID, c.stamp()
	if revision != AnyRevision {
		return c.store.PutPortal(ctx, p, revision)
	}
	var saved event.Portal
	err := retryChange(0, func() error {
		stored, err := c.store.Portal(ctx, t.ID)
		if err != nil {
			return err
		}
		saved, err = c.store.PutPortal(ctx, p, stored.Revision)
		return err
	})
	return saved, err
}

// checkPortal checks settings, and brings origins to one form.
func checkPortal(p *event.Portal) error {
	var q problems
	q.check("name", event.CheckLine(p.Name, event.MaxPortalName))
	if p.Colour != "" && !colourPattern.MatchString(p.Colour) {
		q.add("colour", "must be # and six hexadecimal digits, such as #0b7285")
	}
	if p.Language != "" && !languagePattern.MatchString(p.Language) {
		q.add("language", "must be a language tag, such as en or cs")
	}
	if p.Logo != "" {
		q.check("logo", checkLogo(p.Logo))
	}
	if len(p.Origins) > event.MaxPortalOrigins {
		q.add("origins", fmt.Sprintf("must be at most %d", event.MaxPortalOrigins))
		return q.err()
	}
	for i, origin := range p.Origins {
		field := fmt.Sprintf("origins[%d]", i)
		clean, ok := cleanOrigin(origin)
		switch {
		case !ok:
			q.add(field, "must be a web origin: the scheme and the host, such as https://app.example.com")
		case slices.Contains(p.Origins[:i], clean):
			q.add(field, "is there twice")
		}
		p.Origins[i] = clean
	}
	return q.err()
}

// cleanOrigin brings a web origin to the form that browsers give it. Only ASCII: it becomes part of a header.
func cleanOrigin(s string) (string, bool) {
	u, err := url.Parse(s)
	if err != nil || len(s) > 300 || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Path != "" && u.Path != "/" ||
		u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#") {
		return "", false
	}
	host := strings.ToLower(u.Host)
	if u.Scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	} else {
		host = strings.TrimSuffix(host, ":80")
	}
	if !hostPattern.MatchString(host) {
		return "", false
	}
	return u.Scheme + "://" + host, true
}

// logoKinds are the images that a logo may be.
const logoKinds = "must be a data URL of a PNG, JPEG, WebP or SVG image, in base64: data:image/png;base64,…"

// checkLogo says what is wrong with a logo, or "".
func checkLogo(logo string) string {
	if len(logo) > event.MaxPortalLogo {
		return fmt.Sprintf("must be at most %d bytes; make the image smaller", event.MaxPortalLogo)
	}
	head, text, ok := strings.Cut(logo, ";base64,")
	media, isData := strings.CutPrefix(head, "data:")
	if !ok || !isData {
		return logoKinds
	}
	body, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return "must be correct base64, with its padding, on one line"
	}
	if len(body) == 0 {
		return "must be an image; nothing is in it"
	}
	switch media {
	case "image/svg+xml":
		return checkSVG(body)
	case "image/png", "image/jpeg", "image/webp":
		if http.DetectContentType(body) != media {
			return "must be what its type says; this is no " + strings.ToUpper(media[len("image/"):]) + " image"
		}
	default:
		return logoKinds
	}
	if media == "image/webp" { // at most 16,383 pixels a side by its format
		return ""
	}
	size, _, err := image.DecodeConfig(bytes.NewReader(body))
	if err != nil {
		return "must be an image that can be read"
	}
	if size.Width > maxLogoSide || size.Height > maxLogoSide {
		return fmt.Sprintf("must be at most %d pixels wide and high", maxLogoSide)
	}
	return ""
}

// svgSpace is the namespace of SVG.
const svgSpace = "http://www.w3.org/2000/svg"

// svgActive are elements that run something, or bring in what is not SVG.
var svgActive = []string{
	"script", "foreignobject", "iframe", "frame", "object", "embed", "audio", "video", "canvas", "handler", "listener", "link", "meta", "base", "form", "a",
}

// checkSVG says what is wrong with an SVG image, or "". Logos are shown as images only, where browsers run and load nothing;
// this holds, too, for whoever opens one by itself.
func checkSVG(body []byte) string {
	d := xml.NewDecoder(bytes.NewReader(body))
	style, root := false, false
	for {
		token, err := d.Token()
		if err == io.EOF && root { //nolint:errorlint // as the decoder gives it
			return ""
		}
		if err != nil {
			return "must be SVG that can be read, in UTF-8"
		}
		switch v := token.(type) {
		case xml.Directive:
			return "must have no DOCTYPE and no other declarations"
		case xml.ProcInst:
			if v.Target != "xml" {
				return "must have no processing instructions"
			}
		case xml.StartElement:
			if !root && (v.Name.Local != "svg" || v.Name.Space != svgSpace) {
				return "must begin with an svg element of the namespace " + svgSpace
			}
			root = true
			style = strings.EqualFold(v.Name.Local, "style")
			if why := checkElement(&v); why != "" {
				return why
			}
		case xml.EndElement:
			style = false
		case xml.CharData:
			if style && loads(string(v)) {
				return "must load nothing from elsewhere in its styles"
			}
		}
	}
}

// checkElement says what is wrong with an element of an SVG image, or "".
func checkElement(v *xml.StartElement) string {
	if slices.Contains(svgActive, strings.ToLower(v.Name.Local)) {
		return "must have no element " + strings.ToLower(v.Name.Local)
	}
	for _, a := range v.Attr {
		name := strings.ToLower(a.Name.Local)
		switch {
		case a.Name.Space == "xmlns" || a.Name.Space == "" && name == "xmlns":
		case strings.HasPrefix(name, "on"):
			return "must have no attribute " + name
		case a.Name.Space == "http://www.w3.org/XML/1998/namespace" && name == "base" || a.Name.Space == "xml" && name == "base":
			return "must have no attribute xml:base"
		case (name == "href" || name == "src") && !within(a.Value), loads(a.Value):
			return "must refer to nothing outside itself"
		case name == "attributename" && strings.Contains(strings.ToLower(a.Value), "href"):
			return "must not change references"
		}
	}
	return ""
}

// within reports whether a reference leads to a part of the image or to a raster image in it.
func within(ref string) bool {
	ref = strings.TrimSpace(ref)
	if strings.HasPrefix(ref, "#") || ref == "" {
		return true
	}
	for _, kind := range []string{"png", "jpeg", "webp", "gif"} {
		if strings.HasPrefix(ref, "data:image/"+kind+";base64,") {
			return true
		}
	}
	return false
}

// loads reports whether a style or the value of an attribute may load something. Escapes of CSS could hide it.
func loads(style string) bool {
	s := strings.ToLower(style)
	if strings.Contains(s, "@import") || strings.Contains(s, "image-set(") || strings.Contains(s, "image(") || strings.Contains(s, "javascript:") {
		return true
	}
	if strings.Contains(s, "\\") {
		return true
	}
	for rest := s; ; {
		_, after, ok := strings.Cut(rest, "url(")
		if !ok {
			return false
		}
		if !strings.HasPrefix(strings.TrimLeft(after, ` "'`+"\t\r\n"), "#") {
			return true
		}
		rest = after
	}
}
