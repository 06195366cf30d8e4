package event

import "time"

// TokenKey is a key with which a tenant's short-lived tokens are signed and checked.
type TokenKey struct {
	// ID is unique within the tenant; it is the kid of the tokens.
	ID     string
	Tenant TenantID
	// Sealed is the key, encrypted and bound to the tenant and the ID.
	Sealed  []byte
	Created time.Time
	// Retired is when tokens signed with the key stop being valid; zero while it is in use.
	Retired time.Time
}
