// Package acceptance holds a running AWS home to what its users are promised: the
// whole chain of API, functions, table, stream, queue and their settings, where
// ordertest holds one adapter. It uses what users and operators use: HTTP, the queue,
// and ordersctl.
//
// It is all tests. `make local-test` and `make deploy-test` set up a home and tell
// by these variables where it is; without them the tests are skipped:
//
//	ORDERS_URL             the API, without a slash at the end
//	PROCESSING_TIME        what the home is configured with
//	ORDERS_QUEUE_URL       the queue and its dead-letter queue, reached with the
//	DEAD_LETTER_QUEUE_URL  SDK's own variables (AWS_ENDPOINT_URL, …)
//	ORDERS_NO_TALLY        why this home has no tally, if it has none
//
// The home may hold other orders, but no dead letters. What the emulators make slow is waited for.
package acceptance
