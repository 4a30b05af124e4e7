package eventsource

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// A LambdaClient is the part of *lambda.Client that invokes.
type LambdaClient interface {
	Invoke(context.Context, *lambda.InvokeInput, ...func(*lambda.Options)) (*lambda.InvokeOutput, error)
}

// Lambda invokes functions through Lambda, or what stands for it. An error that a
// function returned, and a panic, come there with the answer, not in its place; here
// they are errors.
func Lambda(client LambdaClient) Invoke {
	return func(ctx context.Context, function string, event []byte) ([]byte, error) {
		answer, err := client.Invoke(ctx, &lambda.InvokeInput{FunctionName: &function, Payload: event})
		if err != nil {
			return nil, fmt.Errorf("invoke %s: %w", function, err)
		}
		if answer.FunctionError != nil {
			return nil, fmt.Errorf("function error (%s): %.1000q", *answer.FunctionError, answer.Payload)
		}
		return answer.Payload, nil
	}
}
