package ledger

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"orders/test/service"
)

// A Promise is one thing that the service is held to, by its number in docs/design.md if it has one.
type Promise string

// The promises.
const (
	Durable        Promise = "I1 an acknowledged order is readable ever after"
	OneOrder       Promise = "I3 one order per idempotency key"
	Completes      Promise = "I4 every accepted order becomes Completed or Cancelled, or is Failed and waits"
	OnceOnly       Promise = "I5 each transition takes effect once"
	Forward        Promise = "I6 no reader sees a version go backwards"
	TakesTime      Promise = "I7 an order waits for the processing time, or for the worker's"
	InOrder        Promise = "I8 created <= started <= completed"
	AddsUp         Promise = "I9 metrics equal a recount of all orders"
	ListsAll       Promise = "I12 pages joined = all ids, none twice"
	NoServerErrors Promise = "I15 no 5xx for any input"
	Consistent     Promise = "I17 a full recount equals the tallies"
	Recovers       Promise = "kill -9 at any moment is survived"
	InTime         Promise = "an order is Completed soon after its processing time"
	NoStrangers    Promise = "every order was asked for, once"
	TellsTruth     Promise = "a call is answered with what it did"
)

// A Violation is a promise that does not hold.
type Violation struct {
	Promise Promise
	Seen    string
}

func (v *Violation) Error() string { return string(v.Promise) + "\n" + v.Seen }

// Broken is a violation.
func Broken(p Promise, format string, args ...any) error {
	return &Violation{p, fmt.Sprintf(format, args...)}
}

// OfResponse makes a violation of an error that a service.Client returns about a response, and
// leaves other errors as they are: there was no response.
func OfResponse(err error) error {
	switch service.StatusOf(err) {
	case 0:
		return err
	case http.StatusNotFound:
		return Broken(Durable, "%v", err)
	default:
		return Broken(NoServerErrors, "%v", err)
	}
}

// IsViolation reports whether an error is, or holds, a violation.
func IsViolation(err error) bool {
	_, ok := errors.AsType[*Violation](err)
	return ok
}

// shown is how many violations of one promise are told.
const shown = 5

// summarize makes one error of many: of each promise the first few violations.
func summarize(violations []error) error {
	seen := map[Promise]int{}
	var told []error
	for _, err := range violations {
		v, ok := errors.AsType[*Violation](err)
		if !ok {
			return err
		}
		if seen[v.Promise]++; seen[v.Promise] <= shown {
			told = append(told, v)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(seen)) {
		if more := seen[p] - shown; more > 0 {
			told = append(told, Broken(p, "and %d more", more))
		}
	}
	return errors.Join(told...)
}

// A Draft is an order as a client asks for it, with numbers written as the service responds.
type Draft struct {
	UserID          string   `json:"user_id"`
	ItemIDs         []string `json:"item_ids"`
	TotalAmount     string   `json:"total_amount"`
	ClientReference string   `json:"client_reference"` // "" for none
	Status          string   `json:"status"`
	Key             string   `json:"key"` // "" for none
}

// content tells drafts, and orders, apart by what a client sends.
func content(reference, userID, amount string, itemIDs []string) string {
	return strings.Join(append([]string{reference, userID, amount}, itemIDs...), "\x00")
}

func (d *Draft) content() string {
	return content(d.ClientReference, d.UserID, d.TotalAmount, d.ItemIDs)
}
