package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// A stack is template.yaml as it is deployed to an emulator.
type stack struct {
	*ministack
	// resources are the stack's, by their logical ids.
	resources map[string]stackResource
}

type stackResource struct {
	LogicalResourceId, PhysicalResourceId, ResourceType string
}

// deployTest deploys template.yaml and runs the acceptance test against the stack.
func deployTest(ctx context.Context, c *children, s settings) error {
	if err := checkAll(ctx, []prerequisite{goCommand, python(s.python)}); err != nil {
		return err
	}
	alive, died := context.WithCancelCause(ctx)
	c.died = died
	st := &stack{ministack: &ministack{children: c, port: s.apiPort}}
	err := verdict(ctx, alive, st.test(alive, s))
	died(nil)
	c.stop()
	fmt.Println("Everything has stopped.")
	return err
}

// test makes the stack, step by step, and tests it.
func (st *stack) test(ctx context.Context, s settings) error {
	sam := &samCLI{st.children, s.sam, s.python}
	err := prepare(ctx, []step{
		{"the functions", sam.build},
		{"ministack", func(ctx context.Context) error { return st.install(ctx, s.python) }},
		{"the emulator", st.start},
		{"the stack", func(ctx context.Context) error { return st.deploy(ctx, sam, s.processingTime) }},
		{"the routes", st.addRoutes},
		{"the stream", st.disableTally},
		{"the tally", st.invokeTally},
	})
	if err != nil {
		return err
	}
	return accept(ctx, st.children, map[string]string{
		"ORDERS_URL":            st.endpoint() + "/_aws/execute-api/" + st.physical("OrdersApi"),
		"ORDERS_QUEUE_URL":      st.physical("OrdersQueue"),
		"DEAD_LETTER_QUEUE_URL": st.physical("DeadLetterQueue"),
		"PROCESSING_TIME":       s.processingTime.String(),
		"ORDERS_NO_TALLY":       "this emulator tells the tally no shard",
	})
}

const stackName = "orders"

// deploy creates the stack and finds out what is in it.
func (st *stack) deploy(ctx context.Context, sam *samCLI, processingTime time.Duration) error {
	if err := allowBatches(sam.template()); err != nil {
		return err
	}
	err := sam.run(ctx, "sam-deploy", sam.deploy(stackName, map[string]string{
		"EndpointUrl":           st.endpoint(),
		"ProcessingTimeSeconds": fmt.Sprintf("%.0f", processingTime.Seconds()),
	})...)
	if err != nil {
		return err
	}
	var described struct{ StackResources []stackResource }
	if err := st.aws(ctx, &described, "cloudformation", "describe-stack-resources", "--stack-name", stackName); err != nil {
		return err
	}
	st.resources = map[string]stackResource{}
	for _, r := range described.StackResources {
		st.resources[r.LogicalResourceId] = r
	}
	return nil
}

// allowBatches adapts a built template to the emulator, which asks of the sender of a
// batch an action that AWS does not have. On AWS whoever may send messages may send
// batches: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
func allowBatches(file string) error {
	built, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, bytes.ReplaceAll(built, []byte("sqs:SendMessage"), []byte("sqs:SendMessage*")), 0o644)
}

// physical is the name, id or URL of a resource of the stack.
func (st *stack) physical(id string) string { return st.resources[id].PhysicalResourceId }

// disableTally takes the tally off the stream. The emulator has no tumbling windows,
// so its events name no shard, which the tally refuses; and a stream reader that fails
// holds up all others there. The tally is tested on DynamoDB's own streams instead.
func (st *stack) disableTally(ctx context.Context) error {
	for id, r := range st.resources {
		if r.ResourceType == "AWS::Lambda::EventSourceMapping" && strings.HasPrefix(id, "TallyFunction") {
			return st.aws(ctx, nil, "lambda", "update-event-source-mapping", "--uuid", r.PhysicalResourceId, "--no-enabled")
		}
	}
	return errors.New("the tally reads no stream in this stack")
}

// invokeTally hands the sample event, which names a shard, to the tally itself: its
// role must let it count.
func (st *stack) invokeTally(ctx context.Context) error {
	event, err := os.ReadFile("events/tally.json")
	if err != nil {
		return err
	}
	_, err = invoker(st.endpoint())(ctx, st.physical("TallyFunction"), event)
	return err
}
