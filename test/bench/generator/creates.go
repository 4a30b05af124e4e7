package generator

import (
	"fmt"
	"strconv"
)

const (
	variants   = 1024
	createHead = "POST /api/orders/create/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
	// keyPrefix and twelve digits are as long as a UUID.
	keyPrefix = "Idempotency-Key: 0198c0de-0000-7000-8000-"
	keyBase   = 100_000_000_000
)

// createBodies makes the bodies of a load, each behind its Content-Length, in advance, so they cost
// the client nothing. They differ a little from one to the next.
func createBodies() []string {
	bodies := make([]string, variants)
	for i := range bodies {
		body := fmt.Sprintf(`{"user_id": %d, "order_id": "userTest%d", "item_ids": [%d, %d], "total_amount": %d.%02d}`,
			100+i, i, 500+i, 900-i/2, 1+3*i, i%100)
		bodies[i] = fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	return bodies
}

// appendCreate adds the nth request to b.
func (r *loadRun) appendCreate(b []byte, n int64) []byte {
	b = append(b, createHead...)
	if r.Keyed {
		b = append(b, keyPrefix...)
		b = strconv.AppendInt(b, keyBase+n, 10)
		b = append(b, "\r\n"...)
	}
	return append(b, r.bodies[n%variants]...)
}
