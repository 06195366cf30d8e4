package sqlite

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// The layout of the packed records. A new field goes at the end, under a new version byte.

// Kinds of extension values.
const (
	extString = iota
	extFalse
	extTrue
	extInt
)

// originVersion is the version of an event's record that holds an origin; one without is packed as in the first release.
const originVersion = 2

// packEvent appends an event's attributes and data: version, time, flags, the length of the attributes, the attributes,
// the origin where there is one, the data. Seq, tenant, version, id and the time of receipt have columns of their own.
func packEvent(b []byte, e *event.Event) ([]byte, error) {
	version := byte(packVersion)
	if e.Origin != nil {
		version = originVersion
	}
	p := packer{b: append(b, version)}
	p.time(e.Time)
	p.bool(e.Data != nil)
	p.uint(uint64(attributesSize(e)))
	start := len(p.b)
	p.str(e.Source)
	p.str(e.Type)
	p.str(e.Subject)
	p.str(e.ContentType)
	p.str(e.Schema)
	p.str(e.Key)
	p.strs(e.Channels)
	p.list(len(e.Extensions), e.Extensions == nil)
	for _, x := range e.Extensions {
		if err := packExtension(&p, x); err != nil {
			return b, err
		}
	}
	if len(p.b)-start != attributesSize(e) {
		return b, fmt.Errorf("packing an event: %w", errPacked)
	}
	if e.Origin != nil {
		p.origin(e.Origin)
	}
	p.raw(e.Data)
	return p.b, nil
}

// origin packs the request by which an event came in.
func (p *packer) origin(r *event.Request) {
	p.str(r.Remote)
	p.str(r.URL)
	p.str(r.Path)
	p.bytes(r.Head)
	p.bytes(r.Body)
}

// origin reads what packer.origin wrote. Head and Body share u's bytes.
func (u *unpacker) origin() *event.Request {
	return &event.Request{Remote: u.str(), URL: u.str(), Path: u.str(), Head: u.bytes(), Body: u.bytes()}
}

func packExtension(p *packer, x event.Extension) error {
	p.str(x.Name)
	switch v := x.Value.(type) {
	case string:
		p.b = append(p.b, extString)
		p.str(v)
	case bool:
		if v {
			p.b = append(p.b, extTrue)
		} else {
			p.b = append(p.b, extFalse)
		}
	case int32:
		p.b = append(p.b, extInt)
		p.fixed(uint64(uint32(v)))
	default:
		return event.Invalid(x.Name, "must be a string, a boolean or an integer")
	}
	return nil
}

func uvarintSize(n int) int {
	k := 1
	for n >= 0x80 {
		n >>= 7
		k++
	}
	return k
}

func strSize(s string) int { return uvarintSize(len(s)) + len(s) }

// attributesSize is how many bytes packEvent needs for the attributes.
func attributesSize(e *event.Event) int {
	n := strSize(e.Source) + strSize(e.Type) + strSize(e.Subject) + strSize(e.ContentType) + strSize(e.Schema) + strSize(e.Key)
	n += uvarintSize(len(e.Channels)+1) + uvarintSize(len(e.Extensions)+1)
	for _, c := range e.Channels {
		n += strSize(c)
	}
	for _, x := range e.Extensions {
		n += strSize(x.Name) + 1
		switch v := x.Value.(type) {
		case string:
			n += strSize(v)
		case int32:
			n += 8
		}
	}
	return n
}

// unpackEvent reads what packEvent wrote. The event's strings share one new string, and Data shares b.
func unpackEvent(b []byte, e *event.Event) error {
	u := unpacker{b: b}
	version := u.upTo(originVersion)
	e.Time = u.time()
	hasData := u.bool()
	n := u.length()
	if u.bad || n > len(u.b) {
		return errPacked
	}
	text := string(u.b[:n])
	attrs := stringUnpacker{unpacker: unpacker{b: u.b[:n:n]}, text: text}
	e.Source = attrs.str()
	e.Type = attrs.str()
	e.Subject = attrs.str()
	e.ContentType = attrs.str()
	e.Schema = attrs.str()
	e.Key = attrs.str()
	if k, ok := attrs.list(1); ok {
		e.Channels = make([]string, k)
		for i := range e.Channels {
			e.Channels[i] = attrs.str()
		}
	}
	if k, ok := attrs.list(2); ok {
		e.Extensions = make([]event.Extension, k)
		for i := range e.Extensions {
			e.Extensions[i] = attrs.extension()
		}
	}
	u.b = u.b[n:]
	if version >= originVersion {
		e.Origin = u.origin()
	}
	if hasData {
		e.Data = u.b
	}
	if u.bad || attrs.bad || len(attrs.b) != 0 {
		return errPacked
	}
	return nil
}

