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
const pricedOrders = million

// The defaults of the memory, of the length of a log line and of the throttle are those of
// template.yaml; a test compares.
type costCommand struct {
	Rate         float64 `help:"Orders a second. The more there are, the fuller are the batches." default:"500"`
	StatusReads  float64 `help:"Status reads an order." default:"1"`
	ItemBytes    int     `help:"Bytes of an order's item when it is created." default:"300"`
	Memory       int     `help:"Memory of a function in MB." default:"512"`
	RequestMS    float64 `name:"request-ms" help:"Billed milliseconds of an HTTP request's invocation." default:"10"`
	BatchMS      float64 `name:"batch-ms" help:"Billed milliseconds of a batch's invocation." default:"40"`
	LogBytes     float64 `help:"Bytes logged for an HTTP request." default:"140"`
	Abuse        bool    `help:"Say what a day costs in which somebody sends as many requests as the API takes."`
	ThrottleRate int     `help:"With --abuse: requests a second that the API takes." default:"50"`
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
		between("--throttle-rate", c.ThrottleRate, 1, 10_000),
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

// AWS changes its prices now and then, so each has the page that lists it.
const (
	pricesAsOf   = "2026-11"
	pricesRegion = "us-east-1"

	lambdaPage   = "https://aws.amazon.com/lambda/pricing/"
	dynamoDBPage = "https://aws.amazon.com/dynamodb/pricing/on-demand/"
)

const million = 1_000_000

var (
	httpRequestPrice  = newPrice("API Gateway", "HTTP API requests", 1.00, million, "https://aws.amazon.com/api-gateway/pricing/")
	invocationPrice   = newPrice("Lambda", "invocations", 0.20, million, lambdaPage)
	gbSecondPrice     = newPrice("Lambda", "GB-seconds on arm64", 0.0000133334, 1, lambdaPage)
	writeUnitPrice    = newPrice("DynamoDB", "write request units", 0.625, million, dynamoDBPage)
	readUnitPrice     = newPrice("DynamoDB", "read request units", 0.125, million, dynamoDBPage)
	queueRequestPrice = newPrice("SQS", "requests, standard queue", 0.40, million, "https://aws.amazon.com/sqs/pricing/")
	logPrice          = newPrice("CloudWatch Logs", "GB taken in", 0.50, 1, "https://aws.amazon.com/cloudwatch/pricing/")
	internetPrice     = newPrice("data transfer", "GB sent to the internet", 0.09, 1, "https://aws.amazon.com/ec2/pricing/on-demand/")
	storagePrice      = newPrice("DynamoDB", "GB stored for a month", 0.25, 1, dynamoDBPage)
)

// leftOut is what the estimate does not count, and why.
var leftOut = []string{
	"storage of the table, its index and its backups (by GB and month)",
	"data sent to the internet (about 1 KB an order, headers included)",
	"the queue's pollers while it is empty (by time: 5 pollers, 20 s each, about 650,000 requests a month)",
	"alarms, retries, pages and metrics reads",
	"free tiers and discounts for large amounts",
	"the stream's reads: Lambda's are free",
}

// An estimate is what a number of orders costs.
type estimate struct {
	Orders     int          `json:"orders"`
	Rate       float64      `json:"orders_a_second"`
	Region     string       `json:"region"`
	PricesAsOf string       `json:"prices_as_of"`
	Lines      []charge     `json:"lines"`
	TotalUSD   float64      `json:"total_usd"`
	Range      []loadCharge `json:"range"`
	LeftOut    []string     `json:"left_out"`
}

// A loadCharge is what as many orders cost at a load.
type loadCharge struct {
	Rate float64 `json:"orders_a_second"`
	USD  float64 `json:"total_usd"`
}

// A charge is a line of the bill. PriceUSD is what AWS lists for Per units, before free tiers and
// discounts for large amounts.
type charge struct {
	Service  string  `json:"service"`
	Quantity float64 `json:"quantity"`
	Unit     string  `json:"unit"`
	PriceUSD float64 `json:"price_usd"`
	Per      float64 `json:"per"`
	USD      float64 `json:"usd"`
	Page     string  `json:"page"`
}

// newPrice is a charge without a quantity.
func newPrice(service, unit string, usd, per float64, page string) charge {
	return charge{Service: service, Unit: unit, PriceUSD: usd, Per: per, Page: page}
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
	gigabytes := float64(c.Memory) / 1024
	seconds := (one.HTTPRequests*c.RequestMS + one.Batches*c.BatchMS) / 1000
	e := estimate{Orders: pricedOrders, Rate: rate, Region: pricesRegion, PricesAsOf: pricesAsOf, LeftOut: leftOut}
	e.charge(httpRequestPrice, one.HTTPRequests)
	e.charge(invocationPrice, one.HTTPRequests+one.Batches)
	e.charge(gbSecondPrice, gigabytes*seconds)
	e.charge(writeUnitPrice, one.WriteUnits)
	e.charge(readUnitPrice, one.ReadUnits)
	e.charge(queueRequestPrice, one.QueueRequests)
	e.charge(logPrice, one.HTTPRequests*c.LogBytes/1e9)
	return e
}

// charge adds a line for the quantity that each order uses.
func (e *estimate) charge(line charge, perOrder float64) {
	line.Quantity = perOrder * float64(e.Orders)
	line.USD = line.Quantity / line.Per * line.PriceUSD
	e.Lines = append(e.Lines, line)
	e.TotalUSD += line.USD
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
