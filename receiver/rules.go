package receiver

import (
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
)

// headersHMAC is the rule of one header with a signature and one with a timestamp. before returns what is signed before the
// body. The signature is checked first, so that only who knows the secret learns anything about the clock.
func (r *request) headersHMAC(signature, prefix, timestamp string, unit time.Duration, s scheme, before func(at string) []byte) error {
	got, err := r.headerCut(signature, prefix)
	if err != nil {
		return err
	}
	at, err := r.header(timestamp)
	if err != nil {
		return err
	}
	if err := r.anyHMAC(s, got, before(at), r.body); err != nil {
		return err
	}
	return r.fresh(at, unit)
}

// echo answers a challenge as plain text, which no browser runs.
func echo(challenge string) (*Answer, *Learned, error) {
	if challenge == "" || len(challenge) > maxChallenge {
		return nil, nil, fail(CodeMalformed, "the challenge is missing or too long")
	}
	answer := Text(http.StatusOK, challenge)
	return &answer, nil, nil
}

// reply answers a challenge as a JSON object.
func reply(object map[string]any) (*Answer, *Learned, error) {
	body, err := json.Marshal(object, json.Deterministic(true))
	if err != nil {
		return nil, nil, failWith(CodeMalformed, "the challenge is not text", err)
	}
	return &Answer{Status: http.StatusOK, Header: http.Header{
		"Content-Type":           {"application/json"},
		"X-Content-Type-Options": {"nosniff"},
	}, Body: body}, nil, nil
}

// answerTo answers 200 to requests by a method that is never an event's: the provider looks whether somebody is there.
func answerTo(method string) func(*request) (*Answer, *Learned, error) {
	return func(r *request) (*Answer, *Learned, error) {
		if r.http.Method != method {
			return nil, nil, nil
		}
		return &Answer{Status: http.StatusOK}, nil, nil
	}
}

// answerNoEvents answers 200 to a verified request with an empty list of events: a test, or a sign of life.
func answerNoEvents(verify func(*request) error) func(*request) (*Answer, *Learned, error) {
	return func(r *request) (*Answer, *Learned, error) {
		events, ok := r.raw("events")
		if !ok || events.Kind() != '[' || len(r.secrets) == 0 {
			return nil, nil, nil
		}
		if hasElement(events, "0") {
			return nil, nil, nil
		}
		if err := verify(r); err != nil {
			return nil, nil, err
		}
		return &Answer{Status: http.StatusOK}, nil, nil
	}
}

// digits reports whether a text is a short number in plain digits.
func digits(text string) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return text != "" && len(text) <= 20
}

// replyText is reply for one text that came from the request: bounded, and nothing but printable ASCII.
func replyText(name, text string) (*Answer, *Learned, error) {
	if !printable(text) {
		return nil, nil, fail(CodeMalformed, "the challenge is missing, too long, or not plain text")
	}
	return reply(map[string]any{name: text})
}

// printable reports whether a text that is to be sent back is short and printable ASCII.
func printable(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return text != "" && len(text) <= maxChallenge
}
