package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// pricedOrders is the number of orders that is priced. With a million of them a
// line's amount is easy to compare with AWS's price lists.
const pricedOrders = million

type costCommand struct {
	StatusReads float64 `help:"Status reads an order." default:"1"`
	RelayBatch  int     `help:"Stream records in one invocation of the relay." default:"${relayBatch}"`
	TallyBatch  int     `help:"Stream records in one invocation of the tally." default:"${tallyBatch}"`
	QueueBatch  int     `help:"Messages in one request of SQS." default:"${queueBatch}"`
	Memory      int     `help:"Memory of a function in MB." default:"${memory}"`
	RequestMS   float64 `name:"request-ms" help:"Billed milliseconds of an HTTP request's invocation." default:"10"`
	BatchMS     float64 `name:"batch-ms" help:"Billed milliseconds of a batch's invocation." default:"40"`
	LogBytes    float64 `help:"Bytes logged for an HTTP request." default:"${logBytes}"`
	JSON        bool    `name:"json" help:"Write JSON."`
}

// Help is the part of the help that is longer than a line.
func (*costCommand) Help() string {
	return "The defaults are full batches, as under load; batches of 1 are what a service with nothing to do costs per order. " +
		"How many units and requests an order takes is counted by a test. How long functions run is assumed, and not measured on AWS."
}

// Validate names every flag that makes no sense.
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

// An estimate is what a number of orders costs.
type estimate struct {
	Orders     int      `json:"orders"`
	Region     string   `json:"region"`
	PricesAsOf string   `json:"prices_as_of"`
	Lines      []charge `json:"lines"`
	TotalUSD   float64  `json:"total_usd"`
	LeftOut    []string `json:"left_out"`
}

// A charge is a line of the bill.
type charge struct {
	Service  string  `json:"service"`
	Quantity float64 `json:"quantity"`
	Unit     string  `json:"unit"`
	PriceUSD float64 `json:"price_usd"`
	Per      float64 `json:"per"`
	USD      float64 `json:"usd"`
	Page     string  `json:"page"`
}

func (c *costCommand) estimate() estimate {
	load := workload{c.StatusReads, c.RelayBatch, c.TallyBatch, c.QueueBatch}
	one := load.perOrder()
	gigabytes := float64(c.Memory) / 1024
	seconds := (one.HTTPInvocations*c.RequestMS + one.Batches*c.BatchMS) / 1000
	e := estimate{Orders: pricedOrders, Region: pricesRegion, PricesAsOf: pricesAsOf, LeftOut: leftOut}
	e.charge(httpRequestPrice, one.HTTPRequests)
	e.charge(invocationPrice, one.HTTPInvocations+one.Batches)
	e.charge(gbSecondPrice, gigabytes*seconds)
	e.charge(writeUnitPrice, one.WriteUnits)
	e.charge(readUnitPrice, one.ReadUnits)
	e.charge(queueRequestPrice, one.QueueRequests)
	e.charge(logPrice, one.HTTPRequests*c.LogBytes/1e9)
	return e
}

// charge adds a line for what each order takes of something.
func (e *estimate) charge(p price, perOrder float64) {
	line := charge{
		Service: p.Service, Quantity: perOrder * float64(e.Orders), Unit: p.Unit,
		PriceUSD: p.USD, Per: p.Per, Page: p.Page,
	}
	line.USD = line.Quantity / p.Per * p.USD
	e.Lines = append(e.Lines, line)
	e.TotalUSD += line.USD
}

// amount is a quantity as a person reads it.
func amount(q float64) string {
	if q < 100 {
		return fmt.Sprintf("%.2f", q)
	}
	return fmt.Sprintf("%.0f", q)
}

func (e estimate) write(w io.Writer) error {
	fmt.Fprintf(w, "%d orders in %s, list prices as known in %s:\n\n", e.Orders, e.Region, e.PricesAsOf)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range e.Lines {
		listed := fmt.Sprintf("$%.3f a million", line.PriceUSD)
		if line.Per == 1 {
			listed = "$" + strconv.FormatFloat(line.PriceUSD, 'f', -1, 64) + " each"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t$%.2f\n", line.Service, amount(line.Quantity), line.Unit, listed, line.USD)
	}
	fmt.Fprintf(table, "total\t\t\t\t$%.2f\n", e.TotalUSD)
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nNot counted:")
	for _, what := range e.LeftOut {
		fmt.Fprintf(w, "  %s\n", what)
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
