package main

import (
	"bytes"
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"orders/shared/dynamostore"
	"orders/tools/cfn"
	"orders/tools/eventsource"
)

const (
	// localstackInNetwork is LocalStack's endpoint for the functions, which run in containers.
	localstackInNetwork = "http://localstack:4566"

	startTimeout   = 10 * time.Minute // SAM may have to pull its image
	cleanupTimeout = time.Minute
)

// localDeployment is the AWS deployment on this machine: table and queues in LocalStack, functions in
// SAM CLI, and event sources, which SAM CLI does not have.
type localDeployment struct {
	*session
	table, queueURL, deadLetterURL string
}

// up runs the deployment until ctx ends.
func up(ctx context.Context, s *session) error {
	d := &localDeployment{session: s}
	err := d.deployFor(ctx, func(ctx context.Context) error {
		invoke := s.samLocal(ctx, "invoke", "--event", "events/create.json", "CreateFunction")
		fmt.Printf(ready, d.url(), s.processingTime, strings.Join(invoke, " "), s.folder)
		<-ctx.Done()
		return nil
	})
	if err == errInterrupted { //nolint:errorlint // an error of the cleanup would be joined to it
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

or, from another terminal, send a sample event to a function:

  AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test %[3]s

The logs are in %[4]s. Ctrl-C stops everything.
`

// test runs the acceptance test and the sample events, and checks that no volume is left behind.
func test(ctx context.Context, s *session) error {
	d := &localDeployment{session: s}
	var volumes []string
	err := d.deployFor(ctx, func(ctx context.Context) (err error) {
		if volumes, err = d.volumes(ctx); err != nil {
			return err
		}
		err = s.acceptance(ctx, ".", "ORDERS_URL="+d.url(), "AWS_ENDPOINT_URL="+d.endpoint(),
			"ORDERS_QUEUE_URL="+d.queueURL, "DEAD_LETTER_QUEUE_URL="+d.deadLetterURL)
		if err != nil {
			return err
		}
		return d.invokeSamples(ctx)
	})
	for _, volume := range volumes {
		if _, missing := d.output(ctx, "docker", "volume", "inspect", volume); missing == nil {
			err = errors.Join(err, fmt.Errorf("the volume %s is left behind", volume))
		}
	}
	return err
}

// volumes returns the names of the containers' volumes.
func (d *localDeployment) volumes(ctx context.Context) ([]string, error) {
	containers, err := d.output(ctx, "docker", "ps", "--all", "--quiet", "--filter", "network="+d.name)
	if err != nil {
		return nil, err
	}
	inspect := []string{"docker", "inspect", "--format", "{{range .Mounts}}{{println .Name}}{{end}}"}
	names, err := d.output(ctx, append(inspect, strings.Fields(string(containers))...)...)
	return strings.Fields(string(names)), err
}

func (d *localDeployment) url() string      { return "http://" + address(d.apiPort) }
func (d *localDeployment) endpoint() string { return "http://" + address(d.localstackPort) }

func (d *localDeployment) deployFor(ctx context.Context, use func(context.Context) error) error {
	d.env = append(d.env, fmt.Sprintf("LOCALSTACK_PORT=%d", d.localstackPort), "ORDERS_NETWORK="+d.name)
	if err := d.check(ctx); err != nil {
		return err
	}
	steps := []step{
		{"the functions", d.build},
		{"LocalStack", d.startLocalstack},
		{"table and queues", d.createResources},
		{"API and functions in SAM", d.serveFunctions},
		{"the event sources", d.startEventSources},
	}
	return d.deploy(ctx, steps, use, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
		defer cancel()
		return d.removeContainers(ctx)
	})
}

// check returns everything that is missing, at once. Before it looks for free ports, it removes the
// containers of a run that was killed.
func (d *localDeployment) check(ctx context.Context) error {
	var missing []error
	for _, needed := range []struct{ command, advice string }{
		{"docker info", "no Docker engine answers: install Docker, or start it, and see that `docker info` works for you"},
		{"docker compose version", "Docker Compose is missing: https://docs.docker.com/compose/install"},
		{d.sam + " --version", fmt.Sprintf("the SAM CLI is missing: SAM=%s does not run", d.sam)},
	} {
		if _, err := d.output(ctx, strings.Fields(needed.command)...); err != nil {
			missing = append(missing, errors.New(needed.advice))
		}
	}
	if missing == nil {
		missing = append(missing, d.removeContainers(ctx))
	}
	for name, port := range map[string]int{"api": d.apiPort, "lambda": d.lambdaPort, "localstack": d.localstackPort} {
		l, err := listen(port)
		if err != nil {
			missing = append(missing, fmt.Errorf("port %d, for the %s, is not free (%w); -%s-port takes another", port, name, err, name))
			continue
		}
		_ = l.Close()
	}
	return errors.Join(missing...)
}

func (d *localDeployment) compose(arguments ...string) []string {
	return append([]string{"docker", "compose", "--project-name", d.name}, arguments...)
}

// startLocalstack starts LocalStack, and a process that follows its log and ends with it.
func (d *localDeployment) startLocalstack(ctx context.Context) error {
	if err := d.run(ctx, "compose-up", d.compose("up", "--detach", "--wait")...); err != nil {
		return err
	}
	d.serve("localstack", d.compose("logs", "--follow", "--no-color", "--no-log-prefix")...)
	return nil
}

// removeContainers removes LocalStack and its network. A network in use cannot be removed, so it
// first removes containers of functions that SAM has left.
func (d *localDeployment) removeContainers(ctx context.Context) error {
	containers, err := d.output(ctx, "docker", "ps", "--all", "--quiet", "--filter", "network="+d.name)
	if err != nil {
		return err
	}
	if ids := strings.Fields(string(containers)); len(ids) > 0 {
		if err := d.run(ctx, "docker-rm", append([]string{"docker", "rm", "--force", "--volumes"}, ids...)...); err != nil {
			return err
		}
	}
	return d.run(ctx, "compose-down", d.compose("down", "--volumes")...)
}

// createResources creates the template's table and queues. The table has the name that `sam local`
// uses for a !Ref to it.
func (d *localDeployment) createResources(ctx context.Context) error {
	template, err := cfn.Load("template.yaml")
	if err != nil {
		return err
	}
	table, err := template.Table()
	if err != nil {
		return err
	}
	d.table = "OrdersTable"
	table.TableName = &d.table
	if _, err = dynamodb.NewFromConfig(awsConfig(d.endpoint())).CreateTable(ctx, table); err != nil {
		return fmt.Errorf("create the table: %w", err)
	}
	if err := d.createQueues(ctx, template); err != nil {
		return err
	}
	variables, err := json.Marshal(map[string]any{"Parameters": map[string]string{
		"AWS_ENDPOINT_URL":      localstackInNetwork,
		"DEAD_LETTER_QUEUE_URL": d.deadLetterURL,
		"ORDERS_QUEUE_URL":      d.queueURL,
		"ORDERS_TABLE":          d.table,
		"PROCESSING_TIME":       d.processingTime.String(),
	}})
	return errors.Join(err, os.WriteFile(d.variablesFile(), variables, 0o644))
}

func (d *localDeployment) createQueues(ctx context.Context, template *cfn.Template) error {
	client := sqs.NewFromConfig(awsConfig(d.endpoint()))
	create := func(name string, input *sqs.CreateQueueInput, err error) (url string, _ error) {
		if err != nil {
			return "", err
		}
		input.QueueName = &name
		created, err := client.CreateQueue(ctx, input)
		if err != nil {
			return "", fmt.Errorf("create the queue %s: %w", name, err)
		}
		return aws.ToString(created.QueueUrl), nil
	}
	input, err := template.DeadLetterQueue()
	if d.deadLetterURL, err = create("orders-dead-letters", input, err); err != nil {
		return err
	}
	const arn = types.QueueAttributeNameQueueArn
	output, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &d.deadLetterURL, AttributeNames: []types.QueueAttributeName{arn},
	})
	if err != nil {
		return fmt.Errorf("get the dead-letter queue's ARN: %w", err)
	}
	input, err = template.OrdersQueue(output.Attributes[string(arn)])
	d.queueURL, err = create("orders", input, err)
	return err
}

// serveFunctions starts SAM twice, for the API and for the event sources, and waits for the API. The
// event sources invoke three of the functions, so their containers are created when needed.
func (d *localDeployment) serveFunctions(ctx context.Context) error {
	d.serveSAM(ctx, "start-api", d.apiPort, "EAGER")
	d.serveSAM(ctx, "start-lambda", d.lambdaPort, "LAZY")
	if err := await(ctx, startTimeout, respondsOK(d.url()+"/api/metrics/")); err != nil {
		return fmt.Errorf("wait for the API: %w", err)
	}
	return nil
}

// startEventSources runs the event sources until the processes have to stop.
func (d *localDeployment) startEventSources(context.Context) error {
	log, err := os.Create(filepath.Join(d.folder, "eventsource.log"))
	if err != nil {
		return err
	}
	cfg := awsConfig(d.endpoint())
	sources := eventsource.Config{
		Tables:    dynamodb.NewFromConfig(cfg),
		Streams:   dynamodbstreams.NewFromConfig(cfg),
		Queues:    sqs.NewFromConfig(cfg),
		Table:     d.table,
		KeyPrefix: dynamostore.OrderPrefix,
		Readers:   eventsource.Readers("RelayFunction", "TallyFunction"),
		QueueURL:  d.queueURL,
		Worker:    "ProcessorFunction",
		Invoke:    invoker("http://" + address(d.lambdaPort)),
		Log:       slog.New(slog.NewTextHandler(log, nil)),
	}
	d.served.Go(func() {
		eventsource.Run(d.serving, sources)
		_ = log.Close()
	})
	return nil
}

// invoker invokes functions through Lambda or an emulator of it.
func invoker(endpoint string) eventsource.Invoke {
	return eventsource.Lambda(lambda.NewFromConfig(awsConfig(endpoint), func(o *lambda.Options) {
		o.HTTPClient = &http.Client{Timeout: time.Minute}
	}))
}

// invokeSamples sends every file of events/ to its function, as events/README.md tells users to.
func (d *localDeployment) invokeSamples(ctx context.Context) error {
	samples, err := filepath.Glob("events/*.json")
	if len(samples) == 0 {
		return errors.Join(errors.New("there are no sample events"), err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for _, sample := range samples {
		group.Go(func() error { return d.invokeSample(ctx, sample) })
	}
	return group.Wait()
}

var (
	// failure matches a response with a function's error, a status of 500 or more, or a failed record.
	failure = regexp.MustCompile(`"errorType"|"statusCode": ?5|"itemIdentifier"`)
	// failingSamples are the samples for which a function must fail.
	failingSamples = []string{"events/check-bad.json", "events/tally-bad.json"}
)

// invokeSample returns an error if the function does not respond to a sample as it should.
func (d *localDeployment) invokeSample(ctx context.Context, sample string) error {
	name, _, _ := strings.Cut(filepath.Base(sample), ".")
	function, _, _ := strings.Cut(name, "-")
	function = strings.ToUpper(function[:1]) + function[1:] + "Function"
	response, err := d.output(ctx, d.samLocal(ctx, "invoke", "--event", sample, function)...)
	if err != nil {
		return err
	}
	fmt.Printf("%s with %s: %.200s\n", function, sample, bytes.TrimSpace(response))
	if len(response) == 0 || failure.Match(response) != slices.Contains(failingSamples, sample) {
		return fmt.Errorf("%s with %s responds %s", function, sample, response)
	}
	return nil
}
