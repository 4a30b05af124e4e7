// Package acceptance tests a running deployment on AWS: the whole chain of API, functions, table,
// stream, queue and their settings, where the conformance suite tests one adapter. It uses what users
// and operators use: HTTP, the queue, and ordersctl.
//
// It is all tests. `make local-test` and `make deploy-test` set up a deployment and name it in these
// variables; without them the tests are skipped:
//
//	ORDERS_URL             the API, without a slash at the end
//	PROCESSING_TIME        the setting of the deployment
//	ORDERS_QUEUE_URL       the queue and its dead-letter queue, reached with the
//	DEAD_LETTER_QUEUE_URL  SDK's own variables (AWS_ENDPOINT_URL, …)
//	ORDERS_NO_TALLY        why this deployment has no tally, if it has none
//
// The deployment may hold other orders, but no dead letters. Tests wait for slow emulators.
package acceptance
