package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"orders/shared/workload"
)

// pricedOrders is how many orders are priced: for a million, a line's quantity is easy to compare
// with AWS's price lists.
const pricedOrders = 1_000_000

// The defaults of the memory, of the length of a log line, of the throttle and of the buckets are those of
// template.yaml; a test compares.
type costCommand struct {
	Rate         float64 `help:"Orders a second. The more there are, the fuller are the batches." default:"500"`
	StatusReads  float64 `help:"Status reads an order." default:"1"`
	ItemBytes    int     `help:"Bytes of an order's item when it is created." default:"300"`
	Memory       int     `help:"Memory of a function in MB." default:"512"`
	RequestMS    float64 `name:"request-ms" help:"Billed milliseconds of an HTTP request's invocation." default:"10"`
	BatchMS      float64 `name:"batch-ms" help:"Billed milliseconds of a batch's invocation." default:"40"`
	LogBytes     float64 `help:"Bytes logged for an HTTP request." default:"134"`
	Abuse        bool    `help:"Say what a day costs in which somebody sends as many requests as the API takes."`
	ThrottleRate int     `help:"With --abuse: requests a second that the API takes." default:"50"`
	IndexBuckets int     `help:"With --abuse: buckets of the index, which a page of the list reads." default:"16"`
	JSON         bool    `name:"json" help:"Write JSON."`
}

// Help is the part of the help that is longer than a line.
func (*costCommand) Help() string {
	return "An item has about 265 bytes, and those of its user_id, its reference and its item_ids, each item_id with one more. " +
		"How many units and requests an order takes is counted by a test. How full batches are is computed from how often Lambda polls. " +
		"How long functions run is assumed, and not measured on AWS."
}

// Validate names every flag whose value is invalid.
func (c *costCommand) Validate() error {
	return errors.Join(
		rule(c.Rate > 0, "--rate must be more than 0, not %v", c.Rate),
		rule(c.StatusReads >= 0, "--status-reads must be 0 or more, not %v", c.StatusReads),
		between("--item-bytes", c.ItemBytes, 1, largestItem),
		between("--memory", c.Memory, 128, 10_240),
		rule(c.RequestMS > 0, "--request-ms must be more than 0, not %v", c.RequestMS),
		rule(c.BatchMS > 0, "--batch-ms must be more than 0, not %v", c.BatchMS),
		rule(c.LogBytes >= 0, "--log-bytes must be 0 or more, not %v", c.LogBytes),
		between("--throttle-rate", c.ThrottleRate, 1, 1_000_000),
		between("--index-buckets", c.IndexBuckets, 1, 64),
	)
}

// Run writes the estimate.
func (c *costCommand) Run(out *console) error {
	var e interface{ write(io.Writer) error } = c.estimate()
	if c.Abuse {
		e = c.abuse()
	}
	if c.JSON {
		return out.writeJSON(e)
	}
	return e.write(out.stdout)
}

// loads are the orders a second of which the estimate prints the range. At the first, a batch has one
// order.
var loads = []float64{0.01, 1, 10, 100, 500, 5000}

func (c *costCommand) load(orders float64) workload.Load {
	return workload.Load{Orders: orders, StatusReads: c.StatusReads, ItemBytes: c.ItemBytes}
}

// leftOut is what the estimate does not count, and why.
var leftOut = []string{
	"storage of the table, its index and its backups (by GB and month)",
	"data sent to the internet (about 1 KB an order, headers included)",
	"the queue's pollers while it is empty (by time: 5 pollers, 20 s each, about 650,000 requests a month)",
	"alarms, retries, pages and metrics reads",
	"cancelled, failed and retried orders: each call is a request and a read unit, and then a transition like the others",
	"the functions' log lines but those of the lateness, and the metrics themselves (by month: 30 cents for each of seven)",
	"free tiers and discounts for large amounts",
	"the stream's reads: Lambda's are free",
}

// An estimate is what a number of orders costs.
type estimate struct {
	Orders     int               `json:"orders"`
	Rate       float64           `json:"orders_a_second"`
	Region     string            `json:"region"`
	PricesAsOf string            `json:"prices_as_of"`
	Lines      []workload.Charge `json:"lines"`
	TotalUSD   float64           `json:"total_usd"`
	Range      []loadCharge      `json:"range"`
	LeftOut    []string          `json:"left_out"`
}

// A loadCharge is what as many orders cost at a load.
type loadCharge struct {
	Rate float64 `json:"orders_a_second"`
	USD  float64 `json:"total_usd"`
}

func (c *costCommand) estimate() estimate {
	e := c.priced(c.Rate)
	for _, rate := range loads {
		e.Range = append(e.Range, loadCharge{rate, c.priced(rate).TotalUSD})
	}
	return e
}

// priced is the estimate at a load.
func (c *costCommand) priced(rate float64) estimate {
	load := c.load(rate)
	return c.bill(load.PerOrder(load.Batches()), rate)
}

// bill is the estimate for orders that use as much of AWS.
func (c *costCommand) bill(one workload.Usage, rate float64) estimate {
	e := estimate{Orders: pricedOrders, Rate: rate, Region: workload.PricesRegion, PricesAsOf: workload.PricesAsOf, LeftOut: leftOut}
	e.Lines = one.Bill(pricedOrders, workload.Functions{Memory: c.Memory, RequestMS: c.RequestMS, BatchMS: c.BatchMS, LogBytes: c.LogBytes})
	for _, line := range e.Lines {
		e.TotalUSD += line.USD
	}
	return e
}

// write writes the estimate for a person.
func (e estimate) write(w io.Writer) error {
	fmt.Fprintf(w, "%d orders at %v a second in %s, list prices as known in %s:\n\n", e.Orders, e.Rate, e.Region, e.PricesAsOf)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range e.Lines {
		listed, decimals := fmt.Sprintf("$%.3f a million", line.PriceUSD), 0
		if line.Per == 1 {
			listed = "$" + strconv.FormatFloat(line.PriceUSD, 'f', -1, 64) + " each"
		}
		if line.Quantity < 100 {
			decimals = 2
		}
		fmt.Fprintf(table, "%s\t%.*f\t%s\t%s\t$%.2f\n", line.Service, decimals, line.Quantity, line.Unit, listed, line.USD)
	}
	fmt.Fprintf(table, "total\t\t\t\t$%.2f\n", e.TotalUSD)
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprint(w, "\nThe same number of orders at other loads, whose batches are emptier or fuller:\n\n")
	for _, at := range e.Range {
		fmt.Fprintf(table, "%v a second\t$%.2f\n", at.Rate, at.USD)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nNot counted:")
	for _, text := range e.LeftOut {
		fmt.Fprintf(w, "  %s\n", text)
	}
	fmt.Fprintln(w, "Check the prices on these pages:")
	last := ""
	for _, line := range e.Lines {
		if line.Page != last {
			fmt.Fprintf(w, "  %s\n", line.Page)
		}
		last = line.Page
	}
	return nil
}
