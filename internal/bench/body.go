package bench

import (
	"bytes"
	"strconv"
	"time"

	"github.com/posthornhq/posthorn/internal/sink"
)

// bodySize is the size of one event's JSON in every measurement, in bytes.
const bodySize = 700

// numberDigits is the width of an event's number in its subject.
const numberDigits = 12

// body is a publish of one or more events that is made once and sent many times, each time with other numbers.
type body struct {
	bytes  []byte
	marks  []int // where the digits of each event's mark begin
	labels []int // where the number in each event's subject begins
}

// newBody returns a body of batch events of one type: a lone object for 0 or 1, else an array.
func newBody(eventType string, batch int) *body {
	b := &body{}
	if batch <= 1 {
		b.appendEvent(eventType)
		return b
	}
	b.bytes = append(b.bytes, '[')
	for i := range batch {
		if i > 0 {
			b.bytes = append(b.bytes, ',')
		}
		b.appendEvent(eventType)
	}
	b.bytes = append(b.bytes, ']')
	return b
}

func (b *body) appendEvent(eventType string) {
	start := len(b.bytes)
	b.bytes = append(b.bytes, `{"type":"`+eventType+`","subject":"order/`...)
	b.labels = append(b.labels, len(b.bytes))
	b.bytes = append(b.bytes, bytes.Repeat([]byte("0"), numberDigits)...)
	b.bytes = append(b.bytes, `","data":{`...)
	b.marks = append(b.marks, len(b.bytes)+sink.MarkOffset)
	b.bytes = sink.AppendMark(b.bytes, 0, time.Unix(0, 0))
	b.bytes = append(b.bytes, `,"status":"paid","currency":"EUR","total":"129.90","customer":{"id":"cus_8f14e45f","name":"Jana Nováková",`+
		`"email":"jana.novakova@example.com","address":{"street":"Dlouhá 12","city":"Praha","postcode":"110 00","country":"CZ"}},`+
		`"items":[{"sku":"LAMP-01","name":"Desk lamp","quantity":1,"price":"89.90"},{"sku":"BULB-60","name":"Bulb, 60 W","quantity":4,"price":"10.00"}],"note":"`...)
	const end = `"}}`
	b.bytes = append(b.bytes, bytes.Repeat([]byte("."), max(bodySize-(len(b.bytes)-start)-len(end), 0))...)
	b.bytes = append(b.bytes, end...)
}

// number gives the body's events the numbers from first on and the time of their publish.
func (b *body) number(first uint64, published time.Time) {
	var digits [20]byte
	for i, at := range b.marks {
		n := first + uint64(i)
		sink.PutMark(b.bytes[at:at+32], n, published)
		label := b.bytes[b.labels[i] : b.labels[i]+numberDigits]
		text := strconv.AppendUint(digits[:0], n, 10)
		for j := range label {
			label[j] = '0'
		}
		copy(label[max(numberDigits-len(text), 0):], text)
	}
}
