package receiver

import "time"

func init() {
	addCase(testCase{
		provider: "typeform",
		body:     `{"event_id":"01G","event_type":"form_response","form_response":{"form_id":"lT4Z3j","submitted_at":"2026-03-14T15:09:00Z"}}`,
		sign:     signBody("Typeform-Signature", "sha256=", base256),
		want: Delivery{
			Type: "form_response", ID: "01G", Subject: "lT4Z3j",
			Time: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC),
		},
		proof: []string{"Typeform-Signature"},
	})
}
