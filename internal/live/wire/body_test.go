package wire

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"

	"github.com/posthornhq/posthorn/internal/codec"
	"github.com/posthornhq/posthorn/internal/event"
)

// unframe reads a server's frame with another implementation.
func unframe(t testing.TB, b []byte) (ws.Frame, []byte) {
	t.Helper()
	r := bytes.NewReader(b)
	f, err := ws.ReadFrame(r) //nolint:staticcheck // a test reads what it wrote
	if err != nil || r.Len() != 0 {
		t.Fatalf("%v, %d bytes are left", err, r.Len())
	}
	if !f.Header.Rsv1() {
		return f, f.Payload
	}
	out, err := io.ReadAll(wsflate.NewReader(bytes.NewReader(f.Payload), func(r io.Reader) wsflate.Decompressor { return flate.NewReader(r) }))
	if err != nil {
		t.Fatal(err)
	}
	return f, out
}

func TestEventBody(t *testing.T) {
	large := sample()
	large.Data = []byte(`{"lines":[` + strings.Repeat(`{"sku":"A-1","count":1},`, 100) + `1]}`)
	for name, e := range map[string]*event.Event{"small": {ID: "x", Type: "a", Source: "/", Version: 1}, "large": large} {
		body := NewEventBody(e)
		var wait sync.WaitGroup
		for _, form := range []Form{JSON, CBOR} {
			for _, deflate := range []bool{false, true} {
				for _, id := range []string{"a", strings.Repeat("€", 64), `"\`} {
					wait.Go(func() {
						f, message := unframe(t, body.AppendFrame([]byte(nil), form, deflate, id))
						if want := eventMessage(form, id, e); !bytes.Equal(message, want) {
							t.Errorf("%s, form %d: %q, want %q", name, form, message, want)
						}
						if f.Header.OpCode != form.Opcode() || f.Header.Rsv1() != (deflate && name == "large") {
							t.Errorf("%s, form %d: %+v", name, form, f.Header)
						}
						if f.Header.Rsv1() && len(f.Payload) > len(message)/2 {
							t.Errorf("%s: %d bytes of %d are left", name, len(f.Payload), len(message))
						}
						ours, err := inflate(f.Payload, 1<<20)
						if f.Header.Rsv1() && (err != nil || !bytes.Equal(ours, message)) {
							t.Errorf("%s: %v", name, err)
						}
					})
				}
			}
		}
		wait.Wait()
		if string(body.JSON()) != string(codec.AppendEvent(nil, e)) || body.Event() != e {
			t.Errorf("%s: %s", name, body.JSON())
		}
	}
	random := sample()
	random.ContentType, random.Data = "image/png", make([]byte, 4000)
	for i, x := 0, uint32(1); i < len(random.Data); i++ {
		x = x*1664525 + 1013904223
		random.Data[i] = byte(x >> 24)
	}
	if f, _ := unframe(t, NewEventBody(random).AppendFrame(nil, CBOR, true, "a")); f.Header.Rsv1() {
		t.Error("what does not get smaller was compressed")
	}
}

// payloads are events of several sizes: documented webhooks where they are installed, made-up orders else.
func payloads(b *testing.B, size int) *event.Event {
	b.Helper()
	e := sample()
	e.Channels, e.Extensions, e.Schema = nil, nil, ""
	if raw, err := os.ReadFile("../../../test/js/node_modules/@octokit/webhooks-examples/api.github.com/index.json"); err == nil {
		var list []struct {
			Examples []json.RawMessage `json:"examples"`
		}
		if err := json.Unmarshal(raw, &list); err != nil {
			b.Fatal(err)
		}
		for _, l := range list {
			for _, x := range l.Examples {
				var c bytes.Buffer
				_ = json.Compact(&c, x)
				if e.Data = c.Bytes(); len(e.Data) >= size && len(e.Data) < 2*size {
					return e
				}
			}
		}
	}
	var lines strings.Builder
	for i := 0; lines.Len() < size; i++ {
		fmt.Fprintf(&lines, `{"sku":"A-%d","name":"Article %x","count":%d},`, i*7919, i*104729, i%7)
	}
	e.Data = []byte(`{"lines":[` + lines.String()[:lines.Len()-1] + `]}`)
	return e
}

// BenchmarkDeflate is where [minDeflate] comes from.
func BenchmarkDeflate(b *testing.B) {
	for _, size := range []int{10, 60, 150, 300, 700, 1500, 8000} {
		part := appendEventPart(nil, JSON, payloads(b, size))
		b.Run(fmt.Sprintf("%dB", len(part)), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(part)))
			n := 0
			for b.Loop() {
				n = len(deflateBlocks(part))
			}
			b.ReportMetric(float64(n)/float64(len(part)), "ratio")
		})
	}
}

// BenchmarkInflate is the other side of it.
func BenchmarkInflate(b *testing.B) {
	part := appendEventPart(nil, JSON, payloads(b, 700))
	small := deflateBlocks(part)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := inflate(small, 1<<20); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEventFrame is one frame for one more subscription.
func BenchmarkEventFrame(b *testing.B) {
	body := NewEventBody(payloads(b, 700))
	for _, form := range []Form{JSON, CBOR} {
		for _, deflate := range []bool{false, true} {
			b.Run(fmt.Sprintf("form %d, deflate %t", form, deflate), func(b *testing.B) {
				b.ReportAllocs()
				var dst []byte
				for b.Loop() {
					dst = body.AppendFrame(dst[:0], form, deflate, "orders")
				}
			})
		}
	}
}

// BenchmarkReceive is a client's message from the socket to its type.
func BenchmarkReceive(b *testing.B) {
	for form, name := range []string{"JSON", "CBOR"} {
		b.Run(name, func(b *testing.B) {
			message := []byte(`{"type":"ack","id":"orders","version":123456}`)
			if Form(form) == CBOR {
				message = toCBOR(b, string(message))
			}
			stream := frame(0x81+byte(form), string(message))
			buf := make([]byte, len(stream))
			d := NewDecoder(&Rules{MaxMessage: 1 << 20}, Form(form), false)
			b.ReportAllocs()
			for b.Loop() {
				copy(buf, stream)
				m, _, ok, err := d.Next(buf)
				if !ok || err != nil {
					b.Fatal(err)
				}
				if _, err := DecodeClient(Form(form), m.Payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// eventMessage is the event message for one subscription, without a frame.
func eventMessage(form Form, id string, e *event.Event) []byte {
	return appendEventPart(appendEventHead(nil, form, id), form, e)
}
