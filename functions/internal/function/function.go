// Package function has what the mains of all Lambda functions share: the settings, the log, and a
// start that fails with one log line. Each main shows its own wiring.
package function

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"

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

// New reads the settings that all functions have. The methods of Env read the others.
func New() Function {
	env := awsclient.NewEnv(os.Getenv)
	return Function{Env: env, Log: slog.New(oneID{lambdacontext.NewLogHandler()}), AWS: env.AWS()}
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
	lambda.Start(handler)
}

// oneID is the handler of a log whose lines have one id each: that of the client's request, which
// the response and the access log have, too, or else Lambda's id of the invocation.
type oneID struct{ slog.Handler }

func (h oneID) Handle(ctx context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "request_id" {
			ctx = context.Background() // Lambda's handler takes its id from the context
		}
		return true
	})
	return h.Handler.Handle(ctx, r)
}

func (h oneID) WithAttrs(attrs []slog.Attr) slog.Handler { return oneID{h.Handler.WithAttrs(attrs)} }
func (h oneID) WithGroup(name string) slog.Handler       { return oneID{h.Handler.WithGroup(name)} }
