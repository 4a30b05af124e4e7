package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

func (b *bench) measureCommit(ctx context.Context) (section, error) {
	many, err := b.commitRate(ctx, connections)
	if err != nil {
		return section{}, err
	}
	one, err := b.commitRate(ctx, 1)
	if err != nil {
		return section{}, err
	}
	r := ratioRow("group commit ÷ one transaction an order", atLeast(40), many/one,
		"%s orders/s; %s orders/s", grouped(many), grouped(one))
	b.say("  %s: %s", r.Name, r.Measured)
	return section{
		How: fmt.Sprintf(`The store alone, in this process, without HTTP: durable orders a second when %s goroutines call
Store.Create, against one goroutine that calls it again when it has returned, which makes each order a
transaction, and an fsync, of its own; %s each, on fresh files. The orders are taken over as Completed, so
that no transitions are counted on either side.`, grouped(connections), b.committing),
		Rows: []row{r},
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
