package event

import "time"

// Limits of the settings of a portal.
const (
	MaxPortalName    = 200      // bytes
	MaxPortalLogo    = 32 << 10 // bytes of the data URL
	MaxPortalOrigins = 20
)

// Portal is what the portal of a tenant looks like, and whose pages may embed it. A tenant that never set any has the
// zero value but for Tenant.
type Portal struct {
	Tenant TenantID
	// Revision counts the changes; 0: it was never set.
	Revision int64
	// Name is shown as the portal's title; empty: the tenant's name.
	Name string
	// Colour is "#" and six lower-case hexadecimal digits, or empty.
	Colour string
	// Logo is a data URL of an image, or empty.
	Logo string
	// Origins are the web origins, such as https://app.example.com, whose pages may embed the portal.
	Origins []string
	// Language is a language tag (RFC 5646), or empty: the browser's.
	Language string
	Updated  time.Time
}
