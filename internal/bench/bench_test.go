package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/sink"
)

func startTestSink(t *testing.T) *sink.Server {
	t.Helper()
	s, err := sink.New(sink.Options{Control: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
		defer cancel()
		_ = s.Stop(ctx)
	})
	return s
}

func TestBody(t *testing.T) {
	one := newBody("order.paid", 1)
	if len(one.bytes) != bodySize {
		t.Errorf("an event has %d bytes, not %d", len(one.bytes), bodySize)
	}
	three := newBody("order.paid", 3)
	three.number(41, time.Unix(1, 0))
	var events []struct {
		Type, Subject string
		Data          struct {
			Mark string `json:"posthorn_mark"`
		}
	}
	if err := json.Unmarshal(three.bytes, &events); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"order/000000000041", "order/000000000042", "order/000000000043"} {
		if events[i].Subject != want || events[i].Type != "order.paid" {
			t.Errorf("event %d: %+v", i, events[i])
		}
	}
	if got := events[2].Data.Mark; got != "000000000000002b000000003b9aca00" {
		t.Errorf("mark: %s", got)
	}
	one.number(7, time.Unix(1, 0))
	one.number(123, time.Unix(1, 0))
	if !bytes.Contains(one.bytes, []byte(`"order/000000000123"`)) || !json.Valid(one.bytes) {
		t.Errorf("numbered twice: %s", one.bytes)
	}
}

// runLoads sends loads through a load generator as a run does, over its input and output.
func runLoads(t *testing.T, loads ...Load) []Sent {
	t.Helper()
	var in, out bytes.Buffer
	for _, l := range loads {
		if err := json.NewEncoder(&in).Encode(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := RunLoad(t.Context(), &in, &out); err != nil {
		t.Fatal(err)
	}
	var done []Sent
	for d := json.NewDecoder(&out); ; {
		var s Sent
		if err := d.Decode(&s); err == io.EOF {
			return done
		} else if err != nil {
			t.Fatal(err)
		}
		if s.Done {
			done = append(done, s)
		}
	}
}

func TestLoadArrives(t *testing.T) {
	tests := []struct {
		name string
		load Load
	}{
		{"closed loop", Load{Connections: 8, Events: 100}},
		{"batches", Load{Connections: 3, Batch: 10, Events: 100}},
		{"fixed rate", Load{Connections: 4, Rate: 1000, Events: 100}},
		{"window", Load{Connections: 4, Events: 100, Window: 5, Targets: 1}},
	}
	s := startTestSink(t)
	for _, tt := range tests {
		m, err := sink.NewMeter(100, 1)
		if err != nil {
			t.Fatal(err)
		}
		s.SetMeter(m)
		l := tt.load
		l.URL, l.SinkURL, l.Type = s.URL()+sink.MeterPath+"0", s.URL(), "order.paid"
		sent := runLoads(t, l)
		if sent[0].Events != 100 || sent[0].Error != "" {
			t.Errorf("%s: sent %+v", tt.name, sent)
		}
		if got := m.Read(); got.Arrived != 100 || got.Repeated != 0 || got.Unknown != 0 {
			t.Errorf("%s: arrived %+v", tt.name, got)
		}
	}
}

func TestLoadStopsAtARefusal(t *testing.T) {
	s := startTestSink(t)
	if err := s.Set("/refuse", sink.Behaviour{Status: 422, Body: "no"}); err != nil {
		t.Fatal(err)
	}
	sent := runLoads(t, Load{URL: s.URL() + "/refuse", Type: "x", Connections: 2, Duration: time.Minute})
	if !strings.Contains(sent[0].Error, "answered 422: no") {
		t.Errorf("error: %q", sent[0].Error)
	}
	sent = runLoads(t, Load{URL: "http://127.0.0.1:1/", Type: "x", Connections: 2, Duration: time.Minute})
	if !strings.Contains(sent[0].Error, "refused") {
		t.Errorf("error: %q", sent[0].Error)
	}
}

func TestRunSinkEndsWithItsParent(t *testing.T) {
	in, parent := io.Pipe()
	child, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- RunSink(t.Context(), in, out) }()
	var line [64]byte
	n, err := child.Read(line[:])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sinkState(strings.TrimSpace(string(line[:n]))); err != nil {
		t.Error(err)
	}
	if err := parent.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestLastID(t *testing.T) {
	for answer, want := range map[string]string{
		`{"id":"a","version":1}`: "a", `{"events":[{"id":"a"},{"id":"b"}]}`: "b", ``: "", `{}`: "",
	} {
		if got := lastID([]byte(answer)); got != want {
			t.Errorf("%s: %q", answer, got)
		}
	}
}

func TestParseProc(t *testing.T) {
	cpu, err := parseStat([]byte("42 (a) b ) c) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0"))
	if err != nil || cpu != 1750*time.Millisecond {
		t.Errorf("cpu: %v, %v", cpu, err)
	}
	if _, err := parseStat([]byte("42 (x) S 1 2")); err == nil {
		t.Error("a short line is accepted")
	}
	memory, err := parseMemory([]byte("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS: 1 kB\n"), "VmHWM:")
	if err != nil || memory != 2<<20 {
		t.Errorf("memory: %v, %v", memory, err)
	}
	if _, err := parseMemory([]byte("Name: x\n"), "VmHWM:"); err == nil {
		t.Error("no VmHWM is accepted")
	}
	if _, err := processCPU(os.Getpid()); err != nil {
		t.Log(err) // not Linux
	}
}

func TestChecks(t *testing.T) {
	c := CaseReport{Checks: []Check{check("a", 2.5, 2.5, "×"), check("b", 1, 2, "×")}}
	if !c.OK() {
		t.Error("figures at their limit are reached")
	}
	r := Report{Cases: []CaseReport{c, {Checks: []Check{check("c", 2.51, 2.5, "×")}}}}
	if r.OK() {
		t.Error("a figure over its limit is not reached")
	}
	m := Measurement{Events: 100, Deliveries: 1000, Took: 2 * time.Second, CPU: time.Second}
	m.derive()
	if m.CPUEvent != 10_000 || m.CPUDelivery != 1000 || m.EventsPerSecond != 50 || m.DeliveriesPerSecond != 500 {
		t.Errorf("derived: %+v", m)
	}
	if (&Measurement{Events: 1, Invalid: 1}).verify() == nil || (&Measurement{}).verify() == nil {
		t.Error("a worthless measurement passes")
	}
}

func TestWrongCase(t *testing.T) {
	_, err := Run(t.Context(), Options{Executable: "/nonexistent", Cases: []string{"singel"}})
	if err == nil || !strings.Contains(err.Error(), `no case "singel"; cases are single, batch100`) {
		t.Errorf("error: %v", err)
	}
}

func TestCleanEnviron(t *testing.T) {
	got := cleanEnviron([]string{"PATH=/bin", "POSTHORN_DATA=/x", "HOME=/"})
	if strings.Join(got, " ") != "PATH=/bin HOME=/" {
		t.Errorf("got %q", got)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var k tail
	for range 100 {
		_, _ = k.Write(bytes.Repeat([]byte("x"), 100))
	}
	_, _ = k.Write([]byte("end"))
	if s := k.String(); len(s) != tailSize || !strings.HasSuffix(s, "xend") {
		t.Errorf("kept %d bytes", len(s))
	}
}
