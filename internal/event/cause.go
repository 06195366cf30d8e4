package event

// Cause says in one stable word why a delivery got no answer. A program may switch on it; the words beside it are for people.
type Cause string

// The causes. CauseNone is that of a delivery with an answer; CauseOther is one that has no word of its own.
const (
	CauseNone        Cause = ""
	CauseName        Cause = "dns"
	CauseRefused     Cause = "refused"
	CauseUnreachable Cause = "unreachable"
	CauseClosed      Cause = "closed"
	CauseTimeout     Cause = "timeout"
	CauseBusy        Cause = "busy"
	CauseCertificate Cause = "certificate"
	CauseTLS         Cause = "tls"
	CauseForbidden   Cause = "forbidden"
	CauseNotHTTP     Cause = "not_http"
	CauseOffline     Cause = "offline"
	CauseUnsendable  Cause = "unsendable"
	CauseOther       Cause = "other"
)

// causes holds the words for people. An attempt is stored with these, so a text that changes needs its old one in CauseOf too.
var causes = map[Cause]string{
	CauseName:        "host name not found",
	CauseRefused:     "connection refused",
	CauseUnreachable: "host unreachable",
	CauseClosed:      "connection closed before the answer",
	CauseTimeout:     "timeout",
	CauseBusy:        "too many connections to this host",
	CauseCertificate: "certificate not accepted",
	CauseTLS:         "TLS handshake failed",
	CauseForbidden:   "the address may not be dialled",
	CauseNotHTTP:     "the answer is not HTTP",
	CauseOffline:     "the tunnel is not connected",
	CauseUnsendable:  "the event cannot be sent in this envelope",
}

var causeOf = func() map[string]Cause {
	by := make(map[string]Cause, len(causes))
	for c, text := range causes {
		by[text] = c
	}
	return by
}()

// Text is the cause in a few words, as an attempt's Error has them; empty for CauseNone and CauseOther.
func (c Cause) Text() string { return causes[c] }

// CauseOf is the cause of an attempt's Error: CauseNone when it is empty, CauseOther when it is none of the known texts.
func CauseOf(text string) Cause {
	if text == "" {
		return CauseNone
	}
	if c, ok := causeOf[text]; ok {
		return c
	}
	return CauseOther
}
