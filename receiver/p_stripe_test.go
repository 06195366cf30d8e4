package receiver

import "time"

func init() {
	stripe := testCase{
		provider: "stripe",
		body:     `{"id":"evt_1","object":"event","created":1773500960,"type":"checkout.session.completed","data":{"object":{"id":"cs_9"}}}`,
		sign: func(m *message, secret string, at time.Time) {
			m.header.Set("Stripe-Signature", "t="+unix(at)+",v1="+hex256(secret, unix(at), ".", string(m.body))+",v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39")
		},
		want:      Delivery{Type: "checkout.session.completed", ID: "evt_1", Subject: "cs_9", Time: time.Unix(1773500960, 0).UTC()},
		proof:     []string{"Stripe-Signature"},
		tolerance: 5 * time.Minute,
	}
	rotated := stripe
	rotated.name = "two signatures"
	rotated.sign = func(m *message, secret string, at time.Time) {
		m.header.Set("Stripe-Signature", "t="+unix(at)+",v1="+hex256("the old secret", unix(at), ".", string(m.body))+",v1="+hex256(secret, unix(at), ".", string(m.body)))
	}
	// Its first signature is nobody's here: changing it changes nothing.
	rotated.proof = nil
	addCase(stripe, rotated)
}
