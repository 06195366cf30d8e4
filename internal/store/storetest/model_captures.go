package storetest

import (
	"context"
	"slices"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// dropCapture deletes a capture and reports whether it was there.
func (m *Model) dropCapture(c *capture) bool {
	i := slices.Index(m.captures, c)
	if i < 0 {
		return false
	}
	m.captures = slices.Delete(m.captures, i, i+1)
	c.of.stats.Requests--
	c.of.stats.Bytes -= store.CaptureSize(&c.Capture)
	return true
}

// capturesOf returns a bin's captures in the order of Seq; none without the bin.
func (m *Model) capturesOf(bin string) []*capture {
	b := m.bins[bin]
	var out []*capture
	for _, c := range m.captures {
		if c.of == b {
			out = append(out, c)
		}
	}
	return out
}

// capture returns a capture that a test finds, or nil.
func (m *Model) capture(bin string, is func(*capture) bool) *capture {
	list := m.capturesOf(bin)
	if i := slices.IndexFunc(list, is); i >= 0 {
		return list[i]
	}
	return nil
}

func bySeq(seq int64) func(*capture) bool { return func(c *capture) bool { return c.Seq == seq } }
func byID(id string) func(*capture) bool  { return func(c *capture) bool { return c.ID == id } }

func keptAnswer(a event.Answer) event.Answer {
	a.Body = a.Body[:min(len(a.Body), event.MaxAnswerKept)]
	return cloneAnswer(a)
}

// AddCapture implements [store.Bins].
func (m *Model) AddCapture(ctx context.Context, v event.Capture, keep int, refuse bool) (event.Capture, error) {
	if err := m.enter(ctx); err != nil {
		return event.Capture{}, err
	}
	defer m.mu.Unlock()
	if keep <= 0 {
		keep = event.DefaultBinKept
	}
	b := m.bins[v.Bin]
	if b == nil {
		return event.Capture{}, event.NotFound("bin")
	}
	list := m.capturesOf(v.Bin)
	if refuse && len(list) >= keep {
		return event.Capture{}, event.Errorf(event.KindGone, "bin_full", "the bin is full")
	}
	if m.capture(v.Bin, byID(v.ID)) != nil {
		return event.Capture{}, exists("request")
	}
	v.At, v.Head, v.Body, v.Answer = utc(v.At), slices.Clone(v.Head), slices.Clone(v.Body), keptAnswer(v.Answer)
	b.stats.Last++
	v.Seq = b.stats.Last
	b.stats.Newest = v.At
	b.stats.Requests++
	b.stats.Bytes += store.CaptureSize(&v)
	m.captures = append(m.captures, &capture{Capture: v, of: b})
	for _, c := range list[:max(len(list)+1-keep, 0)] {
		m.dropCapture(c)
	}
	if m.observe != nil {
		m.observe(store.Commit{File: "bins", Callers: 1, Rows: 1})
	}
	return v, nil
}

// Capture implements [store.Bins].
func (m *Model) Capture(ctx context.Context, bin string, seq int64) (event.Capture, error) {
	return m.oneCapture(ctx, bin, bySeq(seq))
}

// CaptureByID implements [store.Bins].
func (m *Model) CaptureByID(ctx context.Context, bin, id string) (event.Capture, error) {
	return m.oneCapture(ctx, bin, byID(id))
}

func (m *Model) oneCapture(ctx context.Context, bin string, is func(*capture) bool) (event.Capture, error) {
	if err := m.enter(ctx); err != nil {
		return event.Capture{}, err
	}
	defer m.mu.Unlock()
	c := m.capture(bin, is)
	if c == nil {
		return event.Capture{}, event.NotFound("request")
	}
	return c.Capture, nil
}

// Captures implements [store.Bins].
func (m *Model) Captures(ctx context.Context, q event.CaptureQuery) ([]event.Capture, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	list := m.capturesOf(q.Bin)
	if q.Newest {
		slices.Reverse(list)
	}
	if q.MaxBytes <= 0 {
		q.MaxBytes = 16 << 20
	}
	var out []event.Capture
	size := int64(0)
	for _, c := range list {
		if q.After > 0 && c.Seq <= q.After || q.Before > 0 && c.Seq >= q.Before ||
			!q.Since.IsZero() && c.At.Before(utc(q.Since)) || !q.Until.IsZero() && !c.At.Before(utc(q.Until)) {
			continue
		}
		size += store.CaptureSize(&c.Capture)
		if len(out) >= min(q.Limit, 1000) || len(out) > 0 && size > int64(q.MaxBytes) {
			break
		}
		out = append(out, c.Capture)
	}
	return out, nil
}

// NoteCapture implements [store.Bins].
func (m *Model) NoteCapture(ctx context.Context, bin string, seq int64, note string) error {
	return m.mark(ctx, bin, seq, func(c *event.Capture) { c.Note = note })
}

// AnswerCapture implements [store.Bins].
func (m *Model) AnswerCapture(ctx context.Context, bin string, seq int64, a event.Answer) error {
	return m.mark(ctx, bin, seq, func(c *event.Capture) { c.Answer = keptAnswer(a) })
}

func (m *Model) mark(ctx context.Context, bin string, seq int64, change func(*event.Capture)) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	c := m.capture(bin, bySeq(seq))
	if c == nil {
		return event.NotFound("request")
	}
	c.of.stats.Bytes -= store.CaptureSize(&c.Capture)
	change(&c.Capture)
	c.of.stats.Bytes += store.CaptureSize(&c.Capture)
	return nil
}

// DeleteCaptures implements [store.Bins].
func (m *Model) DeleteCaptures(ctx context.Context, bin string, seqs []int64) (int, error) {
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	n := 0
	for _, seq := range seqs {
		if c := m.capture(bin, bySeq(seq)); c != nil && m.dropCapture(c) {
			n++
		}
	}
	return n, nil
}
