package app

import (
	"strings"
	"testing"
)

// What a browser sends of the server's own cookies does not reach whom it was led to; all else stays as it came.
func TestOwnCookies(t *testing.T) {
	head := "GET /b/x?posthorn_token=asked HTTP/1.1\r\n" +
		"Cookie: a=b; posthorn_token=eyJ.secret.x; Posthorn_UI=\"hush\"; __Host-posthorn_s=hush; c=posthorn_d\r\nX-Cookie: posthorn_token=sent\r\n"
	want := "GET /b/x?posthorn_token=asked HTTP/1.1\r\n" +
		"Cookie: a=b; posthorn_token=************; Posthorn_UI=******; __Host-posthorn_s=****; c=posthorn_d\r\nX-Cookie: posthorn_token=sent\r\n"
	if got := string(hideCookies([]byte(head))); got != want {
		t.Errorf("got %q", got)
	}
	for _, head := range []string{"", "Cookie", "cookie: posthorn_", "Cookie: posthorn_a=", "GET / HTTP/1.1\r\nCookie: ;;=;posthorn_=;\r\n", "Cookie:posthorn_a=b\n\nx"} {
		if got := string(hideCookies([]byte(head))); len(got) != len(head) || strings.Contains(got, "=b") {
			t.Errorf("%q: %q", head, got)
		}
	}
}
