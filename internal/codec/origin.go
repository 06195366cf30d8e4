package codec

import (
	"encoding/base64"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/internal/event"
)

// AppendEventFrom appends what [AppendEvent] does with the member "origin": the request by which the event came in, as it
// may be shown (see [AppendOrigin]). A nil one adds nothing.
func AppendEventFrom(dst []byte, e *event.Event, origin *event.Request) []byte {
	dst = AppendEvent(dst, e)
	if origin == nil {
		return dst
	}
	dst = append(dst[:len(dst)-1], `,"origin":`...)
	return append(AppendOrigin(dst, origin), '}')
}

// AppendOrigin appends the API's JSON form of a request, on one line: method, target, url, remote, headers in their order
// and case, and body, or body_base64 when it is not UTF-8. Nothing is masked here, and a nil body is an empty one.
func AppendOrigin(dst []byte, r *event.Request) []byte {
	method, target, _ := r.Line()
	dst = appendString(append(dst, `{"method":`...), method)
	dst = appendString(append(dst, `,"target":`...), target)
	dst = appendString(append(dst, `,"url":`...), r.URL)
	dst = appendString(append(dst, `,"remote":`...), r.Remote)
	dst = append(dst, `,"headers":[`...)
	for i, h := range r.Headers() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(append(dst, `{"name":`...), h.Name)
		dst = appendString(append(dst, `,"value":`...), h.Value)
		dst = append(dst, '}')
	}
	if utf8.Valid(r.Body) {
		dst = appendString(append(dst, `],"body":`...), string(r.Body))
		return append(dst, '}')
	}
	dst = append(dst, `],"body_base64":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, r.Body)
	return append(dst, `"}`...)
}
