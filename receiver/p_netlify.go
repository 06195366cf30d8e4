package receiver

import (
	"crypto/sha256"
	"encoding/hex"
)

func init() {
	register(provider{
		Info: Info{
			Name: "netlify", Title: "Netlify",
			Secret: "the JWS secret token of the notification",
			Event:  "type is deploy and the deploy's state (deploy.ready), or form for a submission; id of the deploy and its state, or of the submission; subject is the site's name",
		},
		verify: func(r *request) error {
			return r.jwtOfBody("X-Webhook-Signature", "sha256", func(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:]) }, "netlify")
		},
		describe: describeNetlify,
	})
}

func describeNetlify(r *request) Delivery {
	if state := r.text("state"); state != "" {
		typ := func(*request) string { return "deploy." + state }
		return describe(typ, joined("-", field("id"), field("state")), first(field("name"), field("site_id")), rfc3339(field("updated_at")))(r)
	}
	return describe(fixed("form"), field("id"), first(field("form_name"), field("site_url")), rfc3339(field("created_at")))(r)
}
