package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/dynamostore"
	"orders/tools/eventsource"
)

// startBridge starts the bridge between LocalStack and the functions, until ctx
// ends. SAM invokes functions, but polls neither streams nor queues.
func (h *home) startBridge(ctx context.Context) error {
	log, err := os.Create(filepath.Join(h.folder, "bridge.log"))
	if err != nil {
		return err
	}
	emulator := awsConfig(h.endpoint())
	cfg := eventsource.Config{
		Tables:    dynamodb.NewFromConfig(emulator),
		Streams:   dynamodbstreams.NewFromConfig(emulator),
		Queues:    sqs.NewFromConfig(emulator),
		Table:     h.resources.table,
		KeyPrefix: dynamostore.OrderPrefix,
		Readers:   eventsource.Readers("RelayFunction", "TallyFunction"),
		QueueURL:  h.resources.queue,
		Worker:    "ProcessorFunction",
		Invoke:    invoker("http://" + address(h.lambdaPort)),
		Now:       time.Now,
		Log:       slog.New(slog.NewTextHandler(log, nil)),
	}
	h.bridged.Go(func() {
		err := eventsource.Run(ctx, cfg)
		h.died(fmt.Errorf("the bridge has ended: %w", errors.Join(err, log.Close())))
	})
	return nil
}

// invoker invokes functions where Lambda, or what stands for it, is.
func invoker(endpoint string) eventsource.Invoke {
	return eventsource.Lambda(lambda.NewFromConfig(awsConfig(endpoint), func(o *lambda.Options) {
		o.HTTPClient = &http.Client{Timeout: time.Minute}
	}))
}
