package sqlite

import (
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
	newer := packEndpoint(&endpoint)
	newer[0] = endpointVersion + 1
	if unpackEndpoint(newer, &got) == nil {
		t.Error("an endpoint of a later version was read")
	}
}
