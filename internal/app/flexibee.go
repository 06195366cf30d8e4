package app

import "github.com/posthornhq/posthorn/internal/api/flexibee"

// newFlexiBee makes the FlexiBee-compatible interface.
func (a *App) newFlexiBee() *flexibee.API {
	return flexibee.New(flexibee.Config{
		Auth: a.control, Control: a.control, Delivery: a.manager, Log: history{a.store}, Logger: a.log, Audit: a.audit, Address: a.address,
	})
}
