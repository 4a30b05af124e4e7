package main

import (
	"context"
	"errors"
	"fmt"
	"time"
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
	s := ratioRow("group commit ÷ one transaction an order, "+grouped(manyCallers)+" callers", goal{}, more/one,
		measured, grouped(more), grouped(one))
	b.say("  %s: %s; %s: %s", r.Name, r.Measured, s.Name, s.Measured)
	return section{
		How: fmt.Sprintf(`The store alone, in this process, without HTTP: durable orders a second when %s goroutines call
Store.Create, against one goroutine that calls it again when it has returned, which makes each order a
transaction, and an fsync, of its own; %s each, on fresh files. The orders are taken over as Completed, so
that no transitions are counted on either side. A group is no larger than the number of callers, so the
ratio falls where an fsync is fast, and rises with the callers: the second line has %s. Here an order alone
took %.2f ms, nearly all of it fsync, and each of %s callers came round every %.1f ms, 4 ms of which are the
pacing of commits, which the creates over HTTP gain by.`,
			grouped(connections), b.committing, grouped(manyCallers),
			1000/one, grouped(connections), 1000*connections/many),
		Rows: []row{r, s},
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
