package ledger

import (
	"context"
	"encoding/json/v2"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"orders/test/service"
)

// A fakeStore is an API with orders that nothing happens to any more.
type fakeStore struct {
	listed  []string
	orders  map[string]service.Order
	metrics service.Metrics
	fail    int // how many requests get 503
}

var imported = Draft{UserID: "7", ItemIDs: []string{"1"}, TotalAmount: "0.01", Status: "Completed"}

// newFakeStore has two orders that the service completed, and one that was imported as Completed.
func newFakeStore() *fakeStore {
	slow := after(orderAt(draft, "C", "Processing"), "complete", created.Add(processingTime+time.Millisecond), "")
	s := &fakeStore{
		listed:  []string{"A", "B", "C"},
		orders:  map[string]service.Order{"A": orderAt(draft, "A", "Completed"), "B": orderAt(imported, "B", "Completed"), "C": slow},
		metrics: metricsOf(0, 0, 3),
	}
	s.metrics.AvgProcessTime = 0.3005
	return s
}

func (s *fakeStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var v any
	switch id := path.Base(r.URL.Path); id {
	case "metrics":
		v = s.metrics
	case "ids":
		entries := []map[string]string{}
		for _, id := range s.listed {
			entries = append(entries, map[string]string{"order_id": id})
		}
		v = entries
	default:
		o, ok := s.orders[id]
		if !ok {
			http.NotFound(w, r)
			return
		}
		v = o
	}
	if s.fail > 0 {
		s.fail--
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.MarshalWrite(w, v)
}

// audit compares the store with a ledger in which A, B and C are acknowledged, but those without.
func (s *fakeStore) audit(t *testing.T, a *Audit, without ...string) error {
	t.Helper()
	server := httptest.NewServer(s)
	defer server.Close()
	a.Client = service.NewClient(server.URL, 1)
	a.Ledger = New(processingTime)
	for id, d := range map[string]Draft{"A": draft, "B": imported, "C": draft} {
		if slices.Contains(without, id) {
			continue
		}
		if _, err := a.Ledger.Acknowledge(a.Ledger.Begin(d), Sighting{}, service.Created{OrderID: id, Status: d.Status}); err != nil {
			t.Fatal(err)
		}
	}
	return a.Run(t.Context())
}

func TestAnAuditHasNothingAgainstAnHonestStore(t *testing.T) {
	a := &Audit{MaxLife: 301 * time.Millisecond}
	if err := newFakeStore().audit(t, a); err != nil {
		t.Error(err)
	}
	if a.Orders() != 3 || a.LongestLife != 301*time.Millisecond {
		t.Errorf("%d orders, the longest life %s, not 3 and 301ms", a.Orders(), a.LongestLife)
	}
}

// I1, I4, I9, I12, I17.
func TestAnAuditFindsEveryBrokenPromise(t *testing.T) {
	change := func(id string, change func(*service.Order)) func(*fakeStore) {
		return func(s *fakeStore) {
			s.orders = maps.Clone(s.orders)
			o := s.orders[id]
			change(&o)
			s.orders[id] = o
		}
	}
	for name, tt := range map[string]struct {
		want  Promise
		spoil func(*fakeStore)
	}{
		"an order that is not listed":    {ListsAll, func(s *fakeStore) { s.listed = s.listed[1:] }},
		"an order that is listed twice":  {ListsAll, func(s *fakeStore) { s.listed = append(s.listed, "A") }},
		"an order that cannot be read":   {Durable, func(s *fakeStore) { delete(s.orders, "A") }},
		"an order that nobody asked for": {NoStrangers, func(s *fakeStore) { s.listed = append(s.listed, "D"); s.orders["D"] = orderAt(draft, "D", "Completed") }},
		"another content":                {Durable, change("A", func(o *service.Order) { o.TotalAmount = "1.00" })},
		"an order that is not Completed": {Completes, change("A", func(o *service.Order) { *o = orderAt(draft, "A", "Processing") })},
		"an import with times":           {InOrder, change("B", func(o *service.Order) { o.StartedAt, o.CompletedAt = created, created })},
		"a completion that was late": {InTime, change("A", func(o *service.Order) {
			*o = after(orderAt(draft, "A", "Processing"), "complete", created.Add(processingTime+2*time.Millisecond), "")
		})},
		"a total of an order too many":  {AddsUp, func(s *fakeStore) { s.metrics.TotalOrders, s.metrics.StatusCounts["Completed"] = 4, 4 }},
		"a total that is not the sum":   {AddsUp, func(s *fakeStore) { s.metrics.TotalOrders = 4 }},
		"an average that is not theirs": {AddsUp, func(s *fakeStore) { s.metrics.AvgProcessTime = 0.3006 }},
		"a status that is down":         {NoServerErrors, func(s *fakeStore) { s.fail = 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newFakeStore()
			tt.spoil(s)
			err := s.audit(t, &Audit{MaxLife: 301 * time.Millisecond})
			if err == nil || !strings.Contains(err.Error(), string(tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestAnAuditOfASharedStoreJudgesTheLedgersOrdersAlone(t *testing.T) {
	if err := newFakeStore().audit(t, &Audit{Shared: true}, "B"); err != nil {
		t.Errorf("an order of another client: %v", err)
	}
	s := newFakeStore()
	s.listed = s.listed[:2]
	if err := s.audit(t, &Audit{Shared: true}); !IsViolation(err) {
		t.Errorf("an order of the ledger that is missing: %v", err)
	}
}

func TestAnAuditReadsAgainWhenItMay(t *testing.T) {
	s := newFakeStore()
	s.fail = 1
	if err := s.audit(t, &Audit{Attempts: 2}); err != nil {
		t.Error(err)
	}
}

func TestTheWaitForCompletionEnds(t *testing.T) {
	s := newFakeStore()
	server := httptest.NewServer(s)
	defer server.Close()
	c := service.NewClient(server.URL, 1)
	if err := AwaitCompletion(t.Context(), c, 3, time.Minute); err != nil {
		t.Error(err)
	}
	if err := AwaitCompletion(t.Context(), c, 4, 0); !IsViolation(err) {
		t.Errorf("with an order too few: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := AwaitCompletion(ctx, c, 4, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("when it is over: %v", err)
	}
}

func TestFewOfManyViolationsAreTold(t *testing.T) {
	var many []error
	for range 7 {
		many = append(many, Broken(Durable, "an order is gone"))
	}
	if err := summarize(many); strings.Count(err.Error(), "an order is gone") != shown || !strings.Contains(err.Error(), "and 2 more") {
		t.Errorf("told are\n%v", err)
	}
}
