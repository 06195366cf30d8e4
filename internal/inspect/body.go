package inspect

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"

	"github.com/posthornhq/posthorn/internal/event"
)

// Bounds of the bodies that are in memory at once, of all bins. Each may have its first step; what is beyond it is counted as it
// comes, so that who promises much and sends slowly takes nobody's place.
const (
	bodyStep  = 256 << 10 // bytes
	maxBodies = 256 << 20 // bytes
)

// body is a request's body on its way into a bin.
type body struct {
	s     *Service
	bytes []byte
	taken int64
}

// read reads a request's body whole. One that says that it is too large is not read. Errors: KindTooLarge, KindMalformed, KindUnavailable
// when too many large ones are on their way.
func (b *body) read(w http.ResponseWriter, r *http.Request) error {
	limit := int64(b.s.cfg.MaxBody)
	if r.ContentLength > limit {
		w.Header().Set("Connection", "close")
		return tooLarge(limit)
	}
	in := http.MaxBytesReader(w, r.Body, limit)
	var buf bytes.Buffer
	for {
		n, err := io.CopyN(&buf, in, bodyStep)
		b.bytes = buf.Bytes()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			w.Header().Set("Connection", "close")
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
				return tooLarge(limit)
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return event.Errorf(event.KindMalformed, "request_timeout", "the body did not arrive in time")
			}
			return event.Errorf(event.KindMalformed, "malformed", "the body ended before it was complete")
		case !b.s.bodies.TryAcquire(n):
			w.Header().Set("Connection", "close")
			return busy("many large requests are on their way; try again later")
		}
		b.taken += n
	}
}

// letGo forgets the body.
func (b *body) letGo() {
	b.bytes = nil
	if b.taken > 0 {
		b.s.bodies.Release(b.taken)
		b.taken = 0
	}
}

func tooLarge(limit int64) error {
	return event.Errorf(event.KindTooLarge, "too_large", "the body may have at most "+strconv.FormatInt(limit, 10)+" bytes")
}
