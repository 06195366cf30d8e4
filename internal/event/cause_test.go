package event_test

import (
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
)

func TestCauseOfItsText(t *testing.T) {
	for _, c := range []event.Cause{
		event.CauseName, event.CauseRefused, event.CauseUnreachable, event.CauseClosed, event.CauseTimeout, event.CauseBusy, event.CauseCertificate,
		event.CauseTLS, event.CauseForbidden, event.CauseNotHTTP, event.CauseOffline, event.CauseUnsendable,
	} {
		if c.Text() == "" || event.CauseOf(c.Text()) != c {
			t.Errorf("the text of %q is %q, which means %q", c, c.Text(), event.CauseOf(c.Text()))
		}
	}
	if got := event.CauseOf(""); got != event.CauseNone {
		t.Errorf("no error means %q", got)
	}
	if got := event.CauseOf("something new"); got != event.CauseOther {
		t.Errorf("an unknown error means %q", got)
	}
}
