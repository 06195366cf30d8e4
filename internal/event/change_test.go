package event

import "testing"

func TestRecordChange(t *testing.T) {
	for _, tt := range []struct {
		typ, subject string
		want         RecordChange
		ok           bool
	}{
		{"cenik.update", "cenik/2", RecordChange{"cenik", "update", "2"}, true},
		{"faktura-vydana-polozka.create", "faktura-vydana-polozka/17", RecordChange{"faktura-vydana-polozka", "create", "17"}, true},
		{"x_1.delete", "x_1/code:A B", RecordChange{"x_1", "delete", "code:A B"}, true},
		{typ: "cenik.update", subject: "cenik/"},
		{typ: "cenik.update", subject: "cenik"},
		{typ: "cenik.update", subject: "ceniky/2"},
		{typ: "cenik.update", subject: "adresar/2"},
		{typ: "cenik.update", subject: "cenik/2/3"},
		{typ: "cenik.update"},
		{typ: "cenik.paid", subject: "cenik/2"},
		{typ: "cenik.update.late", subject: "cenik/2"},
		{typ: "cenik", subject: "cenik/2"},
		{typ: "update", subject: "update/2"},
		{typ: "2cenik.update", subject: "2cenik/2"},
		{typ: "-x.update", subject: "-x/2"},
		{typ: "next.update", subject: "next/2"},
	} {
		ev := Event{Type: tt.typ, Subject: tt.subject}
		if got, ok := ev.RecordChange(); got != tt.want || ok != tt.ok {
			t.Errorf("%s of %s: %+v, %v", tt.typ, tt.subject, got, ok)
		}
	}
}

func TestRecordChangeDoesNotAllocate(t *testing.T) {
	ev := Event{Type: "cenik.update", Subject: "cenik/2"}
	if n := testing.AllocsPerRun(100, func() { _, _ = ev.RecordChange() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
