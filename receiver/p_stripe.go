package receiver

import "time"

func init() {
	register(provider{
		Info: Info{
			Name: "stripe", Title: "Stripe",
			Secret: "the endpoint's signing secret (whsec_…)",
			Event:  "type, id and created of the event, subject is the id of its object",
		},
		verify:   timedPairs("Stripe-Signature", ",", "t", "v1", ".", sha256Hex, time.Second),
		describe: describe(field("type"), field("id"), first(field("data", "object", "id"), field("related_object", "id")), seconds(field("created"))),
	})
}

// timedPairs is the rule of Stripe and those that follow it: a header of pairs holds a timestamp and signatures of timestamp,
// joint and body. A unit of 0 says that the timestamp is not compared with the clock.
func timedPairs(header, separator, stamp, version, joint string, s scheme, unit time.Duration) func(*request) error {
	return func(r *request) error {
		text, err := r.header(header)
		if err != nil {
			return err
		}
		found := pairs(text, separator)
		at, err := one(found, header, stamp)
		if err != nil {
			return err
		}
		if len(found[version]) == 0 {
			return fail(CodeMissing, version+" in the header "+header+" is missing")
		}
		if err := r.anyOfHMAC(s, found[version], []byte(at+joint), r.body); err != nil {
			return err
		}
		if unit == 0 { // However old it is. But it is a number: else what is up to a later joint, in the body, would pass as one.
			_, err := parseUnix(at, time.Second)
			return err
		}
		return r.fresh(at, unit)
	}
}
