package receiver

func init() {
	register(provider{
		Info: Info{
			Name: "github", Title: "GitHub",
			Secret: "the secret of the webhook's settings",
			Event:  "type from X-GitHub-Event, id from X-GitHub-Delivery, subject is the repository's or organisation's name",
		},
		verify:   bodyHMAC("X-Hub-Signature-256", "sha256=", sha256Hex),
		describe: describeGitHub,
	})
}

// describeGitHub reads JSON, or the form with JSON in it that a webhook can be set to.
func describeGitHub(r *request) Delivery {
	if r.isForm() {
		r = r.inside(r.form().Get("payload"))
	}
	return describe(head("X-GitHub-Event"), head("X-GitHub-Delivery"),
		first(field("repository", "full_name"), field("organization", "login")), nil)(r)
}
