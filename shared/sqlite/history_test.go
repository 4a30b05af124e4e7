package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"orders/shared/order"
)

// TestHistories plays random histories against a model: orders created, replayed
// and refused, messages delivered twice, early and out of order, clocks that step,
// commits that fail, and crashes before and after every commit. After each step
// everything is read and compared (I1 to I12, I17).
//
// The writer's own steps are called one by one, without its goroutine, on a real
// file, so that a history that fails shrinks to the few steps that matter.
func TestHistories(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		path := filepath.Join(must(os.MkdirTemp(dir, "")), "orders.db")
		h := &history{T: t, path: path, now: time.UnixMilli(1_800_000_000_000), orders: map[order.ID]*known{}, keys: map[string]order.ID{}}
		h.open()
		defer func() { h.check(h.store.release()) }()
		t.Repeat(map[string]func(*rapid.T){
			"create":     h.create,
			"deliver":    h.deliver,
			"work":       h.work,
			"tick":       h.tick,
			"step back":  h.stepBack,
			"full disk":  h.fullDisk,
			"crash":      h.crash,
			"restart":    h.restart,
			"":           h.compare,
			"work again": h.work,
		})
		h.quiesce()
	})
}

const historyProcessing = 50 * time.Second

// A history is a store under test and what is known of it.
type history struct {
	*rapid.T
	path   string
	now    time.Time
	store  *Store
	writer *writer
	orders map[order.ID]*known
	keys   map[string]order.ID
	list   []order.ID // in the order of creation
}

