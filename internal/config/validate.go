package config

import (
	"errors"
	"fmt"
	"time"
)

// Validate checks the options against one another and returns all that is wrong,
// joined. [Load] has called it; call it again after changing a Config by hand.
func (c *Config) Validate() error {
	var errs []error
	rule := func(ok bool, option, format string, args ...any) {
		if !ok {
			errs = append(errs, &Error{Where: option, Option: option, Problem: fmt.Sprintf(format, args...)})
		}
	}
	rule(c.MaxEventSize <= c.MaxBatchSize, "max-event-size", "(%s) is larger than max-batch-size (%s): no such event could be published",
		FormatSize(int64(c.MaxEventSize)), FormatSize(int64(c.MaxBatchSize)))
	rule(c.MaxAttributeSize <= c.MaxEventSize, "max-attribute-size", "(%s) is larger than max-event-size (%s)",
		FormatSize(int64(c.MaxAttributeSize)), FormatSize(int64(c.MaxEventSize)))
	rule(c.RetentionSize == 0 || c.RetentionSize >= int64(c.MaxBatchSize), "retention-size", "(%s) is smaller than max-batch-size (%s): one publish could delete itself",
		FormatSize(c.RetentionSize), FormatSize(int64(c.MaxBatchSize)))
	rule(c.PublishBurst == 0 || c.PublishRate > 0, "publish-burst", "has no effect without publish-rate")
	rule(c.MaxProbes <= c.MaxInFlight, "max-probes", "(%d) is larger than max-in-flight (%d)", c.MaxProbes, c.MaxInFlight)

	keys := c.TokenJWKSURL != "" || c.TokenKeysFile != ""
	rule(c.TokenIssuer != "posthorn", "token-issuer", "(posthorn) is the server's own")
	rule(!keys || c.TokenIssuer != "", "token-issuer", "is needed with token-jwks-url and token-keys-file: whose tokens are they?")
	rule(c.TokenJWKSURL == "" || c.TokenKeysFile == "", "token-keys-file", "does not go with token-jwks-url: the keys are in one place")
	rule(keys || c.TokenIssuer == "", "token-issuer", "has no effect without token-jwks-url or token-keys-file")
	rule(keys || c.TokenAudience == "", "token-audience", "has no effect without token-jwks-url or token-keys-file")

	oidc := c.OIDCIssuer != ""
	rule(!oidc || c.OIDCClientID != "", "oidc-client-id", "is needed with oidc-issuer: who is the server there?")
	rule(!oidc || len(c.OIDCRoles) > 0, "oidc-roles", "is needed with oidc-issuer: nobody could sign in")
	rule(!oidc || c.OIDCGroupsClaim != "", "oidc-groups-claim", "is needed with oidc-issuer")
	rule(oidc || c.OIDCClientID == "", "oidc-client-id", "has no effect without oidc-issuer")
	rule(oidc || c.OIDCClientSecret.IsZero(), "oidc-client-secret", "has no effect without oidc-issuer")
	rule(oidc || !c.OIDCLogout, "oidc-logout", "has no effect without oidc-issuer")
	rule(oidc || len(c.OIDCRoles) == 0, "oidc-roles", "has no effect without oidc-issuer")

	var total time.Duration
	for _, d := range c.RetrySchedule {
		total += d
	}
	rule(total <= c.BacklogMaxAge, "retry-schedule", "lasts %s, longer than backlog-max-age (%s): an event could be deleted before its last attempt",
		FormatDuration(total), FormatDuration(c.BacklogMaxAge))
	return errors.Join(errs...)
}
