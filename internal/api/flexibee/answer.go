package flexibee

import (
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/codec"
	"github.com/posthornhq/posthorn/internal/event"
)

// Media types.
const (
	mediaXML  = "application/xml"
	mediaJSON = "application/json"
	mediaHTML = "text/html"
)

// negotiate settles the format of the answer, by the suffix of the path or else by Accept, and reports whether it is one
// that there is. XML comes first where nothing says otherwise.
func (c *call) negotiate(suffix string) bool {
	accept := strings.Join(c.r.Header.Values("Accept"), ",")
	switch suffix {
	case event.FormatXML, event.FormatJSON:
		c.format = suffix
		return true
	case "":
	default:
		return false
	}
	xml := max(weigh(accept, mediaXML), weigh(accept, "text/xml"))
	js := max(weigh(accept, mediaJSON), weigh(accept, "text/json"))
	html := weigh(accept, mediaHTML)
	if js > xml {
		c.format = event.FormatJSON
	}
	c.page = html > max(xml, js)
	return max(xml, js, html) > 0
}

// weigh is how much an Accept header wants a media type (RFC 9110, section 12.5.1): its quality, and less than a
// thousandth for being named rather than only included.
func weigh(accept, media string) float64 {
	if strings.TrimSpace(accept) == "" {
		return 1
	}
	kind, _, _ := strings.Cut(media, "/")
	best, weight := -1, 0.0
	for part := range strings.SplitSeq(accept, ",") {
		name, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		rank := -1
		switch name {
		case media:
			rank = 2
		case kind + "/*":
			rank = 1
		case "*/*":
			rank = 0
		}
		if rank <= best {
			continue
		}
		q := 1.0
		if s, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(s, 64); err != nil || q < 0 || q > 1 {
				q = 0
			}
		}
		best, weight = rank, q
	}
	if weight == 0 {
		return 0
	}
	return weight + float64(best)/4096
}

// send answers with a document in the format of the call.
func (c *call) send(status int, body []byte) {
	contentType := mediaXML
	if c.format == event.FormatJSON {
		contentType = mediaJSON
	}
	c.sendAs(status, contentType, body)
}

func (c *call) sendAs(status int, contentType string, body []byte) {
	h := c.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Add("Vary", "Accept")
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body) // the client may be gone; nobody is left to tell
}

// retryAfter says when to try again, in whole seconds, at least 1.
func (c *call) retryAfter(d time.Duration) {
	c.w.Header().Set("Retry-After", strconv.FormatInt(max(1, int64((d+time.Second-1)/time.Second)), 10))
}

// message answers that something did not succeed, and why.
func (c *call) message(status int, text string) {
	if c.format == event.FormatJSON {
		c.send(status, append(appendQuoted([]byte(`{"winstrom":{"@version":"1.0","success":"false","message":`), text), "}}"...))
		return
	}
	body := []byte(codec.XMLDeclaration + `<winstrom version="1.0"><success>false</success><message>`)
	c.send(status, append(codec.AppendXMLText(body, text), "</message></winstrom>"...))
}

// success answers whether something is so, or was done, and to which record.
func (c *call) success(ok bool, id string) {
	value := strconv.FormatBool(ok)
	if c.format == event.FormatJSON {
		body := []byte(`{"winstrom":{"@version":"1.0","success":"` + value + `"`)
		if id != "" {
			body = append(body, `,"results":[{"id":"`+id+`"}]`...)
		}
		c.send(http.StatusOK, append(body, "}}"...))
		return
	}
	body := codec.XMLDeclaration + `<winstrom version="1.0"><success>` + value + "</success>"
	if id != "" {
		body += "<result><id>" + id + "</id></result>"
	}
	c.send(http.StatusOK, []byte(body+"</winstrom>"))
}

// done answers an action: a browser goes back to the control page.
func (c *call) done(id string) error {
	if c.page {
		c.w.Header().Set("Location", Prefix+c.tenant.Name+"/changes/control")
		c.w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	c.success(true, id)
	return nil
}

// appendQuoted appends a JSON string.
func appendQuoted(dst []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil { // a string always has a form
		return append(dst, `""`...)
	}
	return append(dst, quoted...)
}
