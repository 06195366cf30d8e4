package inbound

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/posthornhq/posthorn/internal/event"
)

// maxWindow bounds the memory of one zstd decoder, in bytes: what the largest of the usual levels needs.
const maxWindow = 8 << 20

// acceptEncoding lists the codings that a body may have.
const acceptEncoding = "gzip, deflate, zstd"

// errExpands says that a compressed body is too large once it is read.
var errExpands = event.Errorf(event.KindTooLarge, "too_large", "the body is too large once it is decompressed")

// errEncoding says that a body's coding is not one that is read here.
var errEncoding = event.Errorf(event.KindMediaType, "unsupported_encoding", "the body may have one Content-Encoding of "+acceptEncoding)

// errCompressed says that a body is not what its coding says.
var errCompressed = event.Errorf(event.KindMalformed, "malformed", "the body cannot be decompressed")

// coding returns the content coding of a request: "" for none (RFC 9110, 8.4). Several are refused: each one more multiplies
// what a small body may cost.
func coding(h http.Header) (string, error) {
	name := strings.ToLower(strings.TrimSpace(strings.Join(h.Values("Content-Encoding"), ",")))
	switch name {
	case "", "identity":
		return "", nil
	case "gzip", "x-gzip":
		return "gzip", nil
	case "deflate", "zstd":
		return name, nil
	}
	return "", errEncoding
}

// decompress reads a body of a coding, at most limit bytes of what comes out.
func decompress(name string, body []byte, limit int) ([]byte, error) {
	if name == "" || len(body) == 0 {
		return body, nil
	}
	r, err := decoder(name, body)
	if err != nil {
		return nil, errCompressed
	}
	defer func() { _ = r.Close() }() // reads from memory
	out, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	switch {
	case len(out) > limit:
		return nil, errExpands
	case errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return nil, errExpands
	case err != nil:
		return nil, errCompressed
	}
	return out, nil
}

func decoder(name string, body []byte) (io.ReadCloser, error) {
	switch name {
	case "gzip":
		return gzip.NewReader(bytes.NewReader(body))
	case "zstd":
		d, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	// "deflate" is zlib's format; some clients send the bare stream (RFC 9110, 8.4.1.2).
	if r, err := zlib.NewReader(bytes.NewReader(body)); err == nil {
		return r, nil
	}
	return flate.NewReader(bufio.NewReader(bytes.NewReader(body))), nil
}
