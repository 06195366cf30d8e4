package inbound

import (
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// counters are the figures of one source.
type counters struct {
	mu    sync.Mutex
	state event.SourceState
}

// countersOf returns a source's figures. When there are too many sources, another one begins anew.
func (s *Service) countersOf(id event.SourceID) *counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.counters[id]
	if !ok {
		if len(s.counters) >= counted {
			for other := range s.counters {
				delete(s.counters, other)
				break
			}
		}
		c = &counters{}
		s.counters[id] = c
	}
	return c
}

func (s *Service) forget(id event.SourceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.counters, id)
}

// State returns a source's figures since the server's start.
func (s *Service) State(id event.SourceID) event.SourceState {
	s.mu.Lock()
	c, ok := s.counters[id]
	s.mu.Unlock()
	if !ok {
		return event.SourceState{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// count notes an outcome; code and detail are of what was refused.
func (c *counters) count(outcome string, now time.Time, code, detail string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch outcome {
	case OutcomeAccepted:
		c.state.Accepted++
		c.state.LastAccepted = now.UTC()
	case OutcomeDuplicate:
		c.state.Duplicates++
	case OutcomeDropped:
		c.state.Dropped++
	case OutcomeHandshake:
		c.state.Handshakes++
	case OutcomeRefused:
		c.state.Refused++
		c.state.LastRefused = event.SourceRefusal{At: now.UTC(), Code: code, Detail: detail}
	}
}
