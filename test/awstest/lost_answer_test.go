package awstest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/order"
	"orders/test/awstest"
)

// operations are all that the functions call, with a number of calls that every
// life makes. That these are all is checked, too.
var operations = map[string]int{
	"PutItem":            2, // create
	"GetItem":            1, // status
	"Query":              1, // ids and metrics
	"UpdateItem":         4, // start and complete two orders
	"TransactWriteItems": 2, // tally
	"SendMessageBatch":   2, // relay; an early message of the processor's
	"SendMessage":        1, // bury
}

// F2, F3, F6, F11, F18: whether calls are lost on the way, lose their answers or arrive
// twice, each thing happens once.
func TestEveryCallMayBeLostOrDoubled(t *testing.T) {
	for _, test := range []struct {
		name   string
		faults []awstest.Fault // of each call's attempts
	}{
		{"lost on the way", []awstest.Fault{awstest.NeverArrives}},
		{"its answer lost", []awstest.Fault{awstest.AnswerLost}},
		{"its answer lost, and that of the next attempt", []awstest.Fault{awstest.AnswerLost, awstest.AnswerLost}},
		{"lost on the way back and then on the way there", []awstest.Fault{awstest.AnswerLost, awstest.NeverArrives}},
		{"made twice", []awstest.Fault{awstest.Twice}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var faults awstest.Faults
			for operation, n := range operations {
				for range n {
					faults.Play(operation, test.faults...)
				}
			}
			var calls awstest.Calls
			live(t, &calls, &faults)
			if left := faults.Unplayed(); len(left) > 0 {
				t.Errorf("not all faults were met: %s", left)
			}
			for called := range calls.Take().Calls {
				if operations[called] == 0 {
					t.Errorf("a function calls %s, which this test does not know", called)
				}
			}
		})
	}
}

// live takes two orders through their lives, with an early message and one that
// can never succeed, and holds the home to what must hold.
func live(t *testing.T, calls *awstest.Calls, faults *awstest.Faults) {
	t.Helper()
	var seen awstest.Capture
	home := awstest.OpenDeployment(t, func(s *awstest.Setup) {
		s.DynamoDB = []func(*dynamodb.Options){dynamodb.WithAPIOptions(calls.Middleware, faults.Middleware)}
		s.SQS = []func(*sqs.Options){sqs.WithAPIOptions(calls.Middleware, faults.Middleware)}
		s.Between = seen.Tee
	})
	var orders []order.Order
	for _, key := range []order.ID{"", order.KeyedID("", t.Name())} {
		d := order.Draft{Details: order.Details{UserID: "645", ItemIDs: []string{"890"}, TotalAmount: 100}, Key: key}
		d.SetFingerprint()
		o, replayed, err := home.Store.Create(t.Context(), d)
		if err != nil {
			t.Fatalf("create: %v", err)
		}
		// A lost answer looks like a replay to whoever has a key, and is none without.
		if replayed && key == "" {
			t.Errorf("the order was replayed without a key")
		}
		orders = append(orders, o)
	}
	early := order.Message{OrderID: orders[0].ID, To: order.Completed}.Body()
	if err := home.Deliver(t.Context(), early, []byte("junk")); err != nil {
		t.Fatalf("deliver: %v", err)
	}
	eventually(t, func() error { return settled(t, home, orders) })
	for _, o := range orders {
		if n := changesOf(t, &seen, o.ID); n != 3 {
			t.Errorf("order %s has changed %d times, not 3", o.ID, n)
		}
	}
	letters, err := home.DeadLetters(t.Context())
	if err != nil || len(letters) < 1 || len(letters) > 3 {
		t.Errorf("%d dead letters, %v; want the junk, at most once an attempt", len(letters), err)
	}
	for _, letter := range letters {
		if string(letter) != "junk" {
			t.Errorf("%q is in the dead-letter queue", letter)
		}
	}
}

// settled returns what is missing until those orders, and no others, are completed
// and counted.
func settled(t *testing.T, home awstest.Home, orders []order.Order) error {
	t.Helper()
	var fold order.Tally
	for _, created := range orders {
		o, err := home.Store.Get(t.Context(), created.ID)
		if err != nil {
			t.Fatalf("get: %v", err)
		}
		if o.Status == order.Completed && o.CompletedAt.Sub(o.StartedAt) < home.ProcessingTime {
			t.Errorf("order %s was completed after %s", o.ID, o.CompletedAt.Sub(o.StartedAt))
		}
		fold.Add(order.Change{New: &o}.Tally())
	}
	tally, err := home.Metrics.Metrics(t.Context())
	if err != nil {
		t.Fatalf("metrics: %v", err)
	}
	page, err := home.Store.List(t.Context(), 1000, "")
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	if len(page.IDs) != len(orders) || fold.ByStatus[order.Completed] != int64(len(orders)) || tally != fold {
		return fmt.Errorf("%d orders are listed, the orders are %+v, the metrics %+v", len(page.IDs), fold, tally)
	}
	return nil
}

// changesOf counts the changes that the stream has of an order.
func changesOf(t *testing.T, seen *awstest.Capture, id order.ID) int {
	t.Helper()
	sequences := map[string]bool{}
	for _, record := range seen.Records(t, awstest.TallyFunction, 0) {
		if key := record.Change.Keys["pk"]; key.String() == "ORDER#"+string(id) {
			sequences[record.Change.SequenceNumber] = true
		}
	}
	return len(sequences)
}

func eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
