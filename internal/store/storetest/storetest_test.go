package storetest

import (
	"sync"
	"testing"

	"github.com/posthornhq/posthorn/internal/store"
)

// TestModel holds the model itself to the contract: its folder's name stands for its content.
func TestModel(t *testing.T) {
	var mu sync.Mutex
	models := map[string]*Model{}
	run(t, func(_ *testing.T, dir string) store.Store {
		mu.Lock()
		defer mu.Unlock()
		m := models[dir]
		if m == nil {
			m = NewModel()
			models[dir] = m
		}
		m.Reopen()
		return m
	})
}
