package eventsource_test

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"orders/tools/eventsource"
)

// answers is a Lambda that always answers in that way.
type answers struct {
	output *lambda.InvokeOutput
	err    error
}

func (a answers) Invoke(context.Context, *lambda.InvokeInput, ...func(*lambda.Options)) (*lambda.InvokeOutput, error) {
	return a.output, a.err
}

func TestAnInvocationFailsWhenTheFunctionDoes(t *testing.T) {
	for name, tt := range map[string]struct {
		lambda answers
		want   string
		err    string
	}{
		"it answers":      {answers{&lambda.InvokeOutput{Payload: []byte("{}")}, nil}, "{}", ""},
		"it fails":        {answers{&lambda.InvokeOutput{Payload: []byte("out of luck"), FunctionError: aws.String("Unhandled")}, nil}, "", `function error (Unhandled): "out of luck"`},
		"nothing answers": {answers{nil, errors.New("connection refused")}, "", "invoke F: connection refused"},
	} {
		got, err := eventsource.Lambda(tt.lambda)(t.Context(), "F", nil)
		if string(got) != tt.want || (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
