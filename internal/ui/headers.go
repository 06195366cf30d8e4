package ui

import (
	"net/http"
	"strings"
)

// policyStart lets the page load nothing but its own files, show images that it was given as data, and call its own server.
// Text becomes markup by the framework's own templates only (Trusted Types).
const policyStart = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types svelte-trusted-html; frame-ancestors "

// closed is the policy of what no page may embed.
const closed = policyStart + "'none'"

// contentPolicy is the policy of a page that pages of some web origins may embed.
func contentPolicy(embedders []string) string {
	var list strings.Builder
	for _, origin := range embedders {
		// What could end the directive cannot be an origin.
		if !strings.HasPrefix(origin, "http") || strings.ContainsFunc(origin, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`;,'"*`, r) }) {
			continue
		}
		list.WriteString(" " + origin)
	}
	if list.Len() == 0 {
		return closed
	}
	return policyStart + list.String()[1:]
}

// permissions turns off what the page never asks for, also for what it might be made to embed.
const permissions = "accelerometer=(), autoplay=(), camera=(), display-capture=(), encrypted-media=(), fullscreen=(self), geolocation=(), " +
	"gyroscope=(), hid=(), magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), " +
	"usb=(), xr-spatial-tracking=()"

// setHeaders sets the headers that every answer has. A portal can be embedded, and keep its tie to the page that opened it.
func setHeaders(h http.Header, policy string, portal bool) {
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Permissions-Policy", permissions)
	if portal {
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		return
	}
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}
