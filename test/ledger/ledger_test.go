package ledger

import (
	"errors"
	"strings"
	"testing"
	"time"

	"orders/test/service"
)

const processingTime = 300 * time.Millisecond

var created = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

var draft = Draft{
	UserID: "645", ItemIDs: []string{"890", "563"}, TotalAmount: "1650.78", ClientReference: "userTest23",
	Status: "Pending", Key: "key",
}

// orderAt is what an honest service says of an order of that draft, so far in its lifecycle.
func orderAt(d Draft, id, status string) service.Order {
	o := service.Order{
		OrderID: id, ClientReference: d.ClientReference, UserID: d.UserID, ItemIDs: d.ItemIDs,
		TotalAmount: d.TotalAmount, Status: status, CreatedAt: created,
	}
	if d.Status == "Completed" {
		return o
	}
	if status != "Pending" {
		o.StartedAt = created
	}
	if status == "Completed" {
		o.CompletedAt = created.Add(processingTime)
	}
	return o
}

// acknowledgedOrder is a ledger with one order, which has a key.
func acknowledgedOrder(t *testing.T) (*Ledger, *Entry) {
	t.Helper()
	l := New(processingTime)
	e := l.Begin(draft)
	if first, err := l.Acknowledge(e, Sighting{}, service.Created{OrderID: "A", Status: "Pending"}); !first || err != nil {
		t.Fatal(first, err)
	}
	return l, e
}

func metricsOf(pending, processing, completed int) service.Metrics {
	return service.Metrics{
		TotalOrders:  pending + processing + completed,
		StatusCounts: map[string]int{"Pending": pending, "Processing": processing, "Completed": completed},
	}
}

func TestLedgerHasNothingAgainstAnHonestService(t *testing.T) {
	l, e := acknowledgedOrder(t)
	for _, status := range statuses {
		before := l.Before(e)
		o := orderAt(draft, "A", status)
		if err := errors.Join(l.See(before, &o), l.SeeStatus(e, before, status)); err != nil {
			t.Errorf("%s: %v", status, err)
		}
	}
	replay := service.Created{OrderID: "A", Status: "Pending", Replayed: true}
	if first, err := l.Acknowledge(e, l.Before(e), replay); first || err != nil {
		t.Errorf("a replay: first %t, %v", first, err)
	}
	lost := l.Begin(Draft{UserID: "1", Status: "Pending"})
	l.Lose()
	o := orderAt(lost.Draft, "B", "Pending")
	if err := errors.Join(l.See(Sighting{}, &o), l.SeeMetrics(metricsOf(1, 0, 1), 1, 0)); err != nil {
		t.Error(err)
	}
	if violations := l.SeeList([]string{"B", "A"}); violations != nil {
		t.Error(violations)
	}
	if acknowledged, lost := l.Counts(); acknowledged != 1 || lost != 1 {
		t.Errorf("%d orders are acknowledged and %d responses lost, not 1 and 1", acknowledged, lost)
	}
}

