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
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/oklog/ulid/v2"

	"orders/shared/awsclient"
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

// Create implements order.Store: one PutItem that never overwrites. When the item is
// there already, DynamoDB gives it back with the refusal, so that a retry is
// answered without another request.
func (s *Store) Create(ctx context.Context, d order.Draft) (order.Order, bool, error) {
	o, err := s.accept(d)
	if err != nil {
		return order.Order{}, false, err
	}
	_, err = s.cfg.Client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:                           aws.String(s.cfg.Table),
		Item:                                itemOf(o),
		ConditionExpression:                 aws.String("attribute_not_exists(#pk)"),
		ExpressionAttributeNames:            names("pk"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if refusal, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return existing(d, refusal.Item)
	}
	if err != nil {
		return order.Order{}, false, awsclient.WrapError("store order "+string(o.ID), err)
	}
	return o, false, nil
}

// accept makes the order of a draft. Its time of creation is the one in its ULID.
func (s *Store) accept(d order.Draft) (order.Order, error) {
	if s.cfg.Random == nil {
		return order.Order{}, errNoRandom
	}
	now := s.cfg.Now()
	if d.Key != "" {
		return order.New(d, d.Key, now), nil
	}
	s.random.Lock()
	u, err := ulid.New(ulid.Timestamp(now), s.cfg.Random)
	s.random.Unlock()
	if err != nil {
		return order.Order{}, fmt.Errorf("make an id: %w", err)
	}
	return order.New(d, order.NewID(u), now), nil
}

// existing answers a creation with the order that has its id already. Under a
// key it is an earlier request's. Without one, the SDK has repeated its own request,
// whose answer was lost: the order is this one.
func existing(d order.Draft, it item) (order.Order, bool, error) {
	o, err := orderOf(it)
	switch {
	case err != nil:
		return order.Order{}, false, fmt.Errorf("read the order that is there: %w", err)
	case o.Fingerprint == d.Fingerprint:
		return o, d.Key != "", nil
	case d.Key != "":
		return order.Order{}, false, order.ErrKeyReused
	default:
		return order.Order{}, false, fmt.Errorf("%w: the new id %s is taken", order.ErrUnavailable, o.ID)
	}
}

// Get implements order.Store: one strongly consistent GetItem, so that no reader
// sees a status go backwards.
func (s *Store) Get(ctx context.Context, id order.ID) (order.Order, error) {
	found, err := s.cfg.Client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:      aws.String(s.cfg.Table),
		Key:            orderKey(id),
		ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return order.Order{}, awsclient.WrapError("read order "+string(id), err)
	}
	if len(found.Item) == 0 {
		return order.Order{}, order.ErrNotFound
	}
	return orderOf(found.Item)
}

// Advance implements order.Advancer: one UpdateItem, on condition that the order is
// in the status before and that its time has come. When DynamoDB refuses, it gives
// the order back, and order.Order.Advance tells why.
//
// If the SDK repeats a request whose answer was lost, the result is
// order.ErrAlreadyDone, though this call did it: to a caller it is the same.
func (s *Store) Advance(ctx context.Context, id order.ID, to order.Status, now time.Time) error {
	if s.cfg.ProcessingTime == 0 {
		return errNoProcessingTime
	}
	now = order.Timestamp(now)
	// The second write is for a start by a clock that lies behind the creation:
	// it starts the order at its creation.
	for range 2 {
		_, err := s.cfg.Client.UpdateItem(ctx, s.transition(id, to, now))
		refusal, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
		if !ok {
			return awsclient.WrapError(fmt.Sprintf("advance order %s to %s", id, to), err)
		}
		if len(refusal.Item) == 0 {
			return order.ErrNotFound
		}
		o, err := life(textsOf(refusal.Item))
		if err != nil {
			return fmt.Errorf("read the order to advance: %w", err)
		}
		if o, err = o.Advance(to, now, s.cfg.ProcessingTime); err != nil {
			return err
		}
		if now.Before(o.StartedAt) {
			now = o.StartedAt
		}
	}
	return fmt.Errorf("%w: order %s is refused twice", order.ErrUnavailable, id)
}

// transition is the write of one transition, with both of its conditions. Times are
// compared as text, in which they sort.
func (s *Store) transition(id order.ID, to order.Status, now time.Time) *dynamodb.UpdateItemInput {
	set, since, due := "started_at", "created_at", now
	if to == order.Completed {
		set, since, due = "completed_at", "started_at", now.Add(-s.cfg.ProcessingTime)
	}
	placeholders := names("status", since)
	placeholders["#set"] = set
	return &dynamodb.UpdateItemInput{
		TableName:                aws.String(s.cfg.Table),
		Key:                      orderKey(id),
		UpdateExpression:         aws.String("SET #status = :to, #set = :now"),
		ConditionExpression:      aws.String("#status = :from AND #" + since + " <= :due"),
		ExpressionAttributeNames: placeholders,
		ExpressionAttributeValues: item{
			":to": text(to.String()), ":from": text((to - 1).String()), ":now": text(timeText(now)), ":due": text(timeText(due)),
		},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
}
