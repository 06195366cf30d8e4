package flexibee

import (
	"context"
	"strconv"

	"github.com/posthornhq/posthorn/internal/codec"
	"github.com/posthornhq/posthorn/internal/event"
)

// Bounds of one listing.
const (
	defaultLimit = 100
	maxLimit     = 1000
	readEvents   = 1000
	readBytes    = 4 << 20
	maxScan      = 50_000  // events looked at for one answer
	maxListed    = 8 << 20 // bytes of changes in one answer
	maxEvidences = 100     // in one question
)

// oldestHeader tells a client that asks for what is no longer kept where the history begins.
const oldestHeader = "Posthorn-Oldest"

// reasonChangelog is why hooks are disabled while the changelog is off.
const reasonChangelog = "changelog"

// needLog refuses what needs the changelog while it is off.
func needLog(t *event.Tenant) error {
	if !t.Changelog {
		return event.Errorf(event.KindMalformed, "changelog_off", "Changelog is not enabled")
	}
	return nil
}

func (a *API) status(c *call) error {
	c.success(c.tenant.Changelog, "")
	return nil
}

// switchLog switches the changelog on or off, and the hooks with it. Done again it makes good what a failure left undone.
func (a *API) switchLog(c *call, on bool) error {
	ctx := c.r.Context()
	if err := a.Control.SetChangelog(ctx, c.tenant.Name, on); err != nil {
		return err
	}
	err := a.eachHook(ctx, c.tenant, func(e *event.Endpoint) error {
		if on == e.Disabled && (!on || e.DisabledReason == reasonChangelog) {
			_, err := a.Control.SetDisabled(ctx, c.tenant, e.ID, !on, reasonChangelog)
			if event.KindOf(err) != event.KindNotFound {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.done("")
}

// question is what is asked of the changelog.
type question struct {
	start     int64
	limit     int
	evidences map[string]bool // nil: every one
}

func (q *question) wants(c event.RecordChange) bool {
	return q.evidences == nil || q.evidences[c.Evidence]
}

func (c *call) question() (question, error) {
	var q question
	var err error
	if q.start, err = c.number("start", 0); err != nil {
		return q, err
	}
	limit, err := c.number("limit", defaultLimit)
	if err != nil {
		return q, err
	}
	q.limit = int(min(limit, maxLimit))
	list := c.query[paramEvidence]
	if len(list) > maxEvidences {
		return q, event.Invalid(paramEvidence, "must be given at most "+strconv.Itoa(maxEvidences)+" times")
	}
	for _, name := range list {
		if name == "" {
			continue
		}
		if q.evidences == nil {
			q.evidences = map[string]bool{}
		}
		q.evidences[name] = true
	}
	return q, nil
}

// number reads a parameter that is a whole number, not negative.
func (c *call) number(name string, absent int64) (int64, error) {
	text := c.query.Get(name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, event.Invalid(name, "must be a whole number, 0 or more")
	}
	return n, nil
}

func (a *API) listChanges(c *call) error {
	if err := needLog(c.tenant); err != nil {
		return err
	}
	q, err := c.question()
	if err != nil {
		return err
	}
	list := codec.ChangeList{Format: c.format}
	oldest, head, next, err := a.collect(c.r.Context(), c.tenant.ID, q, &list)
	if err != nil {
		return err
	}
	if q.start < oldest && oldest > 1 {
		c.w.Header().Set(oldestHeader, strconv.FormatInt(oldest, 10))
	}
	c.send(200, list.Append(nil, head, next))
	return nil
}

// collect adds the changes that are asked for to a list, at most q.limit of them. next is the version to go on with: that
// of the next change, or where the search was broken off; 0 when the log has no more up to head.
func (a *API) collect(ctx context.Context, tenant event.TenantID, q question, list *codec.ChangeList) (oldest, head, next int64, err error) {
	after := max(q.start, 1) - 1
	for scanned := 0; ; {
		var events []event.Event
		events, oldest, head, err = a.Log.Changes(ctx, tenant, after, readEvents, readBytes)
		if err != nil {
			return 0, 0, 0, err
		}
		for i := range events {
			change, ok := events[i].RecordChange()
			if !ok || !q.wants(change) {
				continue
			}
			if list.Len() >= q.limit || list.Size() >= maxListed {
				return oldest, head, events[i].Version, nil
			}
			list.Add(&events[i])
		}
		if len(events) == 0 {
			return oldest, head, 0, nil
		}
		if after = events[len(events)-1].Version; after >= head {
			return oldest, head, 0, nil
		}
		if scanned += len(events); scanned >= maxScan {
			return oldest, head, after + 1, nil
		}
	}
}
