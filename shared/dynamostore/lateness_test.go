package dynamostore_test

import (
	"bytes"
	"encoding/json/v2"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/awstest"
)

// lines are the log lines in a buffer.
func lines(t *testing.T, log *bytes.Buffer) (all []map[string]any) {
	t.Helper()
	for line := range bytes.Lines(log.Bytes()) {
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil {
			t.Fatal(err)
		}
		all = append(all, fields)
	}
	return all
}

// A worker's time is no lateness, and neither is the time of the attempts and of the operator that an
// order has seen when it starts again.
func TestOfOrdersThatWorkersCompleteOnlyTheFirstStartCanBeLate(t *testing.T) {
	h := open(t)
	var log bytes.Buffer
	late := &dynamostore.Lateness{Table: h.table, Fulfilment: external, Now: func() time.Time { return h.now }, Log: slog.New(slog.NewJSONHandler(&log, nil))}
	store := h.fulfilling(external, late.Observe)
	o := h.create(t)
	for _, step := range []struct {
		message order.Message
		request order.TransitionRequest
	}{
		{message: order.Message{To: order.Processing}},
		{message: order.Message{To: order.Processing, Version: 2}}, // the second attempt
		{message: order.Message{To: order.Failed, Version: 3}},
		{request: order.TransitionRequest{Transition: order.Retry, Version: 4}},
		{message: order.Message{To: order.Processing, Version: 5}},
		{request: order.TransitionRequest{Transition: order.Complete, Version: 6}},
	} {
		var err error
		if step.message.OrderID = o.ID; step.request.Version == 0 {
			err = store.Advance(t.Context(), step.message, h.now.Add(1500*time.Millisecond))
		} else {
			_, err = store.Transition(t.Context(), o.ID, step.request)
		}
		if err != nil {
			t.Fatalf("%+v: %v", step, err)
		}
		h.now = h.now.Add(time.Hour)
	}
	late.Report(t.Context())
	if logged := lines(t, &log); len(logged) != 1 || logged[0]["StartLateness"] != 1500.0 || logged[0]["CompleteLateness"] != nil {
		t.Errorf("logged %s", log.Bytes())
	}
}

// Each transition is observed once, with no call and no unit more: not one that is early, and not
// one that is done already.
func TestTheLatenessOfEachTransitionIsLoggedOnce(t *testing.T) {
	h := open(t)
	var log bytes.Buffer
	late := &dynamostore.Lateness{
		Table: h.table, Fulfilment: order.Timer(processing), Now: func() time.Time { return h.now }, Log: slog.New(slog.NewJSONHandler(&log, nil)),
	}
	store := awstest.Must(dynamostore.New(dynamostore.Config{Client: h.client, Table: h.table, Fulfilment: order.Timer(processing), Advanced: late.Observe}))
	first, second := h.create(t), h.create(t)
	h.calls.Take()
	start := func(id order.ID, after time.Duration) {
		_ = store.Advance(t.Context(), order.Message{OrderID: id, To: order.Processing}, noon.Add(after))
	}
	start(first.ID, 1500*time.Millisecond)
	h.used(t, "UpdateItem", 1, 1)
	start(second.ID, 7*time.Second)
	start(second.ID, 8*time.Second)
	_ = store.Advance(t.Context(), order.Message{OrderID: first.ID, To: order.Completed}, noon.Add(processing))
	late.Report(t.Context())
	_ = store.Advance(t.Context(), order.Message{OrderID: first.ID, To: order.Completed}, noon.Add(processing+1600*time.Millisecond))
	h.now = h.now.Add(time.Minute)
	late.Report(t.Context())
	h.now = h.now.Add(time.Minute)
	late.Report(t.Context())

	logged := lines(t, &log)
	if len(logged) != 2 {
		t.Fatalf("logged %s", log.Bytes())
	}
	for i, want := range []map[string]any{
		{"StartLateness": []any{1500.0, 7000.0}, "CompleteLateness": nil, "TableName": h.table},
		{"StartLateness": nil, "CompleteLateness": 100.0, "TableName": h.table},
	} {
		for name, value := range want {
			if got := logged[i][name]; !reflect.DeepEqual(got, value) {
				t.Errorf("line %d: %s is %v, want %v", i+1, name, got, value)
			}
		}
	}
}

// The transitions of a minute are one line, and no more of them than it has room for. One that is later
// than promised is logged at once.
func TestTransitionsInTimeShareALine(t *testing.T) {
	now := noon
	var log bytes.Buffer
	late := &dynamostore.Lateness{Table: "orders", Fulfilment: order.Timer(processing), Now: func() time.Time { return now }, Log: slog.New(slog.NewJSONHandler(&log, nil))}
	// values has a batch advance, and returns how many values of each metric the lines have that follow.
	values := func(status order.Status, n int, lateness time.Duration) (counts [][2]int) {
		log.Reset()
		for range n {
			o := order.Order{Status: status, CreatedAt: noon, StartedAt: noon.Add(lateness)}
			o.CompletedAt = o.StartedAt.Add(processing + lateness)
			late.Observe(o)
		}
		late.Report(t.Context())
		for _, line := range lines(t, &log) {
			var count [2]int
			for i, name := range []string{"StartLateness", "CompleteLateness"} {
				switch v := line[name].(type) {
				case float64:
					count[i] = 1
				case []any:
					count[i] = len(v)
				}
			}
			counts = append(counts, count)
		}
		return counts
	}
	for i, step := range []struct {
		wait     time.Duration
		status   order.Status
		n        int
		lateness time.Duration
		want     [][2]int
	}{
		{0, order.Processing, 1, time.Second, [][2]int{{1, 0}}}, // the first
		{time.Minute - 1, order.Processing, 10, 5 * time.Second, nil},
		{1, order.Processing, 1, time.Second, [][2]int{{11, 0}}},
		{0, order.Processing, 60, time.Second, nil},
		{0, order.Completed, 39, 5 * time.Second, nil},
		{0, order.Completed, 1, time.Second, [][2]int{{60, 40}}},
		{0, order.Processing, 3, time.Second, nil},
		{0, order.Processing, 1, 5*time.Second + time.Millisecond, [][2]int{{4, 0}}},
		{0, order.Completed, 1, 5*time.Second + time.Millisecond, [][2]int{{0, 1}}},
		{0, order.Completed, 150, time.Second, [][2]int{{0, 100}}},
		{time.Minute, order.Processing, 0, 0, [][2]int{{0, 50}}},
		{time.Minute, order.Processing, 0, 0, nil},
	} {
		now = now.Add(step.wait)
		if got := values(step.status, step.n, step.lateness); !reflect.DeepEqual(got, step.want) {
			t.Errorf("step %d: lines with %v values, want %v", i, got, step.want)
		}
	}
}
