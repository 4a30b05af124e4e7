package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"orders/shared/dynamostore"
	"orders/shared/order"
)

// reconcile runs the command with a quiet period that is short.
func reconcile(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return invoke(t, append([]string{"reconcile", "--settle", "100ms"}, args...)...)
}

func reconcileJSON(t *testing.T, args ...string) (code int, report reconcileReport, stderr string) {
	t.Helper()
	code, stdout, stderr := reconcile(t, append(args, "--json")...)
	return code, readJSON[reconcileReport](t, stdout), stderr
}

func TestReconcileFindsThatAllIsWell(t *testing.T) {
	s := openShop(t)
	s.count(s.create(order.Pending, 0), s.create(order.Processing, 0), s.create(order.Completed, time.Hour))
	s.checkpoint()
	code, stdout, stderr := reconcile(t)
	const want = `orders   3 (1 Pending, 1 Processing, 1 Completed), 0 timed, on average 0.000 s
metrics  3 (1 Pending, 1 Processing, 1 Completed), 0 timed, on average 0.000 s
verdict  the metrics equal the orders
overdue  0
unread   0
`
	if code != exitOK || stdout != want || stderr != "" {
		t.Errorf("exit code %d\n%s%s\nwant 0 and\n%s", code, stdout, stderr, want)
	}
}

func TestReconcileRepairsMetricsThatAreWrong(t *testing.T) {
	s := openShop(t)
	s.count(s.create(order.Pending, 0), s.create(order.Pending, 0))
	s.create(order.Processing, 0) // these two the tally has forgotten
	s.create(order.Completed, 0)
	s.count(order.Order{Status: order.Completed, CreatedAt: time.UnixMilli(0), CompletedAt: time.UnixMilli(50_000)})
	s.checkpoint()

	code, stdout, stderr := reconcile(t)
	const missing = "+1 Processing, -1 timed, -50000 ms"
	if code != exitFailed || !strings.Contains(stdout, "verdict  the metrics differ from the orders\nmissing  "+missing+"\n") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if want := "the metrics differ from the orders: reading again, to be sure\nordersctl: the orders do not fit together, see the findings\n"; stderr != want {
		t.Errorf("stderr %q, want %q", stderr, want)
	}

	code, report, stderr := reconcileJSON(t, "--repair")
	if code != exitOK || !report.Repaired || report.Verdict != differ || report.Difference.Total != 1 || report.Orders.Total != 4 {
		t.Errorf("exit code %d, %s, %+v", code, stderr, report)
	}
	if before, done := strings.Index(stderr, "adding to the metrics: "+missing), strings.Index(stderr, "the metrics are repaired"); before < 0 || done < before {
		t.Errorf("stderr does not say it before it does it: %s", stderr)
	}
	code, report, _ = reconcileJSON(t, "--repair")
	if code != exitOK || report.Repaired || report.Verdict != agree {
		t.Errorf("after the repair: exit code %d, %+v", code, report)
	}
}

func TestReconcileRefusesToRepairWhatTheTallyWillStillCount(t *testing.T) {
	s := openShop(t)
	s.count(s.create(order.Pending, 0))
	s.checkpoint()
	s.create(order.Pending, 0) // the stream holds it, and the tally has not come to it
	code, report, stderr := reconcileJSON(t, "--repair")
	if code != exitFailed || report.Verdict != lagging || report.Repaired {
		t.Errorf("exit code %d, %+v", code, report)
	}
	if want := "ordersctl: the metrics were not repaired: the stream holds changes that are not counted yet"; !strings.HasPrefix(stderr, want) {
		t.Errorf("stderr %q, want %q", stderr, want)
	}
	if code, stdout, stderr := reconcile(t); code != exitOK {
		t.Errorf("a tally that lags is a finding: exit code %d\n%s%s", code, stdout, stderr)
	}
}

