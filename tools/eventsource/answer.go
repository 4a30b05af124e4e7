package eventsource

import (
	"encoding/json/v2"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
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
