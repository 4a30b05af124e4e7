package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"orders/shared/template"
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
	settings
	sam        *samCLI
	localStack *localStack
	resources  resources

	served  []*child
	bridged sync.WaitGroup
}

func newHome(c *children, s settings) *home {
	c.env = append(c.env, fmt.Sprintf("LOCALSTACK_PORT=%d", s.localstackPort), "ORDERS_NETWORK="+c.name)
	return &home{settings: s, sam: &samCLI{c, s.sam, s.python}, localStack: &localStack{c, c.name}}
}

// up runs the home until ctx ends.
func up(ctx context.Context, c *children, s settings) error {
	h := newHome(c, s)
	err := h.during(ctx, func(ctx context.Context) error {
		invoke := h.sam.local(ctx, "invoke", h.localStack.network(), "--event", "events/create.json", "CreateFunction")
		fmt.Printf(ready, h.url(), h.processingTime, strings.Join(invoke, " "), c.folder)
		<-ctx.Done()
		return nil
	})
	if errors.Is(err, errInterrupted) {
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

  %[3]s

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
	err := h.start(alive, died)
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
	if pinned(h.settings.sam) {
		needed = append(needed, python(h.python))
	} else {
		needed = append(needed, ownSAM(h.settings.sam))
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
func (h *home) start(ctx context.Context, died context.CancelCauseFunc) error {
	return prepare(ctx, []step{
		{"the functions", h.sam.build},
		{"LocalStack", h.localStack.start},
		{"table and queues", h.create},
		{"API and functions in SAM", func(ctx context.Context) error { return h.serve(ctx, died) }},
		{"the bridge", func(ctx context.Context) error { return h.startBridge(ctx, died) }},
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
	t, err := template.Load("template.yaml")
	if err != nil {
		return err
	}
	if h.resources, err = create(ctx, t, awsConfig(h.endpoint())); err != nil {
		return err
	}
	return h.sam.writeVariables(map[string]string{
		"AWS_ENDPOINT_URL":      insideEndpoint,
		"DEAD_LETTER_QUEUE_URL": h.resources.deadLetterQueue,
		"ORDERS_QUEUE_URL":      h.resources.queue,
		"ORDERS_TABLE":          h.resources.table,
		"PROCESSING_TIME":       h.processingTime.String(),
	})
}

// serve starts SAM twice, for the API and for the bridge, and returns when both answer.
func (h *home) serve(ctx context.Context, died context.CancelCauseFunc) error {
	for _, part := range []struct {
		command string
		port    int
		warm    string // when SAM makes the containers
	}{
		{"start-api", h.apiPort, "EAGER"},
		{"start-lambda", h.lambdaPort, "LAZY"}, // the bridge invokes three of seven functions
	} {
		p, err := h.sam.serve(ctx, part.command, part.port, h.localStack.network(), part.warm)
		if err != nil {
			return err
		}
		h.served = append(h.served, p)
		go func() {
			<-p.exited
			died(p.failure(errors.New("ended by itself")))
		}()
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
	var all sync.WaitGroup
	for _, p := range h.served {
		all.Go(p.stop)
	}
	all.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	return h.localStack.remove(ctx)
}
