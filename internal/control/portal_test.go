package control

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"slices"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
)

func dataURL(media string, body []byte) string {
	return "data:" + media + ";base64," + base64.StdEncoding.EncodeToString(body)
}

func encoded(t testing.TB, width, height int, kind string) []byte {
	t.Helper()
	var out bytes.Buffer
	img := image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{color.Black, color.White})
	err := png.Encode(&out, img)
	if kind == "jpeg" {
		out.Reset()
		err = jpeg.Encode(&out, img, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const svgHead = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 8 8">`

func svg(inside string) string { return dataURL("image/svg+xml", []byte(svgHead+inside+"</svg>")) }

func TestSetPortal(t *testing.T) {
	t.Parallel()
	p, ctx := newPlane(t), t.Context()
	want := event.Portal{Tenant: p.tenant.ID}
	same := func(got event.Portal, err error) {
		t.Helper()
		if err != nil || got.Revision != want.Revision || got.Colour != want.Colour || got.Name != want.Name || !slices.Equal(got.Origins, want.Origins) {
			t.Fatalf("%+v, %v, want %+v", got, err, want)
		}
	}
	same(p.Portal(ctx, p.tenant))
	given := event.Portal{
		Name: "Acme", Colour: "#A1B2C3", Language: "cs", Logo: svg(""),
		Origins: []string{"https://App.Example.com", "http://127.0.0.1:3000/", "https://example.com:443", "http://[::1]:80"},
	}
	before := slices.Clone(given.Origins)
	want.Revision, want.Name, want.Colour = 1, "Acme", "#a1b2c3"
	want.Origins = []string{"https://app.example.com", "http://127.0.0.1:3000", "https://example.com", "http://[::1]"}
	got, err := p.SetPortal(ctx, p.tenant, given, 0)
	same(got, err)
	if !got.Updated.Equal(p.clock.now().Truncate(1000)) || !slices.Equal(given.Origins, before) {
		t.Errorf("%v, %v", got.Updated, given.Origins)
	}
	same(p.Portal(ctx, p.tenant))
	for _, revision := range []int64{0, 2} {
		if _, err := p.SetPortal(ctx, p.tenant, given, revision); event.KindOf(err) != event.KindPrecondition {
			t.Errorf("revision %d: %v", revision, err)
		}
	}
	want.Revision = 2
	same(p.SetPortal(ctx, p.tenant, given, 1))
	// Another node changes it between the reading and the saving.
	once := true
	p.store.before = func(call string) error {
		if call == "PutPortal" && once {
			once = false
			_, err := p.store.PutPortal(ctx, event.Portal{Tenant: p.tenant.ID}, 2)
			return err
		}
		return nil
	}
	want.Revision = 4
	same(p.SetPortal(ctx, p.tenant, given, AnyRevision))
	p.store.before = nil
	if err := p.DeleteTenant(ctx, "acme", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := p.SetPortal(ctx, p.tenant, given, AnyRevision); event.KindOf(err) != event.KindNotFound {
		t.Errorf("a deleted tenant: %v", err)
	}
}

func TestPortalFields(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	for _, c := range []struct {
		portal event.Portal
		fields []string
	}{
		{event.Portal{}, nil},
		{event.Portal{Name: strings.Repeat("n", 201)}, []string{"name"}},
		{event.Portal{Name: "two\nlines"}, []string{"name"}},
		{event.Portal{Name: "\xff"}, []string{"name"}},
		{event.Portal{Colour: "red"}, []string{"colour"}},
		{event.Portal{Colour: "#abc"}, []string{"colour"}},
		{event.Portal{Colour: "#12345g"}, []string{"colour"}},
		{event.Portal{Colour: "#1234567"}, []string{"colour"}},
		{event.Portal{Colour: "#123456;"}, []string{"colour"}},
		{event.Portal{Colour: "#FFFFFF"}, nil},
		{event.Portal{Language: "en"}, nil},
		{event.Portal{Language: "zh-Hant-TW"}, nil},
		{event.Portal{Language: "english"}, []string{"language"}},
		{event.Portal{Language: "e n"}, []string{"language"}},
		{event.Portal{Name: "\n", Colour: "x", Language: "1", Logo: "x"}, []string{"name", "colour", "language", "logo"}},
		{event.Portal{Origins: slices.Repeat([]string{"https://a.example"}, 21)}, []string{"origins"}},
		{event.Portal{Origins: []string{"https://a.example", "https://A.example"}}, []string{"origins[1]"}},
		{event.Portal{Origins: []string{"https://a.example", "http://a.example", "https://a.example:8443"}}, nil},
		{event.Portal{Origins: []string{"*", "https://*.example.com", "a.example", "", "https://", "https://a/b", "https://a?b"}}, []string{
			"origins[0]", "origins[1]", "origins[2]", "origins[3]", "origins[4]", "origins[5]", "origins[6]",
		}},
		{event.Portal{Origins: []string{"https://a#b", "https://u@a", "javascript:alert(1)", "https://a;b", "https://a b", "https://a,b", "https://a'b", "'self'"}}, []string{
			"origins[0]", "origins[1]", "origins[2]", "origins[3]", "origins[4]", "origins[5]", "origins[6]", "origins[7]",
		}},
		{event.Portal{Origins: []string{"https://příklad.cz", "https://-a.example", "https://a.example:x", "ftp://a", "https://a.example\r\nX: y", "null", "data:", "https://a%2e"}}, []string{
			"origins[0]", "origins[1]", "origins[2]", "origins[3]", "origins[4]", "origins[5]", "origins[6]", "origins[7]",
		}},
	} {
		_, err := p.SetPortal(t.Context(), p.tenant, c.portal, AnyRevision)
		if got := fieldsOf(t, err); !slices.Equal(got, c.fields) {
			t.Errorf("%+v: %v, want %v", c.portal, err, c.fields)
		}
	}
}

func TestLogos(t *testing.T) {
	t.Parallel()
	small := encoded(t, 8, 8, "png")
	webp := append([]byte("RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00/\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07"), 0)
	good := map[string]string{
		"png": dataURL("image/png", small), "jpeg": dataURL("image/jpeg", encoded(t, 8, 8, "jpeg")), "webp": dataURL("image/webp", webp),
		"svg": svg(`<title>Acme</title><path fill="url(#g)" d="M0 0"/>`), "svg with a head": dataURL("image/svg+xml", []byte("<?xml version=\"1.0\"?>\n<!-- x -->"+svgHead+"</svg>")),
		"a part of itself":        svg(`<use href="#a" xlink:href="#a"/><image href="` + dataURL("image/png", small) + `"/>`),
		"styles":                  svg(`<style>.a{fill:#fff;mask:url( "#m")}</style>`),
		"the largest that may be": dataURL("image/png", encoded(t, 4096, 1, "png")),
	}
	for name, logo := range good {
		if why := checkLogo(logo); why != "" {
			t.Errorf("%s: %s", name, why)
		}
	}
	bad := map[string]string{
		"an address": "https://example.com/logo.png", "not base64": "data:image/png,abc", "another kind": dataURL("image/gif", []byte("GIF89a")),
		"a page": dataURL("text/html", []byte("<script>")), "with a parameter": "data:image/png;x=y;base64,AAAA", "no padding": strings.TrimRight(dataURL("image/png", append(small, 1)), "="),
		"upper case": strings.Replace(good["png"], "data:", "DATA:", 1), "a line break": good["png"][:60] + "\n" + good["png"][60:], "nothing": "data:image/png;base64,",
		"no png": dataURL("image/png", []byte("<script>alert(1)</script>")), "a jpeg as png": strings.Replace(good["jpeg"], "jpeg", "png", 1),
		"a page as webp": dataURL("image/webp", []byte("<html>")), "a broken png": dataURL("image/png", small[:16]), "a huge picture": dataURL("image/png", encoded(t, 4097, 1, "png")),
		"large": dataURL("image/png", append(small, make([]byte, 32<<10)...)),

		"no svg": dataURL("image/svg+xml", []byte("<html xmlns='http://www.w3.org/1999/xhtml'/>")), "no namespace": dataURL("image/svg+xml", []byte("<svg/>")),
		"not xml": dataURL("image/svg+xml", []byte("<svg")), "text": dataURL("image/svg+xml", []byte("hello")), "another charset": dataURL("image/svg+xml", []byte(`<?xml version="1.0" encoding="utf-7"?>`+svgHead+"</svg>")),
		"a doctype":    dataURL("image/svg+xml", []byte(`<!DOCTYPE svg [<!ENTITY x "y">]>`+svgHead+"</svg>")),
		"a stylesheet": dataURL("image/svg+xml", []byte(`<?xml-stylesheet href="https://a.example/x.css"?>`+svgHead+"</svg>")),
		"script":       svg(`<script>alert(1)</script>`), "script of another name": svg(`<x:SCRIPT xmlns:x="http://www.w3.org/2000/svg"/>`), "html": svg(`<foreignObject><p/></foreignObject>`),
		"a handler": svg(`<g onload="alert(1)"/>`), "a handler on the root": dataURL("image/svg+xml", []byte(strings.Replace(svgHead, "<svg", "<svg ONLOAD='x'", 1)+"</svg>")),
		"a link": svg(`<a href="#x"/>`), "an image from elsewhere": svg(`<image href="https://a.example/x.png"/>`), "by xlink": svg(`<image xlink:href="//a.example/x.png"/>`),
		"svg within": svg(`<image href="data:image/svg+xml;base64,AAAA"/>`), "use from elsewhere": svg(`<use href="other.svg#a"/>`), "javascript": svg(`<g style="x:javascript:1"/>`),
		"a fill from elsewhere": svg(`<g fill="url(https://a.example/x#a)"/>`), "a style from elsewhere": svg(`<g style="fill:URL('//a.example')"/>`),
		"the second": svg(`<g style="fill:url(#a);mask:url(x.svg#a)"/>`), "an import": svg(`<style>@import "x.css";</style>`), "a style element": svg(`<style>a{fill:url(x)}</style>`),
		"an escape": svg(`<g style="fill:\75rl(x)"/>`), "base": svg(`<g xml:base="https://a.example/"/>`), "animated": svg(`<set attributeName="xlink:href" to="x"/>`),
		"with CDATA": svg(`<style><![CDATA[@import "x.css";]]></style>`), "an entity": svg(`<text>&x;</text>`),
	}
	for name, logo := range bad {
		if checkLogo(logo) == "" {
			t.Errorf("%s is taken: %.200s", name, logo)
		}
	}
}

// FuzzLogo takes any text: nothing panics, and what is taken begins as one of the kinds of images.
func FuzzLogo(f *testing.F) {
	f.Add(dataURL("image/png", encoded(f, 2, 2, "png")))
	f.Add(svg(`<style>a{}</style><use href="#x"/>`))
	f.Add("data:image/svg+xml;base64,")
	f.Fuzz(func(t *testing.T, logo string) {
		if checkLogo(logo) == "" && (len(logo) > event.MaxPortalLogo || !strings.HasPrefix(logo, "data:image/")) {
			t.Errorf("%.100q is taken", logo)
		}
		if why := checkSVG([]byte(logo)); why == "" && strings.Contains(strings.ToLower(logo), "<script") && !strings.Contains(logo, "<!--") && !strings.Contains(logo, "CDATA") {
			t.Errorf("%.100q is taken", logo)
		}
	})
}
