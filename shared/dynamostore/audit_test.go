package dynamostore_test

import (
	"context"
	"errors"
	"maps"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/awstest"
)

func (h *testStore) audit() dynamostore.Audit {
	return dynamostore.Audit{Client: h.client, Table: h.table, Segments: 4, PageSize: 7}
}

// I17.
func TestAnAuditReadsEveryOrderOnce(t *testing.T) {
	h := open(t)
	want := map[order.ID]order.Status{}
	for i := range 60 {
		o := h.create(t, importedAs(order.Statuses[i%3]))
		want[o.ID] = o.Status
	}
	h.tally(t, "shard", created("1", 1))
	h.calls.Take()
	for _, a := range []dynamostore.Audit{
		h.audit(),
		{Client: h.client, Table: h.table},
		{Client: h.client, Table: h.table, Segments: 100, PageSize: 1, ReadUnits: 1e6},
	} {
		got := map[order.ID]order.Status{}
		for o, err := range a.Orders(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if _, twice := got[o.ID]; twice {
				t.Errorf("order %s comes twice", o.ID)
			}
			got[o.ID] = o.Status
		}
		if !maps.Equal(got, want) {
			t.Errorf("%d segments: %v, want %v", a.Segments, got, want)
		}
		if used := h.calls.Take(); a.Segments == 0 && used.Units["Scan"] != 5 {
			t.Errorf("used %+v, want the 5 units of a strongly consistent scan", used)
		}
	}
}

// scanned is a client whose scans never end, and which responds at once.
type scanned struct {
	dynamostore.AuditClient
	pages *atomic.Int64
	err   error
}

func (s scanned) Scan(ctx context.Context, in *dynamodb.ScanInput, _ ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	s.pages.Add(1)
	units := &types.ConsumedCapacity{CapacityUnits: aws.Float64(128)}
	return &dynamodb.ScanOutput{ConsumedCapacity: units, LastEvaluatedKey: item{"pk": text("x")}, Items: []item{{}}}, errors.Join(s.err, ctx.Err())
}

func TestAnAuditEndsWithItsContextOrTheTable(t *testing.T) {
	down := errors.New("down")
	for name, tt := range map[string]struct{ scan, want error }{
		"its context": {nil, context.Canceled},
		"the table":   {down, down},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(10*time.Second, cancel)
				var pages atomic.Int64
				a := dynamostore.Audit{Client: scanned{pages: &pages, err: tt.scan}, Segments: 1, ReadUnits: 1000}
				var last error
				for _, last = range a.Orders(ctx) {
				}
				if !errors.Is(last, tt.want) {
					t.Errorf("the last error is %v", last)
				}
			})
		})
	}
}

// In a synctest bubble, a goroutine that does not end fails the test.
func TestAnAuditKeepsItsPaceAndEndsWithItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var pages atomic.Int64
		a := dynamostore.Audit{Client: scanned{pages: &pages}, Segments: 1, ReadUnits: 50}
		n := 0
		for _, err := range a.Orders(t.Context()) {
			if n++; n == 101 || err == nil {
				break
			}
		}
		// 100 pages of 128 units at 50 a second, the first second's for nothing.
		if took := time.Since(began).Round(time.Second); took != 255*time.Second || pages.Load() > 103 {
			t.Errorf("%d pages took %s, want 100 in 255s", pages.Load(), took)
		}
	})
}

// F18: whatever happens to the request, the correction is added once.
func TestACorrectionIsAddedOnce(t *testing.T) {
	h := open(t)
	h.tally(t, "shard", lives(3)...)
	difference := order.Tally{ByStatus: order.Counts{-1, 2, 3}, CompletedCount: 3, DurationSumMillis: -4000}
	want := h.metrics(t)
	for n, attempts := range [][]awstest.Fault{
		nil, {awstest.ResponseLost, awstest.ResponseLost}, {awstest.NeverArrives}, {awstest.Twice}, {awstest.NeverArrives, awstest.ResponseLost},
	} {
		h.faults.Play("UpdateItem", attempts...)
		if err := h.audit().AddTally(t.Context(), difference, noon.Add(time.Duration(n))); err != nil {
			t.Fatal(err)
		}
		want.Add(difference)
		if got := h.metrics(t); got != want {
			t.Errorf("metrics %+v, want %+v", got, want)
		}
	}
	if err := h.audit().AddTally(t.Context(), difference, time.Unix(-1, 0)); err == nil {
		t.Error("a correction has a time before all others")
	}
	if err := h.audit().AddTally(t.Context(), difference, noon); err == nil || errors.Is(err, order.ErrUnavailable) {
		t.Errorf("a correction that was computed before another: error %v", err)
	}
	a := h.audit()
	a.Table = "no-such-table"
	if err := a.AddTally(t.Context(), difference, noon); err == nil || errors.Is(err, order.ErrUnavailable) {
		t.Errorf("there is no table: error %v", err)
	}
	if _, err := a.Checkpoint(t.Context(), "shard"); err == nil {
		t.Error("there is no table, and no error")
	}
	if got := h.metrics(t); got != want {
		t.Errorf("metrics %+v, want %+v", got, want)
	}
}
