package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"orders/tools/cfn"
)

// Limits of what is waited for.
const (
	startLimit = 10 * time.Minute // of SAM, which may have to pull its image
	stopLimit  = time.Minute      // of Docker, to remove what is left
)

// A home is the AWS home on this machine: LocalStack, the functions behind the API
// and behind the invocation port, and the bridge, which stands for the part of Lambda
// that polls streams and queues.
type home struct {
	*children
	settings
	cli        *samCLI
	localStack localStack
	resources  resources
	bridged    sync.WaitGroup
}

func newHome(c *children, s settings) *home {
	c.env = append(c.env, fmt.Sprintf("LOCALSTACK_PORT=%d", s.localstackPort), "ORDERS_NETWORK="+c.name)
	return &home{children: c, settings: s, cli: &samCLI{c, s.sam, s.python}, localStack: localStack{c}}
}

// up runs the home until ctx ends.
func up(ctx context.Context, c *children, s settings) error {
	h := newHome(c, s)
	err := h.during(ctx, func(ctx context.Context) error {
		invoke := h.cli.local(ctx, "invoke", "--event", "events/create.json", "CreateFunction")
		fmt.Printf(ready, h.url(), h.processingTime, strings.Join(invoke, " "), c.folder)
		<-ctx.Done()
		return nil
	})
	if err == errInterrupted { //nolint:errorlint // what could not be stopped would be joined to it, and is to be told
		return nil
	}
	return err
}

const ready = `
The order service answers at %[1]s, and orders stay in Processing for %[2]s. Try:

  curl -d '{"user_id":645,"item_ids":[1,2],"total_amount":1650.78}' \
    -H 'Content-Type: application/json' %[1]s/api/orders/create/
  curl %[1]s/api/orders/ids/
  curl %[1]s/api/metrics/

or, from another terminal, hand a sample event to a function:

  AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test %[3]s

What the parts log is in %[4]s. Ctrl-C stops everything.
`

func (h *home) url() string      { return "http://" + address(h.apiPort) }
func (h *home) endpoint() string { return "http://" + address(h.localstackPort) }

// during starts the home, does what is to be done there, and stops the home. The
// context of do ends early, with the reason, when a part of the home ends by itself.
func (h *home) during(ctx context.Context, do func(context.Context) error) error {
	if err := h.check(ctx); err != nil {
		return err
	}
	alive, died := context.WithCancelCause(ctx)
	h.died = died
	err := h.start(alive)
	if err == nil {
		err = do(alive)
	}
	err = verdict(ctx, alive, err)
	died(nil)
	fmt.Println("Stopping the functions and LocalStack ...")
	if failed := h.stop(); failed != nil {
		return errors.Join(err, fmt.Errorf("stop everything: %w", failed))
	}
	fmt.Println("Everything has stopped.")
	return err
}

// verdict is what to say of work that ended with err: errInterrupted when ctx, the
// user's, has ended, or the reason why alive, its child, has.
func verdict(ctx, alive context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case alive.Err() != nil:
		return context.Cause(alive)
	default:
		return err
	}
}

var errInterrupted = errors.New("interrupted")

// check returns everything that is missing on this machine, at once. Before it looks
// for free ports, it removes what a killed predecessor has left.
func (h *home) check(ctx context.Context) error {
	needed := []prerequisite{goCommand, dockerEngine, compose}
	if pinned(h.sam) {
		needed = append(needed, python(h.python))
	} else {
		needed = append(needed, ownSAM(h.sam))
	}
	err := checkAll(ctx, needed)
	if err == nil {
		err = h.localStack.remove(ctx)
	}
	return errors.Join(err, checkPorts(map[string]int{
		"api": h.apiPort, "lambda": h.lambdaPort, "localstack": h.localstackPort,
	}))
}

// start starts the parts in the order in which they need each other.
func (h *home) start(ctx context.Context) error {
	return prepare(ctx, []step{
		{"the functions", h.cli.build},
		{"LocalStack", h.localStack.start},
		{"table and queues", h.create},
		{"API and functions in SAM", h.serveFunctions},
		{"the bridge", h.startBridge},
	})
}

// A step is a part of making a home.
type step struct {
	what string
	do   func(context.Context) error
}

// prepare takes one step after the other and tells how long each took.
func prepare(ctx context.Context, steps []step) error {
	for _, s := range steps {
		fmt.Printf("Preparing %s ... ", s.what)
		began := time.Now()
		if err := s.do(ctx); err != nil {
			fmt.Println("failed.")
			return err
		}
		fmt.Println(time.Since(began).Round(time.Second))
	}
	return nil
}

func (h *home) create(ctx context.Context) error {
	t, err := cfn.Load("template.yaml")
	if err != nil {
		return err
	}
	if h.resources, err = create(ctx, t, awsConfig(h.endpoint())); err != nil {
		return err
	}
	return h.cli.writeVariables(map[string]string{
		"AWS_ENDPOINT_URL":      insideEndpoint,
		"DEAD_LETTER_QUEUE_URL": h.resources.deadLetterQueue,
		"ORDERS_QUEUE_URL":      h.resources.queue,
		"ORDERS_TABLE":          h.resources.table,
		"PROCESSING_TIME":       h.processingTime.String(),
	})
}

// serveFunctions starts SAM twice, for the API and for the bridge, and returns when
// both answer. The bridge invokes three functions of seven, so their containers can wait.
func (h *home) serveFunctions(ctx context.Context) error {
	err := errors.Join(
		h.cli.serve(ctx, "start-api", h.apiPort, "EAGER"),
		h.cli.serve(ctx, "start-lambda", h.lambdaPort, "LAZY"),
	)
	if err != nil {
		return err
	}
	if err := await(ctx, startLimit, listens(h.lambdaPort)); err != nil {
		return fmt.Errorf("wait for the functions: %w", err)
	}
	if err := await(ctx, startLimit, answers(h.url()+"/api/metrics/")); err != nil {
		return fmt.Errorf("wait for the API: %w", err)
	}
	return nil
}

// stop stops all that start has started, the other way round. It works after the
// context of start has ended.
func (h *home) stop() error {
	h.bridged.Wait()
	h.children.stop()
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	return h.localStack.remove(ctx)
}
