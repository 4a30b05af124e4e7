package cfn

import (
	"encoding/json/v2"
	"errors"
	"fmt"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Properties of the table that CreateTable does not take or that make sense on
// AWS alone. Its name is the caller's choice.
var notOfCreateTable = []string{
	"TableName", "DeletionProtectionEnabled", "PointInTimeRecoverySpecification", "SSESpecification",
	"TimeToLiveSpecification", "ContributorInsightsSpecification", "ResourcePolicy", "Tags",
	"OnDemandThroughput", "WarmThroughput",
}

// Table returns how to create OrdersTable; the caller names it. A property that
// would be lost on the way is an error.
func (t *Template) Table() (*dynamodb.CreateTableInput, error) {
	r, err := t.Resource("OrdersTable")
	if err != nil {
		return nil, err
	}
	properties := maps.Clone(r.Properties)
	for _, name := range notOfCreateTable {
		delete(properties, name)
	}
	var input dynamodb.CreateTableInput
	if err := decode(properties, &input); err != nil {
		return nil, fmt.Errorf("OrdersTable: %w", err)
	}
	if input.StreamSpecification == nil {
		return nil, errors.New("OrdersTable has no stream")
	}
	// CloudFormation has a stream where there is a specification.
	input.StreamSpecification.StreamEnabled = aws.Bool(true)
	return &input, nil
}

// decode fills a type of the SDK, whose fields are called like CloudFormation's
// properties.
func decode(properties map[string]any, input any) error {
	text, err := json.Marshal(properties)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, input, json.RejectUnknownMembers(true))
}
