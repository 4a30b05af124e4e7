package bridge

import (
	"encoding/json/v2"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// An answer is what a function says of a batch.
type answer struct {
	State             map[string]string `json:"state"`
	BatchItemFailures []failure         `json:"batchItemFailures"`
}

type failure struct {
	ItemIdentifier *string `json:"itemIdentifier"`
}

// parse reads an answer as Lambda does: none at all, and no list, mean that all is
// well; what is no answer means that nothing is. See
// https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html.
func parse(answered []byte) (a answer, err error) {
	if len(answered) == 0 {
		return a, nil
	}
	if err := json.Unmarshal(answered, &a); err != nil {
		return a, fmt.Errorf("the function's answer: %w", err)
	}
	return a, nil
}

// failures returns the indices of the items that failed, which have those
// identifiers. A failure that names none of them fails them all.
func (a answer) failures(identifiers []string) (indices []int, err error) {
	for _, f := range a.BatchItemFailures {
		i := slices.Index(identifiers, aws.ToString(f.ItemIdentifier))
		if i < 0 {
			return nil, fmt.Errorf("batchItemFailures names %q, which is not in the batch", aws.ToString(f.ItemIdentifier))
		}
		indices = append(indices, i)
	}
	return indices, nil
}

// heed returns how many records of a batch the function is done with, all before
// the first that failed, and keeps the window's state. An answer without a state
// fails the batch in a window.
func (s *shard) heed(answered []byte, batch []types.Record) (done int, err error) {
	a, err := parse(answered)
	if err != nil {
		return 0, err
	}
	if s.reader.Window > 0 && a.State == nil {
		return 0, errors.New("the answer to a window has no state")
	}
	sequences := make([]string, len(batch))
	for i, r := range batch {
		sequences[i] = aws.ToString(r.Dynamodb.SequenceNumber)
	}
	failed, err := a.failures(sequences)
	if err != nil {
		return 0, err
	}
	done = len(batch)
	if len(failed) > 0 {
		done = slices.Min(failed)
	}
	if done == 0 && len(batch) > 0 {
		return 0, errors.New("the batch failed from its first record on")
	}
	s.window.state = a.State
	return done, nil
}
