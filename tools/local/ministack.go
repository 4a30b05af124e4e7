package main

import (
	"bytes"
	"context"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

const stackName = "orders"

// ministackDeployment is template.yaml, deployed to ministack, an emulator of all of AWS that the
// template uses. It enforces the functions' roles. These parts need help or are not tested there:
//
//   - Routes: ministack ignores the OpenAPI document that has them, so addRoutes creates them.
//   - SendMessageBatch: ministack requires a permission that AWS does not have, see allowBatches.
//   - The tally: ministack has no tumbling windows, see disableTally.
type ministackDeployment struct {
	*session
	resources map[string]stackResource // by logical id
}

type stackResource struct {
	LogicalResourceId, PhysicalResourceId, ResourceType string
}

// deployTest deploys template.yaml and runs the acceptance test.
func deployTest(ctx context.Context, s *session) error {
	d := &ministackDeployment{session: s}
	steps := []step{
		{"the functions", s.build},
		{"the emulator", d.startMinistack},
		{"the stack", d.createStack},
		{"the routes", d.addRoutes},
		{"the stream", d.disableTally},
		{"the tally", d.invokeSample("TallyFunction", "tally")},
		{"the check", d.invokeSample("CheckFunction", "check")},
	}
	use := func(ctx context.Context) error {
		if err := d.accept(ctx, "."); err != nil {
			return fmt.Errorf("where {proxy+} refuses an empty rest: %w", err)
		}
		err := takeSteps(ctx, []step{{"routes that take an empty rest", d.takeEmptyRests}})
		if err != nil {
			return err
		}
		if err := d.accept(ctx, "Lifecycle|Retry|Total|Invalid"); err != nil {
			return fmt.Errorf("where {proxy+} takes an empty rest: %w", err)
		}
		if err := takeSteps(ctx, []step{{"a restored table", d.restore}, {"its stream", d.disableTally}}); err != nil {
			return err
		}
		return d.accept(ctx, "Lifecycle|Retry|Pages")
	}
	return s.deploy(ctx, steps, use, func() error { return nil })
}

// accept runs the acceptance tests whose names match a pattern.
func (d *ministackDeployment) accept(ctx context.Context, tests string) error {
	return d.acceptance(ctx, tests, "ORDERS_URL="+d.url(),
		"ORDERS_QUEUE_URL="+d.physicalID("OrdersQueue"), "DEAD_LETTER_QUEUE_URL="+d.physicalID("DeadLetterQueue"),
		"ORDERS_NO_TALLY=the emulator sends no shard id to the tally")
}

func (d *ministackDeployment) url() string {
	return d.endpoint() + "/_aws/execute-api/" + d.physicalID("OrdersApi")
}

func (d *ministackDeployment) endpoint() string { return "http://" + address(d.apiPort) }

// startMinistack starts ministack with an empty environment, because the functions inherit it.
func (d *ministackDeployment) startMinistack(ctx context.Context) error {
	d.serve("ministack", "env", "-i",
		"PATH="+os.Getenv("PATH"),
		"HOME="+d.folder,
		"TMPDIR="+d.folder,
		"BIND_HOST=127.0.0.1",
		"MINISTACK_HOST=127.0.0.1",
		fmt.Sprintf("GATEWAY_PORT=%d", d.apiPort),
		"MINISTACK_REGION="+region,
		"IOT_MTLS_ENABLED=0",
		"AUTH=true",
		".tools/ministack/bin/ministack",
	)
	d.env = append(d.env, "AWS_ENDPOINT_URL="+d.endpoint())
	if err := await(ctx, time.Minute, respondsOK(d.endpoint()+"/_ministack/health")); err != nil {
		return fmt.Errorf("wait for ministack: %w", err)
	}
	return nil
}

// aws runs a command of the AWS CLI and decodes its output into v, if v is not nil.
func (d *ministackDeployment) aws(ctx context.Context, v any, command ...string) error {
	output, err := d.output(ctx, append([]string{".tools/ministack/bin/aws", "--output", "json"}, command...)...)
	if err != nil || v == nil {
		return err
	}
	if err := json.Unmarshal(output, v); err != nil {
		return fmt.Errorf("decode the output of aws %s: %w", strings.Join(command, " "), err)
	}
	return nil
}

// createStack deploys the template.
func (d *ministackDeployment) createStack(ctx context.Context) error {
	if err := allowBatches(d.builtTemplate()); err != nil {
		return err
	}
	return d.deployStack(ctx)
}

// deployStack creates the stack or changes its parameters, and looks up the ids of its resources.
func (d *ministackDeployment) deployStack(ctx context.Context, settings ...string) error {
	settings = append(settings, "EndpointUrl="+d.endpoint(), fmt.Sprintf("ProcessingTimeSeconds=%.0f", d.processingTime.Seconds()))
	command := append([]string{
		d.sam, "deploy", "--template-file", d.builtTemplate(), "--stack-name", stackName, "--region", region,
		"--resolve-s3", "--no-confirm-changeset", "--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND",
	}, parameters(settings...)...)
	if err := d.run(ctx, "sam-deploy", command...); err != nil {
		return err
	}
	var output struct{ StackResources []stackResource }
	if err := d.aws(ctx, &output, "cloudformation", "describe-stack-resources", "--stack-name", stackName); err != nil {
		return err
	}
	d.resources = map[string]stackResource{}
	for _, r := range output.StackResources {
		d.resources[r.LogicalResourceId] = r
	}
	return nil
}

// allowBatches changes the roles in a built template: for SendMessageBatch ministack requires the
// action sqs:SendMessageBatch. On AWS, sqs:SendMessage is enough:
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
func allowBatches(template string) error {
	built, err := os.ReadFile(template)
	if err != nil {
		return err
	}
	return os.WriteFile(template, bytes.ReplaceAll(built, []byte("sqs:SendMessage"), []byte("sqs:SendMessage*")), 0o644)
}

// physicalID returns the name, id or URL of a resource.
func (d *ministackDeployment) physicalID(id string) string { return d.resources[id].PhysicalResourceId }

// invokedFunction finds the function that a route invokes: its ARN, or a reference to its alias.
var invokedFunction = regexp.MustCompile(`functions/\$\{(\w+)(?:\.Arn)?\}/invocations`)

// addRoutes creates the routes of the template that SAM has processed: the API with its routes is an
// OpenAPI document there, which ministack ignores.
func (d *ministackDeployment) addRoutes(ctx context.Context) error {
	api := d.physicalID("OrdersApi")
	var processed struct {
		TemplateBody struct {
			Resources map[string]struct {
				Properties struct {
					Body struct {
						Paths map[string]jsontext.Value `json:"paths"`
					}
				}
			}
		}
	}
	err := d.aws(ctx, &processed, "cloudformation", "get-template", "--stack-name", stackName, "--template-stage", "Processed")
	if err != nil {
		return err
	}
	paths := processed.TemplateBody.Resources["OrdersApi"].Properties.Body.Paths
	if len(paths) == 0 {
		return errors.New("the processed template has no routes")
	}
	targets := map[string]string{} // by function
	for path, operations := range paths {
		found := invokedFunction.FindSubmatch(operations)
		if found == nil {
			return fmt.Errorf("the route %s of the processed template does not invoke a function: %s", path, operations)
		}
		function := string(found[1])
		if targets[function] == "" {
			if targets[function], err = d.addIntegration(ctx, api, function); err != nil {
				return err
			}
		}
		key := "ANY " + path
		if path == "$default" {
			key = path
		}
		if err := d.addRoute(ctx, key, targets[function]); err != nil {
			return err
		}
	}
	return nil
}

func (d *ministackDeployment) addRoute(ctx context.Context, key, target string) error {
	return d.aws(ctx, nil, "apigatewayv2", "create-route", "--api-id", d.physicalID("OrdersApi"), "--route-key", key, "--target", target)
}

// takeEmptyRests adds a route for each path that ends where a {proxy+} begins. A greedy route of
// ministack refuses that path, and on AWS it may take it.
func (d *ministackDeployment) takeEmptyRests(ctx context.Context) error {
	var routes struct {
		Items []struct{ RouteKey, Target string }
	}
	if err := d.aws(ctx, &routes, "apigatewayv2", "get-routes", "--api-id", d.physicalID("OrdersApi")); err != nil {
		return err
	}
	for _, r := range routes.Items {
		if key, greedy := strings.CutSuffix(r.RouteKey, "{proxy+}"); greedy {
			if err := d.addRoute(ctx, key, r.Target); err != nil {
				return err
			}
		}
	}
	return nil
}

// addIntegration returns the integration of a function as the target of a route.
func (d *ministackDeployment) addIntegration(ctx context.Context, api, function string) (target string, err error) {
	var created struct{ IntegrationId string }
	err = d.aws(ctx, &created, "apigatewayv2", "create-integration", "--api-id", api, "--integration-type", "AWS_PROXY",
		"--payload-format-version", "2.0", "--integration-uri", d.physicalID(function))
	return "integrations/" + created.IntegrationId, err
}

// disableTally disables the tally's event source mapping. Without tumbling windows its events have no
// shard id, so the tally refuses them; and a reader that fails blocks all others in ministack. Other
// tests run the tally on the streams of DynamoDB Local and LocalStack.
func (d *ministackDeployment) disableTally(ctx context.Context) error {
	for id, r := range d.resources {
		if r.ResourceType == "AWS::Lambda::EventSourceMapping" && strings.HasPrefix(id, "TallyFunction") {
			return d.aws(ctx, nil, "lambda", "update-event-source-mapping", "--uuid", r.PhysicalResourceId, "--no-enabled")
		}
	}
	return errors.New("the stack has no event source mapping of the tally")
}

// invokeSample sends a sample event to a function that nothing else invokes here: the tally, to which
// the event names a shard, and the check. It fails if the function's role does not let it do its work.
func (d *ministackDeployment) invokeSample(function, event string) func(context.Context) error {
	return func(ctx context.Context) error {
		event, err := os.ReadFile("events/" + event + ".json")
		if err != nil {
			return err
		}
		_, err = invoker(d.endpoint())(ctx, d.physicalID(function), event)
		return err
	}
}

// restore replaces the table, which is lost, by a restored one, as docs/operations.md says: another
// deployment of the same code with other parameters. An order of before must be there.
func (d *ministackDeployment) restore(ctx context.Context) error {
	event, err := os.ReadFile("events/create.json")
	if err != nil {
		return err
	}
	if _, err := invoker(d.endpoint())(ctx, d.physicalID("CreateFunction"), event); err != nil {
		return err
	}
	lost := d.physicalID("OrdersTable")
	const restored = "orders-restored"
	for _, command := range [][]string{
		{"restore-table-to-point-in-time", "--source-table-name", lost, "--target-table-name", restored, "--use-latest-restorable-time"},
		{"wait", "table-exists", "--table-name", restored},
		{"update-table", "--table-name", restored, "--stream-specification", "StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES"},
		{"update-table", "--table-name", lost, "--no-deletion-protection-enabled"}, // which ministack takes for enabled
		{"delete-table", "--table-name", lost},
	} {
		if err := d.aws(ctx, nil, append([]string{"dynamodb"}, command...)...); err != nil {
			return err
		}
	}
	var described struct {
		Table struct{ LatestStreamArn string }
	}
	if err := d.aws(ctx, &described, "dynamodb", "describe-table", "--table-name", restored); err != nil {
		return err
	}
	if err := d.deployStack(ctx, "ExistingTable="+restored, "ExistingStreamArn="+described.Table.LatestStreamArn); err != nil {
		return err
	}
	return respondsOK(d.url() + "/api/orders/ORDNKNQ5QDYPK6NEMJR32YM2KWTNA/")(ctx)
}
