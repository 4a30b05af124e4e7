package main

import (
	"math"
	"strings"
	"testing"
)

func TestAMillionOrdersCostNoMoreThanSixDollars(t *testing.T) {
	code, stdout, stderr := invoke(t, "cost", "--json")
	if code != exitOK || stderr != "" {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	got := readJSON[estimate](t, stdout)
	sum := 0.0
	for _, line := range got.Lines {
		sum += line.USD
		if charged := line.Quantity / line.Per * line.PriceUSD; math.Abs(charged-line.USD) > 1e-9 || line.USD <= 0 {
			t.Errorf("%+v is charged %v", line, charged)
		}
		if !strings.HasPrefix(line.Page, "https://aws.amazon.com/") {
			t.Errorf("%s: its price has no page", line.Service)
		}
	}
	if got.Orders != 1_000_000 || got.TotalUSD > 6 || math.Abs(sum-got.TotalUSD) > 1e-9 {
		t.Errorf("%d orders cost $%v, the lines are $%v", got.Orders, got.TotalUSD, sum)
	}
	if got.Region != "us-east-1" || got.PricesAsOf == "" || len(got.LeftOut) == 0 {
		t.Errorf("the estimate does not say what it is of: %+v", got)
	}
}

func TestTheEstimateAsAPersonReadsIt(t *testing.T) {
	code, stdout, _ := invoke(t, "cost")
	want := `1000000 orders in us-east-1, list prices as known in 2026-11:

API Gateway      2000000  HTTP API requests         $1.000 a million    $2.00
Lambda           2233000  invocations               $0.200 a million    $0.45
Lambda           14660    GB-seconds on arm64       $0.0000133334 each  $0.20
DynamoDB         4012000  write request units       $0.625 a million    $2.51
DynamoDB         1000000  read request units        $0.125 a million    $0.12
SQS              600000   requests, standard queue  $0.400 a million    $0.24
CloudWatch Logs  0.50     GB taken in               $0.5 each           $0.25
total                                                                   $5.76

Not counted:
  storage of the table,`
	if code != exitOK || !strings.HasPrefix(stdout, want) {
		t.Errorf("exit code %d\n%s\nwant\n%s", code, stdout, want)
	}
}

func TestEmptyBatchesCostMore(t *testing.T) {
	_, stdout, _ := invoke(t, "cost", "--json", "--relay-batch", "1", "--tally-batch", "1", "--queue-batch", "1", "--status-reads", "0")
	quantities := map[string]float64{}
	for _, line := range readJSON[estimate](t, stdout).Lines {
		quantities[line.Unit] = line.Quantity / pricedOrders
	}
	for unit, want := range map[string]float64{
		"HTTP API requests": 1, "invocations": 1 + 3 + 3 + 2, "write request units": 16,
		"read request units": 0, "requests, standard queue": 6,
	} {
		if got := quantities[unit]; math.Abs(got-want) > 1e-9 {
			t.Errorf("%v %s an order, want %v", got, unit, want)
		}
	}
}
