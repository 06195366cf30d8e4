package event

import "testing"

// Every kind has a status of its own meaning, and what is unknown is the server's fault.
func TestHTTPStatus(t *testing.T) {
	want := map[Kind]int{
		KindInternal: 500, KindMalformed: 400, KindUnauthorized: 401, KindForbidden: 403, KindNotFound: 404, KindConflict: 409, KindGone: 410,
		KindPrecondition: 412, KindTooLarge: 413, KindMediaType: 415, KindInvalid: 422, KindRateLimited: 429, KindUnavailable: 503, KindFull: 507,
		KindFull + 1: 500,
	}
	for k := range KindFull + 2 {
		if got := k.HTTPStatus(); got != want[k] {
			t.Errorf("kind %d: %d, want %d", k, got, want[k])
		}
	}
}
