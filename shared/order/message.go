package order

import (
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"time"
)

// A Message asks for one transition of one order. It has none of the client's input in it.
type Message struct {
	OrderID ID
	// To is the status that the transition was to lead to when the message was sent.
	To Status
	// Version is the version of the order that the message expects. 0 is the version before To on
	// the main path.
	Version int
	// NotBefore is when the message is due; the zero time means now. The queue keeps it as the
	// delay of the message; the body does not have it.
	NotBefore time.Time
}

type messageBody struct {
	OrderID string `json:"order_id"`
	To      string `json:"to"`
	Version int    `json:"version,omitzero"`
}

// expected is the version of the order that the message is for.
func (m Message) expected() int {
	if m.Version != 0 {
		return m.Version
	}
	return int(m.To)
}

// Body returns the message as queues hold it: {"order_id":"ORD…","to":"Processing"}, and
// "version":3 if the order is not on the main path.
func (m Message) Body() []byte {
	body, err := json.Marshal(messageBody{OrderID: string(m.OrderID), To: m.To.String(), Version: m.Version})
	if err != nil {
		panic(err) // two ASCII strings can always be encoded
	}
	return body
}

// ParseMessage parses the body of a message. It ignores unknown members, so that a later version
// can write more members than this one reads.
//
// It returns ErrMalformed, wrapped with the reason, unless the body is one JSON object without
// duplicate names, its members have the form that Body writes, and the service makes a transition to
// that status.
func ParseMessage(body []byte) (Message, error) {
	var b messageBody
	if err := json.Unmarshal(body, &b); err != nil {
		return Message{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	id, err := ParseID(b.OrderID)
	if err != nil {
		return Message{}, fmt.Errorf("%w: order_id is not the id of an order", ErrMalformed)
	}
	to, ok := ParseStatus(b.To)
	if !ok || to == Pending || to == Cancelled || to == Failed && b.Version == 0 {
		return Message{}, fmt.Errorf("%w: the service makes no transition to the status in to", ErrMalformed)
	}
	if b.Version < 0 {
		return Message{}, fmt.Errorf("%w: version is negative", ErrMalformed)
	}
	return Message{OrderID: id, To: to, Version: b.Version}, nil
}

// A Queue delivers each message at least once, and not before its NotBefore.
type Queue interface {
	// Send puts messages on the queue. After an error some of them may be on the queue. Sending
	// these again does no harm, because processing is idempotent; an *UnsentError tells from which
	// message on that is necessary.
	Send(ctx context.Context, messages ...Message) error

	// DeadLetter puts the body of a message that can never succeed into the dead-letter queue,
	// where it stays for an operator. It is safe to call it again after an error.
	DeadLetter(ctx context.Context, body []byte, reason error) error
}

// An UnsentError tells which part of its messages a queue has not sent.
type UnsentError struct {
	// First is the index of the first message that may not be on the queue. All messages before
	// it are on the queue.
	First int
	Err   error
}

func (e *UnsentError) Error() string { return fmt.Sprintf("send message %d: %v", e.First, e.Err) }
func (e *UnsentError) Unwrap() error { return e.Err }

// A Processor processes messages, by the same rules for every queue.
type Processor struct {
	Orders Advancer
	Queue  Queue
}

// Process parses and processes one message as the queue holds it. See Handle for its error. A
// message that ParseMessage refuses goes to the dead-letter queue.
func (p Processor) Process(ctx context.Context, body []byte, now time.Time) error {
	m, err := ParseMessage(body)
	if err != nil {
		return p.Queue.DeadLetter(ctx, body, err)
	}
	return p.handle(ctx, m, body, now)
}

// Handle processes one message at the time now. The caller must remove the message from the queue
// if Handle returns nil, and must leave it there after any error, to be delivered again. Handle
// returns nil in three cases: the transition is made, now or before; it is early, and the message
// was sent again for the remaining time; or it can never succeed, and the message is in the
// dead-letter queue.
func (p Processor) Handle(ctx context.Context, m Message, now time.Time) error {
	return p.handle(ctx, m, m.Body(), now)
}

// handle is Handle for a message whose body is original, which may have more members than m.
func (p Processor) handle(ctx context.Context, m Message, original []byte, now time.Time) error {
	err := p.Orders.Advance(ctx, m, now)
	early, isEarly := errors.AsType[*EarlyError](err)
	switch {
	case err == nil, errors.Is(err, ErrAlreadyDone):
		return nil
	case isEarly:
		// The new message is sent before the old one is removed: a crash in between leaves a
		// duplicate, and never loses the message.
		m.NotBefore = early.Until
		return p.Queue.Send(ctx, m)
	case errors.Is(err, ErrNotFound):
		return p.Queue.DeadLetter(ctx, original, err)
	default:
		return err
	}
}
