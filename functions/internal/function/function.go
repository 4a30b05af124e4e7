// Package function has what the mains of all Lambda functions share: the settings, the log, and a
// start that fails with one log line. Each main shows its own wiring.
package function

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"

	"orders/shared/awsclient"
)

// A Function is a Lambda function that is about to start.
type Function struct {
	*awsclient.Env
	Log *slog.Logger
	AWS aws.Config // for its clients
}

// began is about when the process has begun.
var began = time.Now()

// New reads the settings that all functions have. The methods of Env read the others.
func New() Function {
	env := awsclient.NewEnv(os.Getenv)
	return Function{Env: env, Log: slog.New(lineHandler{lambdacontext.NewLogHandler()}), AWS: env.AWS()}
}

// Start opens a connection to the service that the function calls first, "dynamodb" or "sqs", and
// handles events until Lambda ends the process. If a setting is wrong, or one of errs is not nil,
// it logs that and exits with 1; then handler is not called.
func (f Function) Start(service string, handler any, errs ...error) {
	if err := cmp.Or(f.Err(), errors.Join(errs...)); err != nil {
		f.Log.Error("the function cannot start", "err", err)
		os.Exit(1)
	}
	awsclient.Prewarm(context.Background(), f.AWS, service, f.Log)
	lambda.Start(&sampler{Handler: lambda.NewHandler(handler), log: f.Log, initTime: time.Since(began)})
}
