package live

import "github.com/posthornhq/posthorn/internal/event"

// AdmitLease counts a lease of a queue that begins to wait as a waiting poll, or says why it may not: KindUnavailable when
// too many wait. The release is to be called once, when the wait is over.
func (h *Hub) AdmitLease(tenant event.TenantID) (release func(), err error) {
	t, err := h.admitWait(tenant)
	if err != nil {
		return nil, err
	}
	return t.release, nil
}
