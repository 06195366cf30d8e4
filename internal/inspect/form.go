package inspect

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strings"

	"github.com/posthornhq/posthorn/internal/event"
)

// Limits of what is looked at within a body.
const (
	maxParts    = 1_000   // fields and files
	maxInflated = 4 << 20 // bytes of a body that came compressed
)

// File is a file of a multipart body.
type File struct {
	// Name is the field's, Filename what the sender calls the file: it may hold a path, or anything else.
	Name, Filename string
	ContentType    string
	Body           []byte
}

// Parameters returns those of a request's query in their order. Those that cannot be decoded are as they came.
func Parameters(r *event.Request) []event.Header {
	_, target, _ := r.Line()
	_, query, ok := strings.Cut(target, "?")
	if !ok {
		return nil
	}
	return parameters(query)
}

// Form returns the fields of a form (urlencoded or multipart) and its files in their order; nothing of other bodies. Of a
// body that ends early it returns what there is. At most 1,000 are looked at.
func Form(r *event.Request) (fields []event.Header, files []File) {
	kind, params, err := mime.ParseMediaType(r.Header("Content-Type"))
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return nil, nil
	}
	switch {
	case kind == "application/x-www-form-urlencoded":
		return parameters(string(plain(r))), nil
	case strings.HasPrefix(kind, "multipart/") && params["boundary"] != "":
		return multiparts(plain(r), params["boundary"])
	}
	return nil, nil
}

// plain is the body without its compression, if that is possible within limits.
func plain(r *event.Request) []byte {
	var inner io.Reader
	var err error
	switch strings.ToLower(r.Header("Content-Encoding")) {
	case "gzip", "x-gzip":
		inner, err = gzip.NewReader(bytes.NewReader(r.Body))
	case "deflate":
		inner, err = zlib.NewReader(bytes.NewReader(r.Body))
	default:
		return r.Body
	}
	if err != nil {
		return r.Body
	}
	text, err := io.ReadAll(io.LimitReader(inner, maxInflated))
	if err != nil {
		return r.Body
	}
	return text
}

func parameters(query string) []event.Header {
	var list []event.Header
	for part := range strings.SplitSeq(query, "&") {
		if part == "" || len(list) == maxParts {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		list = append(list, event.Header{Name: unescaped(name), Value: unescaped(value)})
	}
	return list
}

func unescaped(s string) string {
	if text, err := url.QueryUnescape(s); err == nil {
		return text
	}
	return s
}

func multiparts(body []byte, boundary string) (fields []event.Header, files []File) {
	r := multipart.NewReader(bytes.NewReader(body), boundary)
	for range maxParts {
		part, err := r.NextRawPart()
		if err != nil {
			break
		}
		text, err := io.ReadAll(part)
		// What came of a part that was cut off is shown too.
		if filename, given := fileName(part); given {
			files = append(files, File{part.FormName(), filename, part.Header.Get("Content-Type"), text})
		} else {
			fields = append(fields, event.Header{Name: part.FormName(), Value: string(text)})
		}
		if err != nil {
			break
		}
	}
	return fields, files
}

// fileName is the name as it was sent: [multipart.Part.FileName] keeps its last element only.
func fileName(p *multipart.Part) (string, bool) {
	_, params, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
	if err != nil {
		return "", false
	}
	name, ok := params["filename"]
	return name, ok
}
