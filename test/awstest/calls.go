package awstest

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"
)

// Calls counts the calls of clients. It counts each attempt of the SDK, as AWS bills it.
//
// Its Middleware goes into any client: dynamodb.WithAPIOptions(calls.Middleware),
// sqs.WithAPIOptions(calls.Middleware). The zero value is ready for any number of clients and
// goroutines.
type Calls struct {
	mu    sync.Mutex
	usage Usage
}

// Usage is the number of calls and their cost, by operation, such as "PutItem".
type Usage struct {
	Calls map[string]int
	// Units are the read or write units in the responses of DynamoDB. A call that fails,
	// also by its condition, reports none; AWS bills it.
	Units map[string]float64
}

// Take returns what was counted since the last call of Take.
func (c *Calls) Take() Usage {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.usage
	c.usage = Usage{}
	return taken
}

// Middleware counts a client's calls, and makes its calls of DynamoDB return the capacity that they
// consume.
func (c *Calls) Middleware(stack *middleware.Stack) error {
	ask := middleware.InitializeMiddlewareFunc("AskForCapacity", askForCapacity)
	if err := stack.Initialize.Add(ask, middleware.After); err != nil {
		return err
	}
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("CountCalls", c.count), middleware.Before)
}

func (c *Calls) count(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	middleware.DeserializeOutput, middleware.Metadata, error,
) {
	out, metadata, err := next.HandleDeserialize(ctx, in)
	operation := awsmiddleware.GetOperationName(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.usage.Calls == nil {
		c.usage = Usage{Calls: map[string]int{}, Units: map[string]float64{}}
	}
	c.usage.Calls[operation]++
	if used := consumed(out.Result); used != nil {
		c.usage.Units[operation] += aws.ToFloat64(used.CapacityUnits)
	}
	return out, metadata, err
}

func askForCapacity(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
	middleware.InitializeOutput, middleware.Metadata, error,
) {
	const total = types.ReturnConsumedCapacityTotal
	switch p := in.Parameters.(type) {
	case *dynamodb.PutItemInput:
		p.ReturnConsumedCapacity = total
	case *dynamodb.UpdateItemInput:
		p.ReturnConsumedCapacity = total
	case *dynamodb.GetItemInput:
		p.ReturnConsumedCapacity = total
	case *dynamodb.QueryInput:
		p.ReturnConsumedCapacity = total
	case *dynamodb.ScanInput:
		p.ReturnConsumedCapacity = total
	}
	return next.HandleInitialize(ctx, in)
}

// consumed is the capacity in a response, nil if there is none.
func consumed(result any) *types.ConsumedCapacity {
	switch out := result.(type) {
	case *dynamodb.PutItemOutput:
		return out.ConsumedCapacity
	case *dynamodb.UpdateItemOutput:
		return out.ConsumedCapacity
	case *dynamodb.GetItemOutput:
		return out.ConsumedCapacity
	case *dynamodb.QueryOutput:
		return out.ConsumedCapacity
	case *dynamodb.ScanOutput:
		return out.ConsumedCapacity
	}
	return nil
}
