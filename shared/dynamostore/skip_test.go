package dynamostore_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"orders/shared/order"
)

// tallied is the response to a batch, and what was logged.
func (h *testStore) tallied(t *testing.T, records ...events.DynamoDBEventRecord) (response string, logged []map[string]any, err error) {
	t.Helper()
	var log bytes.Buffer
	tallier := h.tallier()
	tallier.Log = slog.New(slog.NewJSONHandler(&log, nil))
	r, err := tallier.Handle(t.Context(), window("shard", records...))
	body, _ := json.Marshal(r)
	return string(body), lines(t, &log), err
}

// F15, I9, I14: the records before one that cannot be read are counted, once. Lambda repeats the
// batch from there. Then nothing is left to count, and the function fails, so that alarms go off.
func TestTheTallyCountsUpToARecordThatCannotBeRead(t *testing.T) {
	imageless := created("3", 3)
	imageless.Change.NewImage = nil
	for name, bad := range map[string]events.DynamoDBEventRecord{"an unknown status": unreadable("3", 3), "no image": imageless} {
		h := open(t)
		response, logged, err := h.tallied(t, created("1", 1), created("2", 2), bad, created("4", 4))
		if want := `{"state":{},"batchItemFailures":[{"itemIdentifier":"3"}]}`; response != want || err != nil {
			t.Errorf("%s: response %s, error %v, want %s", name, response, err, want)
		}
		if got := h.metrics(t).Total(); got != 2 {
			t.Errorf("%s: %d orders are counted, want 2", name, got)
		}
		last := logged[len(logged)-1]
		if last["level"] != "ERROR" || last["shard"] != "shard" || last["sequence_number"] != "3" || last["order_id"] != string(id(3)) || last["BlockedRecords"] != 1.0 {
			t.Errorf("%s: logged %v", name, logged)
		}
		_, logged, err = h.tallied(t, bad, created("4", 4))
		if err == nil || logged[0]["BlockedRecords"] != 1.0 || h.metrics(t).Total() != 2 {
			t.Errorf("%s: repeated: error %v, logged %v", name, err, logged)
		}
	}
}

// F15, F17, I9: a record that is counted needs no reading when Lambda repeats it, by code that may be
// older than that which has counted it. The next one that cannot be read stops the shard as always.
func TestARecordThatIsCountedNeedsNoReading(t *testing.T) {
	h := open(t)
	h.tally(t, "shard", created("1", 1), created("2", 2))
	h.tally(t, "another", created("3", 4))
	for _, repeated := range [][]events.DynamoDBEventRecord{
		{unreadable("1", 1), created("2", 2)}, {created("1", 1), unreadable("2", 2)}, {unreadable("2", 2), created("3", 3)},
	} {
		if response, _, err := h.tallied(t, repeated...); response != `{"state":{},"batchItemFailures":[]}` || err != nil {
			t.Errorf("response %s, error %v", response, err)
		}
	}
	if got := h.metrics(t).Total(); got != 4 {
		t.Errorf("%d orders are counted, want 4", got)
	}
	response, _, err := h.tallied(t, unreadable("1", 1), created("4", 5), unreadable("5", 6))
	if want := `{"state":{},"batchItemFailures":[{"itemIdentifier":"5"}]}`; response != want || err != nil || h.metrics(t).Total() != 5 {
		t.Errorf("response %s, error %v, metrics %+v", response, err, h.metrics(t))
	}
}

// A record is passed when an operator says so: this one of this shard, and no other. The metrics
// are inexact from then on, until somebody has recounted. When Lambda sends the record again, it is
// passed again.
func TestARecordIsSkippedWhenAnOperatorSaysSo(t *testing.T) {
	h := open(t)
	records := []events.DynamoDBEventRecord{created("1", 1), unreadable("2", 2), created("3", 3)}
	skip := func(shard, sequence string) {
		t.Helper()
		if err := h.audit().Skip(t.Context(), shard, sequence, noon); err != nil {
			t.Fatal(err)
		}
	}
	skip("another", "2")
	skip("shard", "1") // which can be read, and is counted
	if _, _, err := h.tallied(t, records...); err != nil || h.metrics(t).Total() != 1 {
		t.Fatalf("error %v, metrics %+v", err, h.metrics(t))
	}
	skip("shard", "2")
	skip("shard", "2")
	for range 2 {
		if response, _, err := h.tallied(t, records[1:]...); response != `{"state":{},"batchItemFailures":[]}` || err != nil {
			t.Fatalf("response %s, error %v", response, err)
		}
		if got, want := h.metrics(t), (order.Tally{ByStatus: order.Counts{2, 0, 0}, Inexact: true}); got != want {
			t.Errorf("metrics %+v, want %+v", got, want)
		}
	}
	if err := h.audit().MarkExact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.tallied(t, records[1:]...); err != nil || h.metrics(t).Inexact || h.metrics(t).Total() != 2 {
		t.Errorf("error %v, metrics %+v", err, h.metrics(t))
	}
	// The checkpoint has passed a record that is the last of its batch.
	skip("shard", "4")
	_, _, err := h.tallied(t, unreadable("4", 4))
	if sequence, _ := h.audit().Checkpoint(t.Context(), "shard"); err != nil || sequence != "000000000000000000004" {
		t.Errorf("error %v, checkpoint %s", err, sequence)
	}
}

func TestOnlyARecordWithANumberAndAShardCanBeSkipped(t *testing.T) {
	h := open(t)
	for _, record := range [][2]string{{"", "1"}, {"shard", ""}, {"shard", "12a"}} {
		if err := h.audit().Skip(t.Context(), record[0], record[1], time.Now()); err == nil {
			t.Errorf("%q is skipped", record)
		}
	}
	h.used(t, "UpdateItem", 0, 0)
}

// A batch of which all can be read costs no call more.
func TestWhatIsSkippedIsReadOnlyForARecordThatCannotBeRead(t *testing.T) {
	h := open(t)
	h.tally(t, "shard", created("1", 1))
	if used := h.calls.Take(); used.Calls["GetItem"] != 0 {
		t.Errorf("used %+v", used)
	}
	if _, _, err := h.tallied(t, unreadable("2", 2)); err == nil || errors.Is(err, order.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	if used := h.calls.Take(); used.Calls["GetItem"] != 2 { // the checkpoint, and what is skipped
		t.Errorf("used %+v", used)
	}
}
