package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"orders/shared/order"
	"orders/shared/sqlite"
)

// manyCallers shows what group commit does when more wait.
const manyCallers = 5000

func (b *bench) measureCommit(ctx context.Context) (section, error) {
	many, err := b.commitRate(ctx, connections)
	if err != nil {
		return section{}, err
	}
	more, err := b.commitRate(ctx, manyCallers)
	if err != nil {
		return section{}, err
	}
	one, err := b.commitRate(ctx, 1)
	if err != nil {
		return section{}, err
	}
	const measured = "%s orders/s; %s orders/s"
	r := ratioRow("group commit ÷ one transaction an order", atLeast(40), many/one, measured, grouped(many), grouped(one))
	b.record("1 caller", one, "orders/s")
	b.record(fmt.Sprintf("%d callers", connections), many, "orders/s")
	b.record(fmt.Sprintf("%d callers", manyCallers), more, "orders/s")
	s := ratioRow("group commit ÷ one transaction an order, "+grouped(manyCallers)+" callers", goal{}, more/one,
		measured, grouped(more), grouped(one))
	return section{
		how: fmt.Sprintf(`The store alone, in this process, without HTTP: durable orders a second when %s goroutines call
Store.Create, against one goroutine that calls it again when it has returned, which makes each order a
transaction, and an fsync, of its own; %s each, on fresh files. The orders are imported as Completed, so
that no transitions are counted on either side. A group is no larger than the number of callers, so the
ratio falls where an fsync is fast, and rises with the callers: the second line has %s. Here an order alone
took %.2f ms, nearly all of it fsync, and each of %s callers came round every %.1f ms, 4 ms of which are the
pacing of commits, which the creates over HTTP gain by.`,
			grouped(connections), b.committing, grouped(manyCallers),
			1000/one, grouped(connections), 1000*connections/many),
		rows: []row{r, s},
	}, nil
}

// commitRate is how many orders a second so many goroutines create.
func (b *bench) commitRate(ctx context.Context, goroutines int) (float64, error) {
	store, err := openStore(ctx, b.newFile())
	if err != nil {
		return 0, err
	}
	began := time.Now()
	n, err := fill(ctx, store, goroutines, func(int64) bool { return time.Since(began) < b.committing })
	rate := float64(n) / time.Since(began).Seconds()
	return rate, errors.Join(err, store.Close())
}

// openStore opens a database file in this process.
func openStore(ctx context.Context, file string) (*sqlite.Store, error) {
	return sqlite.Open(ctx, sqlite.Config{
		Path: file, Fulfilment: order.Timer(processingTime),
		Now: time.Now, Random: bufio.NewReader(rand.Reader), Log: slog.New(slog.DiscardHandler),
	})
}

// finishedDraft is the nth order, of much the same size as the creates' and
// imported as Completed: no transitions follow.
func finishedDraft(n int64) order.Draft {
	number := strconv.FormatInt(n%1024, 10)
	d := order.Draft{
		ClientReference: "userTest" + number,
		UserID:          number,
		ItemIDs:         []string{"890", number},
		TotalAmount:     order.Amount(n % int64(order.MaxAmount)),
		InitialStatus:   order.Completed,
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
