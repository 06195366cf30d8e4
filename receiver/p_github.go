package receiver

func init() {
	register(provider{
		Info: Info{
			Name: "github", Title: "GitHub",
			Secret: "the secret of the webhook's settings",
			Event:  "type from X-GitHub-Event, id from X-GitHub-Delivery, subject is the repository's or organisation's name",
		},
		verify: bodyHMAC("X-Hub-Signature-256", "sha256=", sha256Hex),
		describe: describe(head("X-GitHub-Event"), head("X-GitHub-Delivery"),
			first(field("repository", "full_name"), field("organization", "login")), nil),
	})
}
