package receiver

import (
	"crypto"
	"crypto/rsa"
	"time"
)

func init() {
	register(provider{
		Info: Info{
			Name: "kick", Title: "Kick", Optional: true,
			Secret:   "nothing, or Kick's public key (PEM) if it is no longer the one that is built in",
			Settings: []SettingInfo{{Name: "broadcaster", Doc: "the user id of the broadcaster whose events are taken: Kick signs for everybody with the same key"}},
			Event:    "type from Kick-Event-Type, id from Kick-Event-Message-Id, subject is the broadcaster's user id",
		},
		// Kick tries three times, and does not say when.
		tolerance: time.Hour,
		verify:    verifyKick,
		describe: describe(head("Kick-Event-Type"), head("Kick-Event-Message-Id"), field("broadcaster", "user_id"),
			rfc3339(head("Kick-Event-Message-Timestamp"))),
	})
}

// kickKey is the key that Kick publishes in its documentation and at https://api.kick.com/public/v1/public-key.
const kickKey = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAq/+l1WnlRrGSolDMA+A8
6rAhMbQGmQ2SapVcGM3zq8ANXjnhDWocMqfWcTd95btDydITa10kDvHzw9WQOqp2
MZI7ZyrfzJuz5nhTPCiJwTwnEtWft7nV14BYRDHvlfqPUaZ+1KR4OCaO/wWIk/rQ
L/TjY0M70gse8rlBkbo2a8rKhu69RQTRsoaf4DVhDPEeSeI5jVrRDGAMGL3cGuyY
6CLKGdjVEM78g3JfYOvDU/RvfqD7L89TZ3iN94jrmWdGz34JNlEI5hqK8dd7C5EF
BEbZ5jgB8s8ReQV8H+MkuffjdAj3ajDDX3DOJMIut1lBrUVD1AaSrGCKHooWoL2e
twIDAQAB
-----END PUBLIC KEY-----
`

func verifyKick(r *request) error {
	var head [3]string
	for i, name := range []string{"Kick-Event-Message-Id", "Kick-Event-Message-Timestamp", "Kick-Event-Signature"} {
		var err error
		if head[i], err = r.header(name); err != nil {
			return err
		}
	}
	signature, err := decodeBase64(head[2])
	if err != nil {
		return failWith(CodeSignature, "the signature is not base64", err)
	}
	message := append([]byte(head[0]+"."+head[1]+"."), r.body...)
	if err := r.withKeys(kickKey).anyKey(func(key crypto.PublicKey) bool {
		k, ok := key.(*rsa.PublicKey)
		return ok && verifyRSA256(k, message, signature)
	}); err != nil {
		return err
	}
	if want := r.setting("broadcaster"); want != "" && !same(r.text("broadcaster", "user_id"), want) {
		return fail(CodeSignature, "the event is another broadcaster's")
	}
	sent, err := time.Parse(time.RFC3339, head[1])
	if err != nil {
		return failWith(CodeMalformed, "the timestamp is not one", err)
	}
	return r.recent(sent)
}

// withKeys returns the request with the provider's own keys where no secret is given.
func (r *request) withKeys(own ...string) *request {
	if len(r.secrets) > 0 {
		return r
	}
	with := *r
	with.secrets = own
	return &with
}
