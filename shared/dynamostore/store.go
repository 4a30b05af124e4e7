// Package dynamostore keeps orders in one DynamoDB table, and counts the changes in its stream.
//
// # Table
//
//	item        pk          sk          attributes
//	order       ORDER#<id>  ORDER       the order; bucket, created_key (see item.go)
//	tally       TALLY       00..15      total, pending, processing, completed, timed_orders, timed_ms, and the
//	                                    checkpoint of each shard that it counts (see tally.go)
//	skipped     TALLY       skipped     records, inexact_since (see skip.go)
//	checkpoint  CHECKPOINT  <shard id>  sequence, before, expires_at: how far the first version has counted
//	marker      BUCKETS     64          bucket, created_key: orders may be in all buckets
//
// The index by_creation has bucket (ORDERS#00..63, a hash of the id) and created_key
// (<created_at>#<id>), and the keys alone. Nothing in it changes after the creation, so a
// transition does not write to it. template.yaml defines table, index and stream.
//
// # Promises
//
// Store makes each write of an order one conditional request that writes nothing else, so that a
// crash leaves either the whole write or none of it. The rest follows from the stream, which
// delivers at least once: dynamostream.Relay puts the next message on the queue, which is harmless
// when it happens twice; Tallier counts each change once, also when Lambda repeats a batch. Reads of
// an order and of the metrics are strongly consistent. The list may lag, because an index may.
//
// Check looks regularly for orders that are past their time. Audit is for an operator: it reads
// every order and repairs the metrics. Lateness says how late orders start and complete.
//
// # Left to others
//
// The client has the timeouts and retries, an order.Queue has the messages, and template.yaml says
// when Lambda calls the handlers.
package dynamostore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/oklog/ulid/v2"

	"orders/shared/awsclient"
	"orders/shared/dynamostream"
	"orders/shared/order"
)

// A Client is the part of *dynamodb.Client that a Store uses.
type Client interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

// Config configures a Store. Client and Table are required. A Lambda function gives only the other
// fields that its methods need; a method whose field is missing returns an error.
type Config struct {
	Client Client
	// Table is the table's name.
	Table string
	// Fulfilment says how orders in Processing are completed. Advance and Transition need it: with
	// the zero value they would complete orders at once.
	Fulfilment order.Fulfilment
	// Now is the clock for the times of creations and of requested transitions. Create and
	// Transition need it.
	Now func() time.Time
	// Random makes ids impossible to guess. Create needs it, and never reads it concurrently.
	Random io.Reader
	// IndexBuckets is how many buckets of the index Create fills, from 1 to 64. With 0 it fills 16.
	// Every store reads the orders of all buckets, whatever its own setting.
	IndexBuckets int
	// Advanced is called, if it is set, after each transition on the main path that Advance has made,
	// with the order's id, status and times: not after a restart, and not after the transitions of an
	// order that was retried. It may be called concurrently.
	Advanced func(order.Order)
}

// validate returns all problems of a configuration.
func (c Config) validate() error {
	var problems []error
	check := func(ok bool, problem string) {
		if !ok {
			problems = append(problems, errors.New("dynamostore: "+problem))
		}
	}
	check(c.Client != nil, "Client is missing")
	check(c.Table != "", "Table is missing")
	if c.Fulfilment != (order.Fulfilment{}) {
		if err := c.Fulfilment.Validate(); err != nil {
			check(false, err.Error())
		}
	}
	check((c.Now == nil) == (c.Random == nil), "Now and Random must be given together")
	check(c.IndexBuckets >= 0 && c.IndexBuckets <= maxBuckets, fmt.Sprintf("IndexBuckets must be from 1 to %d, not %d", maxBuckets, c.IndexBuckets))
	return errors.Join(problems...)
}

// A Store keeps orders in the table. It is safe for concurrent use.
type Store struct {
	cfg    Config
	random sync.Mutex  // held while Config.Random is read
	marked atomic.Bool // whether this store has written the marker, or need not
}

var (
	_ order.Store         = (*Store)(nil)
	_ order.MetricsReader = (*Store)(nil)
	_ order.Advancer      = (*Store)(nil)
)

// New returns the store in a table, or all problems of cfg. It makes no request.
func New(cfg Config) (*Store, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.IndexBuckets = cmp.Or(cfg.IndexBuckets, fewBuckets)
	s := &Store{cfg: cfg}
	s.marked.Store(cfg.IndexBuckets <= fewBuckets)
	return s, nil
}

