package dynamostore

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"orders/shared/order"
)

// texts looks up an attribute of text. One of another type is there, but empty,
// and no attribute that is read here may be.
type texts func(name string) (value string, there bool)

func textsOf(it item) texts {
	return func(name string) (string, bool) {
		value, there := it[name]
		s, _ := value.(*types.AttributeValueMemberS)
		if s == nil {
			return "", there
		}
		return s.Value, true
	}
}

// orderOf reads a whole order off its item. What is not an order as itemOf writes it
// is an error. Errors name attributes and say nothing of their values, which may be
// a client's.
func orderOf(it item) (order.Order, error) {
	o, err := life(textsOf(it))
	if err != nil {
		return order.Order{}, err
	}
	if o.Details, err = details(it); err != nil {
		return order.Order{}, fmt.Errorf("order %s: %w", o.ID, err)
	}
	return o, nil
}

// life reads what the service itself says of an order, and what everything that
// follows from a change depends on: id, status and times.
func life(text texts) (order.Order, error) {
	id, err := idOf(text)
	if err != nil {
		return order.Order{}, err
	}
	o := order.Order{ID: id}
	status, _ := text("status")
	var ok bool
	if o.Status, ok = order.ParseStatus(status); !ok {
		return order.Order{}, fmt.Errorf("order %s: status is none", id)
	}
	for name, t := range map[string]*time.Time{
		"created_at": &o.CreatedAt, "started_at": &o.StartedAt, "completed_at": &o.CompletedAt,
	} {
		if *t, err = timeOf(text, name); err != nil {
			return order.Order{}, fmt.Errorf("order %s: %w", id, err)
		}
	}
	if !plausible(o) {
		return order.Order{}, fmt.Errorf("order %s: its times do not fit its status", id)
	}
	return o, nil
}

func idOf(text texts) (order.ID, error) {
	pk, _ := text("pk")
	sk, _ := text("sk")
	s, ok := strings.CutPrefix(pk, OrderPrefix)
	id, err := order.ParseID(s)
	if !ok || err != nil || sk != orderSort {
		return "", errors.New("the key is not an order's")
	}
	return id, nil
}

// timeOf is zero when there is no such attribute.
func timeOf(text texts, name string) (time.Time, error) {
	s, there := text(name)
	if !there {
		return time.Time{}, nil
	}
	t, err := time.Parse(timeLayout, s)
	if err != nil || timeText(t) != s {
		return time.Time{}, fmt.Errorf("%s is not a time", name)
	}
	return t, nil
}

// plausible reports whether an order has the times that its status asks for, and
// whether they run forwards. One taken over as Completed has only the first.
func plausible(o order.Order) bool {
	started, completed := !o.StartedAt.IsZero(), !o.CompletedAt.IsZero()
	var fit bool
	switch o.Status {
	case order.Pending:
		fit = !started && !completed
	case order.Processing:
		fit = started && !completed
	default:
		fit = started == completed
	}
	return fit && !o.CreatedAt.IsZero() &&
		(!started || !o.StartedAt.Before(o.CreatedAt)) &&
		(!completed || !o.CompletedAt.Before(o.StartedAt))
}

// details reads what the client says of its order.
func details(it item) (order.Details, error) {
	text := textsOf(it)
	var d order.Details
	var ok bool
	if d.UserID, ok = text("user_id"); !ok || d.UserID == "" {
		return d, errors.New("user_id is not a text")
	}
	if d.ClientReference, ok = text("client_reference"); ok && d.ClientReference == "" {
		return d, errors.New("client_reference is not a text")
	}
	list, ok := it["item_ids"].(*types.AttributeValueMemberL)
	if !ok {
		return d, errors.New("item_ids is not a list")
	}
	d.ItemIDs = make([]string, len(list.Value))
	for i, value := range list.Value {
		id, ok := value.(*types.AttributeValueMemberS)
		if !ok {
			return d, errors.New("item_ids is not a list of texts")
		}
		d.ItemIDs[i] = id.Value
	}
	cents, err := integer(it, "total_amount")
	if err != nil {
		return d, err
	}
	d.TotalAmount = order.Amount(cents)
	sum, ok := it["fingerprint"].(*types.AttributeValueMemberB)
	if !ok || copy(d.Fingerprint[:], sum.Value) != len(d.Fingerprint) || len(sum.Value) != len(d.Fingerprint) {
		return d, errors.New("fingerprint is not a SHA-256")
	}
	return d, nil
}

func integer(it item, name string) (int64, error) {
	if value, ok := it[name].(*types.AttributeValueMemberN); ok {
		if n, err := strconv.ParseInt(value.Value, 10, 64); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%s is not an integer", name)
}
