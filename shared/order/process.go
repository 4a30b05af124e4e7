package order

import (
	"context"
	"errors"
	"time"
)

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