// A known order is what the model expects of one.
type known struct {
	draft order.Draft
	last  order.Order // as last read
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (h *history) check(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// open opens the file as a process does, but for the goroutine.
func (h *history) open() {
	h.store = newStore(byHand(h.path, &h.now))
	h.store.keys.size = 5
	var err error
	h.writer, err = h.store.open(context.Background())
	h.check(err)
}

// draft draws a request; few different ones, so that keys meet the same again.
func (h *history) draft(t *rapid.T) (d order.Draft, key string) {
	d.UserID = rapid.SampledFrom([]string{"645", "Ünïcødé"}).Draw(t, "user")
	d.ItemIDs = []string{"890"}
	d.TakenOverAs = rapid.SampledFrom(order.Statuses[:]).Draw(t, "status")
	d.Sign()
	if key = rapid.SampledFrom([]string{"", "", "a", "b", "c", "d", "e", "f", "g", "h"}).Draw(t, "key"); key != "" {
		d.Key = order.KeyedID("", key)
	}
	return d, key
}

// group draws the creates that one commit is to make.
func (h *history) group(t *rapid.T) (g *group, keys []string) {
	g = newGroup(0)
	for range rapid.IntRange(1, 4).Draw(t, "creates") {
		d, key := h.draft(t)
		g.creations = append(g.creations, &creation{draft: d, itemIDs: itemsColumn(d.ItemIDs)})
		keys = append(keys, key)
	}
	return g, keys
}

func (h *history) create(t *rapid.T) {
	g, keys := h.group(t)
	h.writer.commit(g, nil, h.writer.mark(h.now), h.now)
	for i, c := range g.creations {
		h.acknowledged(c, keys[i])
	}
}

// acknowledged holds the answer to a create against what is known of its key.
func (h *history) acknowledged(c *creation, key string) {
	h.Helper()
	id, used := h.keys[key]
	switch {
	case used && h.orders[id].draft.Fingerprint != c.draft.Fingerprint:
		if !errors.Is(c.err, order.ErrKeyReused) {
			h.Fatalf("key %q with another request: %+v, error %v", key, c.order, c.err)
		}
	case c.err != nil:
		h.Fatalf("create: %v", c.err)
	case used != c.replayed || used && c.order.ID != id:
		h.Fatalf("key %q: used %v for %s, got %s, replayed %v", key, used, id, c.order.ID, c.replayed)
	case !used:
		h.stored(c.draft, c.order, key)
	}
}

func (h *history) stored(d order.Draft, o order.Order, key string) {
	if h.orders[o.ID] != nil {
		h.Fatalf("the id %s was given twice", o.ID)
	}
	h.orders[o.ID] = &known{draft: d, last: o}
	h.list = append(h.list, o.ID)
	if key != "" {
		h.keys[key] = o.ID
	}
}

// deliver hands in messages of every kind, out of order and more than once.
func (h *history) deliver(t *rapid.T) {
	ids := append(slices.Clone(h.list), order.KeyedID("", "unknown"))
	g := newGroup(0)
	for range rapid.IntRange(1, 5).Draw(t, "messages") {
		m := order.Message{
			OrderID: rapid.SampledFrom(ids).Draw(t, "id"),
			To:      rapid.SampledFrom([]order.Status{order.Processing, order.Completed}).Draw(t, "to"),
		}
		g.deliveries = append(g.deliveries, &delivery{body: m.Body()}, &delivery{body: m.Body()[rapid.IntRange(0, 1).Draw(t, "cut"):]})
	}
	h.writer.commit(g, nil, h.writer.mark(h.now), h.now)
	for _, d := range g.deliveries {
		h.check(d.err)
	}
}

// work makes the transitions that are due.
func (h *history) work(*rapid.T) {
	mark := h.writer.mark(h.now)
	h.writer.commit(newGroup(0), h.writer.queue.pop(h.now), mark, h.now)
}

func (h *history) tick(t *rapid.T) {
	h.now = h.now.Add(time.Duration(rapid.Int64Range(1, int64(60*time.Second)).Draw(t, "forward")))
}

func (h *history) stepBack(t *rapid.T) {
	h.now = h.now.Add(-time.Duration(rapid.Int64Range(1, int64(10*time.Minute)).Draw(t, "back")))
}

// fullDisk lets the file grow no further, so that a transaction may fail at any of
// its statements. Its creates are then unavailable, and nothing of it may show.
func (h *history) fullDisk(t *rapid.T) {
	pages := must(queryInt(h.writer.conn, "PRAGMA page_count"))
	limit := pages + rapid.Int64Range(0, 1).Draw(t, "pages left")
	h.check(pragma(h.writer.conn, fmt.Sprintf("max_page_count = %d", limit)))
	g, keys := h.group(t)
	for range 100 {
		g.creations[0].draft.ItemIDs = append(g.creations[0].draft.ItemIDs, "a longer item id, to fill pages")
	}
	g.creations[0].itemIDs = itemsColumn(g.creations[0].draft.ItemIDs)
	g.creations[0].draft.Sign()
	for range 4 {
		g.deliveries = append(g.deliveries, &delivery{body: []byte(strings.Repeat("not a message", 100))})
	}
	mark := h.writer.mark(h.now)
	h.writer.commit(g, h.writer.queue.pop(h.now), mark, h.now)
	h.check(pragma(h.writer.conn, "max_page_count = 1000000"))
	for i, c := range g.creations {
		if !errors.Is(c.err, order.ErrUnavailable) {
			h.acknowledged(c, keys[i])
		}
	}
}

// crash drops the process at a group: before its commit, when nothing of it may
// remain, or behind it, when all of it must, though nobody was told.
func (h *history) crash(t *rapid.T) {
	g, keys := h.group(t)
	tx := h.writer.begin(h.writer.mark(h.now), h.now)
	h.check(tx.exec("BEGIN IMMEDIATE"))
	h.check(tx.write(g, h.writer.queue.pop(h.now)))
	if rapid.Bool().Draw(t, "behind the commit") {
		h.check(tx.exec("COMMIT"))
		for i, c := range g.creations {
			h.acknowledged(c, keys[i])
		}
	}
	h.reopen()
}

// restart ends the process in good order.
func (h *history) restart(*rapid.T) {
	h.writer.commit(newGroup(0), nil, h.writer.queue.finishedBelow(h.writer.last+1)-1, h.now)
	h.reopen()
}

func (h *history) reopen() {
	h.check(h.store.release())
	h.open()
}

// compare reads everything and holds it against the model.
func (h *history) compare(*rapid.T) {
	h.Helper()
	var sum order.Tally
	for id, k := range h.orders {
		o, err := h.store.Get(context.Background(), id)
		h.check(err)
		if err := k.sameOrder(o); err != nil {
			h.Fatal(err)
		}
		k.last = o
		sum.Add(order.Change{New: &o}.Tally())
	}
	if got := must(h.store.Metrics(context.Background())); got != sum {
		h.Fatalf("metrics are %+v, a recount gives %+v", got, sum)
	}
	if onDisk := must(loadTally(h.writer.conn)); onDisk != sum {
		h.Fatalf("the tally in the file is %+v, a recount gives %+v", onDisk, sum)
	}
	want := slices.Clone(h.list)
	slices.Reverse(want)
	if got := h.allIDs(); !slices.Equal(got, want) {
		h.Fatalf("the list is %v, not %v", got, want)
	}
}

// sameOrder says what is wrong with an order that is read again.
func (k *known) sameOrder(o order.Order) error {
	processed := o.Status == order.Completed && !o.CompletedAt.IsZero()
	switch {
	case o.Fingerprint != k.draft.Fingerprint || o.UserID != k.draft.UserID || !o.CreatedAt.Equal(k.last.CreatedAt):
		return fmt.Errorf("order %+v is another than %+v", o, k.last)
	case o.Status < k.last.Status:
		return fmt.Errorf("order %s went from %s to %s", o.ID, k.last.Status, o.Status)
	case o.Status == k.last.Status && (!o.StartedAt.Equal(k.last.StartedAt) || !o.CompletedAt.Equal(k.last.CompletedAt)):
		return fmt.Errorf("order %+v has other times than %+v", o, k.last)
	case processed && (o.StartedAt.Before(o.CreatedAt) || o.CompletedAt.Sub(o.StartedAt) < historyProcessing):
		return fmt.Errorf("order %+v was not processed for its time", o)
	case processed != (o.Status == order.Completed && k.draft.TakenOverAs != order.Completed):
		return fmt.Errorf("order %+v, taken over as %s", o, k.draft.TakenOverAs)
	default:
		return nil
	}
}

func (h *history) allIDs() (ids []order.ID) {
	for after := ""; ; {
		page := must(h.store.List(context.Background(), 3, after))
		ids = append(ids, page.IDs...)
		if after = page.Next; after == "" {
			return ids
		}
	}
}

// quiesce lets the time pass that all orders need, and expects them Completed (I4).
func (h *history) quiesce() {
	h.now = h.now.Add(24 * time.Hour)
	for range 2 {
		h.work(nil)
		h.now = h.now.Add(historyProcessing + retryDelay)
	}
	for len(h.writer.queue.waiting) > 0 {
		h.work(nil)
		h.now = h.now.Add(historyProcessing)
	}
	h.compare(nil)
	for id, k := range h.orders {
		if k.last.Status != order.Completed {
			h.Fatalf("order %s is still %s", id, k.last.Status)
		}
	}
}
