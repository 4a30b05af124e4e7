package dynamostore

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// A TransactionClient is the part of *dynamodb.Client that writes to the tally.
type TransactionClient interface {
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

// transactionAttempts bounds how often a transaction is tried that others get in
// the way of: for about five seconds.
const transactionAttempts = 10

// transact makes one transaction, and tries again while others are in its way, which
// the SDK does not. name is that of who asks.
//
// The SDK gives each call a token and repeats it with the call when an answer
// is lost, so that DynamoDB does not add twice. See
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html.
func transact(ctx context.Context, client TransactionClient, name string, items []types.TransactWriteItem) (err error) {
	for attempt := range transactionAttempts {
		if attempt > 0 {
			if ended := pause(ctx, name, attempt-1); ended != nil {
				return ended
			}
		}
		_, err = client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
		if !contended(err) {
			return err
		}
	}
	return err
}

// contended reports whether a transaction was canceled because another one, or too
// much traffic, was in its way, and for no other reason.
func contended(err error) bool {
	canceled, ok := errors.AsType[*types.TransactionCanceledException](err)
	return ok && !slices.ContainsFunc(canceled.CancellationReasons, func(reason types.CancellationReason) bool {
		switch aws.ToString(reason.Code) {
		case "", "None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
			return false
		default:
			return true
		}
	})
}

// pause waits after an attempt, before the next: at most 50 ms after the first, up to
// 800 ms later. Those who conflict have different names, so a hash of the name is jitter
// enough.
func pause(ctx context.Context, name string, attempt int) error {
	longest := 50 * time.Millisecond << min(attempt, 4)
	timer := time.NewTimer(time.Duration(hash(strconv.Itoa(attempt)+name)) % longest)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
