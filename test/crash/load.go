package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"orders/test/ledger"
	"orders/test/service"
)

// A load is the requests of many connections to one process of the service.
type load struct {
	ctx      context.Context // of the trial
	client   *service.Client
	process  *service.Process
	requests *requests
	ledger   *ledger.Ledger
	pause    time.Duration // up to which a connection rests between two requests
	external bool          // whether clients complete the orders

	workers sync.WaitGroup
	failed  sync.Once
	err     error // the first violation
}

// begin starts so many connections.
func (l *load) begin(connections int, random func(worker int) *rand.Rand) {
	for worker := range connections {
		l.workers.Go(func() { l.run(random(worker + 1)) })
	}
}

// end waits until all connections have found that the service is dead.
func (l *load) end() error {
	l.workers.Wait()
	return errors.Join(l.err, l.client.Close())
}

// run makes requests until there is no response.
func (l *load) run(random *rand.Rand) {
	for {
		if err := l.act(random); err != nil {
			l.judge(ledger.OfResponse(err))
			return
		}
		time.Sleep(upTo(l.pause, random))
	}
}

// judge tells the end of the service from a fault of it: only a dead service may not respond.
func (l *load) judge(err error) {
	if !ledger.IsViolation(err) {
		if l.process.Ending() {
			return
		}
		err = ledger.Broken(ledger.NoServerErrors, "no response from a service that is alive: %v", err)
	}
	l.failed.Do(func() { l.err = err })
}

// act makes one request, or one walk through pages. Every second one reads an order that was acknowledged before
// the last crash.
func (l *load) act(random *rand.Rand) error {
	if random.IntN(2) == 0 {
		if r, ok := l.requests.takeDue(); ok {
			return l.read(r)
		}
	}
	n := random.IntN(100)
	for _, a := range actions {
		if n -= a.percent; n < 0 {
			return a.do(l, random)
		}
	}
	panic("actions do not add up to 100 percent")
}

var actions = []struct {
	percent int
	do      func(l *load, random *rand.Rand) error
}{
	{45, func(l *load, _ *rand.Rand) error { return l.create(l.requests.begin()) }},
	{10, (*load).retry},
	{2, func(l *load, random *rand.Rand) error { return l.withRecent(1000, random, l.reuseKey) }},
	{13, func(l *load, random *rand.Rand) error { return l.withRecent(1000, random, l.readStatus) }},
	{10, func(l *load, random *rand.Rand) error { return l.withRecent(1000, random, l.read) }},
	{10, func(l *load, random *rand.Rand) error { return l.withRecent(1000, random, l.call(random)) }},
	{5, func(l *load, random *rand.Rand) error { return l.withRecent(50, random, l.list(1+random.IntN(100))) }},
	{5, func(l *load, _ *rand.Rand) error { return l.metrics() }},
}

// withRecent does something with one of the orders acknowledged last, if there is one.
func (l *load) withRecent(n int, random *rand.Rand, do func(*request) error) error {
	if r, ok := l.requests.recent(n, random); ok {
		return do(r)
	}
	return nil
}

func (l *load) retry(random *rand.Rand) error {
	if r, ok := l.requests.retry(random); ok {
		return l.create(r)
	}
	return nil
}

// reuseKey asks for another order with a key that is taken.
func (l *load) reuseKey(r *request) error {
	if r.Key == "" {
		return nil
	}
	res, err := l.client.Send(l.ctx, http.MethodPost, "/api/orders/create/", body(r.Draft, "0.07"), "Idempotency-Key", r.Key)
	if err == nil && res.StatusCode != http.StatusUnprocessableEntity {
		err = ledger.Broken(ledger.OneOrder, "another order under a key that is taken: %s %s", res.Status, res.Content)
	}
	return err
}

func (l *load) create(r *request) error {
	before := l.ledger.Before(r.Entry)
	created, err := l.client.Create(l.ctx, body(r.Draft, r.TotalAmount), r.Key)
	if err != nil {
		if service.StatusOf(err) == 0 {
			l.requests.lose(r)
		}
		return err
	}
	first, err := l.ledger.Acknowledge(r.Entry, before, created)
	if first {
		l.requests.acknowledge(r)
	}
	return err
}

func (l *load) read(r *request) error {
	before := l.ledger.Before(r.Entry)
	o, err := l.client.Order(l.ctx, before.ID)
	if err != nil {
		return err
	}
	return l.ledger.See(before, &o)
}

// call reads an order and asks for a transition, sooner or later.
func (l *load) call(random *rand.Rand) func(*request) error {
	return func(r *request) error {
		o, err := l.client.Order(l.ctx, l.ledger.Before(r.Entry).ID)
		if err != nil {
			return err
		}
		name := l.choose(o.Status, random)
		if random.IntN(4) == 0 {
			time.Sleep(upTo(2*processingTime, random))
		}
		version := o.Version
		if name == "cancel" && random.IntN(2) == 0 {
			version = 0
		}
		before := l.ledger.Before(r.Entry)
		c := l.ledger.Ask(r.Entry, name, version)
		conflict, err := l.client.Transition(l.ctx, o.OrderID, name, version, c.Reason)
		if err != nil {
			return err
		}
		return l.ledger.Answer(r.Entry, before, c, conflict)
	}
}

// choose draws a transition for an order in that status. Most of them the table allows.
func (l *load) choose(status string, random *rand.Rand) string {
	names := []string{"cancel", "complete", "fail", "retry"}
	switch {
	case status == "Failed":
		names = []string{"cancel", "retry", "retry", "retry"}
	case status == "Processing" && l.external:
		names = []string{"cancel", "complete", "complete", "fail"}
	case status == "Processing":
		names = []string{"cancel", "fail", "fail", "complete"}
	}
	return names[random.IntN(len(names))]
}

func (l *load) readStatus(r *request) error {
	before := l.ledger.Before(r.Entry)
	status, err := l.client.Status(l.ctx, before.ID)
	if err != nil {
		return err
	}
	return l.ledger.SeeStatus(r.Entry, before, status)
}

// list walks through pages of that size, from the newest order on, until it finds an acknowledged
// one; and it reads an order of each page that no response has named.
func (l *load) list(limit int) func(*request) error {
	return func(r *request) error {
		wanted := l.ledger.Before(r.Entry).ID
		listed, most := map[string]bool{}, 0
		for path := service.FirstPage(limit); !listed[wanted]; {
			ids, next, err := l.client.Page(l.ctx, path)
			if err != nil {
				return err
			}
			if len(listed) == 0 {
				most = l.requests.mostAfter(r)
			}
			for _, id := range ids {
				if listed[id] {
					return ledger.Broken(ledger.ListsAll, "%s is listed twice", id)
				}
				listed[id] = true
			}
			if !listed[wanted] && (next == "" || len(listed) > most) {
				return ledger.Broken(ledger.ListsAll, "%s is not among the newest %d orders", wanted, len(listed))
			}
			if err := l.readStranger(ids); err != nil {
				return err
			}
			path = next
		}
		return nil
	}
}

// readStranger reads the first of these orders that no response has named.
func (l *load) readStranger(ids []string) error {
	for _, id := range ids {
		if l.ledger.Known(id) == nil {
			o, err := l.client.Order(l.ctx, id)
			if err != nil {
				return err
			}
			return l.ledger.See(ledger.Sighting{}, &o)
		}
	}
	return nil
}

func (l *load) metrics() error {
	least, completed := l.ledger.Least()
	m, err := l.client.Metrics(l.ctx)
	if err != nil {
		return err
	}
	return l.ledger.SeeMetrics(m, least, completed)
}
