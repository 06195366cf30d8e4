package receiver

import (
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// The receivers of ASP.NET WebHooks, each by the rule that it had there, for senders that were set up for them. Those that
// are the same today have no second name: Dropbox, PayPal, Pusher and Trello are dropbox, paypal, pusher and trello.

func init() {
	register(provider{
		Info: Info{
			Name: "aspnet", Title: "ASP.NET WebHooks", Aliases: []string{"custom"},
			Secret:     "the secret of the registration",
			Event:      "type from Action of the notifications, id from Id; notifications that differ are of the type batch",
			Handshakes: []string{"GET"},
		},
		verify: aspnetRule("", bodyHMAC("Ms-Signature", "sha256=", sha256Hex)),
		describe: func(r *request) Delivery {
			events, err := r.list("Notifications")
			if err != nil || len(events) == 0 {
				return describe(nil, field("Id"), nil, nil)(r)
			}
			d := describeBatch(events, at("Action"), noText, noText)
			d.ID = clean(r.text("Id"))
			return d
		},
		handshake: func(r *request) (*Answer, *Learned, error) {
			if r.http.Method != http.MethodGet {
				return nil, nil, nil
			}
			text, err := r.param("echo")
			if err != nil {
				return nil, nil, bad(err)
			}
			return echo(text)
		},
		refused: refuseAspnet,
	})
	for _, c := range codeReceivers {
		registerCode(c)
	}
}

func noText(jsontext.Value) string { return "" }

// codeReceiver is an ASP.NET receiver whose requests carry its secret as the parameter code of the address.
type codeReceiver struct {
	name, title string
	media       string   // the media type; "" is any JSON
	needs       []string // headers that must be there
	event       string
	describe    func(*request) Delivery
	// handshake says which requests are pings; nil: none.
	handshake func(*request) bool
	methods   []string // of handshakes
}

const (
	mediaForm  = "application/x-www-form-urlencoded"
	mediaMyGet = "application/vnd.myget.webhooks.v1+json"
)

var codeReceivers = []codeReceiver{
	{
		name: "azurealert", title: "Azure alerts (classic)", event: "type from context.name, id from context.id, subject is context.resourceId",
		describe: describe(field("context", "name"), joined("-", field("context", "id"), field("context", "timestamp")),
			field("context", "resourceId"), rfc3339(field("context", "timestamp"))),
	},
	{
		name: "azurecontainerregistry", title: "Azure Container Registry", event: "type from action, id of the event, subject is target.repository",
		describe: describe(field("action"), field("id"), field("target", "repository"), rfc3339(field("timestamp"))),
	},
	{
		name: "bitbucket-code", title: "Bitbucket, with a code in the address", needs: []string{"X-Event-Key", "X-Hook-Uuid"},
		event:    "type from X-Event-Key, id from X-Request-UUID, subject is the repository's name",
		describe: describe(head("X-Event-Key"), head("X-Request-Uuid"), field("repository", "full_name"), nil),
	},
	{
		name: "dynamicscrm", title: "Dynamics CRM", event: "type from MessageName, id from RequestId, subject is PrimaryEntityId",
		describe: describe(field("MessageName"), first(field("RequestId"), field("OperationId")), field("PrimaryEntityId"), nil),
	},
	{
		name: "genericjson", title: "Any JSON, with a code in the address", event: "type from the parameter action of the address, or change",
		describe: describe(first(queryOf("action"), fixed("change")), nil, nil, nil),
	},
	{
		name: "kudu", title: "Azure App Service deployments (Kudu)", event: "type from status, id of the deployment and its status, subject is the site's name",
		describe: describe(field("status"), joined("-", field("id"), field("status")), field("siteName"), rfc3339(field("endTime"))),
	},
	{
		name: "mailchimp-code", title: "Mailchimp, with a code in the address", media: mediaForm, event: "type from type, subject is data[list_id]",
		describe:  describe(formOf("type"), nil, formOf("data[list_id]"), nil),
		handshake: func(r *request) bool { return r.http.Method == http.MethodGet }, methods: []string{http.MethodGet},
	},
	{
		name: "myget", title: "MyGet", media: mediaMyGet, event: "type from PayloadType, id from Identifier, subject is the package",
		describe: describe(field("PayloadType"), field("Identifier"), field("Payload", "PackageIdentifier"), rfc3339(field("When"))),
		handshake: func(r *request) bool {
			return r.http.Method == http.MethodPost && r.text("PayloadType") == "PingWebHookEventPayloadV1"
		}, methods: []string{http.MethodPost},
	},
	{
		name: "vsts", title: "Azure DevOps (Team Services)", event: "type from eventType, id of the event, subject is the resource's id",
		describe: describe(field("eventType"), field("id"), field("resource", "id"), rfc3339(field("createdDate"))),
	},
	{
		name: "wordpress-code", title: "WordPress.com, with a code in the address", media: mediaForm, event: "type from hook, subject is ID or comment_ID",
		describe: describe(formOf("hook"), nil, first(formOf("ID"), formOf("comment_ID")), nil),
	},
	{
		name: "zendesk-code", title: "Zendesk targets, with a code in the address", event: "type is change",
		describe: describe(fixed("change"), nil, nil, nil),
	},
}

func registerCode(c codeReceiver) {
	p := provider{
		Info: Info{
			Name: c.name, Title: c.title, Event: c.event, SecretQuery: []string{"code"}, Handshakes: c.methods,
			Secret: "the code in the address, 32 to 128 characters (?code=…)",
		},
		verify: aspnetRule(c.media, func(r *request) error {
			if err := verifyCode(r); err != nil {
				return err
			}
			for _, name := range c.needs {
				if _, err := r.header(name); err != nil {
					return bad(err)
				}
			}
			return nil
		}),
		describe: c.describe,
		refused:  refuseAspnet,
	}
	if c.handshake != nil {
		p.handshake = func(r *request) (*Answer, *Learned, error) {
			if !c.handshake(r) {
				return nil, nil, nil
			}
			if err := verifyCode(r); err != nil {
				return nil, nil, err
			}
			return &Answer{Status: http.StatusOK}, nil, nil
		}
	}
	register(p)
}

// Lengths of a code in bytes.
const (
	minCode = 32
	maxCode = 128
)

// verifyCode compares the parameter code of the address with the secrets.
func verifyCode(r *request) error {
	code, err := r.param("code")
	if err != nil {
		return bad(err)
	}
	readable := false
	if err := r.anySecret(func(secret string) bool {
		if len(secret) < minCode || len(secret) > maxCode {
			return false
		}
		readable = true
		return same(code, secret)
	}); err != nil {
		if !readable && len(r.secrets) > 0 {
			return fail(CodeWrongSecret, "the secret is not 32 to 128 characters long")
		}
		return bad(err)
	}
	return nil
}

// aspnetRule is what all of these receivers do before they look at the proof: POST only, of the right media type. Refusals are 400.
func aspnetRule(media string, proof func(*request) error) func(*request) error {
	return func(r *request) error {
		if r.http.Method != http.MethodPost {
			return &Error{Code: CodeMalformed, Detail: "the method is not POST", Status: http.StatusMethodNotAllowed}
		}
		kind, _, err := mime.ParseMediaType(r.http.Header.Get("Content-Type"))
		if err != nil || !isMedia(kind, media) {
			return &Error{Code: CodeMalformed, Detail: "the media type is not the receiver's", Status: http.StatusUnsupportedMediaType}
		}
		return bad(proof(r))
	}
}

func isMedia(kind, want string) bool {
	if want != "" {
		return kind == want
	}
	return kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json")
}

// bad makes an error of a rule 400, unless the fault is the receiver's own.
func bad(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Status != 0 || statusOf(e.Code) >= http.StatusInternalServerError {
		return err
	}
	with := *e
	with.Status = http.StatusBadRequest
	return &with
}

func refuseAspnet(e *Error) Answer {
	status := e.Status
	if status == 0 {
		status = statusOf(e.Code)
	}
	a := Text(status, strings.ReplaceAll(e.Code, "_", " ")+"\n")
	if status == http.StatusMethodNotAllowed {
		a.Header.Set("Allow", http.MethodPost)
	}
	return a
}
