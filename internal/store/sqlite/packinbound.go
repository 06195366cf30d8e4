package sqlite

import "github.com/posthornhq/posthorn/internal/event"

func (p *packer) headers(list []event.Header) {
	packList(p, list, func(h event.Header) {
		p.str(h.Name)
		p.str(h.Value)
	})
}

func (u *unpacker) headers() []event.Header {
	return unpackList(u, 2, func() event.Header { return event.Header{Name: u.str(), Value: u.str()} })
}

func (p *packer) answer(a *event.Answer) {
	p.int(int64(a.Status))
	p.str(a.Reason)
	p.headers(a.Headers)
	p.bytes(a.Body)
}

func (u *unpacker) answer() event.Answer {
	return event.Answer{Status: int(u.int()), Reason: u.str(), Headers: u.headers(), Body: u.bytes()}
}

func packSource(v *event.Source) []byte {
	p := packer{b: []byte{packVersion}}
	for _, s := range []string{
		v.Description, v.Provider, v.Map.Type, v.Map.ID, v.Map.Subject, v.Map.Key, v.Map.Time, v.Map.Data, v.Map.Accept, v.Dedupe, v.Inspect, v.Bin,
	} {
		p.str(s)
	}
	p.dict(v.Map.Fields)
	p.bytes(v.Sealed)
	p.answer(&v.Answer)
	p.int(int64(v.Sync))
	p.duration(v.SyncWait)
	p.duration(v.Tolerance)
	p.strs(v.Allow)
	p.bool(v.Disabled)
	p.dict(v.Metadata)
	p.time(v.Created)
	p.time(v.Updated)
	return p.b
}

func unpackSource(b []byte, v *event.Source) error {
	u := unpacker{b: b}
	u.version()
	for _, s := range []*string{
		&v.Description, &v.Provider, &v.Map.Type, &v.Map.ID, &v.Map.Subject, &v.Map.Key, &v.Map.Time, &v.Map.Data, &v.Map.Accept, &v.Dedupe, &v.Inspect, &v.Bin,
	} {
		*s = u.str()
	}
	v.Map.Fields = u.dict()
	v.Sealed = u.bytes()
	v.Answer = u.answer()
	v.Sync = event.EndpointID(u.int())
	v.SyncWait = u.duration()
	v.Tolerance = u.duration()
	v.Allow = u.strs()
	v.Disabled = u.bool()
	v.Metadata = u.dict()
	v.Created = u.time()
	v.Updated = u.time()
	return u.err()
}

// packBin packs what has no column.
func packBin(b *event.Bin) []byte {
	p := packer{b: []byte{packVersion}}
	p.str(b.Description)
	p.answer(&b.Answer)
	p.duration(b.Delay)
	p.duration(b.Hold)
	p.bool(b.CORS)
	p.int(int64(b.Keep))
	p.bool(b.Refuse)
	p.str(b.Tunnel)
	p.dict(b.Metadata)
	p.time(b.Created)
	p.time(b.Updated)
	return p.b
}

func unpackBin(body []byte, b *event.Bin) error {
	u := unpacker{b: body}
	u.version()
	b.Description = u.str()
	b.Answer = u.answer()
	b.Delay = u.duration()
	b.Hold = u.duration()
	b.CORS = u.bool()
	b.Keep = int(u.int())
	b.Refuse = u.bool()
	b.Tunnel = u.str()
	b.Metadata = u.dict()
	b.Created = u.time()
	b.Updated = u.time()
	return u.err()
}

// packCapture packs what has no column: the request without its body, and what is known about it when it comes.
func packCapture(v *event.Capture) []byte {
	p := packer{b: make([]byte, 0, len(v.Head)+len(v.Remote)+len(v.URL)+len(v.Path)+64)}
	p.b = append(p.b, packVersion)
	p.bytes(v.Head)
	p.str(v.Remote)
	p.str(v.URL)
	p.str(v.Path)
	p.str(v.Refused)
	p.mark(v)
	return p.b
}

func unpackCapture(b []byte, v *event.Capture) error {
	u := unpacker{b: b}
	u.version()
	v.Head = u.bytes()
	v.Remote = u.str()
	v.URL = u.str()
	v.Path = u.str()
	v.Refused = u.str()
	u.mark(v)
	return u.err()
}

// mark packs what changes after a capture came.
func (p *packer) mark(v *event.Capture) {
	p.str(v.Note)
	p.answer(&v.Answer)
}

func (u *unpacker) mark(v *event.Capture) {
	v.Note = u.str()
	v.Answer = u.answer()
}

func packMark(v *event.Capture) []byte {
	p := packer{b: []byte{packVersion}}
	p.mark(v)
	return p.b
}

func unpackMark(b []byte, v *event.Capture) error {
	u := unpacker{b: b}
	u.version()
	u.mark(v)
	return u.err()
}
