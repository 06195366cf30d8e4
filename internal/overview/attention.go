package overview

import (
	"context"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Bounds of a list of what needs attention.
const (
	maxAttention = 20
	// maxOfReason is how many of one reason come before others have their turn.
	maxOfReason = 8
	// deadAge is for how long a dead letter needs attention, deadLook how many of the newest are looked at.
	deadAge  = 24 * time.Hour
	deadLook = 1000
)

// attend makes the list of what needs attention anew. c.mu is held.
func (s *Service) attend(ctx context.Context, c *scope, now time.Time) error {
	counts, err := s.cfg.Store.CountEndpoints(ctx, c.tenant)
	if err != nil {
		return err
	}
	list, err := s.candidates(ctx, c, &counts, now)
	if err != nil {
		return err
	}
	out := make([]event.Attention, 0, len(list))
	heads := map[event.TenantID]int64{}
	for i := range list {
		a, err := s.complete(ctx, &list[i], heads)
		if err != nil {
			return err
		}
		out = append(out, a)
	}
	c.endpoints, c.attention, c.attended = counts, out, now
	return nil
}

// candidates are the worst, sorted.
func (s *Service) candidates(ctx context.Context, c *scope, counts *event.EndpointCounts, now time.Time) ([]event.LaneTrouble, error) {
	list := slices.Clone(c.survey.Trouble)
	for _, reason := range []string{event.AttentionGone, event.AttentionFailing} {
		if counts.Disabled[reason] == 0 {
			continue
		}
		disabled, err := s.cfg.Store.DisabledEndpoints(ctx, c.tenant, reason, maxAttention)
		if err != nil {
			return nil, err
		}
		for i := range disabled {
			list = append(list, event.LaneTrouble{Endpoint: &disabled[i], Reason: reason, Since: disabled[i].Updated, Live: true})
		}
	}
	dead, err := s.dead(ctx, c.tenant, now)
	if err != nil {
		return nil, err
	}
	return worst(append(list, dead...)), nil
}

// worst sorts a list and cuts it. Of an endpoint that is in it twice the worse reason counts, and of two of the same the first,
// which knows more. Reasons of which there are many leave room to others.
func worst(list []event.LaneTrouble) []event.LaneTrouble {
	slices.SortStableFunc(list, func(a, b event.LaneTrouble) int { return event.CompareAttention(a.Reason, b.Reason, a.Since, b.Since) })
	known := make(map[event.EndpointID]int, len(list)) // places
	var once []event.LaneTrouble
	for _, t := range list {
		at, twice := known[t.Endpoint.ID]
		switch {
		case !twice:
			known[t.Endpoint.ID] = len(once)
			once = append(once, t)
		case once[at].Reason == t.Reason && once[at].Live && !t.Live: // it has a lane that knows how far it is
			once[at] = t
		}
	}
	if len(once) <= maxAttention {
		return once
	}
	of := map[string]int{}
	var first, rest []event.LaneTrouble
	for _, t := range once {
		if of[t.Reason]++; of[t.Reason] <= maxOfReason {
			first = append(first, t)
		} else {
			rest = append(rest, t)
		}
	}
	first = first[:min(len(first), maxAttention)]
	first = append(first, rest[:maxAttention-len(first)]...)
	slices.SortStableFunc(first, func(a, b event.LaneTrouble) int { return event.CompareAttention(a.Reason, b.Reason, a.Since, b.Since) })
	return first
}

// dead returns the endpoints for which events finally failed lately, those with the most first.
func (s *Service) dead(ctx context.Context, tenant event.TenantID, now time.Time) ([]event.LaneTrouble, error) {
	letters, err := s.cfg.Store.RecentDead(ctx, tenant, now.Add(-deadAge), deadLook)
	if err != nil || len(letters) == 0 {
		return nil, err
	}
	of := map[event.EndpointID]*event.LaneTrouble{}
	var ids []event.EndpointID
	for i := range letters {
		t := of[letters[i].Endpoint]
		if t == nil {
			t = &event.LaneTrouble{Reason: event.AttentionDeadLetters, Live: true}
			of[letters[i].Endpoint] = t
			ids = append(ids, letters[i].Endpoint)
		}
		t.Failures++
		t.Since = letters[i].At
	}
	slices.SortStableFunc(ids, func(a, b event.EndpointID) int { return of[b].Failures - of[a].Failures })
	endpoints, err := s.cfg.Store.EndpointsByID(ctx, ids[:min(len(ids), maxAttention)])
	if err != nil {
		return nil, err
	}
	out := make([]event.LaneTrouble, 0, len(endpoints))
	for i := range endpoints {
		t := of[endpoints[i].ID]
		t.Endpoint = &endpoints[i]
		out = append(out, *t)
	}
	return out, nil
}

// complete adds what the log and the attempts say. heads are those of logs that were looked at already.
func (s *Service) complete(ctx context.Context, t *event.LaneTrouble, heads map[event.TenantID]int64) (event.Attention, error) {
	ep := t.Endpoint
	a := event.Attention{
		Tenant: ep.Tenant, Endpoint: ep.ID, Kind: ep.Kind, URL: ep.URL, Description: ep.Description, Reason: t.Reason, Since: t.Since,
		PenaltyUntil: t.PenaltyUntil, Failures: t.Failures, Backlog: int64(t.Queued), OldestAt: t.Oldest,
	}
	if !t.Live {
		head, known := heads[ep.Tenant]
		if !known {
			var err error
			if _, head, err = s.cfg.Store.Bounds(ctx, ep.Tenant); err != nil {
				return a, err
			}
			heads[ep.Tenant] = head
		}
		a.Backlog = max(0, head-t.Cursor)
	}
	if a.OldestAt.IsZero() && a.Backlog > 0 {
		var err error
		if a.OldestAt, err = s.cfg.Store.ReceivedAfter(ctx, ep.Tenant, t.Cursor); err != nil {
			return a, err
		}
	}
	tries, _, err := s.cfg.Store.AttemptsOfEndpoint(ctx, ep.ID, nil, 0, 1)
	if err != nil {
		return a, err
	}
	if len(tries) > 0 {
		a.LastStatus, a.LastError = tries[0].Status, tries[0].Error
	}
	return a, nil
}
