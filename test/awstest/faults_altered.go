package awstest

import (
	"bytes"
	"crypto/rand"
	"encoding/json/v2"
	"io"
	"net/http"
	"slices"

	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// PartlyFailed has SQS answer 200 to a batch and refuse some of its entries, by their
// places in it. They never reach the queue. senderFault says whose fault it is: that of the
// client, or that of SQS. See
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html.
func PartlyFailed(senderFault bool, entries ...int) Fault {
	return func(a *Attempt) (*smithyhttp.Response, error) {
		failed, err := a.withdraw(entries, senderFault)
		if err != nil {
			return nil, err
		}
		outcome := map[string]any{"Successful": []any{}}
		if failed.remaining > 0 {
			response, err := a.Send()
			if err != nil || response.StatusCode != http.StatusOK {
				return response, err
			}
			defer response.Body.Close()
			if err := json.UnmarshalRead(response.Body, &outcome); err != nil {
				return nil, err
			}
		}
		refused, _ := outcome["Failed"].([]any)
		outcome["Failed"] = append(refused, failed.entries...)
		return answer(http.StatusOK, outcome)
	}
}

// Hurried has SQS keep none of a batch's messages back: they come before their time.
func Hurried(a *Attempt) (*smithyhttp.Response, error) {
	return a.altered(func(batch map[string]any) {
		entries, _ := batch["Entries"].([]any)
		for _, entry := range entries {
			if e, ok := entry.(map[string]any); ok {
				delete(e, "DelaySeconds")
			}
		}
	})
}

// TokenExpired has DynamoDB take a transaction that it knows for a new one: it remembers
// a token for ten minutes. See
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html.
func TokenExpired(a *Attempt) (*smithyhttp.Response, error) {
	return a.altered(func(transaction map[string]any) { transaction["ClientRequestToken"] = rand.Text() })
}

// altered sends something else than was asked.
func (a *Attempt) altered(alter func(map[string]any)) (*smithyhttp.Response, error) {
	document, err := a.document()
	if err != nil {
		return nil, err
	}
	alter(document)
	if err := a.replace(document); err != nil {
		return nil, err
	}
	return a.Send()
}

// document is what the attempt asks.
func (a *Attempt) document() (document map[string]any, err error) {
	if err := a.Request.RewindStream(); err != nil {
		return nil, err
	}
	err = json.UnmarshalRead(a.Request.GetStream(), &document)
	return document, err
}

// A withdrawal is what is taken out of a batch, as its answer will tell of it.
type withdrawal struct {
	entries   []any
	remaining int // in the batch
}

// withdraw takes entries out of the attempt's batch.
func (a *Attempt) withdraw(places []int, senderFault bool) (w withdrawal, err error) {
	batch, err := a.document()
	if err != nil {
		return w, err
	}
	entries, _ := batch["Entries"].([]any)
	var kept []any
	for i, entry := range entries {
		if !slices.Contains(places, i) {
			kept = append(kept, entry)
			continue
		}
		about, _ := entry.(map[string]any)
		w.entries = append(w.entries, map[string]any{
			"Id": about["Id"], "SenderFault": senderFault, "Code": failureCode(senderFault), "Message": "not taken",
		})
	}
	batch["Entries"], w.remaining = kept, len(kept)
	return w, a.replace(batch)
}

func failureCode(senderFault bool) string {
	if senderFault {
		return "InvalidMessageContents"
	}
	return "InternalError"
}

// replace makes the attempt ask for something else. Its signature does not fit
// any more, which no engine looks at.
func (a *Attempt) replace(document any) error {
	body, err := json.Marshal(document)
	if err != nil {
		return err
	}
	request, err := a.Request.SetStream(io.NewSectionReader(bytes.NewReader(body), 0, int64(len(body))))
	if err != nil {
		return err
	}
	request.ContentLength = int64(len(body))
	a.Request = request
	return nil
}
