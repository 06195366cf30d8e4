package receiver

import (
	"net/url"
	"strings"
	"time"
)

func init() {
	register(provider{
		Info: Info{
			Name: "httpsig", Title: "Any sender, with an HTTP message signature (RFC 9421)",
			Secret: "the shared secret, or the public key (PEM)", Event: eventDoc,
			Settings: append([]SettingInfo{{
				Name: "components", Doc: `what has to be signed besides the body's Content-Digest, with spaces between, such as "@method @target-uri date"`,
			}}, eventSettings...),
		},
		verify: func(r *request) error {
			s, base, err := r.messageSignature(append(strings.Fields(r.setting("components")), "content-digest"))
			if err != nil {
				return err
			}
			if err := r.anySignatureKey(s, base); err != nil {
				return err
			}
			return r.signatureRecent(s)
		},
		describe: describeGeneric,
	})
}

// messageSignature returns the signature of a request that covers these components, with what is signed. The body is checked against its
// digest, which has to be one of them.
func (r *request) messageSignature(components []string) (s messageSignature, base []byte, err error) {
	for _, name := range []string{"Signature-Input", "Signature", "Content-Digest"} {
		if _, err := r.header(name); err != nil {
			return s, nil, err
		}
	}
	if err := verifyContentDigest(r.http.Header, r.body); err != nil {
		return s, nil, failWith(CodeSignature, "Content-Digest is not the body's", err)
	}
	if s, err = r.signatureCovering(components); err != nil {
		return s, nil, err
	}
	target, err := url.Parse(r.url())
	if err != nil {
		return s, nil, failWith(CodeMalformed, "the address cannot be read", err)
	}
	if base, err = s.base(r.http, target); err != nil {
		return s, nil, failWith(CodeMalformed, "what is signed is not all there", err)
	}
	return s, base, nil
}

// signatureCovering returns the first signature of the request that covers all of these components.
func (r *request) signatureCovering(components []string) (messageSignature, error) {
	all, err := parseMessageSignatures(r.http.Header)
	if err != nil {
		return messageSignature{}, failWith(CodeMalformed, "Signature-Input or Signature cannot be read", err)
	}
	for _, s := range all {
		if s.covers(components...) {
			return s, nil
		}
	}
	return messageSignature{}, fail(CodeSignature, "no signature covers "+strings.Join(components, ", "))
}

// anySignatureKey refuses the request unless a secret, which is a shared one or a public key, made the signature.
func (r *request) anySignatureKey(s messageSignature, base []byte) error {
	readable := false
	err := r.anySecret(func(secret string) bool {
		key, err := keyOrSecret(secret)
		if err != nil {
			return false
		}
		readable = true
		return s.verify(key, base)
	})
	if err != nil && !readable && len(r.secrets) > 0 {
		return errKey
	}
	return err
}

// signatureRecent checks the times that a signature names; it must say when it was made.
func (r *request) signatureRecent(s messageSignature) error {
	if s.created.IsZero() {
		return fail(CodeMissing, "the signature does not say when it was made")
	}
	if !s.expires.IsZero() && r.now.After(s.expires.Add(time.Second)) {
		return fail(CodeExpired, "the signature has expired")
	}
	return r.recent(s.created)
}
