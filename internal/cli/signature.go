package cli

import (
	"crypto/rand"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/webhook"
)

// secrets is how sign, verify and sink are given secrets.
type secrets struct {
	Secret     []string `help:"A secret: whsec_… (v1), whsk_… or whpk_… (v1a); several while one is being rotated." placeholder:"SECRET"`
	SecretFile []string `help:"A file with secrets, one a line; keeps them out of the process list." placeholder:"FILE"`
}

// keys reads the secrets.
func (x secrets) keys() ([]webhook.Key, error) {
	var keys []webhook.Key
	for i, s := range x.Secret {
		k, err := webhook.ParseKey(s)
		if err != nil {
			return nil, usagef("--secret, number %d: %w", i+1, err)
		}
		keys = append(keys, k)
	}
	for _, path := range x.SecretFile {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, &statusError{err: err, status: ExitUsage}
		}
		for i, line := range strings.Split(string(data), "\n") {
			if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			k, err := webhook.ParseKey(line)
			if err != nil {
				return nil, usagef("%s:%d: %w", path, i+1, err)
			}
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// needed is keys for a command that cannot do without.
func (x secrets) needed() ([]webhook.Key, error) {
	keys, err := x.keys()
	if err == nil && len(keys) == 0 {
		err = usagef("give --secret or --secret-file")
	}
	return keys, err
}

// signCmd signs a body.
type signCmd struct {
	secrets
	File string    `arg:"" optional:"" help:"The body; standard input without it." default:"-"`
	ID   string    `help:"The message's id; a new one without it." name:"id"`
	At   timestamp `help:"The time to sign; now without it."`
}

// Run writes the three headers.
func (x *signCmd) Run(c *console) error {
	keys, err := x.needed()
	if err != nil {
		return err
	}
	signer, err := webhook.NewSigner(keys...)
	if err != nil {
		return usagef("--secret: %w", err)
	}
	body, err := c.readFile(x.File)
	if err != nil {
		return err
	}
	id, at := x.ID, x.At.Time
	if id == "" {
		id = "msg_" + rand.Text()
	}
	if at.IsZero() {
		at = time.Now()
	}
	header, err := signer.Sign(id, at, body)
	if err != nil {
		return &statusError{err: err, status: ExitUsage}
	}
	names := []string{webhook.HeaderID, webhook.HeaderTimestamp, webhook.HeaderSignature}
	if c.json {
		out := map[string]string{}
		for _, name := range names {
			out[name] = header.Get(name)
		}
		return c.writeJSON(out)
	}
	for _, name := range names {
		c.printf("%s: %s\n", name, header.Get(name))
	}
	return nil
}

// verifyCmd verifies a body.
type verifyCmd struct {
	secrets
	File      string        `arg:"" optional:"" help:"The body exactly as it arrived; standard input without it." default:"-"`
	Headers   string        `help:"A file with the request's headers, as \"posthorn sign\" or curl -D write them." placeholder:"FILE"`
	ID        string        `help:"The header webhook-id." name:"id"`
	Timestamp string        `help:"The header webhook-timestamp."`
	Signature string        `help:"The header webhook-signature."`
	Tolerance time.Duration `help:"How far the timestamp may be from now." default:"5m"`
	AnyAge    bool          `help:"Accept a timestamp of any age, to look into an old message."`
}

// header puts the given headers together.
func (x *verifyCmd) header(c *console) (http.Header, error) {
	h := http.Header{}
	if x.Headers != "" {
		data, err := c.readFile(x.Headers)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(data)) {
			if name, value, ok := strings.Cut(line, ":"); ok {
				h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
			}
		}
	}
	for name, value := range map[string]string{
		webhook.HeaderID: x.ID, webhook.HeaderTimestamp: x.Timestamp, webhook.HeaderSignature: x.Signature,
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
	return h, nil
}

// Run verifies the body; it fails when no signature matches.
func (x *verifyCmd) Run(c *console) error {
	keys, err := x.needed()
	if err != nil {
		return err
	}
	if x.Headers == "-" && x.File == "-" {
		return usagef("standard input cannot be both the headers and the body")
	}
	v, err := webhook.NewVerifier(keys...)
	if err != nil {
		return usagef("--secret: %w", err)
	}
	if x.Tolerance <= 0 {
		return usagef("--tolerance: must be more than 0")
	}
	v.Tolerance = x.Tolerance
	h, err := x.header(c)
	if err != nil {
		return err
	}
	body, err := c.readFile(x.File)
	if err != nil {
		return err
	}
	if seconds, err := strconv.ParseInt(h.Get(webhook.HeaderTimestamp), 10, 64); err == nil && x.AnyAge {
		v.Now = func() time.Time { return time.Unix(seconds, 0) }
	}
	if err := v.Verify(h, body); err != nil {
		return &statusError{err: errors.Join(errNotVerified, err), status: ExitFailure}
	}
	if c.json {
		return c.writeJSON(map[string]bool{"verified": true})
	}
	c.printf("%s\n", c.paint(green, "verified"))
	return nil
}

var errNotVerified = errors.New("not verified")
