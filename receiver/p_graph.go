package receiver

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

func init() {
	register(provider{
		Info: Info{
			Name: "graph", Title: "Microsoft Graph", Aliases: []string{"microsoft-graph"},
			Secret: "the clientState of the subscriptions",
			Settings: []SettingInfo{
				{Name: "app_id", Doc: "the application's id: the validationTokens of notifications with data must then be Microsoft's, and for it"},
				{Name: "tenant_id", Doc: "the id of the directory (tenant) whose tokens are good; any if it is empty"},
			},
			Event:      "type from changeType or lifecycleEvent, id from the notification's id, subject is the resource; several that differ are of the type batch",
			Handshakes: []string{"POST"},
		},
		verify: verifyGraph,
		describe: func(r *request) Delivery {
			events, err := r.list("value")
			if err != nil {
				return Delivery{}
			}
			return describeBatch(events, firstOf(at("lifecycleEvent"), at("changeType")), at("id"), at("resource"))
		},
		handshake: func(r *request) (*Answer, *Learned, error) {
			if _, ok := r.query()["validationToken"]; !ok || r.http.Method != http.MethodPost {
				return nil, nil, nil
			}
			token, err := r.param("validationToken")
			if err != nil {
				return nil, nil, err
			}
			return echo(token)
		},
		accepted: func(Delivery) Answer { return Answer{Status: http.StatusAccepted} },
	})
}

// graphKeys are those of the Microsoft identity platform, for all tenants.
var graphKeys = keySetAt{
	url: "https://login.microsoftonline.com/common/discovery/v2.0/keys", own: onlyHosts("login.microsoftonline.com"),
}

// graphPublisher is the application that sends the notifications. Without it a token for this application that any other one got would do.
const graphPublisher = "0bf30f3b-4a52-48df-9a82-234910c4a086"

// maxGraphTokens is how many validationTokens a request may have: one for each application and tenant.
const maxGraphTokens = 16

func verifyGraph(r *request) error {
	events, err := r.list("value")
	if err != nil {
		return err
	}
	if len(events) == 0 {
		return fail(CodeMissing, "there is no notification")
	}
	rich := false
	for _, e := range events {
		// Each of them: one that is somebody else's among good ones is refused with them.
		state := textIn(e, "clientState")
		if state == "" {
			return fail(CodeMissing, "a notification has no clientState")
		}
		if err := r.anyToken(state); err != nil {
			return err
		}
		_, encrypted := within(e, []string{"encryptedContent"})
		rich = rich || encrypted
	}
	if r.setting("app_id") == "" {
		return nil
	}
	return verifyGraphTokens(r, rich)
}

func verifyGraphTokens(r *request, needed bool) error {
	value, ok := r.raw("validationTokens")
	if !ok || value.Kind() == 'n' {
		if needed {
			return fail(CodeMissing, "validationTokens is missing")
		}
		return nil
	}
	tokens, err := elements(value)
	if err != nil {
		return err
	}
	if needed && len(tokens) == 0 || len(tokens) > maxGraphTokens {
		return fail(CodeMalformed, "there are no validationTokens, or too many")
	}
	for _, token := range tokens {
		if err := verifyGraphToken(r, token); err != nil {
			return err
		}
	}
	return nil
}

func verifyGraphToken(r *request, token jsontext.Value) error {
	claims, err := r.jwt(scalar(token), jwtRule{
		methods: rsaMethods[:1], audiences: []string{r.setting("app_id")}, expires: true,
		key: func(t *jwt.Token) (any, error) {
			kid, _ := t.Header["kid"].(string)
			return graphKeys.find(r.http.Context(), r.fetcher, kid)
		},
	})
	if err != nil {
		return err
	}
	tenant, _ := claims["tid"].(string)
	if want := r.setting("tenant_id"); tenant == "" || want != "" && !same(tenant, want) {
		return fail(CodeSignature, "a validationToken is another tenant's")
	}
	if !claimIs(claims, "iss", "https://sts.windows.net/"+tenant+"/") && !claimIs(claims, "iss", "https://login.microsoftonline.com/"+tenant+"/v2.0") {
		return fail(CodeSignature, "a validationToken has another issuer")
	}
	// The first version of tokens has appid, the second azp.
	if !claimIs(claims, "appid", graphPublisher) && !claimIs(claims, "azp", graphPublisher) {
		return fail(CodeSignature, "a validationToken is not for Microsoft Graph's change tracking")
	}
	return nil
}
