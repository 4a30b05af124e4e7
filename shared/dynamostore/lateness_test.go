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
func TestTheLatenessOfEachTransitionIsLoggedOnceABatch(t *testing.T) {
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
	late.Report(t.Context())
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
