package receiver

import (
	"context"
	"sync"
)

// Seen remembers keys. It is called from many goroutines.
type Seen interface {
	// Seen reports whether a key was remembered.
	Seen(ctx context.Context, key string) (bool, error)
	// Remember keeps a key, for at least as long as the provider may send the same delivery again.
	Remember(ctx context.Context, key string) error
}

// DefaultMemory is how many keys the built-in memory holds.
const DefaultMemory = 100_000

// NewMemory returns a Seen that keeps the latest keys in memory, up to a number of them; zero and less mean [DefaultMemory].
// They are gone when the process ends.
func NewMemory(limit int) Seen {
	if limit <= 0 {
		limit = DefaultMemory
	}
	return &memory{limit: limit}
}

// memory has two generations: when the young one is full, it becomes the old one. So it holds the latest limit/2 keys at
// least, and limit at most, without a list in order.
type memory struct {
	limit      int
	mu         sync.Mutex
	young, old map[string]struct{}
}

func (m *memory) Seen(_ context.Context, key string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.young[key]; ok {
		return true, nil
	}
	_, ok := m.old[key]
	return ok, nil
}

func (m *memory) Remember(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.young) >= (m.limit+1)/2 {
		m.young, m.old = nil, m.young
	}
	if m.young == nil {
		m.young = map[string]struct{}{}
	}
	m.young[key] = struct{}{}
	return nil
}