// F4, F22, I1, I3, I5, I6, I9: what `make crash` would find.
func TestLedgerFindsEveryBrokenPromise(t *testing.T) {
	acknowledge := func(c service.Created) func(*Ledger, *Entry) error {
		return func(l *Ledger, e *Entry) error { _, err := l.Acknowledge(e, l.Before(e), c); return err }
	}
	other := func(d Draft, c service.Created) func(*Ledger, *Entry) error {
		return func(l *Ledger, _ *Entry) error { _, err := l.Acknowledge(l.Begin(d), Sighting{}, c); return err }
	}
	// read has the order seen in Processing, and then with a change.
	read := func(change func(*service.Order)) func(*Ledger, *Entry) error {
		return func(l *Ledger, e *Entry) error {
			o := orderAt(draft, "A", "Processing")
			if err := l.See(l.Before(e), &o); err != nil {
				return err
			}
			change(&o)
			return l.See(l.Before(e), &o)
		}
	}
	metrics := func(m service.Metrics) func(*Ledger, *Entry) error {
		return func(l *Ledger, _ *Entry) error { return l.SeeMetrics(m, 1, min(1, m.TotalOrders)) }
	}
	list := func(ids ...string) func(*Ledger, *Entry) error {
		return func(l *Ledger, _ *Entry) error { return errors.Join(l.SeeList(ids)...) }
	}
	early := metricsOf(0, 0, 1)
	early.AvgProcessTime = -1
	tests := map[string]struct {
		want Promise
		then func(l *Ledger, e *Entry) error
	}{
		"another content":                    {Durable, read(func(o *service.Order) { o.TotalAmount = "0.01" })},
		"an order that nobody has asked for": {NoStrangers, read(func(o *service.Order) { o.OrderID, o.UserID = "B", "1" })},
		"a second order of a request":        {NoStrangers, read(func(o *service.Order) { o.OrderID = "B" })},
		"a second order for a key":           {OneOrder, acknowledge(service.Created{OrderID: "B", Status: "Pending", Replayed: true})},
		"one order for two keys":             {OneOrder, other(draft, service.Created{OrderID: "A", Status: "Pending"})},
		"a retry that is not a replay":       {OneOrder, acknowledge(service.Created{OrderID: "A", Status: "Pending"})},
		"a replay without a key":             {OneOrder, other(Draft{Status: "Pending"}, service.Created{OrderID: "B", Status: "Pending", Replayed: true})},
		"a status that was not asked for":    {OneOrder, other(draft, service.Created{OrderID: "B", Status: "Completed"})},
		"a replay with another status":       {OneOrder, acknowledge(service.Created{OrderID: "A", Status: "Processing", Replayed: true})},
		"a start that is repeated":           {OnceOnly, read(func(o *service.Order) { o.StartedAt = o.StartedAt.Add(1) })},
		"a status that goes back":            {Forward, read(func(o *service.Order) { o.Status, o.StartedAt = "Pending", time.Time{} })},
		"a status by itself that goes back": {Forward, func(l *Ledger, e *Entry) error {
			return errors.Join(l.SeeStatus(e, l.Before(e), "Completed"), l.SeeStatus(e, l.Before(e), "Processing"))
		}},
		"an unknown status": {Forward, func(l *Ledger, e *Entry) error { return l.SeeStatus(e, l.Before(e), "Shipped") }},
		"an import that begins before its status": {Forward, func(l *Ledger, _ *Entry) error {
			d := Draft{UserID: "2", Status: "Processing"}
			o := orderAt(d, "B", "Pending")
			l.Begin(d)
			return l.See(Sighting{}, &o)
		}},
		"a completion too early": {TakesTime, read(func(o *service.Order) {
			o.Status, o.CompletedAt = "Completed", o.StartedAt.Add(processingTime-time.Millisecond)
		})},
		"a completion without its time":        {InOrder, read(func(o *service.Order) { o.Status = "Completed" })},
		"a start before the creation":          {InOrder, read(func(o *service.Order) { o.StartedAt = o.CreatedAt.Add(-1) })},
		"metrics that have lost an order":      {AddsUp, metrics(metricsOf(0, 0, 0))},
		"metrics with an order too many":       {AddsUp, metrics(metricsOf(0, 1, 1))},
		"metrics with less Completed":          {AddsUp, metrics(metricsOf(0, 1, 0))},
		"metrics whose parts are not the sum":  {AddsUp, metrics(service.Metrics{TotalOrders: 1, StatusCounts: metricsOf(0, 0, 2).StatusCounts})},
		"metrics with a negative count":        {AddsUp, metrics(metricsOf(-1, 0, 2))},
		"metrics with a negative average":      {AddsUp, metrics(early)},
		"metrics without a status":             {AddsUp, metrics(service.Metrics{TotalOrders: 1, StatusCounts: map[string]int{"Completed": 1}})},
		"a list with an order twice":           {ListsAll, list("A", "A")},
		"a list without an order":              {ListsAll, list("B")},
		"a response with a status of an error": {NoServerErrors, func(*Ledger, *Entry) error { return OfResponse(&service.ResponseError{Status: 503}) }},
		"a response that an order is gone":     {Durable, func(*Ledger, *Entry) error { return OfResponse(&service.ResponseError{Status: 404}) }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := test.then(acknowledgedOrder(t))
			if v, ok := errors.AsType[*Violation](err); !ok || v.Promise != test.want {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestNoResponseIsNoViolation(t *testing.T) {
	if err := OfResponse(errors.New("connection refused")); IsViolation(err) {
		t.Error(err)
	}
}

func TestALedgerIsReadFromAFile(t *testing.T) {
	const line = `{"id": "A", "draft": {"user_id": "645", "item_ids": ["890"], "total_amount": "1.50", "client_reference": "", "status": "Pending", "key": ""}}`
	unnamed := strings.Replace(line, `"A"`, `""`, 1)
	l := New(processingTime)
	if err := l.Read(strings.NewReader(line + "\n" + unnamed + "\n")); err != nil {
		t.Error(err)
	}
	if acknowledged, lost := l.Counts(); acknowledged != 1 || lost != 1 || l.Known("A").TotalAmount != "1.50" {
		t.Errorf("%d orders are acknowledged and %d lost, and A is %+v", acknowledged, lost, l.Known("A"))
	}
	if err := l.Read(strings.NewReader(line)); !IsViolation(err) || !strings.Contains(err.Error(), "same order A") {
		t.Errorf("two requests with one order: %v", err)
	}
	for _, bad := range []string{line[:40], `{"id": 1}`, `{"order": "A"}`} {
		if err := l.Read(strings.NewReader(bad)); err == nil || IsViolation(err) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
