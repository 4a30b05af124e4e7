package sqlite

import (
	"bufio"
	"context"
	"crypto/rand"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"orders/shared/order"
)

// byHand configures a store that a test drives, at the time that *now says.
func byHand(path string, now *time.Time) Config {
	return Config{
		Path: path, ProcessingTime: historyProcessing, Now: func() time.Time { return *now },
		Random: bufio.NewReader(rand.Reader), Log: slog.New(slog.DiscardHandler),
	}
}

// openByHand opens a store without its goroutine, at the time that *now says.
func openByHand(t *testing.T, path string, now *time.Time) (*Store, *writer) {
	t.Helper()
	s := newStore(byHand(path, now))
	w, err := s.open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s, w
}

// F20, I4, I7.
func TestNoOrderWaitsLongerThoughTheClockWasSetBack(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), "orders.db"), time.UnixMilli(1_800_000_000_000)
	s, w := openByHand(t, path, &now)
	c := &creation{draft: order.Draft{InitialStatus: order.Processing}, itemIDs: []byte("[]")}
	w.commit(&group{creations: []*creation{c}, done: make(chan struct{})}, nil, 0, now)
	if err := s.release(); err != nil {
		t.Fatal(err)
	}

	now = now.Add(-10 * time.Minute)
	s, w = openByHand(t, path, &now)
	now = now.Add(historyProcessing)
	w.commit(newGroup(0), w.queue.pop(now), 0, now)
	o, err := s.Get(t.Context(), c.order.ID)
	if err != nil || o.Status != order.Completed || o.CompletedAt.Sub(o.StartedAt) < historyProcessing {
		t.Errorf("order %+v, error %v", o, err)
	}
	if err := s.release(); err != nil {
		t.Fatal(err)
	}
}

// F20, I3, I8, I12.
func TestSeqsNeverRunBackwardsThoughTheClockDoes(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), "orders.db"), time.UnixMilli(1_800_000_000_000)
	last := int64(0)
	for range 3 {
		s, w := openByHand(t, path, &now)
		for range 3 {
			c := &creation{itemIDs: []byte("[]")}
			w.commit(&group{creations: []*creation{c}, done: make(chan struct{})}, nil, 0, now)
			if seq := seqOf(c.order.ID); seq <= last {
				t.Errorf("seq %d comes after %d", seq, last)
			} else {
				last = seq
			}
			now = now.Add(-time.Hour)
		}
		if err := s.release(); err != nil {
			t.Fatal(err)
		}
	}
}

// I5.
func TestARunHasNoGaps(t *testing.T) {
	var b runBuilder
	start := time.UnixMilli(1_800_000_000_000)
	o := order.Order{StartedAt: start}
	m := []order.Message{{To: order.Completed, NotBefore: start.Add(historyProcessing)}}
	for _, seq := range []int64{5, 6, 8, 3, 4} {
		b.add(seq, &o, m)
	}
	want := [][2]int64{{5, 6}, {8, 8}, {3, 4}}
	for i, r := range b.runs {
		if len(b.runs) != len(want) || r.first != want[i][0] || r.last != want[i][1] {
			t.Fatalf("runs %+v, not %v", b.runs, want)
		}
	}
}
