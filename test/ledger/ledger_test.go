package ledger

import (
	"errors"
	"slices"
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
		o.Version = 3
		return o
	}
	o.Status, o.Version = "Pending", 1
	if status != "Pending" {
		o = after(o, "start", created, "")
	}
	if status == "Completed" {
		o = after(o, "complete", created.Add(processingTime), "")
	}
	return o
}

// after is the order after a transition.
func after(o service.Order, transition string, at time.Time, reason string) service.Order {
	o.History = append(slices.Clone(o.History), service.Event{Transition: transition, At: at, Reason: reason})
	o.Status, _ = next(o.Status, transition)
	o.Version++
	switch transition {
	case "start", "restart":
		o.StartedAt, o.Attempt = at, o.Attempt+1
	case "complete":
		o.CompletedAt = at
	case "fail":
		o.FailedAt, o.Reason = at, reason
	case "retry":
		o.StartedAt, o.FailedAt, o.Attempt = time.Time{}, time.Time{}, 0
	case "cancel":
		o.CancelledAt, o.Reason = at, reason
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
	for _, status := range []string{"Pending", "Processing", "Completed"} {
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
	pending := orderAt(draft, "A", "Pending")
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
		"a start that is repeated":           {OnceOnly, read(func(o *service.Order) { *o = after(pending, "start", created.Add(1), "") })},
		"a status that goes back":            {Forward, read(func(o *service.Order) { *o = pending })},
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
			*o = after(*o, "complete", o.StartedAt.Add(processingTime-time.Millisecond), "")
		})},
		"a completion without its time": {InOrder, read(func(o *service.Order) {
			*o = after(*o, "complete", created.Add(processingTime), "")
			o.CompletedAt = time.Time{}
		})},
		"a status without its transition":      {InOrder, read(func(o *service.Order) { o.Status = "Cancelled" })},
		"a version without its transition":     {InOrder, read(func(o *service.Order) { o.Version++ })},
		"a transition that the table has not":  {OnceOnly, read(func(o *service.Order) { *o = after(*o, "start", created, ""); o.Status = "Processing" })},
		"a transition that nobody asked for":   {TellsTruth, read(func(o *service.Order) { *o = after(*o, "cancel", created, "changed my mind") })},
		"a start before the creation":          {InOrder, read(func(o *service.Order) { *o = after(pending, "start", created.Add(-1), "") })},
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

// I4 to I6: calls, as a service tells the truth about them, and as it does not.
func TestLedgerHoldsAServiceToItsResponsesToCalls(t *testing.T) {
	conflict := func(status string, version int) *service.Conflict {
		return &service.Conflict{Status: status, Version: version}
	}
	started := orderAt(draft, "A", "Processing")
	failed := after(started, "fail", created.Add(1), "fail, call 1")
	for name, tt := range map[string]struct {
		want     Promise // "" for none
		call     string
		version  int
		conflict *service.Conflict
		lost     bool
		then     service.Order
	}{
		"a call that is made":                    {"", "fail", 2, nil, false, failed},
		"a call whose response is lost":          {"", "fail", 2, nil, true, failed},
		"a call that is lost":                    {"", "fail", 2, nil, true, orderAt(draft, "A", "Completed")},
		"a call that is refused":                 {"", "fail", 2, conflict("Completed", 3), false, orderAt(draft, "A", "Completed")},
		"a call that is retried":                 {"", "retry", 3, nil, false, after(failed, "retry", created.Add(2), "retry, call 1")},
		"an acknowledged cancel that is lost":    {Forward, "cancel", 0, nil, false, started},
		"an acknowledged call that is lost":      {Forward, "fail", 2, nil, false, started},
		"another transition than the one called": {TellsTruth, "fail", 2, nil, false, orderAt(draft, "A", "Completed")},
		"a refused call that is made":            {TellsTruth, "fail", 2, conflict("Processing", 3), false, failed},
		"a refusal without a reason":             {TellsTruth, "fail", 2, conflict("Processing", 2), false, started},
		"a refusal with a status of before":      {Forward, "fail", 2, conflict("Pending", 1), false, started},
		"a call that is made twice": {OnceOnly, "fail", 2, nil, false,
			after(after(after(failed, "retry", created.Add(2), "retry, call 1"), "start", created.Add(3), ""), "fail", created.Add(4), "fail, call 1")},
	} {
		t.Run(name, func(t *testing.T) {
			l, e := acknowledgedOrder(t)
			err := l.See(l.Before(e), &started)
			before := l.Before(e)
			c := l.Ask(e, tt.call, tt.version)
			if tt.call == "retry" || tt.want == OnceOnly {
				other := l.Ask(e, map[bool]string{true: "retry", false: "fail"}[tt.call == "fail"], 0)
				other.Reason = other.Transition + ", call 1"
			}
			if !tt.lost {
				err = errors.Join(err, l.Answer(e, before, c, tt.conflict))
			}
			err = errors.Join(err, l.See(l.Before(e), &tt.then))
			v, broken := errors.AsType[*Violation](err)
			if broken != (tt.want != "") || broken && v.Promise != tt.want {
				t.Errorf("got %v, want %q", err, tt.want)
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
