package receiver

func init() {
	register(provider{
		Info: Info{
			Name: "typeform", Title: "Typeform",
			Secret: "the secret of the webhook",
			Event:  "type is event_type, id event_id, subject the form's id, time when the form was sent",
		},
		verify: bodyHMAC("Typeform-Signature", "sha256=", sha256Base64),
		describe: describe(field("event_type"), field("event_id"), field("form_response", "form_id"),
			rfc3339(field("form_response", "submitted_at"))),
	})
}
