// Package dynamostore keeps orders in one DynamoDB table and turns the table's
// stream into what follows from every write.
//
// # Table
//
//	item        pk          sk          attributes
//	order       ORDER#<id>  ORDER       the order; bucket, created_key (see item.go)
//	tally       TALLY       00..15      total, pending, processing, completed, timed_orders, timed_ms
//	checkpoint  CHECKPOINT  <shard id>  sequence, expires_at
//
// The index by_creation has bucket (ORDERS#00..15, a hash of the id) and created_key
// (<created_at>#<id>), and the keys alone. Nothing in it changes after the creation,
// so a transition does not write to it. template.yaml defines table, index and stream.
//
// # Promises
//
// Store makes each write of an order one conditional request, and nothing beside
// it: a crash leaves all of a write or none. What follows from a write comes from the
// stream, at least once: Relay puts the next message on the queue, which is harmless
// twice, and Tallier counts each change once, whatever Lambda repeats. Reads
// of an order and of the metrics are strongly consistent; the list may lag, because
// an index can.
//
// Audit, for an operator, reads every order and repairs the metrics.
//
// # Left to others
//
// The client decides about timeouts and retries, the queue is order.Queue, and what
// calls the handlers, and when, is the template's.
package dynamostore

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"orders/shared/order"
)

// A Client is the part of *dynamodb.Client that a Store uses.
type Client interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

// Config is what a Store needs. Each function has a part of it: a method that needs
// more than Client and Table says so at the field, and refuses to work without.
type Config struct {
	// Client and Table, the table's name, are needed always.
	Client Client
	Table  string
	// ProcessingTime is how long an order stays in Processing. For Advance, which
	// without one would complete orders at once.
	ProcessingTime time.Duration
	// Now is the clock that tells the time of creation. For Create.
	Now func() time.Time
	// Random makes ids impossible to guess. For Create, which never reads it
	// twice at the same time, so it need not be safe for that.
	Random io.Reader
}

// validate returns all that is wrong with a configuration.
func (c Config) validate() error {
	var problems []error
	check := func(holds bool, problem string) {
		if !holds {
			problems = append(problems, errors.New("dynamostore: "+problem))
		}
	}
	check(c.Client != nil, "Client is missing")
	check(c.Table != "", "Table is missing")
	check(c.ProcessingTime >= 0, "ProcessingTime is negative")
	check((c.Now == nil) == (c.Random == nil), "Now and Random must be given together")
	return errors.Join(problems...)
}

// Errors of a method that the configuration has nothing for.
var (
	errNoProcessingTime = errors.New("this store has no ProcessingTime, and so advances no order")
	errNoRandom         = errors.New("this store has no Now and Random, and so creates no order")
)

// A Store keeps orders in the table. All methods may be called at the same time.
type Store struct {
	cfg    Config
	random sync.Mutex // held while Config.Random is read
}

var (
	_ order.Store         = (*Store)(nil)
	_ order.MetricsReader = (*Store)(nil)
	_ order.Advancer      = (*Store)(nil)
)

// New returns the store in that table, or all that is wrong with cfg. It makes no request.
func New(cfg Config) (*Store, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Store{cfg: cfg}, nil
}
