// Command empty is a Lambda function that does nothing: the start of the
// project's functions is compared with its start.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(context.Context) error { return nil })
}