// stringUnpacker reads strings as parts of one string that holds the same bytes.
type stringUnpacker struct {
	unpacker
	text string
}

func (u *stringUnpacker) str() string {
	n := u.length()
	if u.bad {
		return ""
	}
	at := len(u.text) - len(u.b)
	u.b = u.b[n:]
	return u.text[at : at+n]
}

func (u *stringUnpacker) extension() event.Extension {
	x := event.Extension{Name: u.str()}
	switch u.byte() {
	case extString:
		x.Value = u.str()
	case extFalse:
		x.Value = false
	case extTrue:
		x.Value = true
	case extInt:
		x.Value = int32(uint32(u.fixed()))
	default:
		u.fail()
	}
	return x
}

// packReceipts keeps the answer to a publish.
func packReceipts(list []event.Receipt) []byte {
	p := packer{b: []byte{packVersion}}
	packList(&p, list, func(r event.Receipt) {
		p.str(r.ID)
		p.int(r.Version)
		p.bool(r.Duplicate)
	})
	return p.b
}

func unpackReceipts(b []byte) ([]event.Receipt, error) {
	u := unpacker{b: b}
	u.version()
	list := unpackList(&u, 3, func() event.Receipt {
		return event.Receipt{ID: u.str(), Version: u.int(), Duplicate: u.bool()}
	})
	return list, u.err()
}

// packAttempt packs what has no column. The first version has one; several are packed here, as are their differences.
func packAttempt(b []byte, a *event.Attempt) []byte {
	p := packer{b: append(b, packVersion)}
	p.ascending(a.Versions)
	p.str(a.EventID)
	p.int(int64(a.Number))
	p.duration(a.Duration)
	p.int(int64(a.Status))
	p.str(string(a.Verdict))
	p.str(a.Error)
	p.list(len(a.Headers), a.Headers == nil)
	for _, h := range a.Headers {
		p.str(h.Name)
		p.str(h.Value)
	}
	p.bytes(a.Body[:min(len(a.Body), event.MaxAnswerKept)])
	p.time(a.Next)
	return p.b
}

func unpackAttempt(b []byte, a *event.Attempt) error {
	u := unpacker{b: b}
	u.version()
	a.Versions = u.ascending()
	a.EventID = u.str()
	a.Number = int(u.int())
	a.Duration = u.duration()
	a.Status = int(u.int())
	a.Verdict = event.Verdict(u.str())
	a.Error = u.str()
	a.Headers = unpackList(&u, 2, func() event.Header { return event.Header{Name: u.str(), Value: u.str()} })
	a.Body = u.bytes()
	a.Next = u.time()
	return u.err()
}

// verdictCodes are the verdicts as an outcome has them: by place, which never changes.
var verdictCodes = []event.Verdict{event.VerdictDelivered, event.VerdictRetry, event.VerdictFailed, event.VerdictGone}

// An outcome is one number: the duration in µs, ten bits of the status, three of the verdict. That keeps the index over it small.
const (
	verdictBits = 3
	statusBits  = 10
)

// packOutcome is false for an attempt that such a number does not tell.
func packOutcome(a *event.Attempt) (int64, bool) {
	verdict := slices.Index(verdictCodes, a.Verdict)
	if verdict < 0 || a.Status < 0 || a.Status >= 1<<statusBits || a.Duration < 0 {
		return 0, false
	}
	return a.Duration.Microseconds()<<(statusBits+verdictBits) | int64(a.Status)<<verdictBits | int64(verdict), true
}

func unpackOutcome(n int64, o *event.Outcome) error {
	verdict := int(n & (1<<verdictBits - 1))
	if n < 0 || verdict >= len(verdictCodes) {
		return errPacked
	}
	o.Verdict = verdictCodes[verdict]
	o.Status = int(n >> verdictBits & (1<<statusBits - 1))
	o.Duration = time.Duration(n>>(statusBits+verdictBits)) * time.Microsecond
	return nil
}

