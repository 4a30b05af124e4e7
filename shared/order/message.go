package order

import (
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"time"
)

// A Message asks for one transition of one order. It carries nothing of the
// client's input.
type Message struct {
	OrderID ID
	To      Status
	// NotBefore is when the message is due; zero means at once. It travels
	// beside the message, as the queue's delay, never in its body.
	NotBefore time.Time
}

type messageBody struct {
	OrderID string `json:"order_id"`
	To      string `json:"to"`
}

// Body is the message on the wire: {"order_id":"ORD…","to":"Processing"}.
func (m Message) Body() []byte {
	body, err := json.Marshal(messageBody{OrderID: string(m.OrderID), To: m.To.String()})
	if err != nil {
		panic(err) // two plain strings always have a JSON form
	}
	return body
}

// ParseMessage reads a message's body. Members that it does not know are ignored,
// whatever they hold, so that a later version can write more than this one reads.
//
// It returns ErrMalformed, with the reason, when the body is not one JSON object,
// when a name comes twice in an object, when order_id or to is missing or not of the
// form that Body writes, and when no transition leads to that status.
func ParseMessage(body []byte) (Message, error) {
	var b messageBody
	if err := json.Unmarshal(body, &b); err != nil {
		return Message{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	id, err := ParseID(b.OrderID)
	if err != nil {
		return Message{}, fmt.Errorf("%w: order_id has not the form of an id", ErrMalformed)
	}
	to, ok := ParseStatus(b.To)
	if !ok || to == Pending {
		return Message{}, fmt.Errorf("%w: there is no transition to that status", ErrMalformed)
	}
	return Message{OrderID: id, To: to}, nil
}

// A Processor works off messages: the one set of rules, whatever queue they
// come from.
type Processor struct {
	Orders Advancer
	Queue  Queue
}

// Process works off one message as the queue holds it. See Handle for the result.
func (p Processor) Process(ctx context.Context, body []byte, now time.Time) error {
	m, err := ParseMessage(body)
	if err != nil {
		return p.Queue.DeadLetter(ctx, body, err)
	}
	return p.handle(ctx, m, body, now)
}

// Handle works off one message at the time now. When it returns nil, the
// message is finished with and is to be removed from the queue: the transition
// has taken effect, now or before; or it was early and has been sent again for
// the rest of the time; or it can never succeed and lies in the dead-letter
// queue. Any error means that nothing is decided and the message is to stay.
func (p Processor) Handle(ctx context.Context, m Message, now time.Time) error {
	return p.handle(ctx, m, m.Body(), now)
}

// handle works off a message that came as original, which may say more than m.
func (p Processor) handle(ctx context.Context, m Message, original []byte, now time.Time) error {
	err := p.Orders.Advance(ctx, m.OrderID, m.To, now)
	early, isEarly := errors.AsType[*EarlyError](err)
	switch {
	case err == nil, errors.Is(err, ErrAlreadyDone):
		return nil
	case isEarly:
		// The new message is sent before the old one goes: a crash between the
		// two leaves a duplicate, never a gap.
		m.NotBefore = early.Until
		return p.Queue.Send(ctx, m)
	case errors.Is(err, ErrNotFound):
		return p.Queue.DeadLetter(ctx, original, err)
	default:
		return err
	}
}
