package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"orders/shared/order"
	"orders/shared/workload"
)

// largestItem is about the size of the item of the largest order that a client can create: its texts
// have characters of four bytes.
const largestItem = 265 + (order.MaxItems+2)*(4*order.MaxTextLength+1)

// The most expensive page of the list has 1,000 ids, and is sent as JSON.
const (
	pageIDs   = 1000
	pageBytes = pageIDs * len(`{"order_id":"ORD01M8276QDT00012FF2TJ1RGHSF"},`)
)

const secondsADay = 24 * 60 * 60

// An abuse is what a day costs in which somebody sends requests of one kind as fast as the API takes
// them, before anybody notices.
type abuse struct {
	ThrottleRate int          `json:"throttle_rate"`
	Requests     int          `json:"requests_a_day"`
	Kinds        []abusiveDay `json:"kinds"`
	Region       string       `json:"region"`
	PricesAsOf   string       `json:"prices_as_of"`
}

// An abusiveDay has requests of one kind. What it has stored costs as much in each month afterwards.
type abusiveDay struct {
	Kind         string  `json:"kind"`
	USD          float64 `json:"usd"`
	USDEachMonth float64 `json:"usd_each_month_afterwards"`
}

func (c *costCommand) abuse() abuse {
	a := abuse{ThrottleRate: c.ThrottleRate, Requests: c.ThrottleRate * secondsADay, Region: workload.PricesRegion, PricesAsOf: workload.PricesAsOf}
	read := workload.Usage{HTTPRequests: 1, ReadUnits: 1}
	page := workload.Usage{HTTPRequests: 1, ReadUnits: workload.PageUnits(pageIDs, c.IndexBuckets)}
	a.add(c.day("read one order", read, 0, 0))
	a.add(c.day("list 1,000 ids", page, pageBytes, 0))
	for _, kind := range []struct {
		name  string
		bytes int
	}{{"create a usual order", c.ItemBytes}, {"create the largest order", largestItem}} {
		load := workload.Load{Orders: float64(c.ThrottleRate), ItemBytes: kind.bytes}
		a.add(c.day(kind.name, load.PerOrder(load.Batches()), 0, kind.bytes))
	}
	return a
}

func (a *abuse) add(day abusiveDay) { a.Kinds = append(a.Kinds, day) }

// day prices requests that use as much each, send so many bytes and store so many.
func (c *costCommand) day(kind string, each workload.Usage, sent, stored int) abusiveDay {
	requests := float64(c.ThrottleRate * secondsADay)
	e := c.bill(each, float64(c.ThrottleRate))
	day := abusiveDay{Kind: kind, USD: e.TotalUSD / pricedOrders * requests}
	day.USD += workload.InternetPrice.Times(requests * float64(sent) / 1e9).USD
	day.USDEachMonth = workload.StoragePrice.Times(requests * float64(stored) / 1e9).USD
	return day
}

// write writes the days for a person.
func (a abuse) write(w io.Writer) error {
	fmt.Fprintf(w, "A day of %d requests a second, which is %d requests, in %s, list prices as known in %s:\n\n",
		a.ThrottleRate, a.Requests, a.Region, a.PricesAsOf)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, day := range a.Kinds {
		fmt.Fprintf(table, "%s\t$%.0f\tand $%.2f for storage in each month afterwards\n", day.Kind, day.USD, day.USDEachMonth)
	}
	return table.Flush()
}