// replayVersion is the version of a lane's record that says when a replay began; one without is packed as in the first release.
const replayVersion = 2

func packLane(l *event.LaneState) []byte {
	version := byte(packVersion)
	if !l.Range.Started.IsZero() {
		version = replayVersion
	}
	p := packer{b: []byte{version}}
	p.int(int64(l.Tenant))
	p.bool(l.Backlog)
	p.int(l.Cursor)
	p.ascending(l.Done)
	p.duration(l.Penalty)
	p.time(l.PenaltyUntil)
	p.int(int64(l.Failures))
	p.time(l.FailingSince)
	p.int(l.Range.From)
	p.int(l.Range.To)
	p.bool(l.Range.OnlyFailed)
	p.int(l.Range.Sent)
	if version == replayVersion {
		p.time(l.Range.Started)
		p.int(l.Range.Matching)
	}
	return p.b
}

func unpackLane(b []byte, l *event.LaneState) error {
	u := unpacker{b: b}
	version := u.upTo(replayVersion)
	l.Tenant = event.TenantID(u.int())
	l.Backlog = u.bool()
	l.Cursor = u.int()
	l.Done = u.ascending()
	l.Penalty = u.duration()
	l.PenaltyUntil = u.time()
	l.Failures = int(u.int())
	l.FailingSince = u.time()
	l.Range.From = u.int()
	l.Range.To = u.int()
	l.Range.OnlyFailed = u.bool()
	l.Range.Sent = u.int()
	if version == replayVersion {
		l.Range.Started = u.time()
		l.Range.Matching = u.int()
	}
	return u.err()
}

func packRetry(r *event.Retry) []byte {
	p := packer{b: []byte{packVersion}}
	p.int(int64(r.Tenant))
	p.ascending(r.Versions)
	packList(&p, r.Keys, p.fixed)
	p.int(int64(r.Number))
	p.int(int64(r.Step))
	p.time(r.First)
	p.time(r.Due)
	return p.b
}

func unpackRetry(b []byte, r *event.Retry) error {
	u := unpacker{b: b}
	u.version()
	r.Tenant = event.TenantID(u.int())
	r.Versions = u.ascending()
	r.Keys = unpackList(&u, 8, u.fixed)
	r.Number = int(u.int())
	r.Step = int(u.int())
	r.First = u.time()
	r.Due = u.time()
	return u.err()
}

// tenantVersion: 2 added Changelog.
const tenantVersion = 2

func packTenant(t *event.Tenant) []byte {
	p := packer{b: []byte{tenantVersion}}
	p.str(t.Description)
	p.float(t.PublishRate)
	p.int(int64(t.MaxEndpoints))
	p.dict(t.Metadata)
	p.time(t.Created)
	p.time(t.Updated)
	p.bool(t.Changelog)
	return p.b
}

func unpackTenant(b []byte, t *event.Tenant) error {
	u := unpacker{b: b}
	version := u.upTo(tenantVersion)
	t.Description = u.str()
	t.PublishRate = u.float()
	t.MaxEndpoints = int(u.int())
	t.Metadata = u.dict()
	t.Created = u.time()
	t.Updated = u.time()
	t.Changelog = version >= 2 && u.bool()
	return u.err()
}

// endpointVersion: 2 added Profile, Forever and Changed.
const endpointVersion = 2

func packEndpoint(e *event.Endpoint) []byte {
	p := packer{b: []byte{endpointVersion}}
	for _, s := range []string{
		e.URL, e.Kind, e.Description, e.Filter, string(e.Order), string(e.Payload), string(e.Envelope), e.Format,
		e.Signing, e.AuthType, e.DisabledReason,
	} {
		p.str(s)
	}
	p.strs(e.Types)
	p.strs(e.Channels)
	p.int(int64(e.Batch.Max))
	p.duration(e.Batch.Wait)
	p.bool(e.Batch.Coalesce)
	p.duration(e.Timeout)
	p.durs(e.Retries)
	p.float(e.RateLimit)
	p.int(int64(e.Concurrency))
	p.bool(e.Disabled)
	p.dict(e.Metadata)
	p.bytes(e.Sealed)
	p.int(e.Start)
	p.time(e.Created)
	p.time(e.Updated)
	p.str(e.Profile)
	p.bool(e.Forever)
	p.strs(e.Changed)
	return p.b
}