func TestReconcileSendsTheMessagesOfOverdueOrders(t *testing.T) {
	client, url, _ := openQueues(t)
	s := openShop(t)
	pending, processing := s.create(order.Pending, time.Hour), s.create(order.Processing, time.Hour)
	s.create(order.Pending, 0)
	s.create(order.Processing, 9*time.Minute) // late, but within the grace
	s.create(order.Completed, time.Hour)

	code, stdout, _ := reconcile(t)
	want := regexp.MustCompile(`overdue  2\n(         ORD\w{26} is (Pending|Processing), due \S+Z\n){2}unread`)
	if code != exitFailed || !want.MatchString(stdout) {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	if got := received(t, client, url, 1); len(got) != 0 {
		t.Errorf("without --send it sent %s", got)
	}

	code, report, stderr := reconcileJSON(t, "--send")
	if code != exitOK || report.Overdue != 2 || report.Sent != 2 || len(report.OverdueOrders) != 2 {
		t.Errorf("exit code %d, %+v", code, report)
	}
	if stderr != "sending the messages of 2 overdue orders\n2 messages sent\n" {
		t.Errorf("stderr %q", stderr)
	}
	messages := []string{
		string(order.Message{OrderID: pending.ID, To: order.Processing}.Body()),
		string(order.Message{OrderID: processing.ID, To: order.Completed}.Body()),
	}
	slices.Sort(messages)
	if got := received(t, client, url, 3); !slices.Equal(got, messages) {
		t.Errorf("sent %s, want %s", got, messages)
	}
}

// I4, I13: an order that waits for a worker is late when its attempt has ended, and a retried one when
// it is not started. Failed and cancelled orders wait for nothing.
func TestReconcileKnowsTheOrdersThatWaitForWorkers(t *testing.T) {
	client, url, _ := openQueues(t)
	s := openShop(t)
	s.create(order.Processing, 14*time.Minute) // within its attempt and the grace
	silent := s.create(order.Processing, 16*time.Minute)
	s.transition(s.create(order.Processing, time.Hour), time.Hour, order.Fail)
	s.transition(s.create(order.Pending, time.Hour), time.Hour, order.Cancel)
	s.transition(s.create(order.Processing, time.Hour), 9*time.Minute, order.Fail, order.Retry)
	retried := s.transition(s.create(order.Processing, time.Hour), 11*time.Minute, order.Fail, order.Retry)

	if code, report, _ := reconcileJSON(t); code != exitFailed || report.Overdue != 3 {
		t.Errorf("with a timer: exit code %d, %+v", code, report)
	}
	code, stdout, stderr := reconcile(t, "--send", "--fulfilment", "external", "--attempt-timeout", "5m")
	const want = "orders   6 (2 Pending, 2 Processing, 0 Completed, 1 Failed, 1 Cancelled), 0 timed"
	if code != exitOK || !strings.Contains(stdout, want) || !strings.Contains(stdout, "overdue  2\n") {
		t.Errorf("exit code %d\n%s%s\nwant 0 and\n%s", code, stdout, stderr, want)
	}
	messages := []string{
		string(order.Message{OrderID: silent.ID, To: order.Processing, Version: 2}.Body()),
		string(order.Message{OrderID: retried.ID, To: order.Processing, Version: 4}.Body()),
	}
	slices.Sort(messages)
	if got := received(t, client, url, 3); !slices.Equal(got, messages) {
		t.Errorf("sent %s, want %s", got, messages)
	}
}

func TestReconcileSendsNoMoreThanTheLimitAndSaysSo(t *testing.T) {
	openQueues(t)
	s := openShop(t)
	for range 3 {
		s.create(order.Pending, time.Hour)
	}
	code, report, _ := reconcileJSON(t, "--send", "--limit", "2")
	if code != exitFailed || report.Overdue != 3 || report.Sent != 2 || len(report.OverdueOrders) != 2 {
		t.Errorf("exit code %d, %+v", code, report)
	}
}

func TestReconcileTellsOfOrdersThatCannotBeRead(t *testing.T) {
	s := openShop(t)
	s.count(s.create(order.Pending, 0))
	s.put(map[string]string{"pk": "ORDER#ORD00000000000000000000000000", "sk": "ORDER", "status": "Lost"})
	s.checkpoint()
	code, stdout, stderr := reconcile(t, "--repair")
	if code != exitFailed || !strings.Contains(stdout, "verdict  not all orders could be read\n") || !strings.Contains(stdout, "unread   1\n") {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	if want := "ordersctl: the metrics were not repaired: not all orders could be read\n"; stderr != want {
		t.Errorf("stderr %q, want %q", stderr, want)
	}
}

// One order that cannot be read takes nothing from the others.
func TestReconcileSendsForTheOrdersBesideOneThatCannotBeRead(t *testing.T) {
	client, url, _ := openQueues(t)
	s := openShop(t)
	for n := range 3 {
		s.put(map[string]string{"pk": fmt.Sprintf("ORDER#ORD%026d", n), "sk": "ORDER", "status": "Lost"})
	}
	overdue := s.create(order.Pending, time.Hour)
	s.put(map[string]string{"pk": "ORDER#none", "sk": "ORDER"})
	code, report, stderr := reconcileJSON(t, "--send")
	if code != exitFailed || report.Overdue != 1 || report.Sent != 1 || len(report.Unread) != 4 || report.Orders.Total != 1 {
		t.Errorf("exit code %d, %+v, %s", code, report, stderr)
	}
	if got, want := received(t, client, url, 2), string(order.Message{OrderID: overdue.ID, To: order.Processing}.Body()); !slices.Equal(got, []string{want}) {
		t.Errorf("sent %s, want %s", got, want)
	}
}

// Damage to what the tally keeps makes the metrics unknown, and nothing else.
func TestReconcileGoesOnBesideADamagedTally(t *testing.T) {
	for name, damage := range map[string]func(s shop){
		"a counter": func(s shop) { s.put(map[string]string{"pk": "TALLY", "sk": "03", "pending": "three"}) },
		"a checkpoint": func(s shop) {
			s.checkpoint()
			s.put(map[string]string{"pk": "CHECKPOINT", "sk": s.shard(), "sequence": "none"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			client, url, _ := openQueues(t)
			s := openShop(t)
			overdue := s.create(order.Pending, time.Hour)
			s.create(order.Completed, 0)
			damage(s)
			code, stdout, stderr := reconcile(t, "--send", "--repair")
			want := regexp.MustCompile(`^orders   2 .*
metrics  unknown
verdict  what the tally keeps in the table is damaged; see what is unread
overdue  1
         ` + string(overdue.ID) + ` is Pending, due .*
unread   1
         .*damaged item.*
$`)
			if code != exitFailed || !want.MatchString(stdout) {
				t.Errorf("exit code %d\n%s", code, stdout)
			}
			if want := "ordersctl: the metrics were not repaired: what the tally keeps in the table is damaged"; !strings.Contains(stderr, want) {
				t.Errorf("stderr %q, want %q", stderr, want)
			}
			if got := received(t, client, url, 2); len(got) != 1 {
				t.Errorf("sent %s", got)
			}
		})
	}
}

func TestReconcileOfATableThatIsNotThereFails(t *testing.T) {
	inAWS(t)
	code, stdout, stderr := invoke(t, "reconcile", "--table", "none")
	if code != exitFailed || stdout != "" || !strings.HasPrefix(stderr, "ordersctl: stopped after 0 orders; nothing was changed: ") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

// newQuietRecounter reads one pending order, which is counted.
func newQuietRecounter() recounter {
	o := order.Order{ID: "ORD00000000000000000000000000", CreatedAt: time.UnixMilli(1000)}
	return recounter{
		orders: func(context.Context) iter.Seq2[order.Order, error] {
			return func(yield func(order.Order, error) bool) { yield(o, nil) }
		},
		metrics: func(context.Context) (order.Tally, error) { return order.Change{New: &o}.Tally(), nil },
		lags:    func(context.Context) (bool, error) { return false, nil },
		now:     time.UnixMilli(1000), grace: time.Second, limit: 10,
		progress: func() {},
	}
}

func TestVerdicts(t *testing.T) {
	failure := errors.New("no response")
	calls := 0
	tests := []struct {
		name   string
		change func(*recounter)
		want   verdict
		err    error
	}{
		{"all is well", func(*recounter) {}, agree, nil},
		{"the tally has missed an order", func(r *recounter) {
			r.metrics = func(context.Context) (order.Tally, error) { return order.Tally{}, nil }
		}, differ, nil},
		{"the metrics move while orders are read", func(r *recounter) {
			r.metrics = func(context.Context) (order.Tally, error) {
				calls++
				return order.Tally{CompletedCount: int64(calls)}, nil
			}
		}, moving, nil},
		{"a change is not counted yet, and the metrics are equal by chance", func(r *recounter) {
			r.lags = func(context.Context) (bool, error) { return true, nil }
		}, lagging, nil},
		{"the metrics cannot be read", func(r *recounter) {
			r.metrics = func(context.Context) (order.Tally, error) { return order.Tally{}, failure }
		}, "", failure},
		{"an item of the tally is damaged", func(r *recounter) {
			r.metrics = func(context.Context) (order.Tally, error) { return order.Tally{}, dynamostore.ErrDamaged }
		}, damaged, nil},
		{"an item of the tally is damaged while orders are read", func(r *recounter) {
			tally := r.metrics
			r.metrics = func(ctx context.Context) (order.Tally, error) {
				calls++
				if calls%2 == 0 {
					return order.Tally{}, dynamostore.ErrDamaged
				}
				return tally(ctx)
			}
			calls = 0
		}, damaged, nil},
		{"a checkpoint is damaged", func(r *recounter) {
			r.lags = func(context.Context) (bool, error) { return false, dynamostore.ErrDamaged }
		}, damaged, nil},
		{"the stream cannot be read", func(r *recounter) {
			r.lags = func(context.Context) (bool, error) { return false, failure }
		}, "", failure},
		{"the table cannot be read", func(r *recounter) {
			r.orders = func(context.Context) iter.Seq2[order.Order, error] {
				return func(yield func(order.Order, error) bool) { yield(order.Order{}, failure) }
			}
		}, incomplete, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newQuietRecounter()
			test.change(&r)
			got, err := r.recount(t.Context())
			if got.Verdict != test.want || !errors.Is(err, test.err) {
				t.Errorf("got %q, %v; want %q, %v", got.Verdict, err, test.want, test.err)
			}
		})
	}
}

func TestADifferenceThatDoesNotStayIsNone(t *testing.T) {
	reads := 0
	changing := func() (recount, error) {
		reads++
		return recount{Verdict: differ, Orders: order.Tally{CompletedCount: int64(reads)}}, nil
	}
	out := &console{stderr: &strings.Builder{}}
	if got, err := confirm(changing, out); got.Verdict != moving || err != nil || reads != 2 {
		t.Errorf("got %q, %v after %d readings; want moving", got.Verdict, err, reads)
	}
}

func TestReconcileStopsWhenItIsToldTo(t *testing.T) {
	r := newQuietRecounter()
	ctx, cancel := context.WithCancel(t.Context())
	r.progress = cancel
	if _, err := r.recount(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAnOrderIsOverdueWhenItsMessageIsLaterThanTheGrace(t *testing.T) {
	for _, test := range []struct {
		now  int64
		want int
	}{{1999, 0}, {2000, 1}, {3000, 1}} {
		r := newQuietRecounter() // of an order that is due at 1000, with a second of grace
		r.now = time.UnixMilli(test.now)
		got, err := r.recount(t.Context())
		if err != nil || got.OverdueOrders != test.want || len(got.Overdue) != test.want {
			t.Errorf("at %d: %d overdue, want %d", test.now, got.OverdueOrders, test.want)
		}
	}
}
