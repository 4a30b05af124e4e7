package generator

import (
	"fmt"
	"strconv"
)

// Creates makes the requests of a load. Bodies differ a little from one to the next. They are made in
// advance, so they cost the client nothing.
type Creates struct {
	keyed  bool
	bodies []string // each behind its Content-Length
}

const (
	variants   = 1024
	createHead = "POST /api/orders/create/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
	// keyPrefix and twelve digits are as long as a UUID.
	keyPrefix = "Idempotency-Key: 0198c0de-0000-7000-8000-"
	keyBase   = 100_000_000_000
)

// NewCreates returns creates, each with an Idempotency-Key of its own if they are keyed.
func NewCreates(keyed bool) *Creates {
	c := &Creates{keyed: keyed, bodies: make([]string, variants)}
	for i := range c.bodies {
		// The client's own order_id makes the raw echo's responses hold one, too.
		body := fmt.Sprintf(`{"user_id": %d, "order_id": "userTest%d", "item_ids": [%d, %d], "total_amount": %d.%02d}`,
			100+i, i, 500+i, 900-i/2, 1+3*i, i%100)
		c.bodies[i] = fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	return c
}

// Append adds the nth request of a load to b.
func (c *Creates) Append(b []byte, n int64) []byte {
	b = append(b, createHead...)
	if c.keyed {
		b = append(b, keyPrefix...)
		b = strconv.AppendInt(b, keyBase+n, 10)
		b = append(b, "\r\n"...)
	}
	return append(b, c.bodies[n%variants]...)
}