func unpackEndpoint(b []byte, e *event.Endpoint) error {
	u := unpacker{b: b}
	version := u.upTo(endpointVersion)
	e.URL = u.str()
	e.Kind = u.str()
	e.Description = u.str()
	e.Filter = u.str()
	e.Order = event.Order(u.str())
	e.Payload = event.Payload(u.str())
	e.Envelope = event.Envelope(u.str())
	e.Format = u.str()
	e.Signing = u.str()
	e.AuthType = u.str()
	e.DisabledReason = u.str()
	e.Types = u.strs()
	e.Channels = u.strs()
	e.Batch.Max = int(u.int())
	e.Batch.Wait = u.duration()
	e.Batch.Coalesce = u.bool()
	e.Timeout = u.duration()
	e.Retries = u.durs()
	e.RateLimit = u.float()
	e.Concurrency = int(u.int())
	e.Disabled = u.bool()
	e.Metadata = u.dict()
	e.Sealed = u.bytes()
	e.Start = u.int()
	e.Created = u.time()
	e.Updated = u.time()
	if version >= 2 {
		e.Profile = u.str()
		e.Forever = u.bool()
		e.Changed = u.strs()
	}
	return u.err()
}

func packType(t *event.Type) []byte {
	p := packer{b: []byte{packVersion}}
	p.str(t.Description)
	p.bytes(t.Schema)
	packList(&p, t.Examples, func(m json.RawMessage) { p.bytes(m) })
	p.bool(t.Archived)
	p.time(t.Created)
	p.time(t.Updated)
	return p.b
}

func unpackType(b []byte, t *event.Type) error {
	u := unpacker{b: b}
	u.version()
	t.Description = u.str()
	t.Schema = u.bytes()
	t.Examples = unpackList(&u, 1, func() json.RawMessage { return u.bytes() })
	t.Archived = u.bool()
	t.Created = u.time()
	t.Updated = u.time()
	return u.err()
}

// keyVersion: 2 added the key from before a rotation. A key without one is packed as version 1.
const keyVersion = 2

func packAPIKey(k *event.APIKey) []byte {
	rotated := k.Previous != [32]byte{}
	p := packer{b: []byte{packVersion}}
	if rotated {
		p.b[0] = keyVersion
	}
	p.str(k.Name)
	p.raw(k.Hash[:])
	p.str(k.Hint)
	p.bool(k.Admin)
	p.int(int64(k.Tenant))
	packList(&p, k.Allow, func(a event.Permission) { p.str(string(a)) })
	p.time(k.Created)
	p.time(k.Expires)
	if rotated {
		p.raw(k.Previous[:])
		p.time(k.PreviousExpires)
	}
	return p.b
}

func unpackAPIKey(b []byte, k *event.APIKey) error {
	u := unpacker{b: b}
	version := u.upTo(keyVersion)
	k.Name = u.str()
	copy(k.Hash[:], u.take(len(k.Hash)))
	k.Hint = u.str()
	k.Admin = u.bool()
	k.Tenant = event.TenantID(u.int())
	k.Allow = unpackList(&u, 1, func() event.Permission { return event.Permission(u.str()) })
	k.Created = u.time()
	k.Expires = u.time()
	if version >= keyVersion {
		copy(k.Previous[:], u.take(len(k.Previous)))
		k.PreviousExpires = u.time()
	}
	return u.err()
}

func packAnswer(a *store.Answer) []byte {
	p := packer{b: []byte{packVersion}}
	p.raw(a.Fingerprint[:])
	p.int(int64(a.Status))
	p.dict(a.Header)
	p.bytes(a.Body)
	p.time(a.At)
	return p.b
}

func unpackAnswer(b []byte, a *store.Answer) error {
	u := unpacker{b: b}
	u.version()
	copy(a.Fingerprint[:], u.take(len(a.Fingerprint)))
	a.Status = int(u.int())
	a.Header = u.dict()
	a.Body = u.bytes()
	a.At = u.time()
	return u.err()
}
