package sqlite

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// unpackers reads a record of each kind and packs it again.
var unpackers = map[string]func(b []byte) ([]byte, error){
	"event": func(b []byte) ([]byte, error) {
		var v event.Event
		if err := unpackEvent(b, &v); err != nil {
			return nil, err
		}
		return packEvent(nil, &v)
	},
	"origin": func(b []byte) ([]byte, error) {
		var v event.Event
		if err := unpackEvent(b, &v); err != nil {
			return nil, err
		}
		return packEvent(nil, &v)
	},
	"source": func(b []byte) ([]byte, error) {
		var v event.Source
		err := unpackSource(b, &v)
		return packSource(&v), err
	},
	"bin": func(b []byte) ([]byte, error) {
		var v event.Bin
		err := unpackBin(b, &v)
		return packBin(&v), err
	},
	"capture": func(b []byte) ([]byte, error) {
		var v event.Capture
		err := unpackCapture(b, &v)
		return packCapture(&v), err
	},
	"mark": func(b []byte) ([]byte, error) {
		var v event.Capture
		err := unpackMark(b, &v)
		return packMark(&v), err
	},
	"receipts": func(b []byte) ([]byte, error) {
		v, err := unpackReceipts(b)
		return packReceipts(v), err
	},
	"attempt": func(b []byte) ([]byte, error) {
		var v event.Attempt
		err := unpackAttempt(b, &v)
		return packAttempt(nil, &v), err
	},
	"lane": func(b []byte) ([]byte, error) {
		var v event.LaneState
		err := unpackLane(b, &v)
		return packLane(&v), err
	},
	"retry": func(b []byte) ([]byte, error) {
		var v event.Retry
		err := unpackRetry(b, &v)
		return packRetry(&v), err
	},
	"tenant": func(b []byte) ([]byte, error) {
		var v event.Tenant
		err := unpackTenant(b, &v)
		return packTenant(&v), err
	},
	"endpoint": func(b []byte) ([]byte, error) {
		var v event.Endpoint
		err := unpackEndpoint(b, &v)
		return packEndpoint(&v), err
	},
	"type": func(b []byte) ([]byte, error) {
		var v event.Type
		err := unpackType(b, &v)
		return packType(&v), err
	},
	"audit": func(b []byte) ([]byte, error) {
		var v event.AuditEntry
		err := unpackAudit(b, &v)
		return packAudit(&v), err
	},
	"apikey": func(b []byte) ([]byte, error) {
		var v event.APIKey
		err := unpackAPIKey(b, &v)
		return packAPIKey(&v), err
	},
	"queue": func(b []byte) ([]byte, error) {
		var v event.Queue
		err := unpackQueue(b, &v)
		return packQueue(&v), err
	},
	"cursor": func(b []byte) ([]byte, error) {
		var v event.QueueCursor
		err := unpackCursor(b, &v)
		return packCursor(&v), err
	},
	"item": func(b []byte) ([]byte, error) {
		var v event.QueueItem
		err := unpackItem(b, &v)
		return packItem(nil, &v), err
	},
	"held": func(b []byte) ([]byte, error) {
		var v event.QueueItem
		err := unpackItem(b, &v)
		return packItem(nil, &v), err
	},
	"dead": func(b []byte) ([]byte, error) {
		var v event.QueueDead
		err := unpackDead(b, &v)
		return packDead(nil, &v), err
	},
	"answer": func(b []byte) ([]byte, error) {
		var v store.Answer
		err := unpackAnswer(b, &v)
		return packAnswer(&v), err
	},
}

