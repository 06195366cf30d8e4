// Package receiver checks that a webhook came from the provider that it claims to come from, by that provider's own
// rule, and says what it is: its type, its delivery id, what it is about. It knows a hundred providers; see [Providers].
// It needs nothing of the Posthorn server.
//
// A request goes through it like this: [Handshake] answers it when it is not an event but a provider's question
// whether this address is willing (a challenge to echo, a ping); else [Verify] checks it over the body's bytes as
// they arrived, in constant time, against every secret given, and describes it as a [Delivery]; the answer to the provider is then
// [Accepted] or [Refused]. [Middleware] does all of this around a handler, with the body's size capped and repeated
// deliveries dropped.
//
// Keys and certificates that a rule needs and that a provider publishes are fetched from that provider's own hosts only; see
// [DefaultFetcher]. The receivers of ASP.NET WebHooks are all there, by their own rules: aspnet (its own sender), azurealert,
// azurecontainerregistry, bitbucket-code, dropbox, dynamicscrm, genericjson, github-sha1, instagram-sha1, kudu, mailchimp-code,
// myget, paypal, pusher-keys, salesforce and sfsoap, slack-token, stripe-untimed, trello, vsts, wordpress-code and zendesk-code.
//
// Several secrets may be given, for a rotation: any of them will do. An empty secret never verifies anything.
//
// Most providers send a delivery again until it is answered with 2xx within some seconds, so that the same one can come
// twice: keep their ids, as the middleware does. Many providers' signatures cover neither the time nor the
// id; a request caught on its way can then be sent again by who caught it. Serve webhooks through TLS.
package receiver
