package main

import "fmt"

// A promise is what the service is held to, by its number in docs/design.md.
type promise string

const (
	durable     promise = "I1 an acknowledged order is readable ever after"
	oneOrder    promise = "I3 one order per idempotency key"
	completes   promise = "I4 every accepted order becomes Completed"
	onceOnly    promise = "I5 each transition takes effect once"
	forward     promise = "I6 no reader sees a status go backwards"
	takesTime   promise = "I7 completed_at - started_at >= the processing time"
	inOrder     promise = "I8 created <= started <= completed"
	addsUp      promise = "I9 metrics equal the fold over all orders"
	listsAll    promise = "I12 pages joined = all ids, none twice"
	answersWell promise = "I15 no 5xx for any input"
	consistent  promise = "I17 a full recount equals the tallies"
	recovers    promise = "kill -9 at any moment is survived"
)

// A violation is a promise that does not hold.
type violation struct {
	promise promise
	seen    string
}

func (v *violation) Error() string { return string(v.promise) + "\n" + v.seen }

func broken(p promise, format string, args ...any) error {
	return &violation{p, fmt.Sprintf(format, args...)}
}
