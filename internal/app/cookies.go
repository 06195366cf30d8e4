package app

import (
	"bytes"
	"strings"
)

// ownCookie begins the names of cookies that are the server's own, in any case, also behind __Host- and __Secure-.
const ownCookie = "posthorn_"

// hideCookies blots out the values of the server's own cookies: a browser sends them by itself wherever on the server it is
// led to, and whose bin or source that is must not act in its user's name.
func hideCookies(head []byte) []byte {
	if !bytes.Contains(bytes.ToLower(head), []byte(ownCookie)) {
		return head
	}
	out := bytes.Clone(head)
	for start := 0; start < len(out); {
		end := start + bytes.IndexByte(out[start:], '\n') + 1
		if end == start {
			end = len(out)
		}
		name, _, _ := bytes.Cut(out[start:end], []byte(":"))
		if strings.EqualFold(string(name), "cookie") {
			blot(out[start+len(name) : end])
		}
		start = end
	}
	return out
}

// blot overwrites the values of our own among cookies.
func blot(cookies []byte) {
	for start := 0; start < len(cookies); {
		end := start + bytes.IndexByte(cookies[start:], ';') + 1
		if end == start {
			end = len(cookies)
		}
		if name, value, found := bytes.Cut(cookies[start:end], []byte("=")); found && bytes.Contains(bytes.ToLower(name), []byte(ownCookie)) {
			for i := range value {
				if value[i] > ' ' && value[i] != ';' {
					value[i] = '*'
				}
			}
		}
		start = end
	}
}
