package sqlite

import (
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// F23: a request that is still being answered may find the file damaged while the store
// is closed. Neither waits for the other.
func TestDamageMayBeFoundWhileTheStoreIsClosed(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	s, err := Open(t.Context(), byHand(filepath.Join(t.TempDir(), "orders.db"), &now))
	if err != nil {
		t.Fatal(err)
	}
	damage := &brokenError{"the disk failed", nil}
	var reader sync.WaitGroup
	reader.Go(func() {
		<-s.Done()
		s.stopIf(damage)
	})
	closed := s.Close()
	reader.Wait()
	if closed != nil && !errors.Is(closed, damage) {
		t.Errorf("Close: %v", closed)
	}
	if err := s.reason(); !errors.Is(err, damage) {
		t.Errorf("the store has stopped for %v, not %v", err, damage)
	}
}
