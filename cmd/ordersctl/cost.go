package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// pricedOrders is how many orders are priced: for a million, a line's quantity is easy to compare
// with AWS's price lists.
const pricedOrders = million

// The defaults of the batch sizes, of the memory and of the length of a log line are those of
// template.yaml; a test compares.
type costCommand struct {
	StatusReads float64 `help:"Status reads an order." default:"1"`
	RelayBatch  int     `help:"Stream records in one invocation of the relay." default:"100"`
	TallyBatch  int     `help:"Stream records in one invocation of the tally." default:"1000"`
	QueueBatch  int     `help:"Messages in one request of SQS." default:"10"`
	Memory      int     `help:"Memory of a function in MB." default:"512"`
	RequestMS   float64 `name:"request-ms" help:"Billed milliseconds of an HTTP request's invocation." default:"10"`
	BatchMS     float64 `name:"batch-ms" help:"Billed milliseconds of a batch's invocation." default:"40"`
	LogBytes    float64 `help:"Bytes logged for an HTTP request." default:"250"`
	JSON        bool    `name:"json" help:"Write JSON."`
}

// Help is the part of the help that is longer than a line.
func (*costCommand) Help() string {
	return "The defaults are full batches, as under load; batches of 1 are what a service with nothing to do costs per order. " +
		"How many units and requests an order takes is counted by a test. How long functions run is assumed, and not measured on AWS."
}

// Validate names every flag whose value is invalid.
func (c *costCommand) Validate() error {
	return errors.Join(
		rule(c.StatusReads >= 0, "--status-reads must be 0 or more, not %v", c.StatusReads),
		between("--relay-batch", c.RelayBatch, 1, 10_000),
		between("--tally-batch", c.TallyBatch, 1, 10_000),
		between("--queue-batch", c.QueueBatch, 1, 10),
		between("--memory", c.Memory, 128, 10_240),
		rule(c.RequestMS > 0, "--request-ms must be more than 0, not %v", c.RequestMS),
		rule(c.BatchMS > 0, "--batch-ms must be more than 0, not %v", c.BatchMS),
		rule(c.LogBytes >= 0, "--log-bytes must be 0 or more, not %v", c.LogBytes),
	)
}

// Run writes the estimate.
func (c *costCommand) Run(out *console) error {
	e := c.estimate()
	if c.JSON {
		return out.writeJSON(e)
	}
	return e.write(out.stdout)
}

// A workload is how often an order is read, and how full the batches are in which orders are
// processed. The higher the load, the fuller the batches.
type workload struct {
	StatusReads float64 // of one order, by its client
	RelayBatch  int     // stream records in one invocation of the relay
	TallyBatch  int     // stream records in one invocation of the tally
	QueueBatch  int     // messages in one request of SQS, or one invocation of the processor
}

// The usage of one order, whose item is up to 1 KB and whose status begins as Pending.
const (
	changes  = 3 // created, started, completed: each is a record in the stream
	messages = 2 // start and complete

	// A create writes the item and its entry in the index, at one unit each. A transition changes
	// no attribute that is in the index.
	createUnits     = 2
	transitionUnits = 1
	// The tally writes one item of up to 1 KB.
	tallyUnits = 1
	// A strongly consistent read of up to 4 KB.
	readUnits = 1
	// A message is sent, received and deleted.
	queueRequests = 3
)

// A usage is what one order uses of AWS, in the units that AWS bills.
type usage struct {
	HTTPRequests  float64 // each invokes a function
	Batches       float64 // invocations by stream and queue
	WriteUnits    float64
	ReadUnits     float64
	QueueRequests float64
}

// perOrder is the usage of one order from its creation to its completion. A test counts the calls
// that are made, and the units that DynamoDB reports for them.
func (w workload) perOrder() usage {
	return usage{
		HTTPRequests:  1 + w.StatusReads,
		Batches:       changes/float64(w.RelayBatch) + changes/float64(w.TallyBatch) + messages/float64(w.QueueBatch),
		WriteUnits:    createUnits + messages*transitionUnits + tallyUnits*changes/float64(w.TallyBatch),
		ReadUnits:     readUnits * w.StatusReads,
		QueueRequests: queueRequests * messages / float64(w.QueueBatch),
	}
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
	Orders     int      `json:"orders"`
	Region     string   `json:"region"`
	PricesAsOf string   `json:"prices_as_of"`
	Lines      []charge `json:"lines"`
	TotalUSD   float64  `json:"total_usd"`
	LeftOut    []string `json:"left_out"`
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
	one := workload{c.StatusReads, c.RelayBatch, c.TallyBatch, c.QueueBatch}.perOrder()
	gigabytes := float64(c.Memory) / 1024
	seconds := (one.HTTPRequests*c.RequestMS + one.Batches*c.BatchMS) / 1000
	e := estimate{Orders: pricedOrders, Region: pricesRegion, PricesAsOf: pricesAsOf, LeftOut: leftOut}
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
	fmt.Fprintf(w, "%d orders in %s, list prices as known in %s:\n\n", e.Orders, e.Region, e.PricesAsOf)
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
