package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"orders/shared/order"
	"orders/shared/sqlite"
)

// openStore opens a database file in this process.
func openStore(ctx context.Context, file string) (*sqlite.Store, error) {
	return sqlite.Open(ctx, sqlite.Config{
		Path: file, ProcessingTime: processingTime,
		Now: time.Now, Random: bufio.NewReader(rand.Reader), Log: slog.New(slog.DiscardHandler),
	})
}

// finishedDraft is the nth order, of much the same size as the creates' and
// already completed elsewhere: no transitions follow.
func finishedDraft(n int64) order.Draft {
	number := strconv.FormatInt(n%variants, 10)
	d := order.Draft{
		ClientReference: "userTest" + number,
		UserID:          number,
		ItemIDs:         []string{"890", number},
		TotalAmount:     order.Amount(n % int64(order.MaxAmount)),
		InitialStatus:     order.Completed,
	}
	d.SetFingerprint()
	return d
}

// fill creates finished orders from so many goroutines at once, each goroutine
// one after another. It asks more, with the number of the order, before each of
// them, and returns how many it has created.
func fill(ctx context.Context, store *sqlite.Store, goroutines int, more func(n int64) bool) (int64, error) {
	var next, created atomic.Int64
	failed := make([]error, goroutines)
	var wg sync.WaitGroup
	for i := range failed {
		wg.Go(func() {
			for n := next.Add(1) - 1; failed[i] == nil && more(n); n = next.Add(1) - 1 {
				if _, _, failed[i] = store.Create(ctx, finishedDraft(n)); failed[i] == nil {
					created.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return created.Load(), errors.Join(failed...)
}

// fillFile makes a database file of n finished orders.
func fillFile(ctx context.Context, file string, n int64) error {
	store, err := openStore(ctx, file)
	if err != nil {
		return err
	}
	_, err = fill(ctx, store, connections, func(i int64) bool { return i < n })
	return errors.Join(err, store.Close())
}

// largePath is the path of the large file, which is made when it is first asked for.
func (b *bench) largePath(ctx context.Context) (string, error) {
	if b.large == "" {
		b.say("  making a file of %s finished orders", grouped(b.largeFile))
		file := b.newFile()
		if err := fillFile(ctx, file, b.largeFile); err != nil {
			return "", err
		}
		b.large = file
	}
	return b.large, nil
}
