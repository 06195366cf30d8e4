package codec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// sample is a publish of about 700 bytes.
func sample() []byte {
	data := `{"id":4711,"number":"2026-004711","status":"paid","currency":"EUR","total":129.90,"customer":{"id":"c-10432",` +
		`"name":"Ann Example","email":"ann@example.org"},"lines":[{"sku":"TEA-250","name":"Tea, 250 g","quantity":2,"price":9.95},` +
		`{"sku":"POT-1","name":"Teapot","quantity":1,"price":110.00}],"shipping":{"method":"post","street":"High Street 1",` +
		`"city":"Brno","zip":"60200","country":"CZ"},"paid_at":"2026-11-21T08:30:00Z","notes":"` + strings100("x", 150) + `"}`
	return []byte(`{"type":"order.paid","subject":"order/4711","data":` + data + `}`)
}

func strings100(s string, n int) string { return string(bytes.Repeat([]byte(s), n)) }

func sampleEvent(tb testing.TB) *event.Event {
	tb.Helper()
	events, _, err := DecodePublish(Request{ContentType: "application/json", Body: sample()}, event.DefaultLimits())
	if err != nil {
		tb.Fatal(err)
	}
	e := &events[0]
	e.ID, e.Source, e.Version = "01999999-0000-7000-8000-000000000001", "/acme", 4711
	e.Time = time.Date(2026, 11, 21, 8, 30, 0, 123456000, time.UTC)
	return e
}

func BenchmarkDecodeSingle(b *testing.B) {
	req := Request{ContentType: "application/json", Body: sample()}
	limits := event.DefaultLimits()
	b.SetBytes(int64(len(req.Body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := DecodePublish(req, limits); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeArray100(b *testing.B) {
	body := append([]byte{'['}, bytes.Repeat(append(sample(), ','), 100)...)
	body[len(body)-1] = ']'
	limits := event.DefaultLimits()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := DecodePublish(Request{ContentType: "application/json", Body: body}, limits); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/event")
}

func BenchmarkDecodeCloudEvent(b *testing.B) {
	req := Request{ContentType: "application/cloudevents+json", Body: AppendCloudEvent(nil, sampleEvent(b))}
	limits := event.DefaultLimits()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := DecodePublish(req, limits); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStdlibDecode is what the same body costs in encoding/json, which checks less.
func BenchmarkStdlibDecode(b *testing.B) {
	body := sample()
	b.ReportAllocs()
	for b.Loop() {
		var v struct {
			Type, Subject string
			Data          json.RawMessage
		}
		if err := json.Unmarshal(body, &v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	e := sampleEvent(b)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendEvent(dst[:0], e)
	}
}

func BenchmarkEncode(b *testing.B) {
	e := sampleEvent(b)
	events := []*event.Event{e}
	for _, env := range []event.Envelope{"standard", "cloudevents", "cloudevents-binary", "raw"} {
		for _, payload := range []event.Payload{event.PayloadFull, event.PayloadThin} {
			b.Run(fmt.Sprintf("%s/%s", env, payload), func(b *testing.B) {
				o := Options{Envelope: env, Payload: payload}
				var dst []byte
				b.ReportAllocs()
				for b.Loop() {
					_, _, body, err := Encode(dst[:0], o, events)
					if err != nil {
						b.Fatal(err)
					}
					dst = body
				}
			})
		}
	}
}
