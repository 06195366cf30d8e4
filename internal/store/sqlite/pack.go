package sqlite

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"
)

// errPacked is returned for a packed record that cannot be read: the file is damaged.
var errPacked = errors.New("packed record is damaged")

// packVersion is the first byte of every packed record that has not grown since the first release.
const packVersion = 1

// packer appends the fields of a record: integers as varints, strings and bytes with their length before them.
type packer struct{ b []byte }

func (p *packer) uint(n uint64)  { p.b = binary.AppendUvarint(p.b, n) }
func (p *packer) int(n int64)    { p.b = binary.AppendVarint(p.b, n) }
func (p *packer) fixed(n uint64) { p.b = binary.LittleEndian.AppendUint64(p.b, n) }
func (p *packer) raw(b []byte)   { p.b = append(p.b, b...) }

func (p *packer) str(s string) {
	p.uint(uint64(len(s)))
	p.b = append(p.b, s...)
}

// bytes keeps nil apart from empty.
func (p *packer) bytes(b []byte) {
	if b == nil {
		p.uint(0)
		return
	}
	p.uint(uint64(len(b)) + 1)
	p.b = append(p.b, b...)
}

func (p *packer) bool(v bool) {
	if v {
		p.b = append(p.b, 1)
	} else {
		p.b = append(p.b, 0)
	}
}

func (p *packer) float(f float64)           { p.fixed(math.Float64bits(f)) }
func (p *packer) time(t time.Time)          { p.int(micros(t)) }
func (p *packer) duration(d time.Duration)  { p.int(int64(d)) }
func (p *packer) list(n int, absent bool)   { p.uint(listLength(n, absent)) }
func (p *packer) strs(list []string)        { packList(p, list, p.str) }
func (p *packer) durs(list []time.Duration) { packList(p, list, p.duration) }

// ascending packs numbers as their differences.
func (p *packer) ascending(list []int64) {
	p.list(len(list), list == nil)
	var last int64
	for _, n := range list {
		p.int(n - last)
		last = n
	}
}

func (p *packer) dict(m map[string]string) {
	p.list(len(m), m == nil)
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		p.str(k)
		p.str(m[k])
	}
}

// listLength keeps nil apart from empty.
func listLength(n int, absent bool) uint64 {
	if absent {
		return 0
	}
	return uint64(n) + 1
}

func packList[T any](p *packer, list []T, one func(T)) {
	p.list(len(list), list == nil)
	for _, v := range list {
		one(v)
	}
}

// unpacker reads what packer wrote. After the first fault every read returns zero and err stays true.
type unpacker struct {
	b   []byte
	bad bool
}

func (u *unpacker) err() error {
	if u.bad {
		return errPacked
	}
	return nil
}

func (u *unpacker) fail() {
	u.bad = true
	u.b = nil
}

func (u *unpacker) version() { u.upTo(packVersion) }

// upTo reads the version of a record that has grown: 1 to newest. Fields of later versions are absent from older ones.
func (u *unpacker) upTo(newest byte) byte {
	v := u.byte()
	if v < packVersion || v > newest {
		u.fail()
	}
	return v
}

func (u *unpacker) byte() byte {
	if len(u.b) == 0 {
		u.fail()
		return 0
	}
	c := u.b[0]
	u.b = u.b[1:]
	return c
}

func (u *unpacker) uint() uint64 {
	n, k := binary.Uvarint(u.b)
	if k <= 0 {
		u.fail()
		return 0
	}
	u.b = u.b[k:]
	return n
}

func (u *unpacker) int() int64 {
	n, k := binary.Varint(u.b)
	if k <= 0 {
		u.fail()
		return 0
	}
	u.b = u.b[k:]
	return n
}

func (u *unpacker) fixed() uint64 {
	if len(u.b) < 8 {
		u.fail()
		return 0
	}
	n := binary.LittleEndian.Uint64(u.b)
	u.b = u.b[8:]
	return n
}

// length reads a length that what is left can hold.
func (u *unpacker) length() int {
	n := u.uint()
	if n > uint64(len(u.b)) {
		u.fail()
		return 0
	}
	return int(n)
}

// take returns the next n bytes without copying them.
func (u *unpacker) take(n int) []byte {
	if n > len(u.b) {
		u.fail()
		return nil
	}
	b := u.b[:n:n]
	u.b = u.b[n:]
	return b
}

func (u *unpacker) str() string { return string(u.take(u.length())) }

func (u *unpacker) bytes() []byte {
	n := u.uint()
	if n == 0 || n-1 > uint64(len(u.b)) {
		if n != 0 {
			u.fail()
		}
		return nil
	}
	return u.take(int(n - 1))
}

func (u *unpacker) bool() bool              { return u.byte() != 0 }
func (u *unpacker) float() float64          { return math.Float64frombits(u.fixed()) }
func (u *unpacker) time() time.Time         { return fromMicros(u.int()) }
func (u *unpacker) duration() time.Duration { return time.Duration(u.int()) }
func (u *unpacker) strs() []string          { return unpackList(u, 1, u.str) }
func (u *unpacker) durs() []time.Duration   { return unpackList(u, 1, u.duration) }

func (u *unpacker) ascending() []int64 {
	var last int64
	return unpackList(u, 1, func() int64 {
		last += u.int()
		return last
	})
}

func (u *unpacker) dict() map[string]string {
	n, ok := u.list(2)
	if !ok {
		return nil
	}
	m := make(map[string]string, n)
	for range n {
		k := u.str()
		m[k] = u.str()
	}
	return m
}

// list reads the length of a list of things of at least size bytes each; ok is false for nil.
func (u *unpacker) list(size int) (n int, ok bool) {
	k := u.uint()
	if k == 0 {
		return 0, false
	}
	if k-1 > uint64(len(u.b)/size) {
		u.fail()
		return 0, false
	}
	return int(k - 1), true
}

func unpackList[T any](u *unpacker, size int, one func() T) []T {
	n, ok := u.list(size)
	if !ok {
		return nil
	}
	out := make([]T, n)
	for i := range out {
		out[i] = one()
	}
	return out
}

// micros is a time as it is stored: µs since 1970, UTC. The zero time has its own number.
func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(n int64) time.Time { return time.UnixMicro(n).UTC() }
