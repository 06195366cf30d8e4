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
	_, err = r.fresh(at, unit)
	return err
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
func reply(status int, object map[string]any) (*Answer, *Learned, error) {
	body, err := json.Marshal(object, json.Deterministic(true))
	if err != nil {
		return nil, nil, failWith(CodeMalformed, "the challenge is not text", err)
	}
	return &Answer{Status: status, Header: http.Header{
		"Content-Type":           {"application/json"},
		"X-Content-Type-Options": {"nosniff"},
	}, Body: body}, nil, nil
}
