package sqlite

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Endpoints and tenants that were saved before their records grew are read with what they did not have absent, and what
// is of a later version than this program's is not read at all.
func TestRecordsThatGrew(t *testing.T) {
	at := time.Unix(1700000000, 0).UTC()
	endpoint := event.Endpoint{URL: "https://example.com", Kind: "webhook", Types: []string{"a"}, Start: 7, Created: at, Updated: at}
	old := packEndpoint(&endpoint)
	old = old[:len(old)-3] // an empty profile, false, no list
	old[0] = 1
	var got event.Endpoint
	if err := unpackEndpoint(old, &got); err != nil || !reflect.DeepEqual(got, endpoint) {
		t.Errorf("the old endpoint is %+v, %v", got, err)
	}
	tenant := event.Tenant{Description: "d", Created: at, Updated: at}
	old = packTenant(&tenant)
	old = old[:len(old)-1]
	old[0] = 1
	var gotTenant event.Tenant
	if err := unpackTenant(old, &gotTenant); err != nil || !reflect.DeepEqual(gotTenant, tenant) {
		t.Errorf("the old tenant is %+v, %v", gotTenant, err)
	}
	// An event as the first release packed it; one without an origin is packed so still.
	packed, err := hex.DecodeString("018089ffecbdada0060137052f73686f700a6f726465722e70616964086f726465722f34320a746578742f706c61696e00016b02016102016e03f7ffffff0000000064617461")
	if err != nil {
		t.Fatal(err)
	}
	event1 := event.Event{
		Source: "/shop", Type: "order.paid", Subject: "order/42", Time: time.UnixMicro(1_760_000_000_123_456).UTC(), ContentType: "text/plain", Key: "k",
		Channels: []string{"a"}, Extensions: []event.Extension{{Name: "n", Value: int32(-9)}}, Data: []byte("data"),
	}
	var gotEvent event.Event
	if err := unpackEvent(packed, &gotEvent); err != nil || !reflect.DeepEqual(gotEvent, event1) {
		t.Errorf("the old event is %+v, %v", gotEvent, err)
	}
	if again, err := packEvent(nil, &event1); err != nil || !bytes.Equal(again, packed) {
		t.Errorf("an event without an origin is packed as %x, %v", again, err)
	}
	key := event.APIKey{Name: "n", Hash: [32]byte{1}, Allow: []event.Permission{event.AllowRead}, Created: at}
	old = packAPIKey(&key)
	var gotKey event.APIKey
	if err := unpackAPIKey(old, &gotKey); err != nil || old[0] != 1 || !reflect.DeepEqual(gotKey, key) {
		t.Errorf("the key that was never rotated is %+v, %v", gotKey, err)
	}
	newer := packEndpoint(&endpoint)
	newer[0] = endpointVersion + 1
	if unpackEndpoint(newer, &got) == nil {
		t.Error("an endpoint of a later version was read")
	}
}
