package receiver

import (
	"crypto/sha256"
	"encoding/base64"
)

func init() {
	register(provider{
		Info: Info{
			Name: "fusionauth", Title: "FusionAuth",
			Secret: "the signing key of the webhook (Key Master): the secret of an HMAC key, or the public key (PEM) of another",
			Event:  "type, id and createInstant of the event, subject is the user's or the tenant's id",
		},
		verify: func(r *request) error {
			return r.jwtOfBody("X-Fusionauth-Signature-Jwt", "request_body_sha256",
				func(sum [sha256.Size]byte) string { return base64.StdEncoding.EncodeToString(sum[:]) }, "")
		},
		describe: describe(field("event", "type"), field("event", "id"), first(field("event", "user", "id"), field("event", "tenantId")),
			millis(field("event", "createInstant"))),
	})
}