// samples are one full record of each kind.
func samples(t testing.TB) map[string][]byte {
	t.Helper()
	at := time.UnixMicro(1_760_000_000_123_456).UTC()
	e, err := packEvent(nil, &event.Event{
		Source: "/s", Type: "t", Subject: "x", Time: at, ContentType: "text/plain", Schema: "u", Key: "k", Channels: []string{"a", "b"},
		Extensions: []event.Extension{{Name: "b", Value: true}, {Name: "c", Value: false}, {Name: "i", Value: int32(-9)}, {Name: "s", Value: "v"}},
		Data:       []byte("data"),
	})
	if err != nil {
		t.Fatal(err)
	}
	origin, err := packEvent(nil, &event.Event{
		Source: "/s", Type: "t", Time: at, Data: []byte("data"),
		Origin: &event.Request{Head: []byte("POST / HTTP/1.1\r\n"), Body: []byte("zipped"), Remote: "192.0.2.1", URL: "u", Path: "/p"},
	})
	if err != nil {
		t.Fatal(err)
	}
	answer := event.Answer{Status: 201, Reason: "r", Headers: []event.Header{{Name: "A", Value: "b"}}, Body: []byte("x")}
	capture := event.Capture{Request: event.Request{Head: []byte("GET"), Remote: "192.0.2.1", URL: "u", Path: "/p"}, Note: "n", Refused: "f", Answer: answer}
	return map[string][]byte{
		"event":  e,
		"origin": origin,
		"source": packSource(&event.Source{
			Provider: "p", Sealed: []byte{1}, Map: event.SourceMap{Data: "d", Fields: map[string]string{"a": "b"}}, Answer: answer, Sync: 3,
			SyncWait: 4, Tolerance: 5, Allow: []string{"a"}, Bin: "b", Disabled: true, Metadata: map[string]string{"a": "b"}, Created: at, Updated: at,
		}),
		"bin": packBin(&event.Bin{
			Description: "d", Answer: answer, Delay: 1, Hold: 2, CORS: true, Keep: 3, Refuse: true, Tunnel: "t", Metadata: map[string]string{}, Created: at, Updated: at,
		}),
		"capture":  packCapture(&capture),
		"mark":     packMark(&capture),
		"receipts": packReceipts([]event.Receipt{{ID: "a", Version: 3}, {ID: "b", Version: 4, Duplicate: true}}),
		"attempt": packAttempt(nil, &event.Attempt{
			Versions: []int64{3, 900}, EventID: "id", Number: 2, Duration: 77, Status: 500, Verdict: event.VerdictRetry, Error: "e",
			Headers: []event.Header{{Name: "A", Value: "b"}}, Body: []byte("x"), Next: at,
		}),
		"lane": packLane(&event.LaneState{
			Tenant: 1, Backlog: true, Cursor: 5, Done: []int64{7, 9}, Penalty: 3, PenaltyUntil: at, Failures: 2, FailingSince: at,
			Range: event.ReplayRange{From: 1, To: 9, OnlyFailed: true, Sent: 4, Started: at, Matching: 5},
		}),
		"retry":  packRetry(&event.Retry{Tenant: 1, Versions: []int64{5}, Keys: []uint64{1 << 63}, Number: 1, Step: 2, First: at, Due: at}),
		"tenant": packTenant(&event.Tenant{Description: "d", PublishRate: 0.5, MaxEndpoints: 3, Metadata: map[string]string{"a": "b"}, Created: at, Updated: at}),
		"endpoint": packEndpoint(&event.Endpoint{
			URL: "https://example.com", Types: []string{"a"}, Channels: []string{}, Retries: []time.Duration{5}, Metadata: map[string]string{},
			Sealed: []byte{}, RateLimit: 2, Disabled: true, Created: at, Updated: at,
		}),
		"type": packType(&event.Type{Schema: []byte("{}"), Archived: true, Created: at, Updated: at}),
		"apikey": packAPIKey(&event.APIKey{
			Name: "n", Hash: [32]byte{1}, Allow: []event.Permission{event.AllowRead}, Created: at, Previous: [32]byte{2}, PreviousExpires: at,
		}),
		"audit": packAudit(&event.AuditEntry{
			Address: "::1", Outcome: event.AuditDone, Code: "c", RequestID: "r", Status: 200,
			Changes: []event.AuditChange{{Field: "f", From: []byte("1"), To: []byte("2")}, {Field: "g"}},
		}),
		"queue": packQueue(&event.Queue{
			Description: "d", Select: event.Selection{Types: []string{"a"}, Subjects: []string{}, Filter: "f"}, Order: event.OrderKey,
			Visibility: 3, MaxDeliveries: 4, MaxOpen: 5, Start: 6, Metadata: map[string]string{"a": "b"}, Created: at, Updated: at,
		}),
		"cursor": packCursor(&event.QueueCursor{Version: 1, Seq: 2, Low: 3, Floor: 4, Lease: 5, Expired: 6, Open: 7, Oldest: at}),
		"item":   packItem(nil, &event.QueueItem{Seq: 1, Key: 1 << 63, Deliveries: 2, Lease: 3, Until: at, Received: at}),
		"held": packItem(nil, &event.QueueItem{
			Seq: 1, Lease: 3, Until: at, Received: at, Holder: event.LeaseHolder{Kind: "key", ID: "k", Name: "n", Consumer: "c"},
		}),
		"dead":   packDead(nil, &event.QueueDead{Seq: 1, Key: 1 << 63, Deliveries: 2, Received: at}),
		"answer": packAnswer(&store.Answer{Fingerprint: [32]byte{2}, Status: 200, Header: map[string]string{"a": "b"}, Body: []byte("x"), At: at}),
	}
}

