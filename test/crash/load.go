package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// A load is what the connections do to one process of the service.
type load struct {
	client  *client
	ledger  *ledger
	service *service
	pause   time.Duration // up to which a connection rests between two requests

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
	l.client.http.CloseIdleConnections()
	return l.err
}

// run makes requests until there is no answer.
func (l *load) run(random *rand.Rand) {
	for {
		if err := l.act(random); err != nil {
			l.judge(err)
			return
		}
		time.Sleep(upTo(l.pause, random))
	}
}

// judge tells the end of the service from a fault of it: no answer is what is to
// be expected of a dead one only.
func (l *load) judge(err error) {
	if _, ok := errors.AsType[*violation](err); !ok {
		if l.service.killed.Load() {
			return
		}
		err = broken(answersWell, "no answer from a service that is alive: %v", err)
	}
	l.failed.Do(func() { l.err = err })
}

// act makes one request, or one walk through pages. Of every second one it is the
// purpose to see what the last crash has left.
func (l *load) act(random *rand.Rand) error {
	if random.IntN(2) == 0 {
		if r, ok := l.ledger.takeDue(); ok {
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
	{50, func(l *load, _ *rand.Rand) error { return l.create(l.ledger.begin()) }},
	{10, (*load).retry},
	{2, (*load).reuseKey},
	{13, func(l *load, random *rand.Rand) error { return l.withRecent(1000, random, l.readStatus) }},
	{15, func(l *load, random *rand.Rand) error { return l.withRecent(1000, random, l.read) }},
	{5, func(l *load, random *rand.Rand) error { return l.withRecent(50, random, l.list(1+random.IntN(100))) }},
	{5, func(l *load, _ *rand.Rand) error { return l.metrics() }},
}

// withRecent does something with one of the orders acknowledged last, if there is one.
func (l *load) withRecent(n int, random *rand.Rand, do func(*record) error) error {
	if r, ok := l.ledger.recent(n, random); ok {
		return do(r)
	}
	return nil
}

func (l *load) retry(random *rand.Rand) error {
	if r, ok := l.ledger.retry(random); ok {
		return l.create(r)
	}
	return nil
}

// reuseKey asks for another order with a key that is taken.
func (l *load) reuseKey(random *rand.Rand) error {
	return l.withRecent(1000, random, func(r *record) error {
		if !r.ask.keyed() {
			return nil
		}
		return l.client.createOther(r.ask)
	})
}

func (l *load) create(r *record) error {
	before := l.ledger.before(r)
	answer, err := l.client.create(r.ask)
	if _, ok := errors.AsType[*violation](err); err != nil && !ok {
		l.ledger.lose(r)
	}
	if err != nil {
		return err
	}
	return l.ledger.acknowledge(r, before, answer)
}

func (l *load) read(r *record) error {
	before := l.ledger.before(r)
	o, err := l.client.order(before.id)
	if err != nil {
		return err
	}
	return l.ledger.saw(before, &o)
}

func (l *load) readStatus(r *record) error {
	before := l.ledger.before(r)
	status, err := l.client.status(before.id)
	if err != nil {
		return err
	}
	return l.ledger.sawStatus(r, before, status)
}

// list walks through pages of that size, from the newest order on, until it finds
// an acknowledged one; and it reads an order of each page that no answer has named.
func (l *load) list(limit int) func(*record) error {
	return func(r *record) error {
		wanted := l.ledger.before(r).id
		listed, most := map[string]bool{}, 0
		for path := fmt.Sprintf("/api/orders/ids/?limit=%d", limit); !listed[wanted]; {
			ids, next, err := l.client.page(path)
			if err != nil {
				return err
			}
			if len(listed) == 0 {
				most = l.ledger.mostAfter(r)
			}
			for _, id := range ids {
				if listed[id] {
					return broken(listsAll, "%s is listed twice", id)
				}
				listed[id] = true
			}
			if !listed[wanted] && (next == "" || len(listed) > most) {
				return broken(listsAll, "%s is not among the newest %d orders", wanted, len(listed))
			}
			if err := l.readStranger(ids); err != nil {
				return err
			}
			path = next
		}
		return nil
	}
}

// readStranger reads the first of these orders that no answer has named.
func (l *load) readStranger(ids []string) error {
	for _, id := range ids {
		if l.ledger.known(id) == nil {
			o, err := l.client.order(id)
			if err != nil {
				return err
			}
			return l.ledger.saw(sighting{id: id}, &o)
		}
	}
	return nil
}

func (l *load) metrics() error {
	least, completed := l.ledger.leastTotal()
	m, err := l.client.metrics()
	if err != nil {
		return err
	}
	return l.ledger.sawMetrics(m, least, completed)
}
