package cfn

import (
	"encoding/json/v2"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// queueProperties says of each property of a queue whether it is an attribute
// for CreateQueue. The others make sense on AWS alone; the name is the caller's.
var queueProperties = map[string]bool{
	"DelaySeconds":                  true,
	"MaximumMessageSize":            true,
	"MessageRetentionPeriod":        true,
	"ReceiveMessageWaitTimeSeconds": true,
	"RedrivePolicy":                 true,
	"VisibilityTimeout":             true,

	"KmsDataKeyReusePeriodSeconds": false,
	"KmsMasterKeyId":               false,
	"QueueName":                    false,
	"RedriveAllowPolicy":           false,
	"SqsManagedSseEnabled":         false,
	"Tags":                         false,
}

// OrdersQueue returns how to create the queue; the caller names it, and gives
// the ARN of its dead-letter queue, which is to be created first.
func (t *Template) OrdersQueue(deadLetterARN string) (*sqs.CreateQueueInput, error) {
	return t.queue("OrdersQueue", map[string]string{"${DeadLetterQueue.Arn}": deadLetterARN})
}

// DeadLetterQueue returns how to create the dead-letter queue; the caller names it.
func (t *Template) DeadLetterQueue() (*sqs.CreateQueueInput, error) {
	return t.queue("DeadLetterQueue", nil)
}

// queue turns properties into attributes, with what the caller knows in place of
// references. A property that would be lost on the way is an error.
func (t *Template) queue(id string, known map[string]string) (*sqs.CreateQueueInput, error) {
	r, err := t.Resource(id)
	if err != nil {
		return nil, err
	}
	input := &sqs.CreateQueueInput{Attributes: map[string]string{}}
	for name, value := range r.Properties {
		isAttribute, ok := queueProperties[name]
		if !ok {
			return nil, fmt.Errorf("%s: unknown property %s", id, name)
		}
		if !isAttribute {
			continue
		}
		attribute, err := attribute(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", id, name, err)
		}
		for reference, v := range known {
			attribute = strings.ReplaceAll(attribute, reference, v)
		}
		if strings.Contains(attribute, "${") {
			return nil, fmt.Errorf("%s: %s refers to what is not known: %s", id, name, attribute)
		}
		input.Attributes[name] = attribute
	}
	return input, nil
}

// attribute is a property as SQS takes it: a text, or JSON in a text.
func attribute(value any) (string, error) {
	if _, ok := value.(map[string]any); !ok {
		return fmt.Sprint(value), nil
	}
	text, err := json.Marshal(value, json.Deterministic(true))
	return string(text), err
}
