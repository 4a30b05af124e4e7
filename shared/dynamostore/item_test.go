package dynamostore_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"orders/shared/order"
)

// A damaged item is an error, never another order. The error has no text of the client.
func TestADamagedItemIsNotReadAsAnOrder(t *testing.T) {
	h := open(t)
	o := h.create(t, importedAs(order.Processing), func(d *order.Draft) { d.UserID = "secret" })
	good := h.item(t, "ORDER#"+string(o.ID), "ORDER")
	later, earlier := text("2026-11-22T12:00:00.001Z"), text("2026-11-22T11:59:59.999Z")
	for name, damage := range map[string]item{
		"no status":                       {"status": nil},
		"an unknown status":               {"status": text("Shipped")},
		"a status in other letters":       {"status": text("processing")},
		"a status of another type":        {"status": number("1")},
		"no time of creation":             {"created_at": nil},
		"a time without milliseconds":     {"started_at": text("2026-11-22T12:00:00Z")},
		"a time of another precision":     {"started_at": text("2026-11-22T12:00:00.0000Z")},
		"a time with a comma":             {"started_at": text("2026-11-22T12:00:00,000Z")},
		"a time of another zone":          {"started_at": text("2026-11-22T13:00:00.000+01:00")},
		"a time that is a number":         {"started_at": number("1795348800")},
		"a start before the creation":     {"started_at": earlier},
		"Processing without a start":      {"started_at": nil},
		"Processing with a completion":    {"completed_at": later},
		"Pending with a start":            {"status": text("Pending")},
		"Completed without a completion":  {"status": text("Completed")},
		"Completed without a start":       {"status": text("Completed"), "started_at": nil, "completed_at": later},
		"a completion before the start":   {"status": text("Completed"), "started_at": later, "completed_at": good["created_at"]},
		"Failed without an exception":     {"status": text("Failed")},
		"an exception in another type":    {"exception": number("3")},
		"an exception that is not JSON":   {"exception": text("secret")},
		"an exception without a version":  {"exception": text(`{"attempt":1,"history":[]}`)},
		"an unknown transition":           {"exception": text(`{"version":3,"attempt":2,"history":[{"transition":"Shipped","at":"2026-11-22T12:00:00Z"}]}`)},
		"no user":                         {"user_id": nil},
		"a user that is a number":         {"user_id": number("645")},
		"a reference that is a number":    {"client_reference": number("645")},
		"no items":                        {"item_ids": nil},
		"items in a text":                 {"item_ids": text("890")},
		"an item that is a number":        {"item_ids": &types.AttributeValueMemberL{Value: []types.AttributeValue{number("890")}}},
		"no amount":                       {"total_amount": nil},
		"an amount of half a cent":        {"total_amount": number("0.5")},
		"an amount in a text":             {"total_amount": text("165078")},
		"no fingerprint":                  {"fingerprint": nil},
		"a fingerprint that is too short": {"fingerprint": &types.AttributeValueMemberB{Value: make([]byte, 31)}},
		"a fingerprint that is too long":  {"fingerprint": &types.AttributeValueMemberB{Value: make([]byte, 33)}},
	} {
		t.Run(name, func(t *testing.T) {
			h.put(t, with(good, damage))
			got, err := h.Get(t.Context(), o.ID)
			if err == nil || !reflect.DeepEqual(got, order.Order{}) {
				t.Fatalf("read %+v, error %v", got, err)
			}
			if errors.Is(err, order.ErrNotFound) || errors.Is(err, order.ErrUnavailable) {
				t.Errorf("error %v, which says something else", err)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "Shipped") {
				t.Errorf("error %v tells a value", err)
			}
		})
	}
}
