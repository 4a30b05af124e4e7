package main

import (
	"strings"
	"testing"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/awstest"
)

// The metrics say that they are not exact from the skip to the repair, whether the record has
// changed them or not.
func TestSkippedRecordsMakeMetricsInexactUntilTheyAreRepaired(t *testing.T) {
	for name, forgotten := range map[string]int{"nothing is missing": 0, "an order is missing": 1} {
		t.Run(name, func(t *testing.T) {
			s := openShop(t)
			s.count(s.create(order.Pending, 0))
			for range forgotten {
				s.create(order.Pending, 0)
			}
			s.checkpoint()
			if code, stdout, stderr := invoke(t, "skip", "--shard", "shard", "--sequence-number", "7"); code != exitOK || !strings.Contains(stdout, "inexact") {
				t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
			}
			code, report, _ := reconcileJSON(t)
			if code != exitFailed || !report.Inexact {
				t.Errorf("exit code %d, %+v", code, report)
			}
			if code, stdout, _ := reconcile(t); code != exitFailed || !strings.Contains(stdout, "\ninexact  a record was skipped") {
				t.Errorf("exit code %d\n%s", code, stdout)
			}
			if code, report, stderr := reconcileJSON(t, "--repair"); code != exitOK || report.Inexact || report.Repaired != (forgotten > 0) {
				t.Errorf("exit code %d, %s, %+v", code, stderr, report)
			}
			store := awstest.Must(dynamostore.New(dynamostore.Config{Client: s.db, Table: s.table}))
			if got, err := store.Metrics(t.Context()); err != nil || got.Inexact || got.Total() != int64(1+forgotten) {
				t.Errorf("metrics %+v, error %v", got, err)
			}
		})
	}
}

func TestASkipNamesItsRecord(t *testing.T) {
	openShop(t)
	for _, args := range [][]string{{"skip", "--shard", "shard"}, {"skip", "--sequence-number", "7"}, {"skip", "--shard", "shard", "--sequence-number", "seven"}} {
		if code, stdout, stderr := invoke(t, args...); code == exitOK || stdout != "" {
			t.Errorf("%q: exit code %d\n%s%s", args, code, stdout, stderr)
		}
	}
}