// Create implements order.Store: one PutItem that never overwrites. When the item exists, DynamoDB
// returns it with the refusal, so that a retry needs no second request. The first Create of a store
// that fills more than 16 buckets writes the marker, too.
func (s *Store) Create(ctx context.Context, d order.Draft) (order.Order, bool, error) {
	o, err := s.newOrder(d)
	if err != nil {
		return order.Order{}, false, err
	}
	if err := s.mark(ctx); err != nil {
		return order.Order{}, false, err
	}
	_, err = s.cfg.Client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:                           aws.String(s.cfg.Table),
		Item:                                encodeOrder(o, s.cfg.IndexBuckets),
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

// mark writes the marker before the first order that readers find only with it. Writing it again
// changes nothing.
func (s *Store) mark(ctx context.Context) error {
	if s.marked.Load() {
		return nil
	}
	_, err := s.cfg.Client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(s.cfg.Table), Item: encodeMarker()})
	if err != nil {
		return awsclient.WrapError("mark the index", err)
	}
	s.marked.Store(true)
	return nil
}

// newOrder makes the order of a draft. A new id is a ULID of the same time as the creation.
func (s *Store) newOrder(d order.Draft) (order.Order, error) {
	if s.cfg.Random == nil {
		return order.Order{}, errors.New("create an order: the store has no Now and Random")
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

// existing is the result of a create whose id exists. With a key, an earlier request created the
// order. Without a key, this request did: the SDK has repeated it after its response was lost.
func existing(d order.Draft, it item) (order.Order, bool, error) {
	o, err := decodeOrder(it)
	switch {
	case err != nil:
		return order.Order{}, false, fmt.Errorf("read the existing order: %w", err)
	case o.Fingerprint == d.Fingerprint:
		return o, d.Key != "", nil
	case d.Key != "":
		return order.Order{}, false, order.ErrKeyReused
	default:
		return order.Order{}, false, fmt.Errorf("%w: the new id %s is taken", order.ErrUnavailable, o.ID)
	}
}

// Get implements order.Store: one strongly consistent GetItem, so that no reader sees a status go
// backwards.
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
	return decodeOrder(found.Item)
}

// Advance implements order.Advancer. On the main path it is one UpdateItem, on condition that the
// order is in the previous status and that its time has come. When DynamoDB refuses, it returns the
// order, and order.Order.Advance says why. A message with a version is about an order that may have
// gone on in many ways, so that order is read first.
//
// When the SDK repeats a request whose response was lost, the result is order.ErrAlreadyDone,
// although this call made the transition. To a caller both mean the same.
func (s *Store) Advance(ctx context.Context, m order.Message, now time.Time) error {
	if s.cfg.Fulfilment == (order.Fulfilment{}) {
		return errors.New("advance an order: the store has no Fulfilment")
	}
	now = order.Timestamp(now)
	advance := func(o order.Order) (order.Order, error) { return o.Advance(m, now, s.cfg.Fulfilment) }
	mainPath := m.To == order.Processing || m.To == order.Completed && !s.cfg.Fulfilment.External
	if m.Version != 0 || !mainPath {
		_, err := s.change(ctx, m.OrderID, advance)
		return err
	}
	updated, err := s.cfg.Client.UpdateItem(ctx, s.mainPath(m, now))
	if err == nil {
		s.advanced(updated.Attributes)
		return nil
	}
	refusal, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
	if !ok {
		return awsclient.WrapError(fmt.Sprintf("advance order %s to %s", m.OrderID, m.To), err)
	}
	if len(refusal.Item) == 0 {
		return order.ErrNotFound
	}
	before, err := dynamostream.DecodeLifecycle(newItemLookup(refusal.Item))
	if err != nil {
		return fmt.Errorf("read the order to advance: %w", err)
	}
	if _, err := advance(before); err != nil {
		return err
	}
	// A start by a clock behind the time of creation is refused. This starts the order at its
	// creation, unless a duplicate of the message comes first.
	_, err = s.change(ctx, m.OrderID, advance)
	return err
}

// advanced tells Config.Advanced of a transition. An order that cannot be read is an error for those
// who read it, and not for its transition, which is done.
func (s *Store) advanced(it item) {
	if s.cfg.Advanced == nil {
		return
	}
	if o, err := dynamostream.DecodeLifecycle(newItemLookup(it)); err == nil {
		s.cfg.Advanced(o)
	}
}

// Transition implements order.Store.
func (s *Store) Transition(ctx context.Context, id order.ID, r order.TransitionRequest) (order.Order, error) {
	if s.cfg.Now == nil || s.cfg.Fulfilment == (order.Fulfilment{}) {
		return order.Order{}, errors.New("make a transition: the store has no Now or no Fulfilment")
	}
	o, err := s.change(ctx, id, func(o order.Order) (order.Order, error) {
		return o.Transition(r, s.cfg.Now(), s.cfg.Fulfilment)
	})
	if errors.Is(err, order.ErrAlreadyDone) {
		err = nil
	}
	return o, err
}

// maxChangeAttempts bounds the attempts at a change that others come before. Each of them has moved
// the order on, so more than two in a moment are unlikely.
const maxChangeAttempts = 5

// change reads an order and writes what next makes of it, unless the order has changed meanwhile:
// then it begins again. It returns the order as next has returned it, also with next's error.
//
// The SDK repeats a write whose response was lost, and the repetition is refused: the order has
// changed by the write itself, and may have gone on since. Its history tells.
func (s *Store) change(ctx context.Context, id order.ID, next func(order.Order) (order.Order, error)) (order.Order, error) {
	var after order.Order // of the attempt before
	for range maxChangeAttempts {
		before, err := s.Get(ctx, id)
		if err != nil {
			return order.Order{}, err
		}
		if wasWritten(before, after) {
			return after, nil
		}
		if after, err = next(before); err != nil {
			return after, err
		}
		if done, err := s.write(ctx, before, after); done || err != nil {
			return after, err
		}
	}
	return order.Order{}, fmt.Errorf("%w: order %s keeps changing", order.ErrUnavailable, id)
}

// wasWritten reports whether the order has been as a write wanted it, by the last transition of that
// write. Orders on the main path tell by their status alone.
func wasWritten(o, wanted order.Order) bool {
	if o.Exception == nil || wanted.Exception == nil {
		return false
	}
	history := wanted.Exception.History
	i := len(o.Exception.History) - 1 - (o.Version() - wanted.Version())
	return 0 <= i && i < len(o.Exception.History) && o.Exception.History[i] == history[len(history)-1]
}

// mainPath is the write of a transition on the main path with its conditions. Times are compared as
// the texts that they are stored as, which sort like times.
func (s *Store) mainPath(m order.Message, now time.Time) *dynamodb.UpdateItemInput {
	t, set, since, due := order.Start, "started_at", "created_at", now
	if m.To == order.Completed {
		t, set, since, due = order.Complete, "completed_at", "started_at", now.Add(-s.cfg.Fulfilment.ProcessingTime)
	}
	placeholders := names("status", "version", since)
	placeholders["#set"] = set
	input := &dynamodb.UpdateItemInput{
		TableName:                aws.String(s.cfg.Table),
		Key:                      orderKey(m.OrderID),
		UpdateExpression:         aws.String("SET #status = :to, #set = :now"),
		ConditionExpression:      aws.String("#status = :from AND attribute_not_exists(#version) AND #" + since + " <= :due"),
		ExpressionAttributeNames: placeholders,
		ExpressionAttributeValues: item{
			":to": text(t.To().String()), ":from": text(t.From()[0].String()),
			":now": text(dynamostream.FormatTime(now)), ":due": text(dynamostream.FormatTime(due)),
		},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if s.cfg.Advanced != nil {
		input.ReturnValues = types.ReturnValueAllNew // which consumes no more capacity
	}
	return input
}

// write writes what a transition has changed, on condition that the order is still as it was before.
// done is false if it is not.
func (s *Store) write(ctx context.Context, before, after order.Order) (done bool, err error) {
	condition := "#status = :from AND attribute_not_exists(#version)"
	values := item{":from": text(before.Status.String())}
	if before.Exception != nil {
		condition, values = "#status = :from AND #version = :version", item{
			":from": values[":from"], ":version": number(int64(before.Exception.Version)),
		}
	}
	set, remove := []string{"#status = :to"}, []string(nil)
	placeholders := names("status", "version")
	values[":to"] = text(after.Status.String())
	for name, value := range encodeProgress(after) {
		placeholders["#"+name] = name
		if value == nil {
			remove = append(remove, "#"+name)
			continue
		}
		set = append(set, "#"+name+" = :new_"+name)
		values[":new_"+name] = value
	}
	update := "SET " + strings.Join(set, ", ")
	if remove != nil {
		update += " REMOVE " + strings.Join(remove, ", ")
	}
	_, err = s.cfg.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 aws.String(s.cfg.Table),
		Key:                       orderKey(after.ID),
		UpdateExpression:          aws.String(update),
		ConditionExpression:       aws.String(condition),
		ExpressionAttributeNames:  placeholders,
		ExpressionAttributeValues: values,
	})
	if _, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return false, nil
	}
	return err == nil, awsclient.WrapError(fmt.Sprintf("write order %s as %s", after.ID, after.Status), err)
}
