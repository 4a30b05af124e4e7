package sqsqueue_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"orders/shared/sqsqueue"
)

// A fakeSQS takes everything, returns its dead letters once, and records the calls.
type fakeSQS struct {
	sqsqueue.Client
	sqsqueue.RedriveClient
	dead []types.Message

	sent    []*sqs.SendMessageInput
	batches []int // how many messages each SendMessageBatch had
	asked   []int32
}

func (f *fakeSQS) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	f.sent = append(f.sent, in)
	return &sqs.SendMessageOutput{}, nil
}

func (f *fakeSQS) SendMessageBatch(_ context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	f.batches = append(f.batches, len(in.Entries))
	out := &sqs.SendMessageBatchOutput{}
	for _, e := range in.Entries {
		out.Successful = append(out.Successful, types.SendMessageBatchResultEntry{Id: e.Id})
	}
	return out, nil
}

func (f *fakeSQS) ReceiveMessage(_ context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	f.asked = append(f.asked, in.MaxNumberOfMessages)
	n := min(len(f.dead), int(in.MaxNumberOfMessages))
	out := &sqs.ReceiveMessageOutput{Messages: f.dead[:n]}
	f.dead = f.dead[n:]
	return out, nil
}

func (f *fakeSQS) DeleteMessageBatch(_ context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	out := &sqs.DeleteMessageBatchOutput{}
	for _, e := range in.Entries {
		out.Successful = append(out.Successful, types.DeleteMessageBatchResultEntry{Id: e.Id})
	}
	return out, nil
}

func (f *fakeSQS) ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	return &sqs.ChangeMessageVisibilityBatchOutput{}, nil
}

// deadLetters returns messages with bodies of these lengths, sent a minute before now.
func deadLetters(lengths ...int) (list []types.Message) {
	for i, n := range lengths {
		list = append(list, types.Message{
			MessageId: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(strconv.Itoa(i)),
			Body:       aws.String(strings.Repeat("x", n)),
			Attributes: map[string]string{"SentTimestamp": strconv.FormatInt(now.Add(-time.Minute).UnixMilli(), 10)},
		})
	}
	return list
}

func TestADeadLetterOfTheLargestSizeIsKeptWhole(t *testing.T) {
	const largest = 255 << 10
	for size, form := range map[int]string{largest: "", largest + 1: "cut from 261121 bytes"} {
		client := &fakeSQS{}
		body := strings.Repeat("x", size)
		if err := newQueue(client, "url", "dead", t).DeadLetter(t.Context(), []byte(body), errors.New("bad")); err != nil {
			t.Fatal(err)
		}
		in := client.sent[0]
		if got := aws.ToString(in.MessageAttributes["form"].StringValue); len(*in.MessageBody) != largest || got != form {
			t.Errorf("%d bytes: kept %d in the form %q, want %q", size, len(*in.MessageBody), got, form)
		}
	}
}

// A call takes 256 KiB and ten messages.
func TestARedriveFillsEachCall(t *testing.T) {
	for name, tt := range map[string]struct{ lengths, batches []int }{
		"exactly 256 KiB":        {[]int{128 << 10, 128 << 10}, []int{2}},
		"one byte more":          {[]int{128 << 10, 128<<10 + 1}, []int{1, 1}},
		"one message of 256 KiB": {[]int{256 << 10, 1}, []int{1, 1}},
		"a longer message":       {[]int{256<<10 + 1, 1}, []int{1, 1}},
		"ten messages":           {slices.Repeat([]int{1}, 10), []int{10}},
		"eleven messages":        {slices.Repeat([]int{1}, 11), []int{10, 1}},
	} {
		client := &fakeSQS{dead: deadLetters(tt.lengths...)}
		r := sqsqueue.Redrive{Client: client, URL: "url", DeadLetterURL: "dead", Began: now, Now: func() time.Time { return now }}
		moved, err := r.Run(t.Context())
		if err != nil || moved != len(tt.lengths) || !slices.Equal(client.batches, tt.batches) {
			t.Errorf("%s: moved %d in calls of %v, error %v; want calls of %v", name, moved, client.batches, err, tt.batches)
		}
	}
}

func TestARedriveReceivesNoMoreThanItsLimit(t *testing.T) {
	client := &fakeSQS{dead: deadLetters(slices.Repeat([]int{1}, 30)...)}
	r := sqsqueue.Redrive{Client: client, URL: "url", DeadLetterURL: "dead", Began: now, Limit: 12, Now: func() time.Time { return now }}
	moved, err := r.Run(t.Context())
	if err != nil || moved != 12 || !slices.Equal(client.asked, []int32{10, 2}) {
		t.Errorf("moved %d, asked for %v, error %v; want 12 in receives of 10 and 2", moved, client.asked, err)
	}
}

func TestARedriveLeavesAMessageThatWasSentWhenItBegan(t *testing.T) {
	for began, want := range map[time.Time]int{
		now.Add(-time.Minute):                    0,
		now.Add(-time.Minute + time.Millisecond): 1,
	} {
		client := &fakeSQS{dead: deadLetters(1)}
		r := sqsqueue.Redrive{Client: client, URL: "url", DeadLetterURL: "dead", Began: began, Now: func() time.Time { return now }}
		if moved, err := r.Run(t.Context()); err != nil || moved != want {
			t.Errorf("began at %s: moved %d, error %v; want %d", began, moved, err, want)
		}
	}
}
