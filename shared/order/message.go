package order

import (
	"encoding/json/v2"
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
