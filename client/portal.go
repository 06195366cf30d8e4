package client

import (
	"context"
	"net/http"
	"time"
)

// Portal is what a tenant's portal looks like, and whose pages may embed it: the pages on which the tenant's own customers
// look after their endpoints.
type Portal struct {
	Name     string   `json:"name,omitempty" maxLength:"200" doc:"The title of the pages; absent: the tenant's name"`
	Colour   string   `json:"colour,omitempty" pattern:"^#[0-9A-Fa-f]{6}$" patternDescription:"# and six hexadecimal digits, such as #0b7285" doc:"The colour of buttons and links. What is written on it is black or white, whichever can be read"`
	Logo     string   `json:"logo,omitempty" maxLength:"32768" doc:"A PNG, JPEG, WebP or SVG image as a data URL in base64, such as data:image/png;base64,…; an SVG without scripts and without references to elsewhere"`
	Origins  []string `json:"origins,omitzero" maxItems:"20" doc:"The web origins whose pages may show the portal in an iframe, such as https://app.example.com; empty: none"`
	Language string   `json:"language,omitempty" doc:"The language of the pages, such as en or cs; absent: the browser's"`
	// Updated is zero when nothing was ever set.
	Updated time.Time `json:"updated,omitzero" readOnly:"true" doc:"When it was last changed; absent when it never was"`

	// ETag is the version read, sent as If-Match by updates when not empty.
	ETag string `json:"-"`
}

// PortalLinkRequest asks for a link into a portal.
type PortalLinkRequest struct {
	TTL      *Duration `json:"ttl,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" patternDescription:"a duration such as 1h" doc:"How long the link lets in: 1s to 168h, default 1h"`
	ReadOnly bool      `json:"read_only,omitempty" doc:"Whether whoever has the link may look only: without secrets and headers, and without changes"`
	Language string    `json:"language,omitempty" pattern:"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}$" patternDescription:"a language tag, such as en or cs" doc:"The language of the pages for this link; absent: the portal's"`
}

// PortalLink lets whoever has it into a portal until it expires.
type PortalLink struct {
	URL     string    `json:"url" doc:"The address to open, or to embed as the src of an iframe. The token is behind its #, which browsers send to no server"`
	Token   string    `json:"token" doc:"The token in the address; also taken by the API, on the routes of portals"`
	Expires time.Time `json:"expires" doc:"When it ends"`
}

func (p *Portal) tag(s string) { p.ETag = s }

// Portal reads the settings of a tenant's portal; they are empty when none were ever set.
func (c *Client) Portal(ctx context.Context, tenant string) (*Portal, error) {
	return resource[Portal](ctx, c, newCall(http.MethodGet, path("tenants", tenant, "portal"), nil), nil)
}

// PutPortal replaces the settings of a tenant's portal; with the ETag of ones that were read, only those.
func (c *Client) PutPortal(ctx context.Context, tenant string, settings Portal, opts ...CallOption) (*Portal, error) {
	k := newCall(http.MethodPut, path("tenants", tenant, "portal"), opts)
	k.set("If-Match", settings.ETag)
	k.repeat = k.repeat || k.header.Get("If-Match") == "" // twice is as good as once
	return resource[Portal](ctx, c, k, settings)
}

// CreatePortalLink makes a link into a tenant's portal. It needs a key that may manage the tenant.
func (c *Client) CreatePortalLink(ctx context.Context, tenant string, r PortalLinkRequest, opts ...CallOption) (*PortalLink, error) {
	var out PortalLink
	_, err := c.do(ctx, newCall(http.MethodPost, path("tenants", tenant, "portal", "links"), opts), r, &out)
	return &out, err
}
