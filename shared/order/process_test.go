package order_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"orders/shared/order"
)

// advance is an order.Advancer of one function.
type advance func(order.ID, order.Status, time.Time) error

func (f advance) Advance(_ context.Context, id order.ID, to order.Status, now time.Time) error {
	return f(id, to, now)
}

// queue is an order.Queue that remembers what it is given, and fails if told to.
type queue struct {
	err    error
	sent   []order.Message
	buried []string
}

func (q *queue) Send(_ context.Context, messages ...order.Message) error {
	q.sent = append(q.sent, messages...)
	return q.err
}

func (q *queue) DeadLetter(_ context.Context, body []byte, _ error) error {
	q.buried = append(q.buried, string(body))
	return q.err
}

// F6, F8 to F11, F15, I4, I5, I13: whatever comes of a transition, its message goes, stays, or is sent again.
func TestProcessingOneMessage(t *testing.T) {
	down := errors.New("the store is down")
	m := order.Message{OrderID: order.KeyedID("", "k"), To: order.Completed}
	good := string(m.Body())
	later := strings.Replace(good, "{", `{"x":[1],`, 1) // as a later version may write it
	for name, tt := range map[string]struct {
		body     string
		advance  error
		queueErr error
		want     error
		sent     int
		buried   int
	}{
		"applied: acknowledged":                       {body: good},
		"already done: acknowledged":                  {body: good, advance: fmt.Errorf("advance: %w", order.ErrAlreadyDone)},
		"early: sent again, then acknowledged":        {body: good, advance: &order.EarlyError{Until: noon}, sent: 1},
		"early, and sending fails: stays":             {body: good, advance: &order.EarlyError{Until: noon}, queueErr: down, want: down, sent: 1},
		"unknown order: dead letter, acknowledged":    {body: good, advance: order.ErrNotFound, buried: 1},
		"unknown order: dead letter as it came":       {body: later, advance: order.ErrNotFound, buried: 1},
		"says more than is known: acknowledged":       {body: later},
		"malformed: dead letter, acknowledged":        {body: "{", buried: 1},
		"malformed, and burying fails: stays":         {body: "{", queueErr: down, want: down, buried: 1},
		"the store fails: stays, to be delivered on":  {body: good, advance: down, want: down},
		"the store is unavailable: stays for another": {body: good, advance: order.ErrUnavailable, want: order.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			q := &queue{err: tt.queueErr}
			p := order.Processor{Queue: q, Orders: advance(func(id order.ID, to order.Status, now time.Time) error {
				if id != m.OrderID || to != m.To || !now.Equal(noon) {
					t.Errorf("Advance(%s, %s, %s)", id, to, now)
				}
				return tt.advance
			})}
			if err := p.Process(t.Context(), []byte(tt.body), noon); !errors.Is(err, tt.want) {
				t.Errorf("error %v, not %v", err, tt.want)
			}
			if len(q.sent) != tt.sent || len(q.buried) != tt.buried {
				t.Errorf("sent %v, buried %v", q.sent, q.buried)
			}
			if tt.sent > 0 && (q.sent[0].OrderID != m.OrderID || q.sent[0].To != m.To || !q.sent[0].NotBefore.Equal(noon)) {
				t.Errorf("sent %+v again", q.sent[0])
			}
			if tt.buried > 0 && q.buried[0] != tt.body {
				t.Errorf("buried %q, not %q", q.buried[0], tt.body)
			}
		})
	}
}
