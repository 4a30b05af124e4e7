// Command empty is a Lambda function that does nothing: what the start of the
// project's functions is compared to.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(context.Context) error { return nil })
}