// TestPackedRecords packs, unpacks and packs again, and cuts each record at every length: it must be refused.
func TestPackedRecords(t *testing.T) {
	for kind, b := range samples(t) {
		again, err := unpackers[kind](b)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s: packed again it is %x, not %x (%v)", kind, again, b, err)
		}
		for n := range b {
			if (kind == "event" || kind == "origin") && n >= len(b)-len("data") {
				break // data goes to the record's end
			}
			if _, err := unpackers[kind](b[:n]); err == nil {
				t.Errorf("%s: cut to %d of %d bytes it is read", kind, n, len(b))
			}
		}
		newer := b[0] + 1
		if kind == "event" {
			newer = originVersion + 1 // one without an origin is packed as the oldest
		}
		if _, err := unpackers[kind](append([]byte{newer}, b[1:]...)); err == nil {
			t.Errorf("%s: a newer version is read", kind)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	for _, b := range samples(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for kind, unpack := range unpackers {
			first, err := unpack(b)
			if err != nil {
				continue
			}
			second, err := unpack(first)
			if err != nil || !bytes.Equal(first, second) {
				t.Errorf("%s: %x is packed as %x, then as %x (%v)", kind, b, first, second, err)
			}
		}
	})
}

func TestPackEventProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		e := event.Event{
			Source: text.Draw(t, "source"), Type: text.Draw(t, "type"), Subject: text.Draw(t, "subject"), ContentType: text.Draw(t, "contentType"),
			Schema: text.Draw(t, "schema"), Key: text.Draw(t, "key"), Time: time.UnixMicro(rapid.Int64Range(-1<<50, 1<<50).Draw(t, "time")).UTC(),
			Channels: rapid.SliceOf(text).Draw(t, "channels"), Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "extensions") {
			var v any = text.Draw(t, "text")
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				v = rapid.Bool().Draw(t, "bool")
			case 1:
				v = rapid.Int32().Draw(t, "int")
			}
			e.Extensions = append(e.Extensions, event.Extension{Name: text.Draw(t, "name"), Value: v})
		}
		if rapid.Bool().Draw(t, "came") {
			e.Origin = &event.Request{
				Head: rapid.SliceOf(rapid.Byte()).Draw(t, "head"), Body: rapid.SampledFrom([][]byte{nil, {}, []byte("body")}).Draw(t, "body"),
				Remote: text.Draw(t, "remote"), URL: text.Draw(t, "url"), Path: text.Draw(t, "path"),
			}
		}
		b, err := packEvent(nil, &e)
		if err != nil {
			t.Fatal(err)
		}
		var got event.Event
		if err := unpackEvent(b, &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(e, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
		if e.Origin != nil && (e.Origin.Body == nil) != (got.Origin.Body == nil) {
			t.Fatalf("a body that is %t nil comes back %t nil", e.Origin.Body == nil, got.Origin.Body == nil)
		}
	})
}

func TestUUID(t *testing.T) {
	for s, want := range map[string]bool{
		"0199b3c4-1234-7abc-8def-0123456789ab":  true,
		"00000000-0000-0000-0000-000000000000":  true,
		"ffffffff-ffff-ffff-ffff-ffffffffffff":  true,
		"0199B3C4-1234-7abc-8def-0123456789ab":  false,
		"0199b3c4-1234-7abc-8def-0123456789a":   false,
		"0199b3c4-1234-7abc-8def-0123456789abc": false,
		"0199b3c4 1234 7abc 8def 0123456789ab":  false,
		"0199b3c4-1234-7abc-8def-0123456789ag":  false,
		"-199b3c4-1234-7abc-8def-0123456789ab":  false,
		"":                                      false,
	} {
		var b [16]byte
		ok := parseUUID(&b, s)
		if ok != want || ok && formatUUID(&b) != s {
			t.Errorf("%q: %t, and back %q", s, ok, formatUUID(&b))
		}
	}
}
