package cfn

import (
	"encoding/json/v2"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// onlyOnAWS are properties that emulators do not need: protection, backups, encryption, expiry.
var onlyOnAWS = []string{
	"DeletionProtectionEnabled", "PointInTimeRecoverySpecification", "SSESpecification",
	"TimeToLiveSpecification", "SqsManagedSseEnabled",
}

func (t *Template) propertiesForEmulator(id string) (map[string]any, error) {
	r, err := t.Resource(id)
	if err != nil {
		return nil, err
	}
	properties := maps.Clone(r.Properties)
	for _, name := range onlyOnAWS {
		delete(properties, name)
	}
	return properties, nil
}

// Table returns the request that creates OrdersTable in an emulator. The caller sets the name. A
// property that CreateTable does not have is an error.
func (t *Template) Table() (*dynamodb.CreateTableInput, error) {
	properties, err := t.propertiesForEmulator("OrdersTable")
	if err != nil {
		return nil, err
	}
	// The SDK's fields have the names of CloudFormation's properties.
	text, err := json.Marshal(properties)
	if err != nil {
		return nil, err
	}
	var input dynamodb.CreateTableInput
	if err := json.Unmarshal(text, &input, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("OrdersTable: %w", err)
	}
	if input.StreamSpecification == nil {
		return nil, errors.New("OrdersTable has no stream")
	}
	// In CloudFormation the stream is enabled when there is a specification.
	input.StreamSpecification.StreamEnabled = aws.Bool(true)
	return &input, nil
}

// OrdersQueue returns the request that creates the queue in an emulator. The caller sets the name,
// and passes the ARN of the dead-letter queue, which it has to create first.
func (t *Template) OrdersQueue(deadLetterARN string) (*sqs.CreateQueueInput, error) {
	return t.queue("OrdersQueue", deadLetterARN)
}

// DeadLetterQueue returns the request that creates the dead-letter queue in an emulator. The caller
// sets the name.
func (t *Template) DeadLetterQueue() (*sqs.CreateQueueInput, error) {
	return t.queue("DeadLetterQueue", "")
}

// queue turns properties into attributes. A property that SQS does not have is an error.
func (t *Template) queue(id, deadLetterARN string) (*sqs.CreateQueueInput, error) {
	properties, err := t.propertiesForEmulator(id)
	if err != nil {
		return nil, err
	}
	input := &sqs.CreateQueueInput{Attributes: map[string]string{}}
	for name, value := range properties {
		if !slices.Contains(types.QueueAttributeNameAll.Values(), types.QueueAttributeName(name)) {
			return nil, fmt.Errorf("%s: unknown property %s", id, name)
		}
		attribute := fmt.Sprint(value)
		if _, ok := value.(map[string]any); ok { // SQS takes it as JSON
			text, err := json.Marshal(value, json.Deterministic(true))
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", id, name, err)
			}
			attribute = string(text)
		}
		attribute = strings.ReplaceAll(attribute, "${DeadLetterQueue.Arn}", deadLetterARN)
		if strings.Contains(attribute, "${") {
			return nil, fmt.Errorf("%s: %s has an unknown reference: %s", id, name, attribute)
		}
		input.Attributes[name] = attribute
	}
	return input, nil
}
